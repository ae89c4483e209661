import { Code, fail } from "./errors"
import { IEC_UNCHECKED, type IecMessage, readIec } from "./iec62056"
import { platform } from "./platform"

/** CRC-16/ARC (polynomial 8005 reflected, begun with 0) of the octets `from` up to `to`. */
export function p1Crc(octets: Buffer, from: number, to: number): number {
    let crc = 0
    for (let at = from; at < to; ++at) {
        crc ^= octets[at]
        for (let bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) * 0xa001)
        if ((at & 255) === 255) platform().yieldNow()
    }
    return crc
}

/** A P1 telegram and its CRC; -1 = it has none (DSMR before 4, and other pushes of IEC 62056-21 mode D). */
export class P1Telegram {
    constructor(
        readonly message: IecMessage,
        readonly crc: number,
    ) {}
}

/**
 * Reads a P1 telegram (DSMR P1 companion standard clause 5.2.6; also e-MUCS and the Nordic forms): `/` to `!` and four hex digits, of which one meter leaves
 * out the leading zeros. With `check` the CRC must hold where there is one: `P1Crc`. `IecForm`.
 */
export function readP1(octets: Buffer, check: boolean): P1Telegram {
    const message = readIec(octets, IEC_UNCHECKED)
    if (message.framed || message.markAt < 0) fail(Code.IecForm, message.at, "a telegram up to !", "none")
    let start = 0
    while (start < message.markAt && octets[start] !== 0x2f) ++start
    let came = -1
    let at = message.markAt + 1
    while (at < octets.length && octets[at] > 32) {
        const c = octets[at] | 32
        const digit = c < 0x3a ? octets[at] - 0x30 : c - 0x57
        if (digit < 0 || digit > 15 || (c >= 0x3a && digit < 10) || came > 0xfff)
            fail(Code.IecForm, at, "at most four hex digits", octets[at] + "")
        came = (came < 0 ? 0 : came * 16) + digit
        ++at
    }
    if (check && came >= 0) {
        const crc = p1Crc(octets, start, message.markAt + 1)
        if (crc !== came) fail(Code.P1Crc, message.markAt + 1, crc + "", came + "")
    }
    return new P1Telegram(message, came)
}
