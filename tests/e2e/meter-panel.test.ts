import { afterAll, beforeAll, expect, test } from "vitest"
import { ensureBuilt } from "../../tools/build/build.ts"
import { Ssd1306 } from "../../tools/chips/ssd1306.ts"
import { read } from "../helpers/seen.ts"
import { LineBench } from "./line-bench.ts"

let bench: LineBench
const panel = new Ssd1306()
beforeAll(async () => {
    bench = await LineBench.open(4714)
    bench.meter.bench.bus.attach(panel)
}, 600_000)
afterAll(() => bench.close())

/** Waits until the page with this heading can be seen, and reads its lines: below the heading, large, and the last. */
async function page(heading: string): Promise<string[]> {
    for (let seconds = 0; seconds < 220; ++seconds) {
        await bench.desk.world.runFor(1000)
        if (panel.visible && read(panel, 0, 1) === heading)
            return [read(panel, 1, 1), read(panel, 2, 2), read(panel, 7, 1)]
    }
    throw new Error(`no page "${heading}"; log: ${bench.meter.board.log.slice(-8).join(" | ")}`)
}

const kilowattHours = (units: number) => {
    const text = `${Math.floor(units / 10)}`.padStart(4, "0")
    return `${text.slice(0, -3)}.${text.slice(-3)}`
}

test("a panel that is plugged in later shows the register that the signed lists before and after it frame", async () => {
    expect(panel.visible).toBe(false)
    panel.powerOn()
    const shown: string[] = []
    for (let round = 0; round < 3; ++round) {
        const before = await bench.list()
        const [, large, last] = await page("1-0:1.8.0 kWh")
        const after = await bench.list()
        expect(last).toBe("")
        expect(Number(large)).toBeGreaterThanOrEqual(Number(kilowattHours(before.drawn)))
        expect(Number(large)).toBeLessThanOrEqual(Number(kilowattHours(after.drawn)))
        shown.push(large)
        await page("1-0:2.8.0 kWh")
    }
    // 3 kW.
    expect(new Set(shown).size).toBe(3)
}, 600_000)

test("time, server id and status, software: as the meter says them on its line", async () => {
    const [date, time] = await page("UTC")
    expect(Math.abs(Date.parse(`${date}T${time}Z`) - bench.desk.world.nowMs())).toBeLessThan(3000)
    expect((await page(bench.id.toString("hex"))).slice(0, 2)).toEqual(["calibrated", "OK"])
    const verdict = (await bench.judged(bench.listRequest()))[0]
    expect(verdict.name).toBe("proof")
    const [software, checksum] = await page("Fixed part SHA-256")
    const [module, moduleChecksum] = await page("Module SHA-256")
    const { report } = await ensureBuilt("meter", "vm")
    expect([software, checksum]).toEqual([report.identification, report.softwareChecksum.slice(0, 8)])
    expect([module, moduleChecksum]).toEqual([verdict.reading.module, verdict.reading["module SHA-256"].slice(0, 8)])
}, 600_000)

test("a panel that is torn off, or plugged in anew, costs no second of energy and no list", async () => {
    const before = await bench.list()
    for (let round = 0; round < 12; ++round) {
        await bench.desk.world.runFor(5300)
        if (round % 2 === 0) panel.powerOff()
        else panel.powerOn()
    }
    const after = await bench.list()
    const seconds = after.secondsIndex - before.secondsIndex
    // 3 kW are 8.33 of 0.1 Wh in a second; the two lists are of full seconds.
    expect(Math.abs(after.drawn - before.drawn - (seconds * 30_000) / 3600)).toBeLessThan(20)
    expect((await page("1-0:1.8.0 kWh"))[1]).toMatch(/^\d+\.\d{3}$/)
}, 600_000)
