import { PlombError } from "./errors"
import { Reading } from "./reading"
import { ENTRY_UNSIGNED, entryQuirks } from "./sml-quirks"
import type { SmlMessage } from "./sml-read"
import { childrenAt, integerAt, isAbsent, octetsAt, valueAt } from "./sml-values"

/** What a GetList.Res says in OBIS codes, in order. `tolerant`: known mistakes of meters are put right, as in `entryQuirks`. */
export function smlReadings(message: SmlMessage, tolerant: boolean): Reading[] {
    const octets = message.octets
    const readings: Reading[] = []
    const quirks = tolerant ? entryQuirks(message) : []
    const entries = childrenAt(octets, message.fields[4])
    for (let i = 0; i < entries.length; ++i) {
        const parts = childrenAt(octets, entries[i])
        const obis = octetsAt(octets, parts[0])
        const at = parts[5]
        const kind = octets[at] & 0x70
        if (obis.length !== 6 || isAbsent(octets, at) || kind === 0x70) continue
        const reading = new Reading(obis, octetsAt(octets, at), valueAt(octets, at))
        if (!isAbsent(octets, parts[3])) reading.unit = integerAt(octets, parts[3])
        if (!isAbsent(octets, parts[4])) reading.exponent = integerAt(octets, parts[4])
        if (kind === 0x40) {
            reading.exact = true
            reading.value = reading.octets[0] !== 0 ? 1 : 0
        } else if (kind !== 0) readNumber(reading, octets, at, tolerant && (quirks[i] & ENTRY_UNSIGNED) !== 0)
        readings.push(reading)
    }
    return readings
}

function readNumber(reading: Reading, octets: Buffer, at: number, unsigned: boolean): void {
    try {
        reading.value = integerAt(octets, at)
        if (unsigned && reading.value < 0) reading.value += 2 ** (8 * reading.octets.length)
        reading.exact = true
    } catch (error) {
        // More than 53 bits: its octets say it.
        if (!(error instanceof PlombError)) throw error
    }
}
