import { Code, fail } from "./errors"
import { difLengths, VIF_LONG_TIME, VIF_POINT, VIF_TIME, VIF_UNSIGNED, vifRow, vifTable } from "./mbus-tables"

/** Kinds of data: nothing, a number (binary, decimal or real), text (Latin 1, last character first), point in time, other octets. */
export const MBUS_NOTHING = 0
export const MBUS_INTEGER = 1
export const MBUS_DECIMAL = 2
export const MBUS_REAL = 3
export const MBUS_TEXT = 4
export const MBUS_TIME = 5
export const MBUS_OCTETS = 6

/** Tables a VIF may be of: 0 to 3 as in `mbus-tables`, 4 plain text, 5 manufacturer specific, 6 none: manufacturer specific data (DIF 0F, 1F). */
export const VIF_PLAIN_TEXT = 4
export const VIF_MANUFACTURER = 5
export const VIF_NONE = 6

/** Largest number that a double has exactly. */
const largest = 9007199254740991

/** Extensions a DIF or a VIF may have (EN 13757-3 clauses 6.3.5 and 6.4.2). */
const mostExtensions = 10

/**
 * Reads the data records of EN 13757-3 clause 6 one after the other: after `next()` the fields describe one record. Places are in `octets`,
 * which are not copied. An error ends the reading: `MbusRecordTruncated`, `MbusRecordForm`.
 */
export class MbusRecords {
    /** Where the record begins and what follows it begins. */
    start = 0
    end: number
    /** 0 instantaneous, 1 maximum, 2 minimum, 3 during an error. */
    functionField = 0
    storage = 0
    tariff = 0
    subunit = 0
    /** Which table the VIF is of, and its code without the extension bit. */
    table = 0
    code = 0
    /** First code of the row that the code belongs to: what is measured. */
    quantity = 0
    /** As in `mbus-tables`; 255 = none. */
    unit = 255
    /** The value is the number times this power of ten. */
    exponent = 0
    /** Combinable extensions from here, each with its extension bit, and how many; the text of a plain-text unit. */
    extensionsAt = 0
    extensions = 0
    textAt = 0
    textLength = 0
    kind = 0
    /** A binary number has no sign. */
    unsigned = false
    dataAt = 0
    length = 0
    /** `value` is the number, exactly; else there is none, or it needs more than 53 bits, or it is a mark of an error. */
    exact = false
    value = 0
    /** More records follow in the next telegram (DIF 1F). */
    moreFollow = false

    /** The records from `at` up to `stop`. */
    constructor(
        readonly octets: Buffer,
        at: number,
        private readonly stop: number,
    ) {
        this.end = at
    }

    /** Goes to the next record; false at the end. Fill octets (2F) are passed over. */
    next(): boolean {
        const octets = this.octets
        while (this.end < this.stop && octets[this.end] === 0x2f) ++this.end
        if (this.end >= this.stop) return false
        this.start = this.end
        const dif = this.octet()
        this.functionField = (dif >> 4) & 3
        this.storage = (dif >> 6) & 1
        this.tariff = 0
        this.subunit = 0
        this.table = VIF_NONE
        this.code = 0
        this.quantity = 0
        this.unit = 255
        this.exponent = 0
        this.extensions = 0
        this.textLength = 0
        this.kind = MBUS_OCTETS
        this.unsigned = false
        this.exact = false
        this.value = 0
        if ((dif & 15) === 15) {
            if (dif !== 0x0f && dif !== 0x1f) fail(Code.MbusRecordForm, this.start, "no reserved DIF", dif + "")
            this.moreFollow = dif === 0x1f
            this.functionField = 0
            this.extensionsAt = this.end
            this.dataAt = this.end
            this.length = this.stop - this.end
            this.end = this.stop
            return true
        }
        this.readExtensionsOfDif(dif)
        const flags = this.readVif()
        this.readData(dif & 15, this.readCombinable(flags))
        return true
    }

    private octet(): number {
        if (this.end >= this.stop) fail(Code.MbusRecordTruncated, this.end, "an octet", "the end")
        const octet = this.octets[this.end]
        ++this.end
        return octet
    }

    private readExtensionsOfDif(dif: number): void {
        let scale = 2
        for (let i = 0; (dif & 0x80) !== 0; ++i) {
            if (i === mostExtensions) fail(Code.MbusRecordForm, this.end, "at most 10 DIFEs", "more")
            dif = this.octet()
            this.storage += (dif & 15) * scale
            this.tariff += ((dif >> 4) & 3) << (2 * i)
            this.subunit += ((dif >> 6) & 1) << i
            scale = scale * 16
        }
    }

    /** The VIF with its table; gives the flags of its row, and the extension bit as 0x100. */
    private readVif(): number {
        let vif = this.octet()
        this.table = 0
        if (vif === 0xfb) this.table = 1
        else if (vif === 0xfd) this.table = 2
        if (this.table > 0) vif = this.octet()
        if (this.table === 2 && vif === 0xfd) {
            this.table = 3
            vif = this.octet()
        }
        const code = vif & 0x7f
        this.code = code
        const rows = vifTable(this.table)
        const row = vifRow(this.table, code)
        const flags = rows[row + 1]
        const count = code & flags & 15
        this.quantity = rows[row]
        this.unit = rows[row + 2]
        if ((flags & VIF_TIME) !== 0) this.unit -= count
        else if ((flags & VIF_LONG_TIME) !== 0) this.unit = 5 - count - (count >> 1)
        else this.exponent = rows.getAt(row + 3, "i8") + count
        if (this.table === 0 && code === 0x7f) this.table = VIF_MANUFACTURER
        if (this.table === 0 && code === 0x7c) {
            this.table = VIF_PLAIN_TEXT
            // In the field the text stands before the extensions; behind them is the newer wording.
            if (vif === 0x7c || this.isText()) this.readText()
        }
        return flags | ((vif & 0x80) << 1)
    }

    private isText(): boolean {
        const length = this.end < this.stop ? this.octets[this.end] : 0
        if (length === 0 || this.end + length >= this.stop) return false
        for (let i = 1; i <= length; ++i) {
            const octet = this.octets[this.end + i]
            if (octet < 0x20 || (octet >= 0x7f && octet < 0xa0)) return false
        }
        return true
    }

    private readText(): void {
        this.textLength = this.octet()
        this.textAt = this.end
        this.skip(this.textLength)
    }

    private skip(count: number): void {
        if (this.end + count > this.stop)
            fail(Code.MbusRecordTruncated, this.end, count + " octets", this.stop - this.end + "")
        this.end += count
    }

    /** The combinable extensions (table 15); gives the flags changed by them. */
    private readCombinable(flags: number): number {
        this.extensionsAt = this.end
        let more = flags > 0xff
        const textBehind = more && this.table === VIF_PLAIN_TEXT && this.textLength === 0
        let foreign = this.table === VIF_MANUFACTURER
        let ofExtension = false
        while (more) {
            if (this.extensions === mostExtensions) fail(Code.MbusRecordForm, this.end, "at most 10 VIFEs", "more")
            const vife = this.octet()
            ++this.extensions
            more = vife > 0x7f
            const code = vife & 0x7f
            if (foreign) continue
            if (ofExtension) {
                if (code === 0x11 || code === 0x12) flags |= VIF_UNSIGNED
                ofExtension = false
            } else if (code === 0x7c) ofExtension = true
            else if (code === 0x7f) foreign = true
            else if (code === 0x7d) this.exponent += 3
            else if ((code & 0x78) === 0x70) this.exponent += code - 0x76
            else if (code === 0x39 || (code & 0x72) === 0x42 || (code & 0x7a) === 0x6a) {
                // The date or time of what the VIF measures.
                flags = VIF_POINT
                this.unit = 255
                this.exponent = 0
            } else if ((code & 0x70) === 0x50 || (code & 0x78) === 0x60) {
                // How long it lasted.
                flags = 0
                this.unit = 7 - (code & 3)
                this.exponent = 0
            } else if (code === 0x13 || code === 0x1e || code === 0x1f) flags |= 0x200
        }
        if (textBehind) this.readText()
        return flags
    }

    private readData(field: number, flags: number): void {
        let length = difLengths[field]
        this.unsigned = (flags & VIF_UNSIGNED) !== 0
        this.kind = field === 0 || field === 8 ? MBUS_NOTHING : field === 5 ? MBUS_REAL : MBUS_INTEGER
        if (field > 8) this.kind = MBUS_DECIMAL
        let negative = false
        if (field === 13) {
            const lvar = this.octet()
            length = lvar & 15
            if (lvar < 0xc0) {
                length = lvar
                // Containers and profiles are no text.
                const container =
                    (flags & 0x200) !== 0 || (this.table === 2 && (this.code === 0x3b || this.code === 0x76))
                this.kind = container ? MBUS_OCTETS : MBUS_TEXT
            } else if (lvar < 0xe0) {
                if (length > 9) fail(Code.MbusRecordForm, this.end - 1, "no reserved LVAR", lvar + "")
                negative = lvar >= 0xd0
            } else {
                this.kind = MBUS_INTEGER
                if (lvar > 0xf6) fail(Code.MbusRecordForm, this.end - 1, "no reserved LVAR", lvar + "")
                if (lvar >= 0xf0) length = lvar < 0xf5 ? 4 * (lvar - 0xec) : 16 * (lvar - 0xf2)
            }
        }
        const at = this.end
        this.skip(length)
        this.readAs(this.kind === MBUS_INTEGER && (flags & VIF_POINT) !== 0 ? MBUS_TIME : this.kind, at, length)
        if (negative && this.kind === MBUS_DECIMAL) this.value = 0 - this.value
    }

    /** Reads the data of this kind. */
    readAs(kind: number, at: number, length: number): void {
        this.kind = kind
        this.dataAt = at
        this.length = length
        if (kind === MBUS_INTEGER) this.readInteger()
        else if (kind === MBUS_DECIMAL) this.readDecimal()
        else if (kind === MBUS_REAL) {
            const value = this.octets.getAt(at, "f32")
            // Neither infinite nor no number.
            this.exact = value - value === 0
            // The sum takes the sign from a negative zero.
            this.value = this.exact ? value + 0 : 0
        }
    }

    /** Types B and C of annex A. */
    private readInteger(): void {
        const octets = this.octets
        const last = this.dataAt + this.length - 1
        const negative = !this.unsigned && this.length > 0 && octets[last] > 0x7f
        let value = 0
        for (let at = last; at >= this.dataAt && value <= largest; --at)
            value = value * 256 + (negative ? octets[at] ^ 0xff : octets[at])
        this.exact = value <= largest
        if (this.exact) this.value = negative ? -1 - value : value
    }

    /** Type A of annex A: F in front is a minus sign, any other digit above 9 the mark of an error. */
    private readDecimal(): void {
        let value = 0
        let negative = false
        this.exact = true
        for (let i = this.length - 1; i >= 0; --i) {
            const octet = this.octets[this.dataAt + i]
            let high = octet >> 4
            const low = octet & 15
            if (high === 15 && i === this.length - 1) {
                negative = true
                high = 0
            }
            if (high > 9 || low > 9) this.exact = false
            value = value * 100 + high * 10 + low
        }
        if (value > largest) this.exact = false
        if (this.exact) this.value = negative ? 0 - value : value
    }
}

/**
 * A point in time of 2 (type G), 3 (J), 4 (F) or 6 (I) octets of annex A as [year, month, day, hour, minute, second]: local time of the meter as it has it; -1 = not given
 * or "every". Empty where the octets say that they are invalid, or are none of these.
 */
export function mbusTime(octets: Buffer, at: number, length: number): number[] {
    if (length === 3) return [-1, -1, -1, octets[at + 2] & 31, octets[at + 1] & 63, octets[at] & 63]
    if (length !== 2 && length !== 4 && length !== 6) return []
    const dateAt = length === 2 ? at : length === 4 ? at + 2 : at + 3
    const day = octets[dateAt] & 31
    const month = octets[dateAt + 1] & 15
    let year = (octets[dateAt] >> 5) + ((octets[dateAt + 1] >> 4) << 3)
    // Nothing but ones: no date.
    if (octets[dateAt] === 0xff && octets[dateAt + 1] === 0xff) return []
    const hundreds = length === 4 ? (octets[at + 1] >> 5) & 3 : 0
    year = year === 127 ? -1 : year + (hundreds > 0 ? 1900 + 100 * hundreds : year > 80 ? 1900 : 2000)
    if (month === 0 || month === 13 || month === 14) return []
    const date = [year, month === 15 ? -1 : month, day === 0 ? -1 : day]
    if (length === 2) return [date[0], date[1], date[2], -1, -1, -1]
    const minuteAt = length === 4 ? at : at + 1
    if ((octets[minuteAt] & 0x80) !== 0) return []
    const minute = octets[minuteAt] & 63
    const hour = octets[minuteAt + 1] & 31
    const second = length === 4 ? -1 : octets[at] & 63
    return [
        date[0],
        date[1],
        date[2],
        hour === 31 ? -1 : hour,
        minute === 63 ? -1 : minute,
        second === 63 ? -1 : second,
    ]
}
