import { Code, fail } from "./errors"

/** Types of COSEM data (IEC 62056-6-2 clause 4.1.5, DLMS UA Blue Book) that others name. */
export const AXDR_NULL = 0
export const AXDR_ARRAY = 1
export const AXDR_STRUCTURE = 2
export const AXDR_BIT_STRING = 4
export const AXDR_OCTET_STRING = 9
export const AXDR_COMPACT_ARRAY = 19
export const AXDR_ENUM = 22
export const AXDR_DATE_TIME = 25

/**
 * For each type up to 33: octets of a value, 0x20 in addition where it has a sign, 0x40 = real; 0xf0 = a length stands in front, 0xf1 = contains others, 0xff = no type.
 */
const types = hex`
    00 f1 f1 01 f0 24 04 ff ff f0 f0 ff f0 01 ff 21 22 01 02 f1 28 08 01 44 48 0c 05 04 21 22 24 01 02 04`

/** Containers within one another. */
const deepest = 12

/** What `types` says of a type; `AxdrType` at `at` where there is none. */
function kindOf(tag: number, at: number): number {
    if (tag === 255) return 0
    const kind = tag < types.length ? types[tag] : 255
    if (kind === 255) fail(Code.AxdrType, at, "a type of COSEM data", tag + "")
    return kind
}

/** Children of a container that are still to come. */
class Container {
    /** Where they end, if not by count (compact array): else -1. */
    end = -1
    constructor(
        public left: number,
        /** Type description of the next child; -1 = each child has its own type in front. */
        public typeAt: number,
        /** All children have this one type. */
        readonly same: boolean,
    ) {}
}

/**
 * Reads COSEM data (A-XDR, IEC 61334-6) element by element, containers before what is in them: after `next()` the fields describe one element. Compact arrays come
 * as if each element had its type in front. Places are in `octets`. `AxdrTruncated`, `AxdrType`, `AxdrDepth`.
 */
export class AxdrReader {
    /** Type of the element, and how many containers it is in. */
    type = 0
    depth = 0
    /** Where it begins; its content. */
    start = 0
    dataAt = 0
    length = 0
    /** Children of an array or structure (-1 of a compact array: it ends with its octets); bits of a bit string. */
    count = 0
    /** `value` is the number, exactly; a boolean is 0 or 1. */
    exact = false
    value = 0
    /** Where what follows the data begins. */
    end: number
    private readonly containers: Container[] = []
    private begun = false

    /** The one element that begins at `at`; it must end at `stop` at the latest. */
    constructor(
        readonly octets: Buffer,
        at: number,
        private readonly stop: number,
    ) {
        this.end = at
    }

    /** Goes to the next element; false when the data is over. */
    next(): boolean {
        const containers = this.containers
        let top: Container | undefined
        while (containers.length > 0) {
            top = containers[containers.length - 1]
            if (top.end < 0 ? top.left > 0 : this.end < top.end) break
            if (top.end >= 0 && this.end !== top.end) this.cut(top.end)
            containers.pop()
            top = undefined
        }
        if (top === undefined && this.begun) return false
        this.begun = true
        this.depth = containers.length
        this.start = this.end
        let typeAt = -1
        if (top !== undefined) {
            top.left = top.left - 1
            typeAt = top.typeAt
        }
        this.type = typeAt < 0 ? this.octet() : this.octets[typeAt]
        const kind = kindOf(this.type, typeAt < 0 ? this.end - 1 : typeAt)
        this.exact = false
        this.value = 0
        this.count = 0
        if (kind === 0xf1) this.open(typeAt)
        else this.readValue(kind)
        if (top !== undefined && typeAt >= 0 && !top.same) top.typeAt = this.typeEnd(typeAt, 0)
        return true
    }

    private cut(at: number): never {
        return fail(Code.AxdrTruncated, Math.min(at, this.octets.length), "data within its container", "more")
    }

    private octet(): number {
        if (this.end >= this.stop) this.cut(this.end)
        ++this.end
        return this.octets[this.end - 1]
    }

    /** A length (A-XDR: one octet, or how many octets follow). */
    private size(): number {
        const first = this.octet()
        if (first < 0x80) return first
        if (first < 0x81 || first > 0x84) fail(Code.AxdrTruncated, this.end - 1, "a length", first + "")
        let value = 0
        for (let i = 0x80; i < first; ++i) value = value * 256 + this.octet()
        return value
    }

    private open(typeAt: number): void {
        if (this.containers.length >= deepest) fail(Code.AxdrDepth, this.start, deepest + " levels", "more")
        let container: Container
        if (this.type === AXDR_COMPACT_ARRAY) {
            if (typeAt >= 0) fail(Code.AxdrType, typeAt, "no compact array in one", "one")
            const elementAt = this.end
            this.end = this.typeEnd(elementAt, 0)
            const length = this.size()
            container = new Container(length, elementAt, true)
            container.end = this.end + length
            if (container.end > this.stop) this.cut(this.stop)
            this.count = -1
        } else if (typeAt < 0) {
            this.count = this.size()
            // Each child takes an octet at least.
            if (this.count > this.stop - this.end) this.cut(this.stop)
            container = new Container(this.count, -1, false)
        } else {
            const array = this.type === AXDR_ARRAY
            this.count = array ? this.octets[typeAt + 1] * 256 + this.octets[typeAt + 2] : this.octets[typeAt + 1]
            container = new Container(this.count, typeAt + (array ? 3 : 2), array)
        }
        this.dataAt = this.end
        this.length = 0
        this.containers.push(container)
    }

    /** Where the type description that begins at `at` ends. What takes no octets can not stand in one: nothing would bound how often it comes. */
    private typeEnd(at: number, depth: number): number {
        if (at >= this.stop) this.cut(at)
        if (depth >= deepest) fail(Code.AxdrDepth, at, deepest + " levels", "more")
        const type = this.octets[at]
        const kind = kindOf(type, at)
        let end = at + 1
        if (kind !== 0xf1) {
            if (kind === 0) fail(Code.AxdrType, at, "a type with content", type + "")
            return end
        }
        const array = type === AXDR_ARRAY
        end += array ? 2 : 1
        if (end >= this.stop) this.cut(this.stop)
        let count = array ? 1 : this.octets[at + 1]
        const none = array ? this.octets[at + 1] + this.octets[at + 2] === 0 : count === 0 || count > 127
        if (none || type === AXDR_COMPACT_ARRAY) fail(Code.AxdrType, at, "a type with content", type + "")
        while (count-- > 0) end = this.typeEnd(end, depth + 1)
        return end
    }

    private readValue(kind: number): void {
        const octets = this.octets
        let length = kind & 15
        if (kind === 0xf0) {
            length = this.size()
            if (this.type === AXDR_BIT_STRING) {
                this.count = length
                length = Math.ceil(length / 8)
            }
        }
        const at = this.end
        this.dataAt = at
        this.length = length
        if (length > this.stop - at) this.cut(this.stop)
        this.end = at + length
        if (kind >= 0xf0 || length === 0 || this.type === AXDR_DATE_TIME || this.type === 26 || this.type === 27) return
        if (kind > 0x40) {
            const reversed = Buffer.alloc(length)
            for (let i = 0; i < length; ++i) reversed[length - 1 - i] = octets[at + i]
            const real = length === 4 ? reversed.getAt(0, "f32") : reversed.getAt(0, "f64")
            // Neither infinite nor no number; the sum takes the sign from a negative zero.
            this.exact = real - real === 0
            this.value = this.exact ? real + 0 : 0
            return
        }
        const negative = kind > 0x20 && octets[at] > 0x7f
        let value = 0
        for (let i = at; i < this.end; ++i) value = value * 256 + (negative ? octets[i] ^ 0xff : octets[i])
        this.exact = value <= 9007199254740991
        if (this.exact) this.value = negative ? -1 - value : value
    }
}
