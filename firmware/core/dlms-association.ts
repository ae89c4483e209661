import { Code, fail } from "./errors"
import { cut, join, uintBE } from "./octets"

/** Authentication mechanisms (IEC 62056-5-3 clause 9.2.2.2.2): none, password, GMAC. */
export const MECHANISM_NONE = 0
export const MECHANISM_LOW = 1
export const MECHANISM_GMAC = 5

export const AARQ = 0x60
export const AARE = 0x61

/** Object identifiers of DLMS, joint-iso-ccitt 16 756 5 8 without their last two numbers: 1 = context (1 names, 3 names with ciphering), 2 = mechanism. */
const identifier = hex`60 85 74 05 08`

/** What an AARQ asks for or an AARE grants. */
export class DlmsAssociation {
    /** `AARQ` or `AARE`. */
    tag = 0
    /** Application context: 1 = logical names, 3 = with ciphering, 2 and 4 = short names. */
    context = 0
    /** Of an AARE: 0 accepted, 1 rejected for good, 2 for now; and why. */
    result = -1
    diagnostic = -1
    mechanism = 0
    /** System title of the one who sends it, its password or challenge. */
    title: Buffer = Buffer.alloc(0)
    value: Buffer = Buffer.alloc(0)
    /** Initiate request or response, as it may be ciphered. */
    user: Buffer = Buffer.alloc(0)
}

/** Reads an AARQ or AARE (clause 9.4.2) from `at` to `end`; elements that are not known are passed over. `DlmsTag`, `DlmsForm`. */
export function readAssociation(octets: Buffer, at: number, end: number): DlmsAssociation {
    const association = new DlmsAssociation()
    association.tag = octets[at]
    if (octets[at] !== AARQ && octets[at] !== AARE) fail(Code.DlmsTag, at, "AARQ or AARE", octets[at] + "")
    let next = elementEnd(octets, at, end)
    if (next !== end) fail(Code.DlmsForm, next, "the end", end - next + " octets")
    at = contentAt(octets, at)
    const asks = association.tag === AARQ
    while (at < end) {
        next = elementEnd(octets, at, end)
        const tag = octets[at]
        const content = contentAt(octets, at)
        const inner = content + (tag === 0xa3 ? 2 : 0)
        if (tag === 0xa1) association.context = lastOf(octets, content, next, 0x06)
        else if (!asks && tag === 0xa2) association.result = lastOf(octets, content, next, 0x02)
        else if (!asks && tag === 0xa3) association.diagnostic = lastOf(octets, inner, next, 0x02)
        else if (tag === (asks ? 0xa6 : 0xa4)) association.title = innerOf(octets, content, next)
        else if (tag === (asks ? 0x8b : 0x89)) association.mechanism = next - content === 7 ? octets[next - 1] : -1
        else if (tag === (asks ? 0xac : 0xaa)) association.value = innerOf(octets, content, next)
        else if (tag === 0xbe) association.user = innerOf(octets, content, next)
        at = next
    }
    return association
}

/** Where the content of the element at `at` begins. */
function contentAt(octets: Buffer, at: number): number {
    return at + 2 + (octets[at + 1] > 0x80 ? octets[at + 1] - 0x80 : 0)
}

function elementEnd(octets: Buffer, at: number, end: number): number {
    const first = at + 1 < end ? octets[at + 1] : 255
    const more = first > 0x80 ? first - 0x80 : 0
    if (more > 2 || at + 2 + more > end) fail(Code.DlmsForm, at, "a length", first + "")
    const stop = at + 2 + more + (more > 0 ? uintBE(octets, at + 2, more) : first)
    if (stop > end) fail(Code.DlmsForm, at, "an element within its container", stop - end + " octets more")
    return stop
}

/** Content of the one element within. */
function innerOf(octets: Buffer, at: number, end: number): Buffer {
    const stop = elementEnd(octets, at, end)
    const from = contentAt(octets, at)
    return cut(octets, from, stop - from)
}

/** Last octet of an element of this tag. */
function lastOf(octets: Buffer, at: number, end: number, tag: number): number {
    if (at + 3 > end || octets[at] !== tag || elementEnd(octets, at, end) !== end)
        fail(Code.DlmsForm, Math.min(at, octets.length), "one element " + tag, "something else")
    return octets[end - 1]
}

function element(tag: number, parts: Buffer[]): Buffer {
    const content = join(parts)
    const size = content.length
    const head = size < 128 ? [tag, size] : [tag, 0x81, size]
    return join([Buffer.from(head), content])
}

const named = (kind: number, which: number) => join([identifier, Buffer.from([kind, which])])

/** The octets of an AARQ or AARE with these fields, at most 255 within; a mechanism other than none comes with its value. */
export function writeAssociation(association: DlmsAssociation): Buffer {
    const asks = association.tag === AARQ
    const parts = [element(0xa1, [element(0x06, [named(1, association.context)])])]
    if (!asks) {
        parts.push(element(0xa2, [element(0x02, [Buffer.from([association.result])])]))
        parts.push(element(0xa3, [element(0xa1, [element(0x02, [Buffer.from([association.diagnostic])])])]))
    }
    if (association.title.length > 0) parts.push(element(asks ? 0xa6 : 0xa4, [element(0x04, [association.title])]))
    if (association.mechanism > 0) {
        parts.push(asks ? hex`8a 02 07 80` : hex`88 02 07 80`)
        parts.push(element(asks ? 0x8b : 0x89, [named(2, association.mechanism)]))
        if (association.value.length > 0) parts.push(element(asks ? 0xac : 0xaa, [element(0x80, [association.value])]))
    }
    if (association.user.length > 0) parts.push(element(0xbe, [element(0x04, [association.user])]))
    return element(association.tag, parts)
}

/** What both sides can do: bits of `conformance` (24 bits) and the octets of the longest APDU. */
export class DlmsInitiate {
    constructor(
        readonly version: number,
        readonly conformance: number,
        readonly maxPduSize: number,
    ) {}
}

/** Reads an initiate request or response (clause 9.4.6.1.1). `DlmsTag`, `DlmsForm`. */
export function readInitiate(octets: Buffer): DlmsInitiate {
    const tag = octets.length > 0 ? octets[0] : 255
    if (tag !== 1 && tag !== 8) fail(Code.DlmsTag, 0, "an initiate request or response", tag + "")
    // Request: dedicated key, response allowed, quality of service, each with a mark whether it is there.
    let at = 1
    for (let i = tag === 1 ? 0 : 2; i < 3 && at < octets.length; ++i) {
        const there = octets[at] !== 0
        ++at
        if (there) at += i === 0 ? octets[at] + 1 : 1
    }
    const version = octets[at]
    at += octets[at + 2] === 0x1f ? 3 : 2
    // Length 4 with the number of unused bits, then 24 bits and the size.
    if (at + 7 > octets.length || octets[at] !== 4)
        fail(Code.DlmsForm, Math.min(at, octets.length), "conformance", "none")
    return new DlmsInitiate(version, uintBE(octets, at + 2, 3), uintBE(octets, at + 5, 2))
}

/** An initiate request, or the response (for logical names). */
export function writeInitiate(initiate: DlmsInitiate, response: boolean): Buffer {
    const bits = initiate.conformance
    const size = initiate.maxPduSize
    return join([
        response ? hex`08 00` : hex`01 00 00 00`,
        Buffer.from([initiate.version]),
        hex`5f 1f 04 00`,
        Buffer.from([bits >> 16, (bits >> 8) & 0xff, bits & 0xff, size >> 8, size & 0xff]),
        response ? hex`00 07` : Buffer.alloc(0),
    ])
}
