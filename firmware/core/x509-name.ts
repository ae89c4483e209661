import { DerReader } from "./der"
import { Code, fail } from "./errors"
import { cut, sameOctets } from "./octets"
import { platform } from "./platform"

/** Tags of DirectoryString (RFC 5280 4.1.2.4) and IA5String, a bit each. */
const textTags = (1 << 0x0c) | (1 << 0x13) | (1 << 0x14) | (1 << 0x16) | (1 << 0x1c) | (1 << 0x1e)

/** Passes over a Name and answers where it stands; every RDN has an attribute, every value is text. */
export function readName(der: DerReader): number {
    const outer = der.enter(0x30)
    const at = der.from
    while (der.more()) {
        const names = der.enter(0x31)
        // RFC 5280 4.1.2.4: RelativeDistinguishedName is a SET of one or more
        for (;;) {
            const set = der.enter(0x30)
            der.oid()
            der.read(-1)
            const tag = der.data[der.from]
            if (tag > 31 || !((1 << tag) & textTags)) fail(Code.X509Name, der.from, "text", "tag " + tag)
            der.leave(set)
            if (!der.more()) break
        }
        der.leave(names)
    }
    der.leave(outer)
    return at
}

/** True for a Name without any attribute. */
export function emptyName(data: Buffer, at: number): boolean {
    return data[at + 1] === 0
}

/**
 * Compares two Names that `readName` has passed (RFC 5280 7.1): PrintableString and UTF8String without
 * regard to ASCII case and to the number of blanks, all else octet by octet.
 */
export function sameName(a: Buffer, aAt: number, b: Buffer, bAt: number): boolean {
    const x = new DerReader(a, aAt, a.length)
    const y = new DerReader(b, bAt, b.length)
    x.enter(0x30)
    y.enter(0x30)
    while (x.more() && y.more()) {
        const xNames = x.enter(0x31)
        const yNames = y.enter(0x31)
        while (x.more() && y.more()) {
            const xSet = x.enter(0x30)
            const ySet = y.enter(0x30)
            x.read(6)
            y.read(6)
            if (!sameOctets(content(x), content(y))) return false
            x.read(-1)
            y.read(-1)
            if (!sameOctets(folded(x), folded(y))) return false
            x.end = xSet
            y.end = ySet
        }
        if (x.more() || y.more()) return false
        x.end = xNames
        y.end = yNames
    }
    return !x.more() && !y.more()
}

function content(der: DerReader): Buffer {
    return cut(der.data, der.start, der.stop - der.start)
}

/** The text read last in lower case, blanks squeezed; other types with their tag, as they are. */
function folded(der: DerReader): Buffer {
    const tag = der.data[der.from]
    if (tag !== 0x0c && tag !== 0x13) return cut(der.data, der.from, der.stop - der.from)
    const text = Buffer.alloc(der.stop - der.start)
    let length = 0
    let blank = false
    for (let i = der.start; i < der.stop; ++i) {
        if ((i & 511) === 0) platform().yieldNow()
        const c = der.data[i]
        if (c === 32) blank = length > 0
        else {
            if (blank) text[length++] = 32
            blank = false
            text[length++] = c >= 65 && c <= 90 ? c + 32 : c
        }
    }
    return cut(text, 0, length)
}

/**
 * Text of the first attribute 2.5.4.`arc` of a Name (RFC 5280 appendix A: 3 common name, 5 serial
 * number), "" if there is none. For UTF8String and PrintableString.
 */
export function nameText(data: Buffer, at: number, arc: number): string {
    const der = new DerReader(data, at, data.length)
    der.enter(0x30)
    while (der.more()) {
        const names = der.enter(0x31)
        while (der.more()) {
            const set = der.enter(0x30)
            der.read(6)
            const wanted = der.stop - der.start === 3 && der.data[der.start] === 0x55 && der.data[der.start + 1] === 4
            const found = wanted && der.data[der.start + 2] === arc
            der.read(-1)
            if (found) return content(der).toString("utf8")
            der.end = set
        }
        der.end = names
    }
    return ""
}
