import { expect, test } from "vitest"
import { statusPath } from "../../firmware/core/sml-parameter.ts"
import { parameterRequest } from "../../firmware/core/sml-request.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"

const bare = Buffer.from(serverIdOf(0), "hex")

/** A bare meter whose parts at these addresses do not answer: its log, and whether it gives its status on the line. */
async function without(...addresses: number[]) {
    const log: string[] = []
    const desk = await Desk.open({ serials: [1], clock: "virtual", onLog: (_, line) => log.push(line) })
    const probe = new LineProbe(desk.world, desk.wire)
    try {
        desk.meters[0].bench.bus.faults.nackAddress = new Set(addresses)
        await desk.start()
        await desk.world.runFor(8000)
        const answer = await probe.ask(parameterRequest(Buffer.from([1]), bare, statusPath))
        return { log: log.join("\n"), answers: answer !== undefined, runs: desk.meters[0].board.powered }
    } finally {
        desk.world.close()
    }
}

test("a meter without clock, front end and secure element is up, answers on its line and says what is missing", async () => {
    const { log, answers, runs } = await without(0x68, 0x38, 0x60)
    expect({ answers, runs }).toEqual({ answers: true, runs: true })
    // Images carry numbers for words: PartAbsent, and the part's address on the bus.
    expect(log).toMatch(/E4603 at 104/)
    expect(log.match(/E4603 at 56/g)).toHaveLength(1)
})

test("a meter without its UART is up and says so", async () => {
    const { log, runs } = await without(0x4d)
    expect(runs).toBe(true)
    expect(log).toMatch(/E4603 at 77/)
})
