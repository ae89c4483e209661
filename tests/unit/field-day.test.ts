import { describe, expect, it } from "vitest"
import { BusSchedule, READ_DONE, readOutcome } from "../../firmware/core/bus-schedule"
import { PlombError } from "../../firmware/core/errors"
import { installPlatform } from "../../firmware/core/platform"
import { MbusMaster } from "../../hal/mbus-master"
import { Sc16is752 } from "../../hal/sc16is752"
import { meterContent, meterIdentification } from "../../tools/chips/mbus-content"
import { MbusLine } from "../../tools/chips/mbus-line"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { nodePlatform } from "../../tools/node/platform"
import { MemoryStore } from "../helpers/memory-store"
import { ModelBus } from "../helpers/model-bus"
import type { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

const midnight = 1_800_057_600
const rates = [300, 2400, 2400, 9600]
const sizes = [16, 78, 78, 78]
const hours = 24

/** One bus with its own time: each is served by its own fiber on a device, so none waits for another. */
class Bus {
    ms = 0
    busyMs = 0
    readonly line: MbusLine
    readonly master: MbusMaster
    constructor(
        baud: number,
        readonly meters: number[],
        duplicate: boolean,
        chance: () => number,
    ) {
        const self = this
        const clock = { nowMs: () => self.ms } as ModelTime
        const wire = new Rs485Wire({ clock })
        const model = new Sc16Model({ clock })
        model.channels[0].connect(wire, { echo: baud === 2400 })
        const part = new Sc16is752(new ModelBus(clock, [model], 400_000), 0x4d, 14745600)
        this.install()
        part.start()
        this.master = new MbusMaster(part.port(0), baud)
        this.master.open()
        const slaves = meters.map((meter, i) => {
            const secondary = meterIdentification(20_000_000 + meter)
            return {
                // The last one was given the address of the one before.
                primary: duplicate && i === meters.length - 1 ? i : i + 1,
                secondary,
                delayBits: 11 + Math.floor(chance() * 60),
                telegrams: () => [meterContent(secondary, Math.floor(self.ms / 1000) + meter)],
            }
        })
        this.line = new MbusLine(wire, baud, slaves)
    }
    install() {
        installPlatform({ ...nodePlatform, millis: () => this.ms, sleepMs: ms => this.wait(ms) })
    }
    wait(ms: number) {
        this.ms += Math.ceil(ms)
    }
}

/** A day of 250 meters on four buses, each read hourly. */
function day(seed: number, damage: number, dead: number, duplicates: boolean) {
    const { below } = seeded(seed)
    const chance = () => below(1e6) / 1e6
    const count = sizes.reduce((a, b) => a + b)
    const buses: Bus[] = []
    let meter = 0
    for (let b = 0; b < 4; ++b) {
        const meters = Array.from({ length: sizes[b] }, () => meter++)
        buses.push(new Bus(rates[b], meters, duplicates && (b === 1 || b === 3), chance))
        if (damage > 0) buses[b].line.damage = { answers: damage, requests: 0.01, chance }
    }
    const all = buses.flatMap(bus => bus.line.slaves)
    const deadMeters = new Set<number>()
    while (deadMeters.size < Math.round(dead * count)) {
        const which = below(count)
        // Not those of a duplicate address: they cannot be read for another reason.
        if (![92, 93, 248, 249].includes(which)) deadMeters.add(which)
    }
    for (const which of deadMeters) all[which].dead = true

    const plan = new BusSchedule(new MemoryStore(BusSchedule.octets(count)), 0, count, 4)
    buses.forEach((bus, b) => {
        for (const each of bus.meters) plan.set(each, b, 60, midnight - 1)
    })
    // A meter's hours begin at its own second.
    const firstTurn = all.map((_, which) => plan.due(which))
    const read = all.map(() => new Set<number>())
    const problems = { repeatedQuestions: 0, wrong: 0 }
    const end = hours * 3_600_000
    for (;;) {
        const bus = buses.reduce((a, b) => (b.ms < a.ms ? b : a))
        if (bus.ms >= end) break
        bus.install()
        const now = midnight + Math.floor(bus.ms / 1000)
        const which = plan.next(buses.indexOf(bus), now)
        if (which < 0) {
            bus.ms += 5000
            continue
        }
        const from = bus.ms
        let outcome = READ_DONE
        bus.master.patienceMs = plan.patient(which) ? 300 : 0
        // Who seems dead is asked once a turn.
        bus.master.tries = plan.failing(which) < 4 ? 3 : 1
        try {
            bus.master.read(all[which].options.primary, frame => {
                const own = Buffer.from(all[which].options.secondary).equals(frame.subarray(7, 15))
                if (!own) ++problems.wrong
                read[which].add(Math.floor((now - firstTurn[which]) / 3600))
            })
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            outcome = readOutcome(error.code)
        }
        bus.busyMs += bus.ms - from
        plan.done(which, outcome, false, midnight + Math.floor(bus.ms / 1000))
    }
    for (const [b, bus] of buses.entries()) {
        const { line, master } = bus
        problems.repeatedQuestions += master.silent + master.garbled
        const share = line.leastMs() / bus.busyMs
        console.log(
            `bus ${b}, ${rates[b]} Bd, ${sizes[b]} meters: ${master.asked} questions, ${master.silent} without answer, ${master.garbled} damaged; ` +
                `${(bus.busyMs / 1000).toFixed(0)} s in use, ${(line.leastMs() / 1000).toFixed(0)} s is the least: ${(100 * share).toFixed(1)} %`,
        )
    }
    return { buses, read, plan, deadMeters, problems }
}

describe("a day of 250 meters on four M-Bus lines, drivers against models", () => {
    it("collects every reading, at 85 % or more of what the lines' rates allow", () => {
        const { buses, read, problems } = day(1, 0, 0, false)
        for (const hoursRead of read) expect(hoursRead.size).toBe(hours)
        expect(problems).toEqual({ repeatedQuestions: 0, wrong: 0 })
        for (const { line, busyMs } of buses) expect(line.leastMs() / busyMs).toBeGreaterThan(0.85)
    }, 300_000)

    it("collects every reading of meters that can be read: 5 % damaged, 3 % dead, two addresses given twice", () => {
        const { buses, read, plan, deadMeters, problems } = day(2, 0.05, 0.03, true)
        for (const { line, busyMs } of buses) expect(line.leastMs() / busyMs).toBeGreaterThan(0.85)
        const twice = [92, 93, 248, 249]
        for (const [meter, hoursRead] of read.entries()) {
            if (deadMeters.has(meter)) {
                expect(hoursRead.size).toBe(0)
                expect(plan.failing(meter)).toBeGreaterThanOrEqual(4)
            } else if (!twice.includes(meter)) expect([meter, hoursRead.size]).toEqual([meter, hours])
        }
        for (const meter of [93, 249]) expect([meter, plan.failing(meter) >= 4]).toEqual([meter, true])
        expect(problems.wrong).toBe(0)
        expect([0, 1, 2, 3].map(bus => plan.blocked(bus))).toEqual([false, false, false, false])
    }, 300_000)
})
