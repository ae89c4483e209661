import { crc16 } from "./crc16"
import { Code, fail } from "./errors"
import { cut, join } from "./octets"

/**
 * Frames on a transparent PLC modem, which carries octets and nothing else: it loses some, makes some up and knows no
 * beginning. So a frame is consistent overhead byte stuffing (Cheshire and Baker 1999) between two octets 00: whatever the
 * noise does, the next 00 begins anew, and it costs one octet. A length at the front, once damaged, would take the
 * next frames with it or need a timer. CRC-16/X.25 behind the body tells a disturbed line from a wrong key.
 */

/** Key's number, then the nonce of 13 octets. */
export const headerSize = 14
/** Octets by which a sealed payload is longer. */
export const tagSize = 8
/** Longest payload. A frame is one block of the stuffing; longer ones would also be lost more often. */
export const longestPayload = 128

const crcSize = 2
const shortestBody = headerSize + tagSize
/** Longest stuffed frame without its two delimiters. */
export const longestStuffed = shortestBody + longestPayload + crcSize + 1

/** The octets to send for `body` (header and sealed payload). */
export function frameOf(body: Buffer): Buffer {
    const check = Buffer.alloc(crcSize)
    check.setAt(0, "u16", crc16(body, 0, body.length, 0xffff) ^ 0xffff)
    const plain = join([body, check])
    const length = plain.length
    const frame = Buffer.alloc(length + 3)
    // Below 254 octets there is one chain only: each 00 becomes the distance to the next one.
    let mark = 1
    for (let i = 0; i < length; ++i) {
        if (plain[i] === 0) {
            frame[mark] = i + 2 - mark
            mark = i + 2
        } else frame[i + 2] = plain[i]
    }
    frame[mark] = length + 2 - mark
    return frame
}

/** The body of what stood between two delimiters: `PlcDamaged`, `PlcForm`. */
export function bodyOf(stuffed: Buffer): Buffer {
    const length = stuffed.length
    if (length > longestStuffed) fail(Code.PlcForm, -1, "at most " + longestStuffed + " octets", "" + length)
    if (length < crcSize + 2) fail(Code.PlcDamaged, 0, "a frame", length + " octets")
    const plain = cut(stuffed, 1, length - 1)
    let mark = 0
    while (mark < length) {
        const distance = stuffed[mark]
        if (distance === 0 || mark + distance > length) fail(Code.PlcDamaged, mark, "a distance", "" + distance)
        mark += distance
        if (mark < length) plain[mark - 1] = 0
    }
    const end = length - 1 - crcSize
    const crc = crc16(plain, 0, end, 0xffff) ^ 0xffff
    const came = plain.getAt(end, "u16")
    if (came !== crc) fail(Code.PlcDamaged, end, "CRC " + crc, "" + came)
    if (end < shortestBody) fail(Code.PlcForm, end, "at least " + shortestBody + " octets", "" + end)
    return cut(plain, 0, end)
}

/** Cuts what comes out of the modem at its delimiters, in any pieces, in bounded memory. */
export class PlcReceiver {
    private readonly held: Buffer
    private length: number

    constructor() {
        // One octet more than a frame may have, so that a longer one is seen.
        this.held = Buffer.alloc(longestStuffed + 1)
        this.length = 0
    }

    /** Takes `octets`; answers what stood between delimiters, not yet checked. Empty stretches are not told. */
    take(octets: Buffer): Buffer[] {
        const found: Buffer[] = []
        for (let i = 0; i < octets.length; ++i) {
            const octet = octets[i]
            if (octet === 0) {
                if (this.length > 0) found.push(cut(this.held, 0, this.length))
                this.length = 0
            } else if (this.length <= longestStuffed) this.held[this.length++] = octet
        }
        return found
    }
}
