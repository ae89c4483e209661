import { beforeEach, describe, expect, it } from "vitest"
import {
    BusSchedule,
    READ_BLOCKED,
    READ_DONE,
    READ_REFUSED,
    READ_SILENT,
    readOutcome,
} from "../../firmware/core/bus-schedule"
import { Code } from "../../firmware/core/errors"
import { Cut, MemoryStore } from "../helpers/memory-store"

const start = 1_800_000_000
const at = 64
let store: MemoryStore

function schedule(): BusSchedule {
    return new BusSchedule(store, at, 250, 4)
}

/** Runs a bus for `seconds`; answers who was asked and when. */
function run(plan: BusSchedule, bus: number, seconds: number, outcome: (meter: number, now: number) => number) {
    const asked: [number, number][] = []
    for (let now = start; now < start + seconds; ++now) {
        const meter = plan.next(bus, now)
        if (meter < 0) continue
        asked.push([meter, now])
        plan.done(meter, outcome(meter, now), false, now)
    }
    return asked
}

beforeEach(() => {
    store = new MemoryStore(at + BusSchedule.octets(250))
})

describe("schedule of meter buses", () => {
    it("gives each meter its turn once a period, spread over it, each bus its own meters", () => {
        const plan = schedule()
        for (let meter = 0; meter < 250; ++meter) plan.set(meter, meter & 3, 60, start)
        const asked = run(plan, 1, 86_400, () => READ_DONE)
        for (let meter = 1; meter < 250; meter += 4) {
            const times = asked.filter(a => a[0] === meter).map(a => a[1])
            expect(times.length).toBe(24)
            expect(times.every((time, i) => i === 0 || Math.abs(time - times[i - 1] - 3600) <= 62)).toBe(true)
        }
        expect(asked.length).toBe(24 * 63 - 24 * (63 - new Set(asked.map(a => a[0])).size))
        const minutes = new Set(asked.slice(0, 62).map(a => Math.floor(a[1] / 60)))
        expect(minutes.size).toBeGreaterThan(30)
    })

    it("asks a meter that failed again after 30 s, 60 s, ..., and a dead one ever more seldom", () => {
        const plan = schedule()
        plan.set(0, 0, 15, start)
        plan.set(1, 0, 15, start)
        const asked = run(plan, 0, 86_400, meter => (meter === 0 ? READ_SILENT : READ_DONE))
        const dead = asked.filter(a => a[0] === 0).map(a => a[1])
        expect(dead.length).toBeLessThan(15)
        expect(dead.slice(1, 4).map((time, i) => time - dead[i])).toEqual([30, 60, 120])
        expect(asked.filter(a => a[0] === 1).length).toBeGreaterThanOrEqual(95)
        expect([plan.failing(0) >= 4, plan.failing(1), plan.patient(0), plan.patient(1)]).toEqual([
            true,
            0,
            true,
            false,
        ])
    })

    it("goes back to a meter's turns once it answers, and keeps in mind that it is late", () => {
        const plan = schedule()
        plan.set(0, 0, 15, start)
        const first = run(plan, 0, 901, () => READ_SILENT)[0][1]
        plan.done(0, READ_DONE, true, start + 950)
        expect(plan.patient(0)).toBe(true)
        expect(run(plan, 0, 3600, () => READ_DONE)[0][1] % 900).toBe(first % 900)
        expect(plan.patient(0)).toBe(false)
    })

    it("tries a blocked bus once a minute and blames no meter; the other buses go on", () => {
        const plan = schedule()
        for (let meter = 0; meter < 100; ++meter) plan.set(meter, meter & 1, 5, start)
        const asked = run(plan, 0, 7200, () => READ_BLOCKED)
        expect(asked.length).toBeLessThan(130)
        expect(new Set(asked.map(a => a[0])).size).toBe(50)
        expect(plan.blocked(0)).toBe(true)
        for (let meter = 0; meter < 100; ++meter) expect(plan.failing(meter)).toBe(0)
        expect(run(plan, 1, 7200, () => READ_DONE).length).toBeGreaterThanOrEqual(50 * 23)
    })

    it("counts a bus on which everybody falls silent as blocked, and reads all once it is back", () => {
        const plan = schedule()
        for (let meter = 0; meter < 40; ++meter) plan.set(meter, 0, 5, start)
        run(plan, 0, 3600, () => READ_SILENT)
        expect(plan.blocked(0)).toBe(true)
        let most = 0
        for (let meter = 0; meter < 40; ++meter) most = Math.max(most, plan.failing(meter))
        expect(most).toBeLessThan(4)
        const read = new Set<number>()
        for (let now = start + 3600; now < start + 4000; ++now) {
            const meter = plan.next(0, now)
            if (meter < 0) continue
            read.add(meter)
            plan.done(meter, READ_DONE, false, now)
        }
        expect(read.size).toBe(40)
    })

    it("does not count a meter that refuses as one that blocks", () => {
        const plan = schedule()
        plan.set(0, 0, 1, start)
        run(plan, 0, 3600, () => READ_REFUSED)
        expect([plan.blocked(0), plan.failing(0) > 3]).toEqual([false, true])
    })

    it("tells what errors of a link mean", () => {
        expect(
            [Code.MeterSilent, Code.MeterGarbled, Code.MeterRefused, Code.LineBusy, Code.BusStuck].map(readOutcome),
        ).toEqual([1, 2, 3, 4, 4])
    })

    it("is after a power cut at any octet as it was before or after the change", () => {
        const plan = schedule()
        for (let meter = 0; meter < 3; ++meter) plan.set(meter, 0, 15, start)
        const change = (each: BusSchedule, step: number) => {
            if (step === 0) each.set(7, 2, 60, start)
            if (step === 1) each.done(1, READ_SILENT, false, start + 900)
            if (step === 2) each.done(1, READ_DONE, true, start + 931)
            if (step === 3) each.remove(2)
        }
        for (let step = 0; step < 4; ++step) {
            const saved = Buffer.from(store.cells)
            const before = schedule().records.toString("hex")
            change(schedule(), step)
            const after = schedule().records.toString("hex")
            const done = Buffer.from(store.cells)
            expect(after).not.toBe(before)
            const seen = new Set<string>()
            for (let cut = 0; cut < 20; ++cut) {
                saved.copy(store.cells)
                store.cutAfter = cut
                expect(() => change(schedule(), step)).toThrow(Cut)
                store.cutAfter = Number.POSITIVE_INFINITY
                const now = schedule().records.toString("hex")
                expect([before, after]).toContain(now)
                seen.add(now)
                // And it goes on from there.
                change(schedule(), step)
            }
            expect(seen.has(before)).toBe(true)
            done.copy(store.cells)
        }
    })

    it("leaves out who was asked and whose turn is not over yet", () => {
        const plan = schedule()
        for (let meter = 0; meter < 2; ++meter) plan.set(meter, 0, 60, start)
        const now = start + 7200
        const first = plan.next(0, now)
        expect(plan.next(0, now, first)).toBe(1 - first)
        plan.done(first, READ_DONE, false, now)
        expect(plan.next(0, now, 1 - first)).toBe(-1)
        expect(plan.next(0, now)).toBe(1 - first)
    })

    it("takes nothing from an empty or foreign store", () => {
        store.cells.fill(0xff)
        expect(schedule().next(0, start)).toBe(-1)
        for (let i = 0; i < store.size; ++i) store.cells[i] = (i * 73) & 0xff
        for (let bus = 0; bus < 4; ++bus) expect(schedule().next(bus, start)).toBe(-1)
    })
})
