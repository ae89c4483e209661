import { ensureBuilt } from "../build/build.ts"
import { I2cBusModel } from "../chips/bus.ts"
import { Mb85rc1mt } from "../chips/mb85rc1mt.ts"
import type { PlcLine } from "../chips/plc-line.ts"
import { Sc16is752 } from "../chips/sc16is752.ts"
import { Ssd1306 } from "../chips/ssd1306.ts"
import { Board } from "../vm/board.ts"
import type { World } from "../vm/world.ts"

/** Loss on the way from a room, or from the meter's cabinet, to the middle of the house, dB. */
export const roomDb = 20

/** The parts of a display's board, whose modem is on `line`. */
export function displayParts(world: World, line: PlcLine) {
    const panel = new Ssd1306()
    const uart = new Sc16is752({ clock: world })
    const fram = new Mb85rc1mt({ clock: world })
    const parts = [fram, uart, panel]
    const bus = new I2cBusModel(world)
    for (const part of parts) bus.attach(part)
    uart.channels[0].connect(line.join(roomDb).wire)
    return { bus, parts, panel, fram }
}

/** A consumption display in the VM, not yet powered; `settings` may be changed between two power-ons. */
export async function displayOn(world: World, line: PlcLine, settings: Record<string, string>) {
    const { image } = await ensureBuilt("display", "vm")
    const { bus, parts, panel, fram } = displayParts(world, line)
    const board = new Board({ image, world, bus, parts, settings, onEnd: () => {} })
    return { board, panel, fram, settings }
}
