import { type DerReader, sameAt } from "./der"
import { Code, fail } from "./errors"

/** Most extensions of one object. */
const mostExtensions = 24

/** `Extensions.id` of the private extensions 1.3.6.1.3.20556.1 (a party's role) and .2 (its HSS public key). */
export const roleExtension = 256
export const hssExtension = 257

/** Walks a list of Extension (RFC 5280 4.2), each value in turn; the reader then stands inside it. */
export class Extensions {
    /** Last arc under 2.5.29, `roleExtension`, `hssExtension`, or -1 for one that is not known. */
    id = -1
    critical = false
    private readonly seen: number[] = []
    private readonly outer: number
    private readonly listEnd: number

    /** `der` stands before the list, which has at least one extension. */
    constructor(readonly der: DerReader) {
        this.outer = der.enter(0x30)
        this.listEnd = der.end
        if (!der.more()) fail(Code.DerTruncated, der.at, "an extension", "the end")
    }

    /** Leaves the value read last, which must be used up, and steps into the next; false at the end of the list. */
    next(): boolean {
        const der = this.der
        const seen = this.seen
        if (seen.length > 0) der.leave(this.listEnd)
        if (!der.more()) {
            der.leave(this.outer)
            return false
        }
        der.enter(0x30)
        const end = der.end
        der.oid()
        const data = der.data
        const at = der.start
        const length = der.stop - at
        // RFC 5280 4.2: no extension twice
        for (let i = 0; i < seen.length; ++i)
            if (sameAt(data, at - 1, data, seen[i] - 1, length + 1)) fail(Code.X509Repeated, at, "it once", "it twice")
        seen.push(at)
        if (seen.length > mostExtensions) fail(Code.X509Extension, at, "at most " + mostExtensions, "more")
        this.id = -1
        if (length === 3 && data[at] === 0x55 && data[at + 1] === 0x1d) this.id = data[at + 2]
        else if (length === 8 && sameAt(data, at, hex`2b06010381a04c`, 0, 7)) this.id = 255 + data[at + 7]
        this.critical = der.flag()
        der.enter(0x04)
        if (der.end !== end) fail(Code.DerTrailing, der.end, "the end", "more")
        return true
    }

    /** Passes over a value that nobody here interprets; refuses it where it is critical. */
    pass(): void {
        // RFC 5280 4.2: a critical extension that is not recognised rejects the whole
        if (this.critical) fail(Code.X509Critical, this.der.at, "a known critical extension", "another")
        this.der.at = this.der.end
    }

    /** Refuses the extension where its criticality is not what the profile of RFC 5280 says it must be. */
    must(critical: boolean): void {
        if (this.critical !== critical)
            fail(Code.X509Extension, this.der.at, critical ? "critical" : "not critical", "the contrary")
    }
}
