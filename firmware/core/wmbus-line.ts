import { Code, fail } from "./errors"
import { cut } from "./octets"

/** Six chips for each value of four bits, three of them ones (EN 13757-4 table 11, mode T). */
const threeOfSix = hex`16 0d 0e 0b 1c 19 1a 13 2c 25 26 23 34 31 32 29`

/**
 * The octets in chips of mode T, "3 out of 6" (EN 13757-4), as a receiver leaves them that does not decode: eight chips an octet, first one highest. They end before the
 * first code that is none, as the postamble is. `MbusFrame` where not even one octet comes.
 */
export function fromThreeOfSix(chips: Buffer): Buffer {
    return fromChips(chips, 6)
}

/** The same of mode S, Manchester: 10 is a zero, 01 a one. */
export function fromManchester(chips: Buffer): Buffer {
    return fromChips(chips, 8)
}

/** `width` chips give four bits. */
function fromChips(chips: Buffer, width: number): Buffer {
    const octets = Buffer.alloc(chips.length)
    let held = 0
    let bits = 0
    let nibbles = 0
    let value = 0
    for (let at = 0; at < chips.length && value >= 0; ++at) {
        held = ((held << 8) | chips[at]) & 0xffff
        bits += 8
        while (bits >= width && value >= 0) {
            bits -= width
            value = bitsOf((held >> bits) & ((1 << width) - 1), width)
            if (value < 0) continue
            octets[nibbles >> 1] = ((octets[nibbles >> 1] << 4) | value) & 0xff
            ++nibbles
        }
    }
    if (nibbles < 2) fail(Code.MbusFrame, 0, "chips of an octet", "none")
    return cut(octets, 0, nibbles >> 1)
}

/** Four bits of a code, -1 where it is none. */
function bitsOf(code: number, width: number): number {
    let value = 15
    if (width === 6) {
        while (value >= 0 && threeOfSix[value] !== code) --value
        return value
    }
    value = 0
    for (let shift = 6; shift >= 0 && value >= 0; shift -= 2) {
        const pair = (code >> shift) & 3
        value = pair === 1 ? 2 * value + 1 : pair === 2 ? 2 * value : -1
    }
    return value
}
