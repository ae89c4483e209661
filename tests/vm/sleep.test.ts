import { expect, it } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

it("a wait lasts as long as it says, whatever bus time its slice has taken already", { timeout: 120_000 }, async () => {
    const image = await compile("tests/vm/device/sleep.ts")
    const world = new World({ clock: "virtual" })
    let from = 0
    const waits: number[] = []
    const board = new Board({
        image,
        world,
        onHostCall: (op, a) => {
            if (op === 17) world.spend(0.37)
            else if (a === 0) from = world.elapsedMs()
            else waits.push(world.elapsedMs() - from)
            return new Uint8Array(0)
        },
    })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("done"), 20_000)
    await board.powerOff()
    world.close()
    expect(waits).toHaveLength(20)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(2)
})
