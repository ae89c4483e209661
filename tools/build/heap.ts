import { Ade7953 } from "../chips/ade7953.ts"
import { Atecc608b } from "../chips/atecc608b.ts"
import { I2cBusModel } from "../chips/bus.ts"
import { Ds3231 } from "../chips/ds3231.ts"
import { household } from "../chips/household.ts"
import { Mb85rc1mt } from "../chips/mb85rc1mt.ts"
import { Sc16is752 } from "../chips/sc16is752.ts"
import { Board } from "../vm/board.ts"
import { World } from "../vm/world.ts"
import type { Built } from "./build.ts"

/** World time given to an image to come up. */
const bootMs = 10_000

/**
 * Octets of heap that are free once an image for the VM has come up on a board with all its parts, fresh from the
 * factory. `undefined` where it ended by itself before that.
 */
export async function heapAfterBoot(built: Built): Promise<number | undefined> {
    const world = new World({ clock: "virtual" })
    const bus = new I2cBusModel(world)
    const parts = [
        new Atecc608b({ clock: world }),
        new Mb85rc1mt({ clock: world }),
        new Ds3231({ clock: world }),
        new Ade7953({ clock: world, load: household({ seed: 1 }) }),
        new Sc16is752({ clock: world }),
    ]
    for (const part of parts) bus.attach(part)
    const board = new Board({ image: built.image, world, bus, parts, onEnd: () => {} })
    try {
        await board.powerOn()
        await world.runFor(bootMs)
        return board.powered ? board.heap()?.free : undefined
    } finally {
        await board.powerOff()
        world.close()
    }
}
