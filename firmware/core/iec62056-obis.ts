import { type IecMessage, IecValues } from "./iec62056"
import { cut } from "./octets"
import { Reading } from "./reading"

/** Units: length, letters (small), DLMS code: Wh, varh, VAh, W, var, VA, V, A, Hz, m3, m3/h, m3ph, J, C, K, l, h, min, s, secs, bar, %. */
const units = hex`
    02 77 68 1e  04 76 61 72 68 20  03 76 61 68 1f  01 77 1b  03 76 61 72 1d  02 76 61 1c  01 76 23  01 61 21  02 68 7a 2c
    02 6d 33 0d  04 6d 33 2f 68 0f  04 6d 33 70 68 0f  01 6a 19  01 63 09  01 6b 34  01 6c 13  01 68 05  03 6d 69 6e 06  01 73 07
    04 73 65 63 73 07  03 62 61 72 18  01 25 38`

/** DLMS unit of power or present value and of energy for C = 1 to 20 of electricity; 0 = none. */
const electric = hex`1b1e 1b1e 1d20 1d20 1d20 1d20 1d20 1d20 1c1f 1c1f 2100 2300 ff00 2c00 1b1e 1b1e 1b1e 1b1e 1b1e 1b1e`

/** The unit of these letters into the reading, with the power of ten that stands in front of it; 255 where it is none that is known. */
export function iecUnit(octets: Buffer, at: number, length: number, reading: Reading): void {
    for (let skipped = 0; skipped < 2 && skipped < length; ++skipped) {
        const prefix = octets[at]
        const exponent = skipped === 0 ? 0 : prefix === 0x4d ? 6 : prefix === 0x47 ? 9 : (prefix | 32) === 0x6b ? 3 : -3
        if (exponent < 0 && prefix !== 0x6d) return
        for (let row = 0; row < units.length; row += units[row] + 2) {
            const size = units[row]
            let same = size === length - skipped
            for (let i = 0; same && i < size; ++i) same = (octets[at + skipped + i] | 32) === (units[row + 1 + i] | 32)
            if (same) {
                reading.unit = units[row + size + 1]
                reading.exponent += exponent
                return
            }
        }
    }
}

/** The decimal number of these characters into the reading: sign, digits, a point; spaces around it. */
export function iecNumber(octets: Buffer, at: number, length: number, reading: Reading): void {
    let value = 0
    let digits = 0
    let point = -1
    let negative = false
    let exact = true
    for (let i = 0; i < length; ++i) {
        const c = octets[at + i]
        if (c >= 0x30 && c < 0x3a) {
            value = value * 10 + (c - 0x30)
            ++digits
        } else if (c === 0x2e && point < 0) point = digits
        else if ((c === 0x2b || c === 0x2d) && digits === 0 && point < 0) negative = c === 0x2d
        else if (c !== 32) exact = false
    }
    if (!exact || digits === 0 || value > 9007199254740991) return
    reading.exact = true
    reading.value = negative ? 0 - value : value
    reading.exponent += point < 0 ? 0 : point - digits
}

/**
 * The OBIS code of an address "A-B:C.D.E*F" (IEC 62056-61 clause 5.6). A reduced one without A-B counts only where it is the serial number (C.1) or the error register (F.F), or
 * where `unit` (DLMS code) is the one that electricity has for it: heat meters use the same numbers for other things. Undefined = no code.
 */
export function iecObis(octets: Buffer, at: number, length: number, unit: number): Buffer | undefined {
    const obis = Buffer.from([0, 0, 0, 0, 0, 255])
    let part = 2
    let last = -1
    let number = -1
    let full = false
    for (let i = 0; i <= length; ++i) {
        const c = i < length ? octets[at + i] : 0
        if (c >= 0x30 && c < 0x3a) {
            number = (number < 0 ? 0 : number * 10) + c - 0x30
            if (number > 255) return undefined
        } else if (number < 0 && (c === 0x43 || c === 0x46)) number = c + 0x1d - (c === 0x46 ? 2 : 0)
        else {
            if (number < 0) return undefined
            if (c === 0x2d && last < 0) obis[0] = number
            else if (c === 0x3a && last < 0) {
                obis[1] = number
                full = true
            } else {
                if (part > 5) return undefined
                obis[part] = number
                last = part
                if (c === 0x2e) part = part < 4 ? part + 1 : 6
                else if (c === 0x2a || c === 0x26) part = part < 5 ? 5 : 6
                else if (c !== 0) return undefined
            }
            number = -1
        }
    }
    if (last < 3) return undefined
    if (full) return obis
    const c = obis[2]
    if ((c === 96 && obis[3] === 1) || (c === 97 && obis[3] === 97)) return obis
    if (c === 0 || c > 80) return undefined
    const row = 2 * ((c - 1) % 20)
    if (unit === 255 || (electric[row] !== unit && electric[row + 1] !== unit)) return undefined
    obis[0] = 1
    return obis
}

/** A time "YYMMDDhhmmss" with or without S or W behind, or "YYMMDDhhmm"; empty where these are not. */
export function iecTime(octets: Buffer, at: number, length: number): number[] {
    const last = length > 0 ? octets[at + length - 1] : 0
    if (last === 0x53 || last === 0x57) --length
    if (length !== 12 && length !== 10) return []
    const time: number[] = []
    for (let i = 0; i < length; i += 2) {
        const high = octets[at + i] - 0x30
        const low = octets[at + i + 1] - 0x30
        if (high < 0 || high > 9 || low < 0 || low > 9) return []
        time.push(high * 10 + low)
    }
    if (time[1] < 1 || time[1] > 12 || time[2] < 1 || time[2] > 31) return []
    // Clocks that were never set begin in 1970.
    time[0] += time[0] < 70 ? 2000 : 1900
    if (length === 10) time.push(-1)
    return time
}

/**
 * What the data sets say in OBIS codes, in order. Of several values behind one address the last counts, and a time in front of it is its time (P1: 0-n:24.2.1, 1-0:1.6.0); in DSMR 3
 * 0-n:24.3.0 names code and unit in its values. Longer lists (load profiles, logs of events) are left out. `IecForm`.
 */
export function iecReadings(message: IecMessage): Reading[] {
    const octets = message.octets
    const readings: Reading[] = []
    const values = new IecValues(octets, message.at, message.end)
    let more = values.next()
    while (more) {
        const addressAt = values.addressAt
        const addressLength = values.addressLength
        const places: number[] = []
        while (more && values.addressAt === addressAt) {
            places.push(values.valueAt, values.valueLength, values.unitAt, values.unitLength)
            more = values.next()
        }
        const reading = readingOf(octets, addressAt, addressLength, places)
        if (reading !== undefined) readings.push(reading)
    }
    return readings
}

function readingOf(octets: Buffer, at: number, length: number, places: number[]): Reading | undefined {
    const count = places.length
    let unitAt = places[count - 2]
    let unitLength = places[count - 1]
    const valueAt = places[count - 4]
    const valueLength = places[count - 3]
    const value = new Reading(Buffer.alloc(0), cut(octets, valueAt, valueLength), valueAt)
    if (count === 28) {
        at = places[16]
        length = places[17]
        unitAt = places[20]
        unitLength = places[21]
    } else if (count > 8) return undefined
    iecUnit(octets, unitAt, unitLength, value)
    const obis = iecObis(octets, at, length, value.unit)
    if (obis === undefined) return undefined
    const reading = new Reading(obis, value.octets, valueAt)
    reading.unit = value.unit
    reading.exponent = value.exponent
    iecNumber(octets, valueAt, valueLength, reading)
    if (count > 4) reading.time = iecTime(octets, places[0], places[1])
    return reading
}
