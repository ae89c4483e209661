import { CRC_BAD, crc16, crcKind } from "./crc16"
import { Code, fail } from "./errors"

/** SML transport protocol version 1: start, payload with doubled escapes, fill octets, end with CRC. */

/** Octets of the start, and of the end: escape and marker. */
export const SML_FRAME = 8

const SAME_1B = 0x1b1b1b1b
const SAME_01 = 0x01010101

/**
 * Where the first run of four 1B lies that begins at `from` or later and ends before `to`; or -1 - n where the search
 * goes on from n once more octets are there. A run of four covers one of any four octets in a row, so three in four are skipped.
 */
export function findEscape(octets: Buffer, from: number, to: number): number {
    let first = from
    let at = from + 3
    while (at < to) {
        if (octets[at] !== 0x1b) {
            first = at + 1
            at += 4
        } else {
            let start = at
            while (start > first && octets[start - 1] === 0x1b) --start
            let end = at + 1
            while (end < to && end < start + 4 && octets[end] === 0x1b) ++end
            if (end === start + 4) return start
            if (end === to) return -1 - start
            first = end + 1
            at = end + 4
        }
    }
    return -1 - first
}

/**
 * Judges the end of the file of `length` octets at the beginning of `octets`: the kind of its CRC (`CRC_X25`, `CRC_KERMIT`),
 * or the `Code` of what is wrong. Strict: one to three fill octets as stated, all 00, and a length divisible by 4.
 */
export function judgeEnd(octets: Buffer, length: number, tolerant: boolean): number {
    const fill = octets[length - 3]
    if (octets[length - 4] !== 0x1a || fill > 3 || length < 2 * SML_FRAME + fill) return Code.SmlEnd
    const crc = crcKind(octets, 0, length - 2, octets[length - 2] * 256 + octets[length - 1], tolerant)
    if (crc === CRC_BAD) return Code.SmlFileCrc
    return tolerant || goodFill(octets, length) ? crc : Code.SmlEnd
}

/** Are length and fill octets of the file as the transport protocol wants them? */
export function goodFill(octets: Buffer, length: number): boolean {
    if ((length & 3) !== 0) return false
    for (let i = 0; i < octets[length - 3]; ++i) if (octets[length - SML_FRAME - 1 - i] !== 0) return false
    return true
}

/**
 * One whole SML file with its doubled escapes made single; the same buffer if there are none. Checks start, escapes and
 * that the end is at the end, not the CRC. Offsets stay those of the file up to the first doubled escape.
 */
export function undouble(file: Buffer): Buffer {
    const length = file.length
    if (length < 2 * SML_FRAME || file.getAt(0, "i32") !== SAME_1B || file.getAt(4, "i32") !== SAME_01)
        fail(Code.SmlEscape, 0, "start of an SML file", length + " octets")
    // Counted first, so that one copy is made and no more: files may have a good part of a heap.
    let doubled = 0
    let at = SML_FRAME
    while (true) {
        at = findEscape(file, at, length)
        if (at === length - SML_FRAME) break
        if (at < 0) fail(Code.SmlEnd, length, "the end of an SML file", "none")
        if (file.getAt(at + 4, "i32") !== SAME_1B) fail(Code.SmlEscape, at, "doubled escape", "another")
        ++doubled
        at += SML_FRAME
    }
    if (doubled === 0) return file
    const single = Buffer.alloc(length - 4 * doubled)
    let from = 0
    let done = 0
    at = SML_FRAME
    while (doubled > 0) {
        at = findEscape(file, at, length) + 4
        single.blitAt(done, file, from, at - from)
        done += at - from
        at += 4
        from = at
        --doubled
    }
    single.blitAt(done, file, from, length - from)
    return single
}

/** An SML file in transport version 1: start, the messages with every run of four 1B doubled, fill, end with CRC. */
export function writeFile(messages: Buffer[]): Buffer {
    let length = 0
    let escapes = 0
    for (let i = 0; i < messages.length; ++i) {
        length += messages[i].length
        escapes = countEscapes(messages[i]) + escapes
    }
    const fill = -length & 3
    const file = Buffer.alloc(length + 4 * escapes + fill + 2 * SML_FRAME)
    file.setAt(0, "i32", SAME_1B)
    file.setAt(4, "i32", SAME_01)
    let at = SML_FRAME
    for (let i = 0; i < messages.length; ++i) {
        const message = messages[i]
        let from = 0
        while (from < message.length) {
            const run = findEscape(message, from, message.length)
            const next = run < 0 ? message.length : run + 4
            file.blitAt(at, message, from, next - from)
            at += next - from
            if (run >= 0) {
                file.setAt(at, "i32", SAME_1B)
                at += 4
            }
            from = next
        }
    }
    at += fill
    file.setAt(at, "i32", SAME_1B)
    file[at + 4] = 0x1a
    file[at + 5] = fill
    file.setAt(at + 6, "u16", crc16(file, 0, at + 6, 0xffff) ^ 0xffff)
    return file
}

/** How many runs of four 1B, none sharing an octet, the message holds; each message ends with 00, so none spans two. */
function countEscapes(message: Buffer): number {
    let count = 0
    let at = findEscape(message, 0, message.length)
    while (at >= 0) {
        ++count
        at = findEscape(message, at + 4, message.length)
    }
    return count
}
