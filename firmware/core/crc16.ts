import { platform } from "./platform"

/**
 * The CRC-16 register (polynomial 1021, reflected 8408) after the octets `from` up to `to`, begun with `register`.
 * X.25 (ISO/IEC 13239): begin with FFFF, complement the result. Kermit: begin with 0000.
 *
 * Four octets a turn without a table: the quotient of w x^16 by P = x^16 + x^12 + x^5 + 1 is
 * w (1 + s4 + s11 + s16)^-1 where s is the shift, and over 32 bits that inverse is
 * (1 + s16) (1 + s8 + s22) (1 + s4 + s11 + s16), because squaring doubles every shift.
 */
export function crc16(octets: Buffer, from: number, to: number, register: number): number {
    let crc = register
    let at = from
    while (at + 4 <= to) {
        let q = octets.getAt(at, "i32") ^ crc
        q = q ^ (q << 16)
        q = q ^ (q << 8) ^ (q << 22)
        q = q ^ (q << 4) ^ (q << 11) ^ (q << 16)
        crc = (q ^ (q >>> 5) ^ (q >>> 12)) >>> 16
        at += 4
        if ((at & 0xffc) === 0) platform().yieldNow()
    }
    while (at < to) {
        let h = (crc ^ octets[at]) & 0xff
        h = (h ^ (h << 4)) & 0xff
        crc = (crc >> 8) ^ (h << 8) ^ (h << 3) ^ (h >> 4)
        ++at
    }
    return crc
}

/** No CRC of a known kind fits. */
export const CRC_BAD = 0
/** CRC-16/X.25, low octet first: the standard. */
export const CRC_X25 = 1
/** CRC-16/Kermit, high octet first: early Holley meters. Tolerant profile only. */
export const CRC_KERMIT = 2

/**
 * Which CRC fits the two octets `stored` (first octet times 256 plus the second) behind the octets `from` up to `to`:
 * `CRC_X25`, with `tolerant` also `CRC_KERMIT`, or `CRC_BAD`.
 */
export function crcKind(octets: Buffer, from: number, to: number, stored: number, tolerant: boolean): number {
    const crc = crc16(octets, from, to, 0xffff) ^ 0xffff
    if (((crc & 0xff) << 8) + (crc >> 8) === stored) return CRC_X25
    return tolerant && crc16(octets, from, to, 0) === stored ? CRC_KERMIT : CRC_BAD
}
