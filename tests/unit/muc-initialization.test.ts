import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest"
import { Code, fail } from "../../firmware/core/errors"
import { parseCertificate } from "../../firmware/core/x509"
import { Role } from "../../firmware/core/x509-role"
import type { MucClock } from "../../firmware/muc/clock"
import { Holdings } from "../../firmware/muc/holdings"
import { Initialization } from "../../firmware/muc/initialization"
import { TrustSlot } from "../../firmware/muc/layout"
import type { Uplink } from "../../hal/ports"
import { x509 } from "../../tools/pki/x509"
import { noon, party, type TestParty } from "../helpers/certificates"
import { listOf, roleOf } from "../helpers/lists"
import { MemoryStore } from "../helpers/memory-store"
import { ModelTime } from "../helpers/model-time"

const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
const issuing = digitalSignature | keyCertSign | cRLSign
const day = 86_400

let ca: TestParty
let institute: TestParty
let maker: TestParty
let management: TestParty
let authority: TestParty

beforeAll(async () => {
    ca = await party({ name: "CA" })
    institute = await party({ name: "Institute" })
    const issuer = (of: TestParty, role: Role) => party({ issuer: of, ca: true, usage: issuing, more: [roleOf(role)] })
    maker = await issuer(ca, Role.manufacturer)
    management = await issuer(ca, Role.securityManagement)
    authority = await issuer(institute, Role.calibrationAuthority)
})

let log: string[]
beforeEach(() => {
    log = []
    vi.spyOn(console, "log").mockImplementation(line => void log.push(String(line)))
})

afterEach(() => {
    vi.restoreAllMocks()
})

function ber(tag: number, ...parts: Buffer[]): Buffer {
    const content = Buffer.concat(parts)
    const { length } = content
    const size = length < 128 ? [length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
}

/** A directory behind an `Uplink`: values by "cn attribute"; written for these tests. */
class FakeDirectory implements Uplink {
    readonly entries = new Map<string, Buffer[]>()
    /** "cn attribute" of each search. */
    asked: string[] = []
    connections = 0
    answers = true
    private readonly waiting: Buffer[] = []

    connect(): void {
        ++this.connections
        this.waiting.length = 0
    }

    send(octets: Buffer): void {
        const [id, op] = [octets.subarray(octets.indexOf(2), octets.indexOf(2) + 3), octets[octets.indexOf(2) + 3]]
        const result = (tag: number, code: number) =>
            ber(0x30, id, ber(tag, Buffer.from([10, 1, code]), ber(4), ber(4)))
        if (op === 0x60) this.waiting.push(result(0x61, 0))
        if (op !== 0x63 || !this.answers) return
        const text = octets.toString("latin1")
        const name = `${/cn=([^,]*),/.exec(text)![1]} ${/(\w+);binary/.exec(text)![1]}`
        this.asked.push(name)
        const values = this.entries.get(name)
        if (!values) return void this.waiting.push(result(0x65, 32))
        const attribute = ber(0x30, ber(4, Buffer.from("x")), ber(0x31, ...values.map(value => ber(4, value))))
        this.waiting.push(ber(0x30, id, ber(0x64, ber(4), ber(0x30, attribute))), result(0x65, 0))
    }

    receive(timeoutMs: number): Buffer | undefined {
        if (this.waiting.length === 0) time.advance(timeoutMs)
        return this.waiting.shift()
    }

    close(): void {}

    put(name: string, attribute: "userCertificate" | "certificateRevocationList", ...values: Buffer[]): void {
        this.entries.set(`${name} ${attribute}`, values)
    }
}

const time = new ModelTime()

/** A MUC as it left installation, and a directory that has everything. */
class Bench {
    readonly directory = new FakeDirectory()
    readonly holdings: Holdings
    readonly initialization: Initialization
    now = noon

    constructor(store = new MemoryStore(0x20000)) {
        time.install()
        this.holdings = new Holdings(store)
        for (const [slot, { der }] of [
            [TrustSlot.Manufacturer, maker],
            [TrustSlot.CaRoot, ca],
            [TrustSlot.InstituteRoot, institute],
        ] as const) {
            this.holdings.trust.writePart(slot, 0, der)
            this.holdings.trust.close(slot, der.length)
        }
        const clock = { nowSeconds: () => this.now } as unknown as MucClock
        const settings: Record<string, string> = { directory: "directory:636", provider: "provider" }
        const addresses = { get: (name: string) => settings[name] ?? "" }
        this.initialization = new Initialization(this.holdings, clock, this.directory, addresses)
    }

    static async full(): Promise<Bench> {
        const bench = new Bench()
        const { directory } = bench
        directory.put("provider", "userCertificate", management.der)
        directory.put("calibration-authority", "userCertificate", authority.der)
        await bench.publish(1)
        return bench
    }

    async publish(number: number, days = 30, revoked: TestParty[] = []): Promise<void> {
        for (const [name, issuer] of [
            ["ca-root", ca],
            ["provider", management],
            ["manufacturer", maker],
            ["institute-root", institute],
            ["calibration-authority", authority],
        ] as const)
            this.directory.put(
                name,
                "certificateRevocationList",
                await listOf(issuer, number, issuer === ca ? revoked : [], {
                    thisUpdate: new Date(this.now * 1000),
                    nextUpdate: new Date((this.now + days * day) * 1000),
                }),
            )
    }

    /** Numbers of the lists held: CA, provider, manufacturer, institute, calibration authority; 0 for none. */
    numbers(): number[] {
        const keyIds = [ca, management, maker, institute, authority].map(
            ({ der }) => parseCertificate(der).subjectKeyId,
        )
        return keyIds.map(keyId => this.holdings.lists.of(keyId)?.number[0] ?? 0)
    }

    /** Milliseconds until it is due. */
    pause(): number {
        for (let ms = 0; ; ms += 1000) {
            if (this.initialization.due()) return ms
            time.advance(1000)
        }
    }
}

test("the first time: the provider's certificate and the five lists, over one connection", async () => {
    const bench = await Bench.full()
    expect(bench.initialization.due()).toBe(true)
    bench.initialization.run()
    expect(bench.holdings.inForce(TrustSlot.SecurityManagement)?.der).toEqual(management.der)
    expect(bench.numbers()).toEqual([1, 1, 1, 1, 1])
    expect(bench.directory.connections).toBe(1)
    expect(bench.initialization.due()).toBe(false)
})

test("what is held and in force is not asked for, what has not changed is not written", async () => {
    const bench = await Bench.full()
    bench.initialization.run()
    const { version } = bench.holdings
    bench.directory.asked = []
    bench.initialization.run()
    expect(bench.directory.asked).not.toContain("provider userCertificate")
    expect(bench.holdings.version).toBe(version)
})

test("it is due again at half of the first list's life, within a day, and not within the hour", async () => {
    for (const [days, hours] of [
        [30, 24],
        [1, 12],
        [1 / 24, 1],
    ]) {
        const bench = await Bench.full()
        await bench.publish(2, days)
        bench.initialization.run()
        expect(bench.pause()).toBe(hours * 3_600_000)
    }
})

test("a directory that can not be reached: again after 1, 2, 4, 8, 15 minutes, the lists held serve on", async () => {
    const bench = await Bench.full()
    bench.initialization.run()
    bench.pause()
    bench.directory.connect = () => fail(Code.LinkRefused, -1, "a connection", "none")
    const pauses: number[] = []
    for (let i = 0; i < 6; ++i) {
        bench.initialization.run()
        pauses.push(bench.pause() / 60_000)
    }
    expect(pauses).toEqual([1, 2, 4, 8, 15, 15])
    expect(bench.numbers()).toEqual([1, 1, 1, 1, 1])
})

test("a new list takes the place of the old one; an older, a foreign, a stale and one of the future do not", async () => {
    const bench = await Bench.full()
    bench.initialization.run()
    await bench.publish(3)
    bench.initialization.run()
    expect(bench.numbers()).toEqual([3, 3, 3, 3, 3])
    const at = (seconds: number) => new Date(seconds * 1000)
    const cases: [string, Buffer][] = [
        ["E3218", await listOf(maker, 2)],
        ["E3204", await listOf(management, 4)],
        ["E3216", await listOf(maker, 4, [], { signer: management })],
        ["E3214", await listOf(maker, 4, [], { nextUpdate: at(noon - 1) })],
        ["E3215", await listOf(maker, 4, [], { thisUpdate: at(noon + 1) })],
        ["E2101", Buffer.from("3003", "hex")],
    ]
    for (const [code, list] of cases) {
        log.length = 0
        bench.directory.put("manufacturer", "certificateRevocationList", list)
        bench.initialization.run()
        expect(log.filter(line => line.includes("manufacturer")).join()).toContain(code)
        expect(bench.numbers()).toEqual([3, 3, 3, 3, 3])
    }
})

test("a list above 4,090 octets is refused by size, and the lists after it are still fetched", async () => {
    for (const [count, code] of [
        [116, "E2210"],
        [200, "E2951"],
    ] as const) {
        const bench = await Bench.full()
        const many = Array.from({ length: count }, (_, i) => {
            return { ...maker, certificate: { serialNumber: (0x5000 + i).toString(16) } } as TestParty
        })
        const list = await listOf(maker, 2, many)
        expect(list.length).toBeGreaterThan(4090)
        bench.directory.put("manufacturer", "certificateRevocationList", list)
        bench.initialization.run()
        expect(log.join()).toContain(code)
        expect(bench.numbers()).toEqual([1, 1, 0, 1, 1])
    }
})

test("a provider's certificate is taken only with the CA's list, current, and when it is what it says", async () => {
    const wrong: [string, TestParty][] = [
        ["E5200", await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.manufacturer)] })],
        [
            "E3204",
            await party({ issuer: institute, ca: true, usage: issuing, more: [roleOf(Role.securityManagement)] }),
        ],
        ["E3208", await party({ issuer: ca, more: [roleOf(Role.securityManagement)] })],
    ]
    for (const [code, each] of wrong) {
        const bench = await Bench.full()
        bench.directory.put("provider", "userCertificate", each.der)
        bench.initialization.run()
        expect(log.join()).toContain(`provider ${code}`)
        expect(bench.holdings.inForce(TrustSlot.SecurityManagement)).toBe(undefined)
    }
    const listless = await Bench.full()
    listless.directory.entries.delete("ca-root certificateRevocationList")
    listless.initialization.run()
    expect(log.join()).toContain("provider E3213")
    const revoked = await Bench.full()
    await revoked.publish(2, 30, [management])
    revoked.initialization.run()
    expect(log.join()).toContain("provider E3211")
    expect(revoked.holdings.certificate(TrustSlot.SecurityManagement)).toBe(undefined)
})

test("a renewed certificate beside the former one: the first that holds is taken", async () => {
    const bench = await Bench.full()
    const expired = await party({ issuer: ca, ca: true, usage: issuing, notAfter: new Date(Date.UTC(2029, 0, 1)) })
    bench.directory.put("provider", "userCertificate", expired.der, management.der)
    bench.initialization.run()
    expect(bench.holdings.inForce(TrustSlot.SecurityManagement)?.der).toEqual(management.der)
})

test("an issuer that changed its key publishes a list of each: the one of the key held is taken", async () => {
    const bench = await Bench.full()
    const successor = await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.manufacturer)] })
    const dates = { thisUpdate: new Date(noon * 1000), nextUpdate: new Date((noon + 30 * day) * 1000) }
    const lists = [await listOf(successor, 9, [], dates), await listOf(maker, 3, [], dates)]
    for (const order of [lists, [...lists].reverse()]) {
        bench.directory.put("manufacturer", "certificateRevocationList", ...order)
        bench.initialization.run()
        expect(bench.numbers()).toEqual([1, 1, 3, 1, 1])
    }
    bench.directory.put("manufacturer", "certificateRevocationList", lists[0])
    bench.initialization.run()
    expect(bench.numbers()).toEqual([1, 1, 3, 1, 1])
})

test("a provider that is revoked later is replaced by what the directory then names", async () => {
    const bench = await Bench.full()
    bench.initialization.run()
    await bench.publish(2, 30, [management])
    const next = await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.securityManagement)] })
    bench.directory.put("provider", "userCertificate", next.der)
    bench.directory.put("provider", "certificateRevocationList", await listOf(next, 1))
    bench.initialization.run()
    expect(bench.holdings.inForce(TrustSlot.SecurityManagement)?.der).toEqual(next.der)
    expect(bench.holdings.lists.of(parseCertificate(next.der).subjectKeyId)?.number[0]).toBe(1)
})

test("a directory that falls silent in the middle costs one time-out an object, and the next try comes", async () => {
    const bench = await Bench.full()
    bench.directory.answers = false
    bench.initialization.run()
    expect(log.filter(line => line.includes("E4901")).length).toBeGreaterThan(0)
    expect(bench.pause()).toBe(60_000)
})

test("without a directory it is never due", () => {
    const clock = { nowSeconds: () => noon } as unknown as MucClock
    const holdings = new Holdings(new MemoryStore(0x20000))
    expect(new Initialization(holdings, clock, new FakeDirectory(), { get: () => "" }).due()).toBe(false)
})
