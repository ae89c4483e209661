import { expect, it } from "vitest"
import { Code } from "../../firmware/core/errors.ts"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

it("the MUC's line goes to who waits, before who comes back for it; who gave up is passed over", async () => {
    const image = await compile("tests/vm/device/line-turns.ts")
    const world = new World({ clock: "virtual" })
    const board = new Board({ image, world })
    await board.powerOn()
    await world.runUntil(() => board.log.some(line => line.startsWith("patient")), 200_000)
    await board.powerOff()
    world.close()
    const said = (name: string) => board.log.find(line => line.startsWith(name))?.split(" ")[1]
    // The rest of the call under way, and those before them; not the seven calls that follow.
    expect(Number(said("first"))).toBeLessThan(3300)
    expect(Number(said("second"))).toBeLessThan(3500)
    expect(said("hopeless")).toBe(`E${Code.Busy}`)
    expect(Number(said("patient"))).toBeLessThan(15_500)
})
