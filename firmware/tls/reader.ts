import { Code } from "../core/errors"
import { cut } from "../core/octets"
import { platform } from "../core/platform"
import { refuse } from "./alerts"

/**
 * Reads the presentation language of TLS (RFC 8446 clause 3) out of one handshake message: a cursor over octets that stay
 * where they are. What does not fit its frame is `TlsDecode`.
 */
export class TlsReader {
    /** Next octet, and the end of the vector entered last. */
    at = 4
    end: number

    /** Reads what follows the header of `message`. */
    constructor(readonly message: Buffer) {
        this.end = message.length
    }

    more(): boolean {
        return this.at < this.end
    }

    private need(length: number): void {
        if (this.at + length > this.end) refuse(Code.TlsDecode, length + " octets")
    }

    /** Unsigned number of `octets` octets. */
    number(octets: number): number {
        this.need(octets)
        let value = 0
        while (octets-- > 0) value = value * 256 + this.message[this.at++]
        return value
    }

    /** A copy of the next `length` octets. */
    take(length: number): Buffer {
        this.need(length)
        this.at += length
        return cut(this.message, this.at - length, length)
    }

    /** Steps into a vector whose length has `octets` octets; at least `least` octets must be in it. The answer is for `leave`. */
    enter(octets: number, least: number): number {
        const length = this.number(octets)
        this.need(length)
        if (length < least) refuse(Code.TlsDecode, least + " octets")
        const outer = this.end
        this.end = this.at + length
        return outer
    }

    /** Steps out of a vector that must be used up. */
    leave(outer: number): void {
        if (this.more()) refuse(Code.TlsDecode, "the end")
        this.end = outer
    }

    /** A copy of a vector's content. */
    vector(octets: number, least: number): Buffer {
        const outer = this.enter(octets, least)
        const content = this.take(this.end - this.at)
        this.end = outer
        return content
    }

    /** Reads a vector of one or more numbers U16; is `value` among them? */
    lists(octets: number, value: number): boolean {
        const outer = this.enter(octets, 2)
        let found = false
        while (this.more()) {
            if (this.number(2) === value) found = true
            if ((this.at & 0x3fe) < 2) platform().yieldNow()
        }
        this.leave(outer)
        return found
    }
}

/** Most extensions of one message. */
const mostExtensions = 64

/** Walks a list of extensions (RFC 8446 4.2), each value in turn; the reader then stands inside it. */
export class Extensions {
    type = -1
    /** Where the list ends. */
    readonly listEnd: number
    private readonly outer: number
    private readonly seen: number[] = []

    constructor(readonly reader: TlsReader) {
        this.outer = reader.enter(2, 0)
        this.listEnd = reader.end
    }

    /** Leaves the value read last, which must be used up, and steps into the next; at the end of the list it leaves that too. */
    next(): boolean {
        const reader = this.reader
        const seen = this.seen
        if (seen.length > 0) reader.leave(this.listEnd)
        if (!reader.more()) {
            reader.end = this.outer
            return false
        }
        this.type = reader.number(2)
        // RFC 8446 4.2: no extension twice
        if (seen.includes(this.type) || seen.length >= mostExtensions) refuse(Code.TlsIllegal, "each extension once")
        seen.push(this.type)
        reader.enter(2, 0)
        return true
    }

    /** Passes over the value. */
    pass(): void {
        this.reader.at = this.reader.end
    }
}

/** Extensions that we know, and so notice out of their place. */
const known = hex`00 01 0a 0d 1c 29 2a 2b 2c 2d 33`

export function isKnown(type: number): boolean {
    for (let i = 0; i < known.length; ++i) if (known[i] === type) return true
    return false
}

/** Refuses an extension that has no place in this message (RFC 8446 4.2). */
export function misplaced(type: number): never {
    refuse(isKnown(type) ? Code.TlsIllegal : Code.TlsUnsupportedExtension, "extensions of this message")
}
