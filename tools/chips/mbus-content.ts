/** Identification of a meter with this number (at most 8 digits): maker PLO, version 1, electricity. */
export function meterIdentification(number: number): Uint8Array {
    const digits = String(number).padStart(8, "0")
    const octets = [6, 4, 2, 0].map(at => Number.parseInt(digits.slice(at, at + 2), 16))
    return Uint8Array.from([...octets, 0x8f, 0x41, 0x01, 0x02])
}

/** A telegram with long header (CI 72): energy in Wh, power, flow temperature, date, operating days; `more`: others follow. */
export function meterContent(secondary: Uint8Array, wattHours: number, more = false): Uint8Array {
    const u32 = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff]
    return Uint8Array.from([
        0x72,
        ...secondary,
        ...[wattHours & 0xff, 0, 0, 0],
        ...[0x04, 0x03, ...u32(wattHours)],
        ...[0x44, 0x03, ...u32(wattHours >> 1)],
        ...[0x84, 0x01, 0x03, ...u32(wattHours >> 2)],
        ...[0x02, 0x2b, 0x34, 0x12],
        ...[0x0d, 0xfd, 0x0c, 0x05, 0x35, 0x34, 0x33, 0x32, 0x31],
        ...[0x04, 0x6d, 0x1e, 0x0c, 0x77, 0x3b],
        ...[0x02, 0x75, 0x10, 0x00],
        ...(more ? [0x1f] : []),
    ])
}

/** Device types (EN 13757-7 table 13). */
export const gas = 3
export const coldWater = 7

/** Identification of a gas or water meter with this number: maker PLO, version 1. */
export function volumeIdentification(number: number, type: number): Uint8Array {
    const octets = meterIdentification(number)
    octets[7] = type
    return octets
}

/** A telegram with long header: volume in litres, the one of the last due date, date and time, flow; `padding` octets of the maker's own behind it. */
export function volumeContent(secondary: Uint8Array, litres: number, padding = 0): Uint8Array {
    const u32 = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff]
    return Uint8Array.from([
        0x72,
        ...secondary,
        ...[litres & 0xff, 0, 0, 0],
        ...[0x04, 0x13, ...u32(litres)],
        ...[0x44, 0x13, ...u32(litres >> 1)],
        ...[0x04, 0x6d, 0x1e, 0x0c, 0x77, 0x3b],
        ...[0x02, 0x3b, 0x34, 0x12],
        ...(padding > 0 ? [0x0f, ...Array.from({ length: padding }, (_, i) => i & 0xff)] : []),
    ])
}

/** A telegram that says it is encrypted (mode 5), with 16 octets that nobody can read. */
export function sealedContent(secondary: Uint8Array): Uint8Array {
    return Uint8Array.from([0x72, ...secondary, 0x01, 0x00, 0x10, 0x05, ...Array.from({ length: 16 }, (_, i) => 7 * i)])
}
