import type { SmlMessage } from "./sml-read"
import { childrenAt, integerAt, isAbsent, secondsAt, timeKindAt, valueAt } from "./sml-values"

/**
 * What makers put into a GetList.Res that the standard's text does not explain: known by meter, applied in the tolerant
 * profile only, and never to anything that is proof. Bits per entry, apart from those of `sml-read`.
 */
/** A positive number tagged signed: read its octets as unsigned (DZG DVS74, 16.7.0 while the status word says drawing). */
export const ENTRY_UNSIGNED = 256
/** valTime is secIndex 0: there is no time (DZG). */
export const ENTRY_NO_TIME = 512
/** Whole kWh only until the customer's PIN is entered (Iskra MT631, eBZ DD3). */
export const ENTRY_REDUCED = 1024

const serverDzg = hex`44 5A 47`
const energyDrawn = hex`01 00 01 08 00 FF`
const energyFedIn = hex`01 00 02 08 00 FF`
const powerSum = hex`01 00 10 07 00 FF`

/** Do the octets at `at` begin with `wanted`? */
function startsAt(octets: Buffer, at: number, wanted: Buffer): boolean {
    for (let i = 0; i < wanted.length; ++i) if (octets[at + i] !== wanted[i]) return false
    return true
}

/** `ENTRY_` bits of each entry of a GetList.Res, in order. */
export function entryQuirks(message: SmlMessage): number[] {
    const octets = message.octets
    const entries = childrenAt(octets, message.fields[4])
    // Server id of DIN 43863-5:2012: 0A 01, then the maker.
    const dzg = startsAt(octets, valueAt(octets, message.fields[1]) + 2, serverDzg)
    let drawing = false
    for (let i = 0; dzg && i < entries.length; ++i) {
        const name = entries[i] + 2
        const status = name + 6
        if (startsAt(octets, name, energyDrawn) || startsAt(octets, name, energyFedIn))
            if (!isAbsent(octets, status) && octets[status] < 0x66 && (integerAt(octets, status) & 0x800) === 0)
                drawing = true
    }
    const quirks: number[] = []
    for (let i = 0; i < entries.length; ++i) {
        const entry = childrenAt(octets, entries[i])
        const value = entry[5]
        const width = octets[value] - 0x51
        let bits = 0
        if (
            drawing &&
            startsAt(octets, entries[i] + 2, powerSum) &&
            width >= 1 &&
            width <= 3 &&
            octets[value + 1] > 127
        )
            bits |= ENTRY_UNSIGNED
        if (timeKindAt(octets, entry[2]) === 1 && secondsAt(octets, entry[2]) === 0) bits |= ENTRY_NO_TIME
        if (integerAt(octets, entry[3]) === 30 && integerAt(octets, entry[4]) === 3) bits |= ENTRY_REDUCED
        quirks.push(bits)
    }
    return quirks
}
