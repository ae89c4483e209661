import * as ds from "@devicescript/core"
import type { BoardPin } from "./pin-board"
import type { SpiPort } from "./ports"

/** The W5500 takes 33 MHz; so much goes over wires of a hand's length. */
const clockHz = 8000000

/** `@devicescript/spi` would add its class to the image for these two. */
interface SpiRuntime {
    spiConfigure(miso: number, mosi: number, sck: number, mode: number, hz: number): void
    /** One of the two, or both of one length. */
    spiXfer(write: Buffer | null, read: Buffer | null): void
}

/** A pin that the SPI controller drives itself. */
export interface SpiPin {
    readonly gpio: number
}

/** The SPI controller of a board (ESP32: the stock runtime has none for the RP2040) with one part on it, whose chip select is an ordinary pin. */
export class BoardSpi implements SpiPort {
    private readonly runtime: SpiRuntime

    constructor(
        miso: SpiPin,
        mosi: SpiPin,
        sck: SpiPin,
        private readonly select: BoardPin,
    ) {
        select.setMode(ds.GPIOMode.OutputHigh)
        const runtime: any = ds
        this.runtime = runtime
        this.runtime.spiConfigure(miso.gpio, mosi.gpio, sck.gpio, 0, clockHz)
    }

    transfer(write: Buffer, readLength: number): Buffer {
        const read = Buffer.alloc(readLength)
        this.select.setMode(ds.GPIOMode.OutputLow)
        try {
            this.runtime.spiXfer(write, null)
            if (readLength > 0) this.runtime.spiXfer(null, read)
        } finally {
            this.select.setMode(ds.GPIOMode.OutputHigh)
        }
        return read
    }
}
