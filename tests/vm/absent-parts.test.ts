import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { statusPath } from "../../firmware/core/sml-parameter.ts"
import { parameterRequest } from "../../firmware/core/sml-request.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { layOutCalibrated } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-absent-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A meter whose parts at these addresses do not answer: its log, and whether it gives its status on the line. */
async function without(addresses: number[], serial = 0) {
    const log: string[] = []
    const state = serial > 0 ? join(folder, "state") : undefined
    const desk = await Desk.open({ serials: [1], state, clock: "virtual", onLog: (_, line) => log.push(line) })
    const probe = new LineProbe(desk.world, desk.wire)
    try {
        desk.meters[0].bench.bus.faults.nackAddress = new Set(addresses)
        await desk.start()
        await desk.world.runFor(28_000)
        const meter = Buffer.from(serverIdOf(serial), "hex")
        const answer = await probe.ask(parameterRequest(Buffer.from([1]), meter, statusPath))
        return { log: log.join("\n"), answers: answer !== undefined, runs: desk.meters[0].board.powered }
    } finally {
        desk.world.close()
    }
}

test("a bare meter without clock and secure element is up, answers on its line and says what is missing", async () => {
    const { log, answers, runs } = await without([0x68, 0x60])
    expect({ answers, runs }).toEqual({ answers: true, runs: true })
    // Images carry numbers for words: PartAbsent, and the part's address on the bus.
    expect(log).toMatch(/E4603 at 104/)
})

test("a calibrated meter without clock and front end answers, and says of each what is missing, once", async () => {
    await layOutCalibrated(folder, [1])
    const { log, answers, runs } = await without([0x68, 0x38], 1)
    expect({ answers, runs }).toEqual({ answers: true, runs: true })
    expect(log).toMatch(/E4603 at 104/)
    expect(log.match(/E4603 at 56/g)).toHaveLength(1)
}, 120_000)

test("a calibrated meter without its secure element answers and says why nothing measures, once", async () => {
    await layOutCalibrated(folder, [1])
    const { log, answers, runs } = await without([0x60], 1)
    expect({ answers, runs }).toEqual({ answers: true, runs: true })
    expect(log.match(/E4603 at 96/g)).toHaveLength(1)
}, 120_000)

test("a meter without its UART is up and says so", async () => {
    const { log, runs } = await without([0x4d])
    expect(runs).toBe(true)
    expect(log).toMatch(/E4603 at 77/)
})
