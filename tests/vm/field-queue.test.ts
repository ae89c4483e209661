import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { FieldMeters } from "../../firmware/muc/field-meters"
import { meterContent, meterIdentification } from "../../tools/chips/mbus-content.ts"
import { MbusLine } from "../../tools/chips/mbus-line.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { FieldDesk } from "../../tools/desk/field-desk.ts"
import { MemoryStore } from "../helpers/memory-store.ts"

const meters = 60
const line = 2
const hour = 3600

/** A MUC whose meters on a line of 9600 Bd, read hourly, are all due at once: its clock was put on by an hour. */
async function allDue() {
    const folder = mkdtempSync(join(tmpdir(), "plomb-queue-"))
    await layOutDesk(folder, [])
    const log: string[] = []
    const startMs = Date.UTC(2026, 10, 23, 9)
    const settings = { uplink: "", [`baud${line}`]: "9600" }
    const state = join(folder, "state")
    const desk = await FieldDesk.open({ state, settings, startMs, onLog: each => log.push(each) })
    onTestFinished(async () => {
        await desk.close()
        rmSync(folder, { recursive: true, force: true })
    })
    const { world, board, bench, wires } = desk
    const said = new Map<number, Buffer[]>()
    const slaves = Array.from({ length: meters }, (_, i) => {
        const secondary = meterIdentification(20_002_000 + i)
        const telegrams = () => {
            const all = said.get(i) ?? []
            const content = Buffer.from(meterContent(secondary, 1000 * all.length + i))
            said.set(i, [...all, content])
            return [content]
        }
        return { primary: i + 1, secondary, delayBits: 11 + ((i * 17) % 60), telegrams }
    })
    const bus = new MbusLine(wires[line], 9600, slaves)
    await board.powerOn()
    await world.runUntil(() => log.some(each => each.startsWith(`line ${line} has`)), 600_000)
    await world.runFor(1000 * hour)
    for (const all of said.values()) all.length = 0
    const readHours = () => {
        bench.rtc.write(0x68, Uint8Array.of(2))
        const bcd = bench.rtc.read(0x68, 1)[0]
        return 10 * (bcd >> 4) + (bcd & 15)
    }
    const next = (readHours() + 1) % 24
    bench.rtc.write(0x68, Uint8Array.of(2, (Math.floor(next / 10) << 4) | (next % 10)))
    const answers = () => [...said.values()].reduce((sum, all) => sum + all.length, 0)
    return { desk, bus, said, answers }
}

test("a line of 9600 Bd whose meters are all due is used at 85 % at least of what its rate allows", async () => {
    const { desk, bus, answers } = await allDue()
    await desk.world.runUntil(() => answers() >= 3, 60_000)
    const [least, from] = [bus.leastMs(), desk.world.elapsedMs()]
    await desk.world.runUntil(() => answers() >= meters, 60_000)
    expect((bus.leastMs() - least) / (desk.world.elapsedMs() - from)).toBeGreaterThan(0.85)
}, 300_000)

test("whenever the power goes, a meter counts as read only if its telegram is in the store; the others are read again", async () => {
    const { desk, said, answers } = await allDue()
    const { world, board, bench } = desk
    /** Meters of the line as the store has them: number, and when it was read last. */
    const stored = (memory: Buffer) => {
        const store = new MemoryStore(memory.length)
        store.write(0, memory)
        const held = new FieldMeters(store, 4)
        const all = Array.from({ length: 250 }, (_, meter) => meter).filter(meter => held.plan.busOf(meter) === line)
        return all.map(meter => ({ meter: held.entry(meter)[0] - 1, at: held.plan.lastRead(meter) }))
    }
    const newest = Math.max(...stored(Buffer.from(bench.fram.memory)).map(({ at }) => at))
    /** Who counts as read since all were due, and whose telegram is there. */
    const kept = () => {
        const memory = Buffer.from(bench.fram.memory)
        const read = stored(memory).flatMap(({ meter, at }) => (at > newest ? [meter] : []))
        const whole = [...said].filter(([, all]) => all.some(content => memory.includes(content)))
        return { read, whole: whole.map(([meter]) => meter) }
    }
    for (let cut = 1; cut <= 6; ++cut) {
        const before = answers()
        await world.runUntil(() => answers() >= before + 5, 60_000)
        // Each time elsewhere between two questions.
        await world.runFor(cut * 13)
        await board.powerOff()
        const { read, whole } = kept()
        expect(read.filter(meter => !whole.includes(meter))).toEqual([])
        expect(read.length).toBeLessThan(meters)
        await board.powerOn()
    }
    await world.runFor(60_000)
    const { read, whole } = kept()
    expect(read).toHaveLength(meters)
    expect(whole).toHaveLength(meters)
}, 300_000)
