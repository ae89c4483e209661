import { CRC_BAD, CRC_KERMIT, crcKind } from "./crc16"
import { Code, fail } from "./errors"
import { platform } from "./platform"
import { CLOSE_REQ, OPEN_REQ, smlBodies, smlBodyAt, smlRowAt, smlRows } from "./sml-tables"
import { goodFill, judgeEnd, SML_FRAME, undouble } from "./sml-transport"
import { integerAt } from "./sml-values"

/**
 * What the tolerant profile let pass, as bits of `SmlMessage.flags` and `SmlFile.flags`. The strict profile refuses all of
 * them but `QUIRK_ORDER`, which both report; nothing with a flag is proof.
 */
/** CRC of the Kermit kind, high octet first (early Holley DTZ541). */
export const QUIRK_KERMIT = 1
/** Message CRC in one octet, because the other is 00 (Iskra). */
export const QUIRK_SHORT_CRC = 2
/** A time that is a bare unsigned instead of a choice: read as secIndex (Holley, Iskra LMN). */
export const QUIRK_BARE_TIME = 4
/** valList is an empty list. */
export const QUIRK_EMPTY_LIST = 8
/** A mandatory element is absent. */
export const QUIRK_ABSENT = 16
/** Fill octets other than 00, too many of them, or a file length not divisible by 4. */
export const QUIRK_FILL = 32
/** The file does not begin with Open or end with Close, or mixes requests with responses. */
export const QUIRK_ORDER = 64

/** Most messages read from one file: an answer to as many requests as are answered in one has no more. */
const MAX_MESSAGES = 40
/** Deepest nesting of lists inside a message body. */
const MAX_DEPTH = 16

/** One SML message whose structure and CRC hold; offsets point at type-length octets in `octets`. */
export class SmlMessage {
    constructor(
        /** The file, escapes made single. */
        readonly octets: Buffer,
        /** Offset of the message's first octet (76) and of the octet behind its last (00). */
        readonly start: number,
        readonly end: number,
        /** Which message: the tag of the body choice. */
        readonly tag: number,
        /** Offset of each element of the body, in the order of the standard; a body not in the tables has one. */
        readonly fields: number[],
        /** `QUIRK_` bits. */
        readonly flags: number,
    ) {}
}

/** The messages of one SML file. */
export class SmlFile {
    constructor(
        readonly octets: Buffer,
        readonly messages: SmlMessage[],
        /** `QUIRK_` bits of the file and of all its messages. */
        readonly flags: number,
        /** `CRC_X25` or `CRC_KERMIT`; the same for the file and all its messages. */
        readonly crc: number,
    ) {}
}

/** Checks elements against the tables. */
class Walker {
    flags = 0

    constructor(
        readonly octets: Buffer,
        readonly end: number,
        readonly tolerant: boolean,
        readonly crc: number,
    ) {}

    /**
     * Checks `count` elements from offset `start` on against `codes` from `code` on; the offset behind them. The offsets of these elements, not of what they hold, are added to `fields`.
     */
    walk(start: number, codes: Buffer, code: number, count: number, fields: number[]): number {
        const octets = this.octets
        const end = this.end
        // Three numbers a level: elements left, place in the codes, and whether it advances (structure) or stays (list).
        const stack: number[] = []
        let row = codes
        let depth = 0
        let at = start
        let place = code
        let left = count
        let step = 1
        let turns = 0
        while (true) {
            while (left === 0) {
                if (depth === 0) return at
                depth -= 3
                left = stack[depth]
                place = stack[depth + 1]
                step = stack[depth + 2]
                if (depth === 0) row = codes
            }
            --left
            if (depth === 0) fields.push(at)
            const type = row[place]
            place += step
            let head = octets[at]
            let next = at + 1
            if (head === 1 && type > 0x7f)
                if (at < end) {
                    at = next
                    continue
                }
            if ((++turns & 0x1ff) === 0) platform().yieldNow()
            const kind = head & 0x70
            const want = type & 0x70
            let length = head & 15
            let wrong = 0
            // Four type-length octets at most: a fifth makes the length negative, as does a wrong one.
            while (head & 0x80) {
                head = octets[next]
                ++next
                length = length * 16 + (head & 15)
                if (head & 0x70) head = -1
                if (next > at + 4) head = -1
                if (head < 0) {
                    head = 0
                    length = -65536
                }
            }
            if (kind !== 0x70) length -= next - at
            if (length < 0) wrong = Code.SmlLength
            if (next + length > end) wrong = Code.SmlLength
            if (wrong !== 0) fail(wrong, at, "octets of an element", "" + length)
            if (kind === 0x70) {
                let k = type & 15
                stack[depth] = left
                stack[depth + 1] = place
                stack[depth + 2] = step
                depth += 3
                row = smlRows
                left = length
                step = 0
                if (want === 0x20) {
                    place = smlRowAt[k] - 1
                    if (length === 0) {
                        if (type === 0x20 && this.tolerant) this.flags |= QUIRK_EMPTY_LIST
                        else wrong = Code.SmlCount
                    }
                } else if (want === 0x10) {
                    place = smlRowAt[k] + 1
                    step = 1
                    if (length !== smlRows[place - 1]) wrong = Code.SmlCount
                } else if (want === 0x30 || type === 0x70) {
                    if (type === 0x70) k = 10
                    place = smlRowAt[k] + octets[next + 1]
                    left = 1
                    if (length !== 2) wrong = Code.SmlCount
                    else if (octets[next] !== 0x62 || octets[next + 1] === 0 || octets[next + 1] > smlRows[smlRowAt[k]])
                        wrong = Code.SmlTag
                    next += 2
                } else if (type === 0x7f) place = smlRowAt[14] - 1
                else wrong = Code.SmlType
                if (depth > 3 * MAX_DEPTH) wrong = Code.SmlNesting
            } else {
                let width = type & 15
                if (want === 0x70) width = kind === 0 ? 0 : 8
                else if (kind !== want) {
                    if (this.tolerant && want === 0x30 && width === 8 && kind === 0x60) {
                        this.flags |= QUIRK_BARE_TIME
                        width = 4
                    } else if (this.tolerant && want > 0x20 && head === 1 && length === 0) this.flags |= QUIRK_ABSENT
                    else wrong = Code.SmlType
                }
                if (kind === 0) {
                    if (want === 0 && width > 0 && length !== width) wrong = Code.SmlWidth
                } else if (kind < 0x40) wrong = Code.SmlType
                else if (wrong === 0 && (next !== at + 1 || length === 0 || length > (kind === 0x40 ? 1 : width)))
                    wrong = Code.SmlWidth
                next += length
            }
            if (wrong !== 0)
                fail(wrong, at, "SML element " + Buffer.from([type]).toString("hex"), "octet " + octets[at])
            at = next
        }
    }

    /** The message whose first octet is at `start`. */
    message(start: number): SmlMessage {
        const octets = this.octets
        const envelope = smlRowAt[15] + 1
        const ignored: number[] = []
        const fields: number[] = []
        this.flags = 0
        platform().yieldNow()
        this.list(start, 6)
        let at = this.walk(start + 1, smlRows, envelope, 3, ignored)
        this.list(at, 2)
        const choice = at + 1
        at = this.walk(choice, smlRows, envelope + 3, 1, ignored)
        const tag = integerAt(octets, choice)
        const body = smlBodyAt(tag)
        if (body < 0) at = this.walk(at, smlRows, smlRowAt[14] - 1, 1, fields)
        else {
            const count = smlBodies[body]
            this.list(at, count)
            at = this.walk(at + 1, smlBodies, body + 1, count, fields)
        }
        const end = this.walk(at, smlRows, envelope + 4, 1, ignored)
        if (octets[at] === 0x62) {
            if (!this.tolerant) fail(Code.SmlWidth, at, "CRC in two octets", "one")
            this.flags |= QUIRK_SHORT_CRC
        }
        if (crcKind(octets, start, at, integerAt(octets, at), this.crc === CRC_KERMIT) !== this.crc)
            fail(Code.SmlMessageCrc, at, "CRC of the file's kind", "another")
        if (end >= this.end || octets[end] !== 0) fail(Code.SmlMessageEnd, end, "00", "" + octets[end])
        if (this.crc === CRC_KERMIT) this.flags |= QUIRK_KERMIT
        return new SmlMessage(octets, start, end + 1, tag, fields, this.flags)
    }

    list(at: number, count: number): void {
        if (at >= this.end || this.octets[at] !== 0x70 + count)
            fail(Code.SmlCount, at, "list of " + count, "octet " + this.octets[at])
    }
}

/**
 * Reads one SML file as it stood on the line (start to end, transport version 1). Strict unless `tolerant`: then the quirks
 * named above pass and set a flag. `crc` is the kind of the file's CRC if a receiver has already judged it, else `CRC_BAD`.
 * Throws `PlombError` with the offset; no message is given unless the file's and all messages' CRCs hold.
 */
export function readFile(raw: Buffer, tolerant: boolean, crc: number): SmlFile {
    const octets = undouble(raw)
    const kind = crc !== CRC_BAD ? crc : judgeEnd(raw, raw.length, tolerant)
    if (kind > CRC_KERMIT) fail(kind, raw.length - SML_FRAME, "a whole SML file", "another end")
    let flags = goodFill(raw, raw.length) ? 0 : QUIRK_FILL
    const end = octets.length - SML_FRAME - octets[octets.length - 3]
    const walker = new Walker(octets, end, tolerant, kind)
    const messages: SmlMessage[] = []
    let at = SML_FRAME
    while (at < end) {
        if (tolerant && octets[at] === 0) {
            flags |= QUIRK_FILL
            ++at
        } else {
            if (messages.length === MAX_MESSAGES) fail(Code.SmlTooManyMessages, at, MAX_MESSAGES + " at most", "more")
            const message = walker.message(at)
            messages.push(message)
            flags |= message.flags
            at = message.end
        }
    }
    const count = messages.length
    if (count === 0) fail(Code.SmlCount, at, "a message", "none")
    // Requests have even tags, responses odd ones; Open is 0100 and 0101, Close 0200 and 0201.
    const first = messages[0].tag
    let mixed = (first ^ OPEN_REQ) >> 1
    mixed |= (messages[count - 1].tag ^ CLOSE_REQ) >> 1
    for (let i = 1; i < count; ++i) mixed |= (messages[i].tag ^ first) & 1
    if (mixed !== 0) flags |= QUIRK_ORDER
    return new SmlFile(octets, messages, flags, kind)
}
