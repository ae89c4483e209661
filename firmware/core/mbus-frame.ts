import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"

/** The single character E5 (EN 13757-2 clause 5.6.2): "received". */
export const MBUS_ACK = 0xe5

/** A short frame (EN 13757-2): 10 C A checksum 16. */
export function mbusShortFrame(control: number, address: number): Buffer {
    return Buffer.from([0x10, control, address, (control + address) & 0xff, 0x16])
}

/** A long frame, or a control frame where `content` (from the CI field on, at most 253 octets) is the CI field alone. */
export function mbusLongFrame(control: number, address: number, content: Buffer): Buffer {
    const length = content.length + 2
    if (length < 3 || length > 255) fail(Code.BadArgument, -1, "1 to 253 octets", content.length + "")
    const frame = Buffer.alloc(length + 6)
    frame[0] = 0x68
    frame[1] = length
    frame[2] = length
    frame[3] = 0x68
    frame[4] = control
    frame[5] = address
    frame.blitAt(6, content, 0, content.length)
    frame[length + 4] = sumOf(frame, 4, length + 4)
    frame[length + 5] = 0x16
    return frame
}

/**
 * How long the wired frame at `at` is that begins with the octets up to `end`: 0 = more octets are needed to say; `MbusFrame` where no frame
 * begins like this.
 */
export function mbusFrameLength(octets: Buffer, at: number, end: number): number {
    if (at >= end) return 0
    const start = octets[at]
    if (start === MBUS_ACK) return 1
    if (start === 0x10) return 5
    if (start !== 0x68) fail(Code.MbusFrame, at, "E5, 10 or 68", start + "")
    if (end - at < 4) return 0
    const length = octets[at + 1]
    if (octets[at + 2] !== length || octets[at + 3] !== 0x68 || length < 3)
        fail(Code.MbusFrame, at + 1, "a length of 3 or more twice, and 68", "something else")
    return length + 6
}

/** Throws unless `octets` are exactly one wired frame: `MbusFrame`, `MbusChecksum`. */
export function checkMbusFrame(octets: Buffer): void {
    const length = mbusFrameLength(octets, 0, octets.length)
    if (length === 0 || length !== octets.length)
        fail(Code.MbusFrame, octets.length, "a frame of " + length + " octets", octets.length + "")
    if (length === 1) return
    if (octets[length - 1] !== 0x16) fail(Code.MbusFrame, length - 1, "22 at the end", octets[length - 1] + "")
    const from = length === 5 ? 1 : 4
    if (sumOf(octets, from, length - 2) !== octets[length - 2])
        fail(Code.MbusChecksum, length - 2, sumOf(octets, from, length - 2) + "", octets[length - 2] + "")
}

function sumOf(octets: Buffer, from: number, to: number): number {
    let sum = 0
    for (let i = from; i < to; ++i) sum += octets[i]
    return sum & 0xff
}

/**
 * Finds wired frames in octets that come in any cut, with noise between. After a frame that does not hold, the search goes on one octet
 * behind its beginning, so that nothing whole is lost.
 */
export class MbusReceiver {
    private readonly held = Buffer.alloc(261)
    private length = 0
    /** Octets that were part of no frame. */
    junk = 0

    constructor(private readonly onFrame: (frame: Buffer) => void) {}

    feed(octets: Buffer): void {
        let from = 0
        while (from < octets.length) {
            const count = Math.min(octets.length - from, this.held.length - this.length)
            this.held.blitAt(this.length, octets, from, count)
            this.length += count
            from += count
            this.search(false)
        }
    }

    /** Nothing came for longer than a frame may pause: what is held will not become whole. */
    timeout(): void {
        this.search(true)
    }

    private search(final: boolean): void {
        let at = 0
        while (at < this.length) {
            platform().yieldNow()
            const length = this.lengthAt(at)
            if (!final && length >= 0 && (length === 0 || length > this.length - at)) break
            if (length > 0 && length <= this.length - at && this.holds(cut(this.held, at, length))) at += length
            else {
                ++at
                ++this.junk
            }
        }
        // Moves to a lower place: right also where the two overlap.
        if (at > 0) this.held.blitAt(0, this.held, at, this.length - at)
        this.length -= at
    }

    /** As `mbusFrameLength`; -1 where no frame begins. */
    private lengthAt(at: number): number {
        try {
            return mbusFrameLength(this.held, at, this.length)
        } catch {
            return -1
        }
    }

    private holds(frame: Buffer): boolean {
        try {
            checkMbusFrame(frame)
        } catch {
            return false
        }
        this.onFrame(frame)
        return true
    }
}
