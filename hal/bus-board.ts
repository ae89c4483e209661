import * as ds from "@devicescript/core"
import { Code, fail } from "../firmware/core/errors"
import type { BoardPin } from "./pin-board"
import type { I2cBus } from "./ports"

/**
 * The board's own I2C pins, through the stock runtime. What the runtime leaves open is settled here:
 *
 * - It says only that the write or the read phase failed, so every failure is `BusAddressNack`.
 * - On RP2040 a transaction on a held bus never returns and no watchdog runs. The runtime keeps the bus pins
 *   to itself, so two spare pins are wired to SCL and SDA (boards/README.md): they are looked at before each
 *   transaction, and a held bus is clocked free or refused as `BusStuck`.
 * - It refuses address 0, the ATECC608B's wake pulse. Address 1 (reserved, answered by nobody) begins with six
 *   zero bits: with START, SDA is low for 64 us at 100 kHz, and the part asks for 60.
 * - It does nothing at all when there is nothing to write and nothing to read: one octet is read instead, so that
 *   an address can be probed.
 */
export class BoardBus implements I2cBus {
    constructor(
        readonly scl: BoardPin,
        readonly sda: BoardPin,
    ) {
        scl.setMode(ds.GPIOMode.Input)
        sda.setMode(ds.GPIOMode.Input)
    }

    transfer(address: number, write: Buffer, readLength: number): Buffer {
        if (!this.free()) this.recover()
        const reply = Buffer.alloc(readLength)
        let read = reply
        if (readLength === 0) {
            read = undefined
            if (write.length === 0) read = Buffer.alloc(1)
        }
        const status: number = (ds as any)._i2cTransaction(address === 0 ? 1 : address, write, read)
        if (status !== 0) fail(Code.BusAddressNack, address, "an answer", "status " + status)
        return reply
    }

    private free(): boolean {
        return this.scl.value !== 0 && this.sda.value !== 0
    }

    /** Nine clocks and a STOP (I2C-bus specification UM10204, clause 3.1.16): a part lost in a read lets go of SDA. */
    private recover(): void {
        for (let i = 0; i < 9; ++i) {
            this.scl.setMode(ds.GPIOMode.OutputLow)
            this.scl.setMode(ds.GPIOMode.Input)
        }
        this.scl.setMode(ds.GPIOMode.OutputLow)
        this.sda.setMode(ds.GPIOMode.OutputLow)
        this.scl.setMode(ds.GPIOMode.Input)
        this.sda.setMode(ds.GPIOMode.Input)
        if (!this.free())
            fail(Code.BusStuck, -1, "SCL and SDA high", "SCL " + this.scl.value + ", SDA " + this.sda.value)
    }
}
