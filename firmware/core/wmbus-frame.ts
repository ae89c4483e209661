import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"

/** What each value of the register's top four bits adds when they are shifted out; 16 words, little endian. */
const crcSteps = hex`
    0000 653d ca7a af47 94f5 f1c8 5e8f 3bb2
    4dd6 28eb 87ac e291 d923 bc1e 1359 7664`

/** CRC-16/EN-13757 (EN 13757-4 clause 12.5.2: polynomial 3D65, most significant bit first, complemented) of the octets `from` up to `to`. */
export function crcEn13757(octets: Buffer, from: number, to: number): number {
    let crc = 0
    for (let at = from; at < to; ++at) {
        crc = crc ^ (octets[at] << 8)
        crc = ((crc << 4) & 0xfff0) ^ crcSteps.getAt((crc >> 11) & 30, "u16")
        crc = ((crc << 4) & 0xfff0) ^ crcSteps.getAt((crc >> 11) & 30, "u16")
    }
    return crc ^ 0xffff
}

/** Frame formats of EN 13757-4; none: a radio module that takes the CRCs out. */
export const WMBUS_PLAIN = 0
export const WMBUS_A = 1
export const WMBUS_B = 2

/** Octets of a whole frame whose L field is `length`. */
export function wmbusFrameLength(length: number, format: number): number {
    // Format A counts no CRC: one stands behind the first 10 octets, then one behind each 16 begun.
    return length + 1 + (format === WMBUS_A ? 2 + 2 * ((length + 6) >> 4) : 0)
}

/**
 * The telegram in a frame of this format, from the L field (which then counts no CRC) on, without CRCs. `MbusFrame` where the length
 * does not fit, `MbusChecksum` for a CRC that does not hold.
 */
export function wmbusUnframe(frame: Buffer, format: number): Buffer {
    const length = frame.length > 0 ? frame[0] : 0
    if (length < 9 || wmbusFrameLength(length, format) !== frame.length)
        fail(Code.MbusFrame, 0, "as many octets as the L field says", frame.length + "")
    if (format === WMBUS_PLAIN) return cut(frame, 0, frame.length)
    const telegram = Buffer.alloc(frame.length)
    let at = 0
    let used = 0
    while (at < frame.length) {
        const most = format === WMBUS_B ? 126 : at === 0 ? 10 : 16
        const count = Math.min(most, frame.length - at - 2)
        if (count < 1) fail(Code.MbusFrame, at, "a block with its CRC", frame.length - at + " octets")
        const crc = crcEn13757(frame, at, at + count)
        const came = (frame[at + count] << 8) | frame[at + count + 1]
        if (crc !== came) fail(Code.MbusChecksum, at + count, crc + "", came + "")
        telegram.blitAt(used, frame, at, count)
        used += count
        at += count + 2
    }
    telegram[0] = used - 1
    return cut(telegram, 0, used)
}

/** Puts together wireless frames of one format from what a radio module sends, in any cut; the telegrams come without CRCs. */
export class WmbusReceiver {
    private readonly held = Buffer.alloc(291)
    private length = 0
    /** Octets that were part of no frame. */
    junk = 0

    constructor(
        private readonly format: number,
        private readonly onTelegram: (telegram: Buffer) => void,
    ) {}

    feed(octets: Buffer): void {
        for (let i = 0; i < octets.length; ++i) {
            this.held[this.length] = octets[i]
            ++this.length
            this.search()
        }
    }

    /** Nothing came for longer than a telegram may pause. */
    timeout(): void {
        this.junk += this.length
        this.length = 0
    }

    private search(): void {
        while (this.length > 0) {
            const length = wmbusFrameLength(this.held[0], this.format)
            // Nothing shorter holds an address and a CI field.
            const possible = this.held[0] >= 10
            if (possible && this.length < length) return
            let used = 1
            platform().yieldNow()
            if (possible) {
                const telegram = this.telegramOf(length)
                if (telegram !== undefined) {
                    used = length
                    this.onTelegram(telegram)
                }
            }
            if (used === 1) ++this.junk
            // To a lower place: right also where the two overlap.
            this.held.blitAt(0, this.held, used, this.length - used)
            this.length -= used
        }
    }

    private telegramOf(length: number): Buffer | undefined {
        try {
            return wmbusUnframe(cut(this.held, 0, length), this.format)
        } catch {
            return undefined
        }
    }
}
