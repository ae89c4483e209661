import { Code, fail } from "./errors"
import { platform } from "./platform"

/** Elements read since other fibers had their turn: what a stranger sends may have thousands. */
let readInARow = 0

/**
 * Strict DER (X.690) over octets that stay where they are: one cursor walks the original buffer and
 * no element costs an allocation. Every refusal carries the octet offset.
 *
 * @devsWhenUsed
 */
export class DerReader {
    /** BER's lengths in more octets than needed are taken too (LDAP). */
    anyLength = false
    /** Header, first content octet, and end of the element read last. */
    from = 0
    start = 0
    stop = 0

    /** Reads `data` from offset `at` up to `end`. */
    constructor(
        readonly data: Buffer,
        public at: number,
        public end: number,
    ) {
        if (!(at >= 0 && at <= end && end <= data.length)) fail(Code.BadArgument, at, "a span", "end " + end)
    }

    /** True while octets are left in the element entered last. */
    more(): boolean {
        return this.at < this.end
    }

    /** True where the next element has this tag. */
    sees(tag: number): boolean {
        return this.at < this.end && this.data[this.at] === tag
    }

    /** Passes over one element of this tag (-1: any); `from`, `start` and `stop` tell where it is. */
    read(tag: number): void {
        if (++readInARow > 150) {
            readInARow = 0
            platform().yieldNow()
        }
        const data = this.data
        const end = this.end
        let at = this.at
        if (at + 2 > end) fail(Code.DerTruncated, at, "tag " + tag, "the end")
        const came = data[at]
        // X.690 8.1.2.4: tag numbers above 30 occur in nothing read here
        if (tag < 0 ? (came & 31) === 31 : came !== tag) fail(Code.DerTag, at, "tag " + tag, "tag " + came)
        let length = data[at + 1]
        at += 2
        if (length >= 0x80) {
            const count = length - 0x80
            if (at + count > end) fail(Code.DerTruncated, at, "a length", "the end")
            length = 0
            for (let i = 0; i < count && i < 4; ++i) length = length * 256 + data[at + i]
            // X.690 10.1: definite form, fewest octets
            if (count < 1 || count > 4 || (!this.anyLength && (count > 3 || length < 0x80 || data[at] === 0)))
                fail(Code.DerLength, at - 1, "a DER length", "another form")
            at += count
        }
        if (at + length > end) fail(Code.DerTruncated, at, length + " octets", end - at + " left")
        this.from = this.at
        this.start = at
        this.stop = at + length
        this.at = this.stop
    }

    /** Passes over a SEQUENCE of one or more elements of this tag (-1: any). */
    list(tag: number): void {
        const outer = this.enter(0x30)
        this.read(tag)
        while (this.more()) this.read(tag)
        this.leave(outer)
    }

    /** Steps into the next element, which must have this tag; the answer is for `leave`. */
    enter(tag: number): number {
        const outer = this.end
        this.read(tag)
        this.at = this.start
        this.end = this.stop
        return outer
    }

    /** Steps out of an element that must be used up. */
    leave(outer: number): void {
        if (this.at !== this.end) fail(Code.DerTrailing, this.at, "the end", this.end - this.at + " more octets")
        this.end = outer
    }

    /** BOOLEAN that is TRUE, or absent for FALSE (X.690 11.1, 11.5). */
    flag(): boolean {
        if (!this.sees(1)) return false
        this.read(1)
        if (this.stop - this.start !== 1 || this.data[this.start] !== 0xff)
            fail(Code.DerValue, this.start, "TRUE", "another Boolean")
        return true
    }

    /** INTEGER in the fewest octets (X.690 8.3.2), not negative. */
    natural(): void {
        this.read(2)
        const first = this.start < this.stop ? this.data[this.start] : 0xff
        if (first >= 0x80 || (first === 0 && this.stop - this.start > 1 && this.data[this.start + 1] < 0x80))
            fail(Code.DerValue, this.start, "a natural number in DER", "octet " + first)
    }

    /** INTEGER 0 to 127. */
    small(): number {
        this.natural()
        if (this.stop - this.start !== 1) fail(Code.DerValue, this.start, "at most 127", "more")
        return this.data[this.start]
    }

    /** BIT STRING (X.690 11.2); number of unused bits. `start` is moved to the first octet of bits. */
    bits(): number {
        this.read(3)
        const unused = this.start < this.stop ? this.data[this.start] : 8
        this.start++
        if (unused > 7 || (unused > 0 && this.start >= this.stop) || this.data[this.stop - 1] & ((1 << unused) - 1))
            fail(Code.DerValue, this.start - 1, "a DER bit string", unused + " unused bits")
        return unused
    }

    /** OBJECT IDENTIFIER whose arcs are whole and in the fewest octets (X.690 8.19.2). */
    oid(): void {
        this.read(6)
        const data = this.data
        let first = true
        for (let i = this.start; i < this.stop; ++i) {
            if (first && data[i] === 0x80) fail(Code.DerValue, i, "an object identifier", "a padded arc")
            first = data[i] < 0x80
        }
        if (!first || this.start >= this.stop) fail(Code.DerValue, this.start, "an object identifier", "a broken arc")
    }

    /** True where the content of the element read last is exactly `octets`. */
    is(octets: Buffer): boolean {
        return this.stop - this.start === octets.length && sameAt(this.data, this.start, octets, 0, octets.length)
    }
}

/** Compares `length` octets of two buffers; both spans must lie inside. */
export function sameAt(a: Buffer, aAt: number, b: Buffer, bAt: number, length: number): boolean {
    for (let i = 0; i < length; ++i) if (a[aAt + i] !== b[bAt + i]) return false
    return true
}

/**
 * ECDSA-Sig-Value (RFC 3279 2.2.3) in `der` to r|s, 64 octets. The integers must be DER: positive, no
 * needless leading zero, at most 256 bits; their range is the verifier's business.
 */
export function ecdsaFromDer(der: DerReader): Buffer {
    const signature = Buffer.alloc(64)
    const outer = der.enter(0x30)
    for (let at = 32; at <= 64; at += 32) {
        der.natural()
        const zero = der.data[der.start] === 0 ? 1 : 0
        const length = der.stop - der.start - zero
        if (length > 32) fail(Code.DerValue, der.start, "at most 256 bits", length + " octets")
        signature.blitAt(at - length, der.data, der.start + zero, length)
    }
    der.leave(outer)
    return signature
}
