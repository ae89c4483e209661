import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest"
import { CRC_BAD } from "../../firmware/core/crc16"
import { parseCrl } from "../../firmware/core/crl"
import { Code, fail } from "../../firmware/core/errors"
import { readItem } from "../../firmware/core/inventory"
import { answerFile } from "../../firmware/core/sml-answer"
import { Attention } from "../../firmware/core/sml-attention"
import { attentionRes, getProcParameterRes } from "../../firmware/core/sml-messages"
import { branch, inventoryPath } from "../../firmware/core/sml-parameter"
import { readFile } from "../../firmware/core/sml-read"
import { SET_PROC_PARAMETER_REQ } from "../../firmware/core/sml-tables"
import { TrustStore } from "../../firmware/core/trust-store"
import { Role } from "../../firmware/core/x509-role"
import { Certificates } from "../../firmware/meter/certificates"
import * as meterLayout from "../../firmware/meter/layout"
import { Places } from "../../firmware/meter/places"
import type { MeterTime } from "../../firmware/meter/time"
import { Delivery } from "../../firmware/muc/delivery"
import { Holdings } from "../../firmware/muc/holdings"
import { TrustSlot } from "../../firmware/muc/layout"
import type { LineMaster } from "../../firmware/muc/master"
import { MeterList } from "../../firmware/muc/meters"
import { x509 } from "../../tools/pki/x509"
import { noon, party, type TestParty } from "../helpers/certificates"
import { listOf, roleOf } from "../helpers/lists"
import { MemoryStore } from "../helpers/memory-store"
import { ModelTime } from "../helpers/model-time"

const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
const issuing = digitalSignature | keyCertSign | cRLSign
const time = new ModelTime()
const minute = 60_000

let ca: TestParty
let maker: TestParty
let management: TestParty
let log: string[]

beforeAll(async () => {
    ca = await party({ name: "CA" })
    const issuer = (role: Role) => party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(role)] })
    maker = await issuer(Role.manufacturer)
    management = await issuer(Role.securityManagement)
})

beforeEach(() => {
    time.install()
    log = []
    vi.spyOn(console, "log").mockImplementation(line => void log.push(String(line)))
})

afterEach(() => {
    vi.restoreAllMocks()
})

const idOf = (n: number) => Buffer.from(`0a01504c4201000000${n.toString(16).padStart(2, "0")}`, "hex")

/** The rooms of a meter that certificates come to, behind its line. */
class FakeMeter {
    certificates: Certificates
    answers = true
    /** Orders, and times that it was asked what it holds. */
    orders = 0
    asked = 0
    longest = 0
    private readonly store = new MemoryStore(0x20000)

    constructor() {
        const { trustAt, trustSlotSize, trustSlots } = meterLayout
        const trust = new TrustStore(this.store, trustAt, trustSlotSize, trustSlots)
        trust.writePart(meterLayout.TrustSlot.Manufacturer, 0, maker.der)
        trust.close(meterLayout.TrustSlot.Manufacturer, maker.der.length)
        const clock = { trusted: () => true, utcSeconds: () => noon } as unknown as MeterTime
        this.certificates = new Certificates(this.store, trust, clock, new Places(this.store))
    }

    exchange(id: Buffer, raw: Buffer): Buffer {
        if (!this.answers) fail(Code.MeterSilent, -1, "an answer", "none")
        this.longest = Math.max(this.longest, raw.length)
        return answerFile(readFile(raw, false, CRC_BAD), id, (request, responses) => {
            if (request.tag === SET_PROC_PARAMETER_REQ) {
                ++this.orders
                this.certificates.order(request.value)
                responses.push(attentionRes(request.transactionId, id, Attention.Done, ""))
            } else {
                ++this.asked
                const tree = branch(inventoryPath, this.certificates.inventory(inventoryPath))
                responses.push(getProcParameterRes(request.transactionId, id, request.path, tree))
            }
        })
    }

    /** Kinds held, and numbers of lists. */
    holds(): string {
        const items = this.certificates.inventory(inventoryPath).map(child => readItem(child[1][1][1]))
        return items.map(({ kind, number }) => (kind === 16 ? `list ${number[0]}` : `${kind}`)).join(", ")
    }
}

class Bench {
    readonly meters = [new FakeMeter(), new FakeMeter()]
    readonly holdings = new Holdings(new MemoryStore(0x20000))
    readonly delivery: Delivery

    constructor(count = 1) {
        this.put(TrustSlot.CaRoot, ca)
        const list = new MeterList(new MemoryStore(1024))
        for (let n = 0; n < count; ++n) list.add(idOf(n))
        const master = {
            exchange: (id: Buffer, _requestId: Buffer, raw: Buffer) => this.meters[id[9]].exchange(id, raw),
        } as unknown as LineMaster
        this.delivery = new Delivery(this.holdings, master, list)
    }

    put(slot: TrustSlot, { der }: TestParty): void {
        this.holdings.trust.writePart(slot, 0, der)
        this.holdings.trust.close(slot, der.length)
    }

    async list(issuer: TestParty, number: number, revoked: TestParty[] = []): Promise<void> {
        this.holdings.takeList(parseCrl(await listOf(issuer, number, revoked)))
    }

    /** Rounds every ten seconds for so long. */
    run(ms: number): void {
        for (const until = time.ms + ms; time.ms < until; time.advance(10_000)) this.delivery.round()
    }
}

test("a meter gets the CA's list, CERT_SM and its list, in files of at most 1,024 octets, and then nothing more", async () => {
    const bench = new Bench(2)
    bench.put(TrustSlot.SecurityManagement, management)
    await bench.list(ca, 1)
    await bench.list(management, 2)
    bench.run(10_000)
    for (const meter of bench.meters) {
        expect(meter.holds()).toBe("4, 5, list 1, list 2")
        expect(meter.longest).toBeLessThanOrEqual(1024)
    }
    const { orders } = bench.meters[0]
    bench.run(60 * minute)
    expect([bench.meters[0].orders, bench.meters[0].asked]).toEqual([orders, 1])
})

test("a new list goes to each meter at once, an unchanged one never again", async () => {
    const bench = new Bench()
    bench.put(TrustSlot.SecurityManagement, management)
    await bench.list(ca, 1)
    bench.run(10_000)
    const { orders } = bench.meters[0]
    await bench.list(ca, 2)
    bench.run(10_000)
    expect(bench.meters[0].holds()).toBe("4, 5, list 2")
    expect(bench.meters[0].orders - orders).toBe(2)
})

test("a meter that is silent is tried again after 1, 2, 4 … 60 minutes, and the others are served", async () => {
    const bench = new Bench(2)
    bench.put(TrustSlot.SecurityManagement, management)
    bench.meters[0].answers = false
    const tries: number[] = []
    const began = time.ms
    const { exchange } = bench.meters[0]
    bench.meters[0].exchange = function (id, raw) {
        tries.push(Math.round((time.ms - began) / minute))
        return exchange.call(this, id, raw)
    }
    bench.run(130 * minute)
    expect(tries).toEqual([0, 1, 3, 7, 15, 31, 63, 123])
    expect(bench.meters[1].holds()).toBe("4, 5")
    bench.meters[0].answers = true
    bench.run(60 * minute)
    expect(bench.meters[0].holds()).toBe("4, 5")
})

test("a power cut of the MUC loses nothing: what a meter holds it says itself", async () => {
    const bench = new Bench()
    bench.put(TrustSlot.SecurityManagement, management)
    await bench.list(ca, 1)
    bench.run(10_000)
    const { orders } = bench.meters[0]
    const again = new Bench()
    again.put(TrustSlot.SecurityManagement, management)
    await again.list(ca, 1)
    again.meters[0] = bench.meters[0]
    again.run(10_000)
    expect(bench.meters[0].orders).toBe(orders)
})

test("a meter that lost its power between the parts gets them again", async () => {
    const bench = new Bench()
    bench.put(TrustSlot.SecurityManagement, management)
    const [meter] = bench.meters
    const { exchange } = meter
    meter.exchange = function (id, raw) {
        if (this.orders === 1) {
            this.answers = false
            ++this.orders
        }
        return exchange.call(this, id, raw)
    }
    bench.run(10_000)
    expect(meter.holds()).toBe("4")
    meter.answers = true
    bench.run(2 * minute)
    expect(meter.holds()).toBe("4, 5")
})

test("a meter of another provider keeps it; what it refuses is told, and tried again later", async () => {
    const bench = new Bench()
    const other = await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.securityManagement)] })
    bench.put(TrustSlot.SecurityManagement, other)
    bench.run(10_000)
    const moved = new Bench()
    moved.meters[0] = bench.meters[0]
    moved.put(TrustSlot.SecurityManagement, management)
    await moved.list(management, 1)
    moved.run(10_000)
    expect(moved.meters[0].holds()).toBe("4, 5")
    const foreign = new Bench()
    foreign.put(TrustSlot.CaRoot, await party({ name: "CA" }))
    foreign.put(TrustSlot.SecurityManagement, management)
    foreign.run(10_000)
    expect(log.pop()).toMatch(/E4904.*8181c7c7fe0a/)
})

test("a list that no meter could keep is told and not sent", async () => {
    const bench = new Bench()
    bench.put(TrustSlot.SecurityManagement, management)
    const many = Array.from({ length: 40 }, (_, i) => {
        return { ...maker, certificate: { serialNumber: (0x5000 + i).toString(16) } } as TestParty
    })
    await bench.list(ca, 1, many)
    bench.run(10_000)
    expect(log.pop()).toContain("E2210")
    expect(bench.meters[0].orders).toBe(0)
})

test("until there is a provider each meter is looked at every minute", () => {
    const bench = new Bench()
    bench.run(10 * minute)
    expect(bench.meters[0].asked).toBe(10)
    bench.put(TrustSlot.SecurityManagement, management)
    bench.run(minute)
    expect(bench.meters[0].holds()).toBe("4, 5")
})
