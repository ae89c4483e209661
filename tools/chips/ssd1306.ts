/**
 * Solomon Systech SSD1306: 128 x 64 OLED driver on I2C (data sheet, command table 9 and chapters 8.1.5, 10.1).
 *
 * The picture is what a person in front of the panel sees: nothing while the display is off, its pump does not run or it
 * has no supply. The memory comes up with anything. A module is mounted so that A1 and C8 make it upright; with one of them
 * alone it is mirrored. Facts not settled by two sources, and what this model does: commands outside the table are taken and do
 * nothing; a read gives the status with bit 6 for "off"; a command cut short by STOP is forgotten. Not modelled:
 * scrolling (noted as running), clock and precharge (kept).
 */
import type { I2cDevice } from "./bus"

export const panelWidth = 128
export const panelHeight = 64
const pages = 8

/** Octets that follow a command octet. */
function argumentsOf(command: number): number {
    if (command === 0x26 || command === 0x27) return 6
    if (command === 0x29 || command === 0x2a) return 5
    if (command === 0x21 || command === 0x22 || command === 0xa3) return 2
    if ([0x20, 0x81, 0x8d, 0xa8, 0xd3, 0xd5, 0xd9, 0xda, 0xdb].includes(command)) return 1
    return 0
}

/** The part as the bus sees it. */
export class Ssd1306 implements I2cDevice {
    /** 0 to 255. */
    contrast = 0x7f
    /** Display data octets written since power up, to see what a driver sends. */
    written = 0
    private powered = false
    private powerUps = 0
    private readonly ram = new Uint8Array(pages * panelWidth)
    private lit = false
    private pump = false
    private allOn = false
    private inverse = false
    private mirrored = true
    private flipped = true
    private scrolling = false
    private mode = 2
    private rows = 64
    private startLine = 0
    private offset = 0
    private comPins = 0x12
    private columns = [0, panelWidth - 1]
    private window = [0, pages - 1]
    private column = 0
    private page = 0
    private waiting: number[] = []

    /** `sa0` high: address 0x3D. `externalSupply`: the panel's voltage does not come from the part's own pump. */
    constructor(private readonly options: { sa0?: boolean; externalSupply?: boolean } = {}) {}

    answers(address: number): boolean {
        return this.powered && address === (this.options.sa0 ? 0x3d : 0x3c)
    }

    write(_address: number, octets: Uint8Array): number {
        this.waiting = []
        for (let at = 0; at < octets.length; ) {
            const control = octets[at++]
            // Co = 1: one octet, then another control octet. Co = 0: all that follows.
            const end = control & 0x80 ? Math.min(at + 1, octets.length) : octets.length
            for (; at < end; at++) {
                if (control & 0x40) this.store(octets[at])
                else this.command(octets[at])
            }
        }
        return octets.length
    }

    read(_address: number, length: number): Uint8Array {
        return new Uint8Array(length).fill(this.lit ? 0x00 : 0x40)
    }

    powerOff(): void {
        this.powered = false
    }

    powerOn(): void {
        this.powered = true
        this.reset()
        let state = 0x9e3779b9 + this.powerUps++
        for (let i = 0; i < this.ram.length; i++) {
            state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 1) >>> 0
            this.ram[i] = state >>> 24
        }
    }

    /** Pin RES#, or a disturbance that does the same: registers as after power up, memory kept. */
    reset(): void {
        this.contrast = 0x7f
        this.written = 0
        this.lit = this.pump = this.allOn = this.inverse = this.mirrored = this.flipped = this.scrolling = false
        this.mode = 2
        this.rows = 64
        this.startLine = this.offset = 0
        this.comPins = 0x12
        this.columns = [0, panelWidth - 1]
        this.window = [0, pages - 1]
        this.column = this.page = 0
        this.waiting = []
    }

    /** Something can be seen at all. */
    get visible(): boolean {
        return this.powered && this.lit && (this.pump || this.options.externalSupply === true)
    }

    /** Is the pixel lit, for somebody in front of the panel? */
    pixel(x: number, y: number): boolean {
        if (!this.visible || y >= this.rows) return false
        if (this.allOn) return true
        // A panel of 64 rows is wired to alternating COM pins; set otherwise, rows are out of their places.
        if (this.comPins !== 0x12) y = y < 32 ? 2 * y : 2 * (y - 32) + 1
        const column = this.mirrored ? x : panelWidth - 1 - x
        const row = ((this.flipped ? y : panelHeight - 1 - y) + this.startLine + this.offset) % panelHeight
        const on = ((this.ram[(row >> 3) * panelWidth + column] >> (row & 7)) & 1) === 1
        return on !== this.inverse
    }

    /** The picture as portable bitmap (PBM, plain). */
    pbm(): string {
        const rows = [...Array(panelHeight).keys()].map(y =>
            [...Array(panelWidth).keys()].map(x => (this.pixel(x, y) ? "1" : "0")).join(" "),
        )
        return `P1\n${panelWidth} ${panelHeight}\n${rows.join("\n")}\n`
    }

    /** The picture for a terminal: two rows of pixels a line of text. */
    blocks(): string[] {
        const signs = [" ", "▀", "▄", "█"]
        return [...Array(panelHeight / 2).keys()].map(line =>
            [...Array(panelWidth).keys()]
                .map(x => signs[(this.pixel(x, 2 * line) ? 1 : 0) + (this.pixel(x, 2 * line + 1) ? 2 : 0)])
                .join(""),
        )
    }

    private store(octet: number): void {
        this.written++
        this.ram[this.page * panelWidth + this.column] = octet
        if (this.mode === 2) {
            this.column = (this.column + 1) % panelWidth
            return
        }
        const [[left, right], [top, bottom]] = [this.columns, this.window]
        const nextColumn = () => {
            this.column = this.column === right ? left : (this.column + 1) % panelWidth
            return this.column === left
        }
        const nextPage = () => {
            this.page = this.page === bottom ? top : (this.page + 1) % pages
            return this.page === top
        }
        if (this.mode === 0) {
            if (nextColumn()) nextPage()
        } else if (nextPage()) nextColumn()
    }

    private command(octet: number): void {
        this.waiting.push(octet)
        const [command, ...given] = this.waiting
        if (given.length < argumentsOf(command)) return
        this.waiting = []
        this.execute(command, given)
    }

    private execute(command: number, [first, second]: number[]): void {
        if (command <= 0x0f && this.mode === 2) this.column = (this.column & 0x70) | command
        else if (command >= 0x10 && command <= 0x1f && this.mode === 2)
            this.column = ((command & 0x07) << 4) | (this.column & 0x0f)
        else if (command >= 0x40 && command <= 0x7f) this.startLine = command & 0x3f
        else if (command >= 0xb0 && command <= 0xb7 && this.mode === 2) this.page = command & 7
        else if (command === 0xae || command === 0xaf) this.lit = command === 0xaf
        else if (command === 0xa4 || command === 0xa5) this.allOn = command === 0xa5
        else if (command === 0xa6 || command === 0xa7) this.inverse = command === 0xa7
        else if (command === 0xa0 || command === 0xa1) this.mirrored = command === 0xa1
        else if (command === 0xc0 || command === 0xc8) this.flipped = command === 0xc8
        else if (command === 0x2e || command === 0x2f) this.scrolling = command === 0x2f
        else if (command === 0x20) this.mode = first & 3
        else if (command === 0x81) this.contrast = first
        // The pump is switched with the display dark; it is taken over when the display goes on.
        else if (command === 0x8d) this.pump = (first & 0x04) !== 0
        else if (command === 0xa8) this.rows = (first & 0x3f) + 1
        else if (command === 0xd3) this.offset = first & 0x3f
        else if (command === 0xda) this.comPins = first & 0x32
        else if (command === 0x21 && this.mode !== 2) {
            this.columns = [first & 0x7f, second & 0x7f]
            this.column = this.columns[0]
        } else if (command === 0x22 && this.mode !== 2) {
            this.window = [first & 7, second & 7]
            this.page = this.window[0]
        }
    }
}
