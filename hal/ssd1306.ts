import { cut, join } from "../firmware/core/octets"
import { firstTransfer } from "./bus-register"
import type { I2cBus, PicturePanel, StripPanel } from "./ports"

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

/** The same part without a copy of what it shows: each strip is one transaction, 21 ms at 100 kHz at most. */
export class Ssd1306Strips implements StripPanel {
    constructor(readonly bus: I2cBus) {}

    start(): void {
        firstTransfer(this.bus, "SSD1306", displayAddress, setup, 0)
    }

    put(column: number, page: number, pages: number, strip: Buffer, light: boolean): void {
        // Behind 80 stands one command octet, behind 40 is data: window of columns, of pages, on, and what fills the window.
        const head = hex`8021 8000 8000 8022 8000 8000 80e3 40`
        const window = cut(head, 0, head.length)
        window[3] = column
        window[5] = column + Math.floor(strip.length / pages) - 1
        window[9] = page
        window[11] = page + pages - 1
        if (light) window[13] = 0xaf
        this.bus.transfer(displayAddress, join([window, strip]), 0)
    }
}

function samePage(a: Buffer, b: Buffer, at: number): boolean {
    for (let i = at; i < at + displayWidth; i += 4) if (a.getAt(i, "i32") !== b.getAt(i, "i32")) return false
    return true
}
