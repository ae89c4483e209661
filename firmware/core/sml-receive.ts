import { CRC_KERMIT } from "./crc16"
import { Code } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"
import { findEscape, judgeEnd, SML_FRAME } from "./sml-transport"

/**
 * Finds SML files in a stream of octets that arrive in pieces of any size. Whatever comes between, before or inside, the next
 * whole file is found: after each failure the search goes on at the second octet of what failed. Memory is one buffer of
 * `capacity` octets, the longest file read.
 *
 * `onFile(raw, crc, at)`: a file whose transport CRC holds, start to end as on the line, for `readFile`.
 * `onProblem(code, at)`: what was given up (`SmlTruncated`, `SmlEscape`, `SmlEnd`, `SmlFileCrc`, `SmlTooLong`,
 * `SmlVersion2`, `SmlTimeout`). `at` is the octet of the stream where the file or the trouble began.
 */
export class SmlReceiver {
    /** Octets of the stream before those in the buffer. */
    offset = 0
    /** Files told of. */
    files = 0
    /** Octets that are no part of a file told of. */
    junk = 0
    /** How often each problem occurred: number at `code - Code.SmlTruncated`. */
    problems = [0, 0, 0, 0, 0, 0, 0]
    buffer: Buffer
    fill = 0
    /** Where the search for the next escape goes on. */
    scan = 0
    /** Do the octets begin with the start of a file? */
    inside = false

    constructor(
        readonly capacity: number,
        readonly tolerant: boolean,
        readonly onFile: (raw: Buffer, crc: number, at: number) => void,
        readonly onProblem: (code: number, at: number) => void,
    ) {
        this.buffer = Buffer.alloc(capacity)
    }

    /** Takes the octets of the stream that follow. */
    feed(piece: Buffer): void {
        let from = 0
        while (from < piece.length) {
            const copied = Math.min(this.capacity - this.fill, piece.length - from)
            this.buffer.blitAt(this.fill, piece, from, copied)
            this.fill += copied
            from += copied
            platform().yieldNow()
            this.search()
        }
    }

    /** Nothing came for too long: a file begun is given up. The caller keeps the time. */
    timeout(): void {
        while (this.inside) {
            this.problem(Code.SmlTimeout)
            this.search()
        }
        this.drop(this.fill)
    }

    search(): void {
        while (this.inside ? this.seekEnd() : this.seekStart()) {}
    }

    /** Drops what lies before the next start; false when more octets are needed. */
    seekStart(): boolean {
        const octets = this.buffer
        let at = findEscape(octets, this.scan, this.fill)
        if (at < 0) {
            this.drop(-1 - at)
            return false
        }
        // Of a longer run the last four count.
        while (at + 4 < this.fill && octets[at + 4] === 0x1b) ++at
        if (at + SML_FRAME > this.fill) {
            this.drop(at)
            return false
        }
        const marker = octets.getAt(at + 4, "i32")
        this.scan = at + 4
        if (marker === 0x01010101) {
            this.drop(at)
            this.inside = true
            this.scan = SML_FRAME
        } else if (marker === 0x02020202) {
            this.drop(at)
            this.problem(Code.SmlVersion2)
        }
        return true
    }

    /** Goes on to the next escape in the file; false when more octets are needed. */
    seekEnd(): boolean {
        const octets = this.buffer
        const at = findEscape(octets, this.scan, this.fill)
        const length = at + SML_FRAME
        this.scan = at < 0 ? -1 - at : at
        if (at < 0 || length > this.fill) {
            if (this.fill < this.capacity) return false
            this.problem(Code.SmlTooLong)
            return true
        }
        const marker = octets.getAt(at + 4, "i32")
        if (marker === 0x1b1b1b1b) this.scan = length
        else if (marker === 0x01010101) {
            this.problem(Code.SmlTruncated)
            this.drop(at)
            this.inside = true
            this.scan = SML_FRAME
        } else if (octets[at + 4] !== 0x1a) this.problem(Code.SmlEscape)
        else {
            platform().yieldNow()
            const crc = judgeEnd(octets, length, this.tolerant)
            if (crc > CRC_KERMIT) this.problem(crc)
            else {
                const raw = cut(octets, 0, length)
                const start = this.offset
                ++this.files
                this.inside = false
                this.junk -= length
                this.drop(length)
                this.onFile(raw, crc, start)
            }
        }
        return true
    }

    problem(code: number): void {
        const which = code - Code.SmlTruncated
        this.problems[which] = this.problems[which] + 1
        platform().yieldNow()
        this.inside = false
        this.scan = 1
        this.onProblem(code, this.offset)
    }

    drop(count: number): void {
        this.buffer.blitAt(0, this.buffer, count, this.fill - count)
        this.fill -= count
        this.offset += count
        this.junk += count
        this.scan = 0
    }
}
