import { Code, fail, PlombError } from "../firmware/core/errors"
import type { I2cBus } from "./ports"

/** What the drivers share of the bus: telling an absent part from one that merely missed a transfer. */

/** The code of any error; 0 for one that is not ours. */
export function codeOf(error: any): number {
    return error instanceof PlombError ? error.code : 0
}

/**
 * The first transfer to a part after start: as `bus.transfer`, but no acknowledgement means that the part
 * called `name` is not there (`PartAbsent`).
 */
export function firstTransfer(bus: I2cBus, name: string, address: number, write: Buffer, readLength: number): Buffer {
    try {
        return bus.transfer(address, write, readLength)
    } catch (error) {
        if (codeOf(error) !== Code.BusAddressNack) throw error
        return fail(Code.PartAbsent, address, name, "no acknowledgement")
    }
}
