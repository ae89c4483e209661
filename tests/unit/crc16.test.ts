import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CRC_BAD, CRC_KERMIT, CRC_X25, crc16, crcKind } from "../../firmware/core/crc16"
import { kermit } from "../helpers/sml-oracle"
import { crc } from "../helpers/tlv"

const check = Buffer.from("123456789")

describe("CRC-16", () => {
    it("gives the catalogue's check values: X.25 906E, Kermit 2189", () => {
        expect(crc16(check, 0, 9, 0xffff) ^ 0xffff).toBe(0x906e)
        expect(crc16(check, 0, 9, 0)).toBe(0x2189)
    })

    it("equals the bit-by-bit CRC for any octets, from any offset, of any length", () => {
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(7), (octets, from) => {
                const start = Math.min(from, octets.length)
                const part = octets.subarray(start)
                expect(crc16(Buffer.from(octets), start, octets.length, 0xffff) ^ 0xffff).toBe(crc(part))
                expect(crc16(Buffer.from(octets), start, octets.length, 0)).toBe(kermit(part))
            }),
        )
    })

    it("takes X.25 low octet first, Kermit high octet first and only when tolerant", () => {
        expect(crcKind(check, 0, 9, 0x6e90, false)).toBe(CRC_X25)
        expect(crcKind(check, 0, 9, 0x906e, true)).toBe(CRC_BAD)
        expect(crcKind(check, 0, 9, 0x2189, false)).toBe(CRC_BAD)
        expect(crcKind(check, 0, 9, 0x2189, true)).toBe(CRC_KERMIT)
    })
})
