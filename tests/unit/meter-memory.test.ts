import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { Code, fail } from "../../firmware/core/errors"
import { produceIdentity } from "../../firmware/meter/calibration"
import { Step } from "../../firmware/meter/identity"
import {
    chainAt,
    chainCount,
    chainSize,
    journalAt,
    journalCount,
    journalSize,
    timeAt,
} from "../../firmware/meter/layout"
import { Meter } from "../../firmware/meter/meter"
import { plainRule } from "../../firmware/meter/rule"
import { Status } from "../../firmware/meter/status"
import type { Machine } from "../../hal/machine"
import type { EnergyFrontEnd, KeyCustody, RealTimeClock } from "../../hal/ports"
import { codeThrown } from "../helpers/errors"
import { MemoryStore } from "../helpers/memory-store"

const start = Date.UTC(2026, 0, 1) / 1000

/** A meter on `store` with parts that do what they are told; 3.6 Wh each second. */
class Bench {
    seconds = start
    clockAnswers = true
    readonly meter: Meter

    constructor(readonly store: MemoryStore) {
        const custody = {
            protection: 0,
            sign: (digest: Buffer) => Buffer.concat([digest, digest]),
        } as unknown as KeyCustody
        const frontEnd = {
            start: () => {},
            takeEnergy: () => 3.6 * 3.6e9,
            measure: () => ({ millivolts: 0, milliamperes: 0, milliwatts: 0, millihertz: 0, noLoad: true }),
        } as EnergyFrontEnd
        const rtc = {
            read: () => {
                if (!this.clockAnswers) codeNack()
                return { utcSeconds: this.seconds, running: true }
            },
            set: () => {},
        } as unknown as RealTimeClock
        const machine = {
            custody,
            softwareIdentification: "test",
            softwareChecksum: createHash("sha256").update("test").digest(),
            sealOpen: () => false,
        } as unknown as Machine
        this.meter = new Meter(machine, store, frontEnd, rtc)
        this.meter.rule = plainRule(this.meter)
    }

    tick(seconds = 1): void {
        this.seconds += seconds
        this.meter.tick()
    }
}

function codeNack(): never {
    return fail(Code.BusAddressNack, -1, "an answer", "none")
}

function used(): Bench {
    const bench = new Bench(new MemoryStore(0x20000))
    bench.tick()
    produceIdentity(bench.meter.identity, 7, Buffer.from("m"))
    bench.meter.identity.reach(Step.Calibrated)
    bench.meter.time.set(start)
    for (let i = 0; i < 3; ++i) bench.tick()
    bench.meter.issueList()
    bench.tick(900)
    expect(bench.meter.issuer.newestRow()).toBe(1)
    expect(bench.meter.issuer.pagination()).toBe(2)
    return bench
}

for (const [what, at, size] of [
    ["registers", journalAt, journalCount * (journalSize + 8)],
    ["links of the hash chain", chainAt, chainCount * (chainSize + 8)],
] as const)
    test(`a meter whose ${what} are lost neither counts nor signs, and says so`, () => {
        for (const rubbish of [0, 0xff, 0x5a]) {
            const { store } = used()
            store.cells.fill(rubbish, at, at + size)
            const { meter } = new Bench(store)
            expect(meter.status() & Status.MemoryDamaged).toBe(Status.MemoryDamaged)
            expect(codeThrown(() => meter.issueList())).toBe("RecordDamaged")
            const before = Buffer.from(store.cells)
            meter.tick()
            expect(store.cells.equals(before)).toBe(true)
        }
    })

test("a record of time that is damaged makes the time untrusted, not the meter dumb", () => {
    const { store } = used()
    store.cells[timeAt + 3] ^= 1
    store.cells[timeAt + 23] ^= 1
    const { meter } = new Bench(store)
    expect(meter.status() & Status.TimeNotTrusted).toBe(Status.TimeNotTrusted)
    meter.issueList()
})

test("a clock that misses a second is untrusted for that second only", () => {
    const bench = used()
    bench.clockAnswers = false
    bench.tick()
    expect(bench.meter.time.quality()).toBe(1)
    bench.clockAnswers = true
    bench.tick()
    expect(bench.meter.time.quality()).toBe(2)
    expect(new Bench(bench.store).meter.time.quality()).toBe(2)
})

test("a row whose link could not be stored keeps its number: the next list has another", () => {
    const bench = used()
    const { store, meter } = bench
    const write = store.write.bind(store)
    store.write = (address, data) => {
        if (address >= chainAt && address < chainAt + chainCount * (chainSize + 8)) codeNack()
        write(address, data)
    }
    expect(codeThrown(() => bench.tick(900))).toBe("BusAddressNack")
    store.write = write
    meter.issueList()
    expect(meter.issuer.newestRow()).toBe(2)
    expect(meter.issuer.pagination()).toBe(4)
})

test.each([
    ["the field image", Step.Calibrated, Step.Certified],
    ["the image for calibration", Step.Certified, Step.Calibrated],
])("%s signs lists and rows at step %i, not at step %i", (_, own, other) => {
    const bench = new Bench(new MemoryStore(0x20000))
    const { identity, issuer } = bench.meter
    bench.meter.signsAt = own
    bench.meter.time.set(start)
    identity.reach(other)
    bench.tick()
    bench.tick(900)
    expect(codeThrown(() => bench.meter.issueList())).toBe("NotCalibrated")
    expect(issuer.pagination()).toBe(0)
    identity.reach(own)
    bench.meter.issueList()
    bench.tick(900)
    expect(issuer.pagination()).toBe(2)
})
