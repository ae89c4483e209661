import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { measureSteps, runCases } from "../../tools/vm/harness.ts"
import { World } from "../../tools/vm/world.ts"

const program = "tests/vm/device/cases.ts"

test("thousands of cases run in one boot and come back in order", async () => {
    const cases = Array.from({ length: 2000 }, (_, i) => Uint8Array.of(1, i & 0xff, i >> 8))
    const outcomes = await runCases(program, cases)
    expect(outcomes).toHaveLength(2000)
    for (const [i, outcome] of outcomes.entries())
        expect("octets" in outcome && [...outcome.octets]).toEqual([0xfe, ~i & 0xff, ~(i >> 8) & 0xff])
})

test("a panic is the failure of its case, with the line, and the run goes on", async () => {
    const cases = [[1], [0xee], [0xdd], [2]].map(each => Uint8Array.from(each))
    const outcomes = await runCases(program, cases)
    expect(outcomes.map(each => ("octets" in each ? each.octets[0] : each.code))).toEqual([0xfe, 60005, 60001, 0xfd])
    expect("failure" in outcomes[1] && outcomes[1].failure).toContain("asked to fail")
    expect("failure" in outcomes[1] && outcomes[1].failure).toContain("tests/vm/device/cases.ts:4:")
})

test("the same case takes the same number of steps in every run, and a longer one more", async () => {
    const cases = [1, 1, 400].map(length => new Uint8Array(length))
    const first = await measureSteps(program, cases)
    expect(await measureSteps(program, cases)).toEqual(first)
    // Eleven steps an octet: `reply[i] = request[i] ^ 0xff` and the loop around it.
    expect(first[2] - first[1]).toBeGreaterThan(399 * 10)
    expect(first[2] - first[1]).toBeLessThan(399 * 30)
})

test("the power is cut at exactly the step asked for", async () => {
    const image = await compile("tests/vm/device/sleeper.ts")
    for (const cutAtStep of [1, 57, 5000]) {
        const world = new World({ clock: "virtual" })
        const board = new Board({ image, world, cutAtStep, onHostCall: () => new Uint8Array(0) })
        await board.powerOn()
        const end = await world.runWhile(board.exited, 3600_000)
        expect(end.reason).toBe("cut")
        expect(board.steps).toBe(cutAtStep)
    }
})
