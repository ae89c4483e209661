import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board"
import { compile } from "../../tools/vm/compile"
import { World } from "../../tools/vm/world"

const text = `import { platform } from "../firmware/core/platform"
import { installDevicePlatform } from "../hal/runtime"
installDevicePlatform(() => false)
while (true) platform().sleepMs(10)
`
const hourMs = 3_600_000

test("a board starts anew before the clock of its runtime turns over after 49.7 days, where all fibers would freeze", async () => {
    const main = "probe/main.ts"
    const world = new World({ clock: "virtual" })
    const ends: string[] = []
    const image = await compile(main, { files: { [main]: text } })
    const board = new Board({ image, world, onEnd: end => void ends.push(end.reason) })
    await board.powerOn()
    while (board.powered && world.elapsedMs() < 2 ** 32) {
        // The runtime measures the time between two looks in 32 bits of microseconds.
        world.spend(hourMs)
        await world.runFor(15)
    }
    world.close()
    expect(ends).toEqual(["reboot"])
    expect(world.elapsedMs() / hourMs / 24).toBeGreaterThan(48)
})
