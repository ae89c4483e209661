import { beforeAll, describe, expect, test } from "vitest"
import { measure } from "../../tools/build/sizes.ts"
import { withoutTexts } from "../../tools/build/texts.ts"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"
import { inputsOf, metrologyModule, parametersOf } from "../helpers/modules"

/** A Pico takes 2.5 us for a step. */
const microsecondsAStep = 2.5

/** Ordinary straight code, objects and strings, without a pause of its own: where most steps lie between two yields. */
const torture = `import * as ds from "@devicescript/core"
class A { x = 1; y = 2; f(n: number) { return this.x + this.y + n } }
class B extends A {}
class C extends B {}
class D extends C {}
const d = new D()
const list = [1, 2, 3]
function work(n: number) {
    let s = 0
    for (let i = 0; i < n; ++i) { s += d.f(i) + d.x + d.y + (d as any).none1 ? 1 : 0; list[1] = list.slice(0).length + "abcdef".indexOf("f"); s = s + ("a" + i).length }
    let t = ""
    for (let i = 0; i < 30; ++i) { t += "0123456789" + i; if (d instanceof A && typeof d === "object") list.push(i) }
    const o: any = {}
    for (let i = 0; i < 20; ++i) o["key" + i] = Object.keys(o).length
    return s + list.map(x => x * 2).filter(x => x > 2).length + t.length
}
;(ds as any).host.onTick(() => work(150))
`

interface Figures {
    steps: number[]
    stretches: number[]
    texts: string[]
    free: number[]
}

/** Runs the cases one after the other: steps of each, the longest stretch between two yields, heap that is free after each. */
async function run(requests: Buffer[]): Promise<Figures> {
    const image = await compile("tests/vm/device/sandbox-marks.ts")
    const figures: Figures = { steps: [], stretches: [], texts: [], free: [] }
    const world = new World({ clock: "virtual" })
    let began = 0
    let yielded = 0
    let longest = 0
    const board: Board = new Board({
        image,
        world,
        countSteps: true,
        onHostCall: (op, _a, octets) => {
            if (op === 16) {
                began = yielded = board.steps
                longest = 0
                return requests[figures.texts.length] ?? new Uint8Array(0)
            }
            longest = Math.max(longest, board.steps - yielded)
            yielded = board.steps
            if (op === 17) {
                figures.texts.push(Buffer.from(octets).toString())
                figures.steps.push(board.steps - began)
                figures.stretches.push(longest)
            }
            return new Uint8Array(0)
        },
    })
    await board.powerOn()
    for (let i = 0; i < requests.length; ++i) {
        await world.runUntil(() => figures.texts.length > i, 60_000)
        if (i < 2 || i === requests.length - 1) figures.free.push(board.heap()!.free)
    }
    await board.powerOff()
    world.close()
    return figures
}

describe("figures of the sandbox", () => {
    const ticks = 130
    let metrology: Figures
    let worst: Figures
    let module: number
    let code: number

    beforeAll(async () => {
        const image = await metrologyModule(1)
        module = image.bytecode.length
        const day = 127
        const parameters = parametersOf([[0, day, 2], [360, day, 1], [720, 31, 2], [1320, day, 2]]) // biome-ignore format: a table
        const requests = [
            Buffer.of(9),
            Buffer.concat([Buffer.of(3, 0, 0, 0), parameters]),
            Buffer.concat([Buffer.of(0, 16, 1, 0), image.bytecode]),
            Buffer.of(1, 1, 0, 0),
        ]
        // Over a change of tariff and of the period of the load profile, with power drawn and fed in.
        for (let i = 0; i < ticks; ++i) {
            const inputs = inputsOf({ counts: i % 10 === 9 ? -4000 : 5000 + i, seconds: 21_540 + i })
            requests.push(Buffer.concat([Buffer.of(2, 0, 0, 0), inputs]), Buffer.of(1, 0, 0, 0))
        }
        metrology = await run(requests)
        const busy = await compile("gen/busy.ts", { files: { "gen/busy.ts": torture } })
        worst = await run([Buffer.of(9), Buffer.concat([Buffer.of(0, 64, 0, 0), busy.bytecode]), Buffer.of(1, 0, 0, 0)])
        const built = await compile("tools/campaign/device/sandbox.ts", {
            change: withoutTexts,
            changeName: "without texts",
        })
        code = measure(built).rooms.sandbox
    })

    test("a tick of the metrological module takes less than a tenth of a Pico's second, also at its longest", () => {
        expect(metrology.texts.slice(2, 4)).toEqual(["ok", "0"])
        expect(metrology.texts.filter((_, i) => i > 4 && i % 2 === 1)).toEqual(new Array(ticks).fill("0"))
        const idle = metrology.steps[0]
        const each = metrology.steps.filter((_, i) => i > 4 && i % 2 === 1).map(steps => steps - idle)
        const mean = each.reduce((sum, steps) => sum + steps) / each.length
        const longest = Math.max(...each)
        console.log(`tick: mean ${Math.round(mean)} steps, longest ${longest}`)
        const share = (steps: number) => ((steps * microsecondsAStep) / 10_000).toFixed(1)
        console.log(`share of a Pico's second: mean ${share(mean)} %, longest ${share(longest)} %`)
        console.log(`load and start ${metrology.steps[2] - idle} steps, self-test ${metrology.steps[3] - idle}`)
        expect(mean).toBeLessThan(18_000)
        expect(longest).toBeLessThan(35_000)
    })

    test("other fibers get their turn within 60,000 steps", () => {
        expect(worst.texts[2]).toMatch(/^\d+$/)
        const longest = Math.max(...metrology.stretches, ...worst.stretches)
        console.log(`longest stretch without a yield: ${longest} steps`)
        expect(longest).toBeLessThan(60_000)
    })

    test("a module and all it needs hold at most 16 KB of heap", () => {
        const held = metrology.free[1] - metrology.free.at(-1)!
        console.log(`heap: ${held} octets for an image of ${module}, the image included`)
        expect(held).toBeLessThan(16_384)
    })

    test("interpreter and check keep their share of the code", () => {
        console.log(`code: ${code} octets`)
        expect(code).toBeLessThan(12_000)
    })
})
