import { afterAll, beforeAll, expect, test } from "vitest"
import { coldWater, gas, volumeContent, volumeIdentification } from "../../tools/chips/mbus-content.ts"
import { MbusLine } from "../../tools/chips/mbus-line.ts"
import { Rs485Wire } from "../../tools/chips/rs485-wire.ts"
import type { Verdict } from "../../tools/verify/findings.ts"
import { seeded } from "../helpers/random.ts"
import { LineBench } from "./line-bench.ts"

const minute = 60_000
const gasMeter = volumeIdentification(12_345_678, gas)
const waterMeter = volumeIdentification(87_654_321, coldWater)
const gasId = "8f41785634120103"
const waterId = "8f41214365870107"

let bench: LineBench
let line: MbusLine
const litres = { gas: 1_234_567, water: 89_012 }

/** A calibrated meter that runs `meter_master`, with a gas and a water meter on its second line, both at address 1. */
beforeAll(async () => {
    bench = await LineBench.open(4715)
    const { world } = bench.desk
    const wire = new Rs485Wire({ clock: world })
    bench.meter.bench.uart.channels[1].connect(wire)
    line = new MbusLine(wire, 2400, [
        { primary: 1, secondary: gasMeter, telegrams: () => [volumeContent(gasMeter, litres.gas)] },
        { primary: 1, secondary: waterMeter, telegrams: () => [volumeContent(waterMeter, litres.water)] },
    ])
    await bench.desk.flash("meter_master")
    await world.runFor(3000)
}, 600_000)
afterAll(() => bench.close())

async function judged(): Promise<Verdict> {
    const [verdict] = await bench.judged(bench.listRequest())
    expect(verdict.name).toBe("proof")
    return verdict
}

test("two meters at one address are found, read, and stand in lists that are proof", async () => {
    expect((await judged()).reading["meter 1"]).toBeUndefined()
    // All primary addresses, then identifications, at 2400 Bd.
    await bench.desk.world.runUntil(() => bench.meter.board.log.some(each => each.includes("mbus has")), 15 * minute)
    expect(bench.meter.board.log.filter(each => each.includes("mbus"))).toEqual(["mbus has 2 meters"])
    await bench.desk.world.runFor(minute / 2)
    const verdict = await judged()
    const told = [verdict.reading["meter 1"], verdict.reading["meter 2"]].join("\n")
    expect(told).toContain(`${gasId}: 7-0:3.0.0 1234.567 m3, telegram of 20`)
    expect(told).toContain(`${waterId}: 8-0:1.0.0 89.012 m3, telegram of 20`)
    expect(verdict.findings.filter(each => each.check === "registers of a meter that was read")).toHaveLength(2)
}, 600_000)

test("a day's quarter with a disturbed line, then a dead meter: each value is one that the meter had, and its own measuring goes on", async () => {
    const { below } = seeded(9)
    line.damage = { answers: 0.2, requests: 0.02, chance: () => below(1e9) / 1e9 }
    const before = await bench.list()
    for (let quarter = 0; quarter < 6; ++quarter) {
        litres.gas += 10
        await bench.desk.world.runFor(15 * minute)
        const verdict = await judged()
        const value = /7-0:3\.0\.0 (\d+\.\d+) m3/.exec(JSON.stringify(verdict.reading))?.[1]
        const possible = [0, 10, 20, 30].map(ago => ((litres.gas - ago) / 1000).toFixed(3))
        expect(possible).toContain(value)
    }
    line.damage = undefined
    for (const slave of line.slaves) slave.dead = true
    await bench.desk.world.runFor(46 * minute)
    const verdict = await judged()
    for (const number of [1, 2])
        expect(verdict.reading[`meter ${number}`]).toMatch(/: does not answer; last telegram of 20/)
    for (const slave of line.slaves) slave.dead = false
    await bench.desk.world.runFor(16 * minute)
    expect(JSON.stringify((await judged()).reading)).toContain(`7-0:3.0.0 ${(litres.gas / 1000).toFixed(3)} m3`)
    const after = await bench.list()
    const seconds = after.secondsIndex - before.secondsIndex
    // 3 kW, less what lies between counting and asking.
    expect(Math.abs(after.drawn - before.drawn - (seconds * 30_000) / 3600)).toBeLessThan(20)
    await bench.rows(before.seconds - 900, after.seconds)
    expect(bench.ledger.missing()).toEqual([])
    expect(bench.meter.board.log.filter(each => /out of memory|panic/i.test(each))).toEqual([])
}, 600_000)

test("after a power cut the telegrams of before are there, and are no values until the meters are read", async () => {
    for (const slave of line.slaves) slave.dead = true
    await bench.meter.board.powerOff()
    await bench.meter.board.powerOn()
    await bench.desk.world.runFor(3000)
    const { reading } = await judged()
    for (const number of [1, 2])
        expect(reading[`meter ${number}`]).toMatch(
            /: (not read since the meter was started|does not answer); last telegram of 20/,
        )
    for (const slave of line.slaves) slave.dead = false
    await bench.desk.world.runFor(16 * minute)
    expect(JSON.stringify((await judged()).reading)).toContain(`7-0:3.0.0 ${(litres.gas / 1000).toFixed(3)} m3`)
}, 600_000)
