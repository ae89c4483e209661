import { crc16 } from "./crc16"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"
import { smlBodies, smlBodyAt, smlRowAt, smlRows } from "./sml-tables"

/**
 * What to write for one element, by its place in the tables:
 * `undefined` absent; Buffer an octet string; number an integer of the nominal width; boolean; array a structure or list.
 * Choices (Time, ProcParValue): `[tag, value]`. Value and Status are implicit choices: `[type, value]` with type
 * `SML_OCTETS`, `SML_BOOLEAN`, `SML_SIGNED + width`, `SML_UNSIGNED + width` or `SML_LIST_TYPE + tag`; their integers may
 * also be given as `width` octets, big endian, for what a double cannot hold. A place for any TLV takes its octets.
 */
export type SmlValue = undefined | boolean | number | Buffer | SmlValue[]

export const SML_OCTETS = 0x00
export const SML_BOOLEAN = 0x40
export const SML_SIGNED = 0x50
export const SML_UNSIGNED = 0x60
export const SML_LIST_TYPE = 0x70

/**
 * Grows by half of what it has: with twice as much an answer of 2 KB would want 4 KB in one piece, which a heap in pieces may not have.
 * Strict encoding only: full nominal widths, smallest type-length fields, no empty lists.
 */
class Writer {
    octets: Buffer
    at = 0

    constructor(size: number) {
        this.octets = Buffer.alloc(size)
    }

    room(count: number): void {
        let size = this.octets.length
        while (this.at + count > size) size += size >> 1
        if (size > this.octets.length) {
            const larger = Buffer.alloc(size)
            larger.blitAt(0, this.octets, 0, this.at)
            this.octets = larger
        }
    }

    /** A type-length field: `length` octets of value, or elements if it is a list. */
    head(type: number, length: number): void {
        let fields = 1
        let limit = 16
        const own = type === 0x70 ? 0 : 1
        while (length + own * fields >= limit) {
            ++fields
            limit *= 16
        }
        this.room(fields)
        let rest = length + own * fields
        for (let i = fields - 1; i >= 0; --i) {
            this.octets[this.at + i] = (rest & 15) | (i < fields - 1 ? 0x80 : 0) | (i === 0 ? type : 0)
            rest = rest >> 4
        }
        this.at += fields
    }

    raw(octets: Buffer): void {
        this.room(octets.length)
        this.octets.blitAt(this.at, octets, 0, octets.length)
        this.at += octets.length
    }

    integer(type: number, value: any): void {
        const width = type & 15
        this.room(width + 1)
        const octets = this.octets
        octets[this.at++] = (type & 0x70) + width + 1
        let rest: number = value
        if (typeof value !== "number") {
            if (value.length !== width) this.refuse(width, value.length)
            this.raw(value)
            return
        }
        const span = 256 ** width
        const low = (type & 0x70) === SML_UNSIGNED ? 0 : -span / 2
        if (!(rest >= low && rest < low + span && rest < 9007199254740992 && rest > -9007199254740992))
            this.refuse(width, rest)
        for (let i = width - 1; i >= 0; --i) {
            const octet = rest & 0xff
            octets[this.at + i] = octet
            rest = (rest - octet) / 256
        }
        this.at += width
    }

    refuse(expected: number, came: number): never {
        return fail(Code.SmlValue, this.at, "a value for its place (" + expected + ")", "" + came)
    }

    /** `values` against the codes at `place` of `codes`; all by the same code when `step` is 0. */
    elements(codes: Buffer, place: number, step: number, values: any[]): void {
        for (let i = 0; i < values.length; ++i) {
            if ((i & 15) === 15) platform().yieldNow()
            this.element(codes[place + i * step], values[i])
        }
    }

    element(code: number, given: any): void {
        let type = code & 0x7f
        let value = given
        if (value === undefined) {
            if (code < 0x80) this.refuse(code, 0)
            this.room(1)
            this.octets[this.at++] = 1
            return
        }
        if (type === 0x70 || type === 0x7e || (type === 0x68 && typeof value !== "number")) {
            type = value[0]
            value = value[1]
            if (type > SML_LIST_TYPE) {
                value = [type - SML_LIST_TYPE, value]
                type = 0x3a
            }
        }
        const want = type & 0x70
        const row = smlRowAt[type & 15]
        if (want === 0) {
            if ((type & 15) !== 0 && value.length !== (type & 15)) this.refuse(type, value.length)
            this.head(0, value.length)
            this.raw(value)
        } else if (want === 0x10) {
            if (value.length !== smlRows[row]) this.refuse(type, value.length)
            this.head(0x70, value.length)
            this.elements(smlRows, row + 1, 1, value)
        } else if (want === 0x20) {
            if (value.length === 0) this.refuse(type, 0)
            this.head(0x70, value.length)
            this.elements(smlRows, row - 1, 0, value)
        } else if (want === 0x30) {
            const tag: number = value[0]
            if (!(tag > 0 && tag <= smlRows[row])) this.refuse(type, tag)
            this.head(0x70, 2)
            this.integer(0x61, tag)
            this.element(smlRows[row + tag], value[1])
        } else if (want === 0x40) {
            this.room(2)
            this.octets[this.at++] = 0x42
            this.octets[this.at++] = value ? 1 : 0
        } else if (want === 0x70) this.raw(value)
        else this.integer(type, value)
    }
}

/**
 * The octets of `values.length` elements of the body of the message `tag`, from element `first` (0 = first) on. `SmlValue`
 * says how values are given. Throws `SmlValue` if one does not fit.
 */
export function writeElements(tag: number, first: number, values: SmlValue[]): Buffer {
    platform().yieldNow()
    const body = smlBodyAt(tag)
    const writer = new Writer(128)
    if (body < 0 || first + values.length > smlBodies[body]) fail(Code.SmlValue, -1, "elements of " + tag, "too many")
    writer.elements(smlBodies, body + 1 + first, 1, values)
    return cut(writer.octets, 0, writer.at)
}

/** One SML message around the octets of its body's elements: abortOnError 0, CRC-16/X.25. `group` 0 to 255. */
export function wrapMessage(transactionId: Buffer, group: number, tag: number, elements: Buffer): Buffer {
    // All that comes around the elements has 29 octets at most.
    const writer = new Writer(elements.length + transactionId.length + 32)
    const body = smlBodyAt(tag)
    writer.head(0x70, 6)
    writer.element(0, transactionId)
    writer.integer(0x61, group)
    writer.integer(0x61, 0)
    writer.head(0x70, 2)
    writer.integer(0x64, tag)
    if (body >= 0) writer.head(0x70, smlBodies[body])
    writer.raw(elements)
    const crc = crc16(writer.octets, 0, writer.at, 0xffff) ^ 0xffff
    writer.integer(0x62, ((crc & 0xff) << 8) + (crc >> 8))
    writer.room(1)
    return cut(writer.octets, 0, writer.at + 1)
}

/** One SML message from the values of all elements of its body. */
export function writeMessage(transactionId: Buffer, group: number, tag: number, values: SmlValue[]): Buffer {
    return wrapMessage(transactionId, group, tag, writeElements(tag, 0, values))
}
