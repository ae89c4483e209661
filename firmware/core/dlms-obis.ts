import { AXDR_ENUM, AXDR_OCTET_STRING, AXDR_STRUCTURE, AxdrReader } from "./axdr"
import { cosemTime } from "./dlms"
import { cut } from "./octets"
import { Reading } from "./reading"

/**
 * What a list of COSEM data (`at` to `end`) says in OBIS codes, in order: an octet string of six octets names the value that follows it, and a structure of a power of ten and a unit
 * behind that belongs to it. Both usual forms are read: a structure for each value, and names and values by turns. A list by places alone gives nothing.
 */
export function dlmsReadings(octets: Buffer, at: number, end: number): Reading[] {
    const readings: Reading[] = []
    const reader = new AxdrReader(octets, at, end)
    let obis: Buffer | undefined
    let last: Reading | undefined
    // Of a structure of two behind a value: how many of its elements have come.
    let inUnit = -1
    let exponent = 0
    while (reader.next()) {
        const text = reader.type === AXDR_OCTET_STRING
        if (inUnit === 0 && reader.type === 15) {
            exponent = reader.value
            inUnit = 1
        } else if (inUnit === 1 && reader.type === AXDR_ENUM && last !== undefined) {
            last.exponent = exponent
            last.unit = reader.value
            last = undefined
            inUnit = -1
        } else {
            inUnit = last !== undefined && reader.type === AXDR_STRUCTURE && reader.count === 2 ? 0 : -1
            if (inUnit < 0) last = undefined
            if (reader.count !== 0 && reader.type < 3) obis = undefined
            else if (obis !== undefined) {
                last = new Reading(obis, cut(octets, reader.dataAt, reader.length), reader.dataAt)
                last.value = reader.value
                last.exact = reader.exact
                const dated = reader.length === 12 && (text || reader.type === 25)
                if (dated) last.time = cosemTime(octets, reader.dataAt)
                readings.push(last)
                obis = undefined
            } else if (text && reader.length === 6) obis = cut(octets, reader.dataAt, 6)
        }
    }
    return readings
}
