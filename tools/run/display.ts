import { Indicator, indicatorSize } from "../../firmware/core/indicator"
import { PlcLink, PlcWay, plcLinkSize } from "../../firmware/core/plc-link"
import { household } from "../chips/household.ts"
import { type LoadSource, wattsOf } from "../chips/load-source.ts"
import { PlcLine } from "../chips/plc-line.ts"
import type { Ssd1306 } from "../chips/ssd1306.ts"
import { plainFormat } from "../chips/uart-frame.ts"
import { displayParts, roomDb } from "../desk/display.ts"
import { nodeCcm } from "../node/ccm.ts"
import type { World } from "../vm/world.ts"

const readMs = 10_000

/** A store that begins empty and ends with the command. */
class Memory {
    private readonly cells: Buffer
    constructor(readonly size: number) {
        this.cells = Buffer.alloc(size)
    }
    read(address: number, length: number): Buffer {
        return Buffer.from(this.cells.subarray(address, address + length))
    }
    write(address: number, data: Buffer): void {
        data.copy(this.cells, address)
    }
}

/**
 * The parts of a display board on a power line, and at its other end the MUC's side of the link, which tells what flows through a
 * meter: a household by the serial number, or `load`. `key` 32 octets.
 */
export function displayDesk(world: World, serial: number, key: Buffer, load?: LoadSource) {
    const line = new PlcLine({ clock: world, seed: serial })
    const { bus, parts, panel } = displayParts(world, line)
    const tap = line.join(roomDb).wire.tap({ format: plainFormat(line.baud) })

    const link = new PlcLink(new Memory(plcLinkSize), 0, nodeCcm, PlcWay.FromMuc, 1, 2)
    link.give(key)
    const indicator = new Indicator(new Memory(indicatorSize), 0, -new Date().getTimezoneOffset())
    const source = load ?? household({ seed: serial })
    let wattHours = 0
    const tell = () => {
        const watts = wattsOf(source.at(world.nowMs() / 1000))
        wattHours += (Math.max(0, watts) * readMs) / 3_600_000
        indicator.take(Math.floor(world.nowMs() / 1000), true, Math.round(watts * 10), Math.round(wattHours * 10), true)
        const message = indicator.due(true)
        if (message) tap.send(link.seal(message))
        world.after(readMs, tell)
    }
    world.after(3000, tell)
    return { bus, parts, panel }
}

/** Prints the picture of `panel` whenever it has changed, as a person in front of it sees it. */
export function printPictures(world: World, panel: Ssd1306): void {
    let last = ""
    const look = () => {
        const picture = panel.blocks().join("\n")
        if (picture !== last) console.log(`+${"-".repeat(128)}+\n${picture}`)
        last = picture
        world.after(1000, look)
    }
    world.after(1000, look)
}
