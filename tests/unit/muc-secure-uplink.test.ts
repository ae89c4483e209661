import { beforeAll, beforeEach, expect, test } from "vitest"
import { parseCrl } from "../../firmware/core/crl"
import { Code, fail } from "../../firmware/core/errors"
import { Role } from "../../firmware/core/x509-role"
import type { MucClock } from "../../firmware/muc/clock"
import { Holdings } from "../../firmware/muc/holdings"
import { TrustSlot } from "../../firmware/muc/layout"
import { MucTrust } from "../../firmware/muc/peer-trust"
import { SecureUplink } from "../../firmware/muc/secure-uplink"
import { TlsServer } from "../../firmware/tls/server"
import { chachaSuite } from "../../firmware/tls/suites"
import { TicketKeys } from "../../firmware/tls/tickets"
import type { KeyCustody, Uplink } from "../../hal/ports"
import { x509 } from "../../tools/pki/x509"
import { noon, party, type TestParty } from "../helpers/certificates"
import { codeThrown } from "../helpers/errors"
import { listOf, roleOf } from "../helpers/lists"
import { MemoryStore } from "../helpers/memory-store"
import { ModelTime } from "../helpers/model-time"
import { hosts, TestAgreement, type TlsParty, tlsParty } from "../helpers/tls"

const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
const issuing = digitalSignature | keyCertSign | cRLSign
const time = new ModelTime()

let ca: TestParty
let maker: TestParty
let concentrator: TlsParty
let muc: TlsParty

beforeAll(async () => {
    ca = await party({ name: "CA" })
    maker = await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.manufacturer)] })
    const names = hosts("headend", "127.0.0.1")
    concentrator = await tlsParty(await party({ issuer: maker, more: [roleOf(Role.concentrator), names] }), maker)
    muc = await tlsParty(await party({ issuer: maker, more: [roleOf(Role.muc)] }), maker)
})

beforeEach(() => time.install())

/** A head-end of our own engine at the other end of a board's socket. */
class FakeLine implements Uplink {
    server: TlsServer | undefined
    /** Nothing arrives any more, in either direction. */
    silent = false
    connections = 0
    private readonly tickets = new TicketKeys()
    private readonly waiting: Buffer[] = []

    connect(): void {
        ++this.connections
        this.waiting.length = 0
        this.server = new TlsServer({
            identity: concentrator.identity(),
            agreement: new TestAgreement(),
            suites: [chachaSuite],
            trust: { check: () => noon + 1e6, nowSeconds: () => noon },
            tickets: this.tickets,
            recordLimit: 4096,
        })
    }

    send(octets: Buffer): void {
        if (!this.server) fail(Code.LinkLost, -1, "an open connection", "none")
        if (this.silent) return
        this.server.feed(octets)
        this.waiting.push(...this.server.output())
    }

    receive(timeoutMs: number): Buffer | undefined | null {
        const octets = this.waiting.shift()
        if (octets) return octets
        if (!this.server) return null
        time.advance(timeoutMs)
        return undefined
    }

    say(text: string): void {
        this.server?.write(Buffer.from(text))
        this.waiting.push(...(this.server?.output() ?? []))
    }

    hangUp(): void {
        this.server?.close()
        this.waiting.push(...(this.server?.output() ?? []))
    }

    close(): void {
        this.server = undefined
    }
}

class Bench {
    readonly line = new FakeLine()
    readonly holdings = new Holdings(new MemoryStore(0x20000))
    readonly uplink: SecureUplink
    now = noon
    signatures = 0

    private constructor() {
        for (const [slot, der] of [
            [TrustSlot.Muc, muc.chain[0].der],
            [TrustSlot.Manufacturer, maker.der],
            [TrustSlot.CaRoot, ca.der],
        ] as const) {
            this.holdings.trust.writePart(slot, 0, der)
            this.holdings.trust.close(slot, der.length)
        }
        const { sign } = muc.identity()
        const custody = {
            sign: (digest: Buffer) => {
                ++this.signatures
                return sign(digest)
            },
        } as unknown as KeyCustody
        const clock = { nowSeconds: () => this.now } as unknown as MucClock
        const trust = new MucTrust(this.holdings, clock, false)
        this.uplink = new SecureUplink(this.line, this.holdings, custody, new TestAgreement(), trust)
    }

    static async open(days = 30): Promise<Bench> {
        const bench = new Bench()
        for (const issuer of [ca, maker]) await bench.list(issuer, 1, [], days)
        return bench
    }

    async list(issuer: TestParty, number: number, revoked: TestParty[] = [], days = 30): Promise<void> {
        const nextUpdate = new Date((noon + days * 86_400) * 1000)
        this.holdings.takeList(parseCrl(await listOf(issuer, number, revoked, { nextUpdate })))
    }

    connect(host = "headend"): string {
        return codeThrown(() => this.uplink.connect(host, 7259, 1000))
    }

    /** Text that comes up, or how it ends. */
    receive(): string {
        const octets = this.uplink.receive(1000)
        return octets === undefined ? "silence" : octets === null ? "end" : octets.toString()
    }
}

test("what is sent comes through both ways, and close_notify of the head-end is the end", async () => {
    const bench = await Bench.open()
    expect(bench.connect()).toBe("none")
    expect(bench.uplink.resumed()).toBe(false)
    bench.line.say("down")
    expect(bench.receive()).toBe("down")
    expect(bench.receive()).toBe("silence")
    bench.uplink.send(Buffer.alloc(5000, 7))
    let came = 0
    for (let part = bench.line.server?.read(); part; part = bench.line.server?.read()) came += part.length
    expect(came).toBe(5000)
    bench.line.hangUp()
    expect(bench.receive()).toBe("end")
})

test("coming again costs no signature; a new list costs one, since the former judgement no longer holds", async () => {
    const bench = await Bench.open()
    const again = () => {
        expect(bench.connect()).toBe("none")
        bench.receive()
        bench.uplink.close()
        return bench.signatures
    }
    expect([again(), again(), again()]).toEqual([1, 1, 1])
    await bench.list(maker, 2)
    expect([again(), again()]).toEqual([2, 2])
})

test("a head-end that a new list names is refused, though a session with it is at hand", async () => {
    const bench = await Bench.open()
    expect(bench.connect()).toBe("none")
    bench.receive()
    bench.uplink.close()
    await bench.list(maker, 2, [concentrator.chain[0]])
    expect(bench.connect()).toBe("ChainRevoked")
    expect(bench.line.server).toBe(undefined)
})

test("an open connection ends when the lists it was judged by grow stale, and none is made after", async () => {
    const bench = await Bench.open(1)
    expect(bench.connect()).toBe("none")
    expect(bench.receive()).toBe("silence")
    bench.now = noon + 86_400
    expect(bench.receive()).toBe("silence")
    bench.now += 1
    expect(codeThrown(() => bench.receive())).toBe("CrlStale")
    expect(bench.receive()).toBe("end")
    expect(bench.connect()).toBe("CrlStale")
})

test("the name in the certificate must be the one that was called", async () => {
    const bench = await Bench.open()
    expect(bench.connect("127.0.0.1")).toBe("none")
    bench.uplink.close()
    for (const other of ["other", "127.0.0.2"]) expect(bench.connect(other)).toBe("TlsHostName")
})

test("a handshake that gets no answer ends within half a minute", async () => {
    const bench = await Bench.open()
    bench.line.silent = true
    const from = time.ms
    expect(bench.connect()).toBe("LinkTimeout")
    expect(time.ms - from).toBeLessThanOrEqual(30_000)
    expect(bench.line.server).toBe(undefined)
})

test("without certificate or with a clock that is not set no octet is sent", async () => {
    const bench = await Bench.open()
    bench.holdings.trust.writePart(TrustSlot.Muc, 0, Buffer.alloc(0))
    expect(bench.connect()).toBe("CertificateMissing")
    const other = await Bench.open()
    Object.defineProperty(other, "now", { get: () => fail(Code.TimeNotTrusted, -1, "a clock", "none") })
    expect(other.connect()).toBe("TimeNotTrusted")
    expect([bench.line.connections, other.line.connections]).toEqual([0, 0])
})

test("octets that are no TLS end the connection, and the next one is served", async () => {
    const bench = await Bench.open()
    expect(bench.connect()).toBe("none")
    bench.line.receive(0)
    const { line } = bench
    line.receive = () => Buffer.from("HTTP/1.1 400 Bad Request\r\n")
    expect(codeThrown(() => bench.receive())).toMatch(/^Tls/)
    expect(bench.receive()).toBe("end")
    Reflect.deleteProperty(line, "receive")
    expect(bench.connect()).toBe("none")
})
