import { PlombError } from "../firmware/core/errors"

/** Addresses and crystals of the parts every board of this project carries (boards/*.md shows the wiring). */

/** MB85RC1MT, pins A1 and A2 low: lower half; the upper one is at 0x51. */
export const framAddress = 0x50
/** SC16IS752, pins A0 and A1 low. */
export const uartAddress = 0x4d
/** A second SC16IS752, pins A0 and A1 high: two more lines. */
export const secondUartAddress = 0x48
/** Crystal of the usual SC16IS752 modules. */
export const uartCrystalHz = 14745600

/** Starts a part that a device can do without; why it did not start stands in the log. */
export function startPart(start: () => void): void {
    try {
        start()
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log(e.message)
    }
}
