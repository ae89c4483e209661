import { cut, join } from "../firmware/core/octets"
import { firstTransfer } from "./bus-register"
import type { I2cBus, PicturePanel } from "./ports"

/** SA0 low. */
export const displayAddress = 0x3c

export const displayWidth = 128
export const displayPages = 8

/** Octets of the memory written in one transaction. */
const burst = 32

// Off; clock; 64 rows; no offset; line 0; charge pump; horizontal addressing; mirrored both ways as modules are mounted;
// COM pins; precharge; VCOMH 0.77 VCC; what the RAM holds, not inverted; no scrolling.
const setup = hex`00 ae d580 a83f d300 40 8d14 2000 a1 c8 da12 d9f1 db20 a4 a6 2e`
const commands = hex`00`
const data = hex`40`

/**
 * Solomon Systech SSD1306, 128 x 64, on I2C. The part can not be read, so nobody learns that a disturbance has reset it:
 * call `start` again now and then.
 */
export class Ssd1306 implements PicturePanel {
    /** What the part's memory holds, where that is known. */
    private shown: Buffer | undefined

    constructor(
        readonly bus: I2cBus,
        readonly address: number = displayAddress,
    ) {}

    start(): void {
        this.shown = undefined
        firstTransfer(this.bus, "SSD1306", this.address, setup, 0)
    }

    /** 0 to 255. */
    contrast(value: number): void {
        this.command(Buffer.from([0x81, value]))
    }

    /** Dark, or lit. The memory stays. */
    light(on: boolean): void {
        this.command(Buffer.from([on ? 0xaf : 0xae]))
    }

    /** Writes only pages that differ; after `start` all of them, before the panel is lit, since the memory comes up with anything. */
    show(picture: Buffer): void {
        const shown = this.shown
        for (let page = 0; page < displayPages; ++page) {
            const at = page * displayWidth
            if (!shown || !samePage(shown, picture, at)) {
                this.command(Buffer.from([0x21, 0, displayWidth - 1, 0x22, page, page]))
                for (let column = 0; column < displayWidth; column += burst)
                    this.bus.transfer(this.address, join([data, cut(picture, at + column, burst)]), 0)
            }
        }
        this.shown = cut(picture, 0, picture.length)
        if (!shown) this.light(true)
    }

    private command(octets: Buffer): void {
        this.bus.transfer(this.address, join([commands, octets]), 0)
    }
}

function samePage(a: Buffer, b: Buffer, at: number): boolean {
    for (let i = at; i < at + displayWidth; i += 4) if (a.getAt(i, "i32") !== b.getAt(i, "i32")) return false
    return true
}
