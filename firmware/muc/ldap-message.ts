import { DerReader } from "../core/der"
import { element } from "../core/der-write"
import { Code, fail, PlombError } from "../core/errors"
import { cut, uintBE } from "../core/octets"

/**
 * The few messages of LDAPv3 (RFC 4511) that read entries of a directory: anonymous bind, search of one object, unbind. What we
 * write is DER; what we read is BER as RFC 4511 5.1 restricts it (definite lengths, in as many octets as the sender likes).
 */

/** Tags of protocolOp (RFC 4511 4.2 to 4.13). */
export const BIND_RESPONSE = 0x61
export const SEARCH_ENTRY = 0x64
export const SEARCH_DONE = 0x65
export const SEARCH_REFERENCE = 0x73
export const EXTENDED_RESPONSE = 0x78

/** Result codes (RFC 4511 appendix A). */
export const SUCCESS = 0
export const REFERRAL = 10
export const NO_SUCH_OBJECT = 32

/** Seconds the directory may take for a search. */
const timeLimit = 30

function message(id: number, op: Buffer): Buffer {
    return element(0x30, [integer(id), op])
}

function integer(value: number): Buffer {
    return element(0x02, [Buffer.from(value < 128 ? [value] : [value >> 8, value & 0xff])])
}

function text(value: string): Buffer {
    return element(0x04, [Buffer.from(value)])
}

/** BindRequest (4.2): version 3, anonymous. `id` 1 to 32767, as everywhere here. */
export function bindRequest(id: number): Buffer {
    return message(id, element(0x60, [integer(3), text(""), element(0x80, [])]))
}

/** SearchRequest (4.5.1) for one attribute of the entry `dn` itself: no aliases, any object class. */
export function readRequest(id: number, dn: string, attribute: string): Buffer {
    const zero = element(0x0a, [hex`00`])
    return message(
        id,
        element(0x63, [
            text(dn),
            zero,
            zero,
            integer(2),
            integer(timeLimit),
            hex`010100`,
            element(0x87, [Buffer.from("objectClass")]),
            element(0x30, [text(attribute)]),
        ]),
    )
}

/** UnbindRequest (4.3): the last message; it has no answer. */
export function unbindRequest(id: number): Buffer {
    return message(id, hex`4200`)
}

/**
 * Octets of the whole message that begins with the first `held` octets of `octets`, or 0 where too few are there to tell. Throws
 * `LdapForm` where they can not begin one, `LdapTooLarge` above `most`.
 */
export function messageLength(octets: Buffer, held: number, most: number): number {
    if (held > 0 && octets[0] !== 0x30) fail(Code.LdapForm, 0, "an LDAPMessage", "tag " + octets[0])
    if (held < 2) return 0
    let length = octets[1]
    const count = length - 0x80
    if (count >= 0) {
        if (count < 1 || count > 4) fail(Code.LdapForm, 1, "a definite length", "" + length)
        if (held < 2 + count) return 0
        length = uintBE(octets, 2, count) + count
    }
    if (2 + length > most) fail(Code.LdapTooLarge, 1, most + " octets", "" + (2 + length))
    return 2 + length
}

/** Most attributes, and most values, of one entry. */
const mostValues = 16

/** A message of the directory. */
export class LdapMessage {
    id = 0
    /** Tag of the operation. */
    op = 0
    /** Of a response with LDAPResult; -1 for others. */
    resultCode = -1
    /** Of a SearchResultEntry: the values of its attributes, whatever these are called. */
    values: Buffer[] = []
}

/**
 * Reads one whole message. Throws `LdapForm`; `LdapControl` for any response control, since none was asked for. What an
 * extended response, a reference or an operation we do not know contains is passed over.
 */
export function readMessage(octets: Buffer): LdapMessage {
    const message = new LdapMessage()
    const ber = new DerReader(octets, 0, octets.length)
    ber.anyLength = true
    try {
        ber.enter(0x30)
        if (ber.end < octets.length) fail(Code.LdapForm, ber.end, "the end", "more octets")
        message.id = number(ber, 0x02)
        const outer = ber.enter(-1)
        message.op = octets[ber.from]
        if (message.op === SEARCH_ENTRY) readEntry(ber, message.values)
        // RFC 4511 4.1.9: LDAPResult, behind which may stand what belongs to the operation
        else if (message.op !== SEARCH_REFERENCE) message.resultCode = number(ber, 0x0a)
        ber.at = ber.end
        ber.end = outer
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        fail(Code.LdapForm, e.at, e.expected, e.came)
    }
    // RFC 4511 4.1.11: controls
    if (ber.more()) fail(Code.LdapControl, ber.at, "no control", "tag " + octets[ber.at])
    return message
}

/** INTEGER or ENUMERATED of at most 6 octets, unsigned: no number here is negative. */
function number(ber: DerReader, tag: number): number {
    ber.read(tag)
    return uintBE(ber.data, ber.start, ber.stop - ber.start)
}

/** SearchResultEntry (RFC 4511 4.5.2). */
function readEntry(ber: DerReader, values: Buffer[]): void {
    ber.read(0x04)
    ber.enter(0x30)
    let attributes = 0
    while (ber.more()) {
        if (++attributes > mostValues) fail(Code.LdapForm, ber.at, "at most " + mostValues + " attributes", "more")
        const list = ber.enter(0x30)
        ber.read(0x04)
        const attribute = ber.enter(0x31)
        while (ber.more()) {
            ber.read(0x04)
            if (values.length === mostValues) fail(Code.LdapForm, ber.from, "at most " + mostValues + " values", "more")
            values.push(cut(ber.data, ber.start, ber.stop - ber.start))
        }
        ber.leave(attribute)
        ber.leave(list)
    }
}
