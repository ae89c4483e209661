import { Code, fail } from "./errors"
import { platform } from "./platform"

/** Deepest nesting of arrays, maps and tags. */
const deepest = 16
/** Octets of a map's key with its head, so that comparing takes bounded time. */
const longestKey = 256
/** Largest number that a double holds with all below it. */
const exact = 9007199254740991

/** Major types (RFC 8949 3.1). Negative n is -1 - argument; `Simple`: 20 false, 21 true, 22 null. */
export enum Major {
    Unsigned = 0,
    Negative = 1,
    Octets = 2,
    Text = 3,
    List = 4,
    Map = 5,
    Tag = 6,
    Simple = 7,
}

/**
 * Strict CBOR over octets that stay where they are: one cursor walks the original buffer and no item costs an
 * allocation. Deterministic encoding only (RFC 8949 4.2.1): fewest octets, definite lengths; no floating point, of
 * the simple values false, true and null. `checkCbor` first, where the order of keys and the depth matter.
 */
export class CborReader {
    /** Of the item read last: major type; argument, -1 above 2^53 - 1; first octet of its head. */
    major = 0
    argument = 0
    from = 0
    /** First octet and end of the content of a string; of the argument's own octets in any other item. */
    start = 0
    stop = 0
    /** About 20 steps each since the last yield: an item counts 16, an octet of a text or key 1. */
    private work = 0

    /** Reads `data` from offset `at` up to `end`, both inside of it. */
    constructor(
        readonly data: Buffer,
        public at: number,
        readonly end: number,
    ) {}

    /** Reads a head, and passes over the content of a string; the items of a list, map or tag come next. */
    next(): void {
        const data = this.data
        const end = this.end
        let at = this.at
        if (at >= end) fail(Code.CborTruncated, at, "an item", "the end")
        if (this.work > 2000) {
            this.work = 0
            platform().yieldNow()
        }
        const major = data[at] >> 5
        let argument = data[at] & 31
        this.from = at
        this.major = major
        at += 1
        this.start = at
        if (major === Major.Simple ? argument < 20 || argument > 22 : argument > 27)
            fail(Code.CborUnsupported, at - 1, "another kind of item", "" + data[at - 1])
        if (argument > 23) {
            const width = 1 << (argument - 24)
            if (at + width > end) fail(Code.CborTruncated, at, "a number", "the end")
            argument = 0
            for (let i = 0; i < width; ++i) argument = argument * 256 + data[at + i]
            if (argument < (width === 1 ? 24 : Math.pow(2, 4 * width)))
                fail(Code.CborForm, at, "the fewest octets", "more")
            at += width
        }
        if (major === Major.Octets || major === Major.Text) {
            this.start = at
            at += argument
        }
        if (at > end || ((major === Major.List || major === Major.Map) && argument > (end - at) / (major - 3)))
            fail(Code.CborTruncated, this.from, argument + " octets or items", "the end")
        this.argument = argument > exact ? -1 : argument
        this.stop = at
        this.at = at
        this.work += 16
        if (major === Major.Text) {
            this.work += at - this.start
            checkUtf8(data, this.start, at)
        }
    }

    /** Reads an item of this major type and gives its argument. */
    read(major: number): number {
        this.next()
        if (this.major !== major) fail(Code.CborType, this.from, "type " + major, "" + this.major)
        return this.argument
    }

    /** Reads an integer from -2^53 to 2^53 - 1. */
    integer(): number {
        this.next()
        if (this.major > Major.Negative) fail(Code.CborType, this.from, "an integer", "another type")
        if (this.argument < 0) fail(Code.CborRange, this.from, "at most 2^53", "more")
        return this.major === Major.Negative ? -1 - this.argument : this.argument
    }

    /**
     * Passes over one item with all that is in it, however it is nested, and refuses what `next` does not see: keys
     * that are repeated or out of order (bytewise, RFC 8949 4.2.1), no integers or strings, or above 256 octets, and
     * more than 16 levels.
     */
    skip(): void {
        const data = this.data
        // Of each level entered: items left; where the last key begins (0: none yet; -1: no map)
        const left = [1]
        const keys = [-1]
        let depth = 0
        while (depth >= 0) {
            if (left[depth] === 0) {
                left.pop()
                keys.pop()
                depth -= 1
                continue
            }
            const isKey = keys[depth] >= 0 && (left[depth] & 1) === 0
            left[depth] = left[depth] - 1
            this.next()
            const from = this.from
            const major = this.major
            if (isKey) {
                let last = keys[depth]
                let at = from
                this.work += this.at - from
                if (major > Major.Text || this.at - from > longestKey)
                    fail(Code.CborKey, from, "a number or short string", "another key")
                if (last > 0) {
                    while (at < this.at && data[last] === data[at]) {
                        ++at
                        ++last
                    }
                    if (at === this.at || data[last] > data[at]) fail(Code.CborKey, from, "keys in order", "another")
                }
                keys[depth] = from
            }
            if (major >= Major.List && major <= Major.Tag) {
                if (depth === deepest) fail(Code.CborDepth, from, "16 levels at most", "more")
                depth += 1
                left.push(major === Major.Tag ? 1 : this.argument * (major - 3))
                keys.push(major === Major.Map ? 0 : -1)
            }
        }
    }
}

/** Throws unless the octets from `at` to `end` are one item that `CborReader.skip` takes, and nothing else. */
export function checkCbor(data: Buffer, at: number, end: number): void {
    const reader = new CborReader(data, at, end)
    reader.skip()
    if (reader.at < end) fail(Code.CborTrailing, reader.at, "the end", end - reader.at + " more octets")
}

/** RFC 3629: no overlong forms, no surrogates, nothing above 10FFFF. */
function checkUtf8(data: Buffer, at: number, end: number): void {
    let count = 0
    while (at < end) {
        const first = data[at]
        ++at
        if (first >= 0x80) {
            let code = first
            // What follows the lead's own bits: the mark that one more octet is due, and the bits below it
            let due = 0x40
            while ((code & due) > 0 && at < end && data[at] >> 6 === 2 && due < 0x200000) {
                code = (code << 6) | (data[at] & 63)
                due <<= 5
                ++at
            }
            const scalar = code & (due - 1)
            if ((code & due) > 0 || first < 0xc2 || scalar < due >> 5 || scalar >> 11 === 27 || scalar > 0x10ffff)
                fail(Code.CborText, at, "UTF-8", "another octet")
        }
        ++count
        if ((count & 511) === 0) platform().yieldNow()
    }
}

/**
 * The head of an item in the fewest octets: major type and argument, 0 to 2^32 - 1. A string's content follows, a
 * list's items follow, and so on: what is to be hashed need not be joined first.
 */
export function cborHead(major: number, argument: number): Buffer {
    let size = argument < 24 ? 0 : argument < 256 ? 1 : argument < 65536 ? 2 : 4
    const head = Buffer.alloc(1 + size)
    head[0] = (major << 5) | (size > 0 ? 23 + size - (size >> 2) : argument)
    while (size > 0) {
        head[size] = argument & 0xff
        argument >>>= 8
        --size
    }
    return head
}
