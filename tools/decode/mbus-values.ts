import {
    MBUS_DECIMAL,
    MBUS_INTEGER,
    MBUS_REAL,
    MBUS_TEXT,
    type MbusRecords,
    VIF_MANUFACTURER,
} from "../../firmware/core/mbus-records"
import { decimal } from "./decimal.ts"
import { extensionName } from "./mbus-names.ts"

/** The fields of one record. */
export type RecordFields = Omit<MbusRecords, "next" | "readAs" | "octets">

/** The number of a record, whatever its size: digits without the power of ten, and what that is; undefined where there is none. */
export function numberOf(octets: Uint8Array, record: RecordFields): { raw: bigint; exponent: number } | undefined {
    const data = Buffer.from(octets.subarray(record.dataAt, record.dataAt + record.length))
    const reversed = Buffer.from(data).reverse().toString("hex")
    const { exponent, kind } = record
    if (kind === MBUS_INTEGER) {
        const raw = BigInt(`0x0${reversed}`)
        return { raw: record.unsigned ? raw : BigInt.asIntN(8 * data.length, raw), exponent }
    }
    if (kind === MBUS_DECIMAL) {
        if (record.exact) return { raw: BigInt(record.value), exponent }
        // More digits than a double holds; only a length of its own gives a sign without an octet.
        if (!/^f?\d+$/.test(reversed)) return undefined
        const lvar = octets[record.dataAt - 1]
        const raw = BigInt(reversed.replace("f", "0"))
        return { raw: reversed.startsWith("f") || (data.length > 6 && lvar >= 0xd0) ? -raw : raw, exponent }
    }
    return kind === MBUS_REAL && record.exact ? shortest(record.value, exponent) : undefined
}

/** The shortest decimal number that is this one in single precision. */
export function shortest(value: number, exponent: number): { raw: bigint; exponent: number } {
    let text = value.toExponential(8)
    for (let digits = 0; digits < 8; ++digits) {
        const shorter = value.toExponential(digits)
        if (Math.fround(Number(shorter)) === value) {
            text = shorter
            break
        }
    }
    const [mantissa, power] = text.split("e")
    const fraction = mantissa.split(".")[1] ?? ""
    return { raw: BigInt(mantissa.replace(".", "")), exponent: exponent + Number(power) - fraction.length }
}

/** The exact value as decimal text; an additive constant among the extensions is in it. Undefined where there is no number. */
export function decimalValue(octets: Uint8Array, record: RecordFields): string | undefined {
    const number = numberOf(octets, record)
    if (!number) return undefined
    let { raw, exponent } = number
    for (const [code, behind] of extensionCodes(octets, record))
        if (!behind && (code & 0x7c) === 0x78) {
            const low = Math.min(exponent, (code & 3) - 3)
            raw = raw * 10n ** BigInt(exponent - low) + 10n ** BigInt((code & 3) - 3 - low)
            exponent = low
        }
    return decimal(raw, exponent)
}

/** Combinable extensions: code without its extension bit, and whether it stands behind 7C. Ends where they become the manufacturer's. */
function* extensionCodes(octets: Uint8Array, record: RecordFields): Generator<[number, boolean]> {
    if (record.table >= VIF_MANUFACTURER) return
    let behind = false
    for (let i = 0; i < record.extensions; ++i) {
        const code = octets[record.extensionsAt + i] & 0x7f
        if (code === 0x7f && !behind) return
        if (code === 0x7c && !behind) behind = true
        else {
            yield [code, behind]
            behind = false
        }
    }
}

export function extensionNames(octets: Uint8Array, record: RecordFields): string[] {
    return [...extensionCodes(octets, record)].map(([code, behind]) => extensionName(code, behind))
}

/** Text as it reads: Latin 1, sent last character first. */
export const textOf = (octets: Uint8Array, at: number, length: number): string =>
    Buffer.from(octets.subarray(at, at + length))
        .reverse()
        .toString("latin1")

export const isText = (record: RecordFields): boolean => record.kind === MBUS_TEXT

const two = (part: number) => (part < 0 ? "--" : String(part).padStart(2, "0"))

/** "2008-05-31T23:50" of the parts of `mbusTime`; what is not given or means "every" is two dashes. */
export function timeText([year, month, day, hour, minute, second]: number[]): string {
    const date = [year < 0 ? "----" : String(year), two(month), two(day)].join("-")
    const clock = [two(hour), two(minute), ...(second < 0 ? [] : [two(second)])].join(":")
    if (year < 0 && month < 0 && day < 0) return clock
    return hour < 0 && minute < 0 && second < 0 ? date : `${date}T${clock}`
}

/** Three letters of a manufacturer field (EN 13757-7 clause 7.5.2). */
export function manufacturerText(field: number): string {
    return String.fromCharCode(...[10, 5, 0].map(shift => 64 + ((field >> shift) & 31)))
}
