/**
 * A second, tiny SML writer for tests: written apart from the firmware's and from the verifier's reader,
 * so that a shared mistake shows.
 */

function head(type: number, length: number, counted: boolean): Buffer {
    let count = 1
    while ((counted ? length + count : length) >= 16 ** count) ++count
    const value = counted ? length + count : length
    return Buffer.from(
        Array.from({ length: count }, (_, i) => {
            const nibble = Math.trunc(value / 16 ** (count - 1 - i)) % 16
            return (i < count - 1 ? 0x80 : 0) | (i === 0 ? type << 4 : 0) | nibble
        }),
    )
}

export const absent = Buffer.from([1])

export function octets(value: Uint8Array | string): Buffer {
    const content = typeof value === "string" ? Buffer.from(value, "hex") : Buffer.from(value)
    return Buffer.concat([head(0, content.length, true), content])
}

export function unsigned(width: number, value: number | bigint): Buffer {
    return Buffer.concat([
        head(6, width, true),
        Buffer.from(
            BigInt(value)
                .toString(16)
                .padStart(2 * width, "0"),
            "hex",
        ),
    ])
}

export function signed(width: number, value: number | bigint): Buffer {
    const digits = BigInt.asUintN(8 * width, BigInt(value))
        .toString(16)
        .padStart(2 * width, "0")
    return Buffer.concat([head(5, width, true), Buffer.from(digits, "hex")])
}

export function list(...items: Buffer[]): Buffer {
    return Buffer.concat([head(7, items.length, false), ...items])
}

/** CRC-16/X.25, bit by bit. */
export function crc(data: Uint8Array): number {
    let value = 0xffff
    for (const octet of data)
        for (let bit = 0; bit < 8; ++bit) {
            const carry = (value ^ (octet >> bit)) & 1
            value = (value >> 1) ^ (carry ? 0x8408 : 0)
        }
    return value ^ 0xffff
}

function crcOctets(data: Uint8Array): Buffer {
    const value = crc(data)
    return Buffer.from([value & 255, value >> 8])
}

export function message(transactionId: string, tag: number, body: Buffer): Buffer {
    const fields = [octets(transactionId), unsigned(1, 0), unsigned(1, 0), list(unsigned(2, tag), body)]
    const covered = Buffer.concat([Buffer.from([0x76]), ...fields])
    return Buffer.concat([covered, Buffer.from([0x63]), crcOctets(covered), Buffer.from([0])])
}

/** Messages in a transport frame of version 1. */
export function file(...messages: Buffer[]): Buffer {
    const escaped: number[] = []
    let run = 0
    for (const octet of Buffer.concat(messages)) {
        escaped.push(octet)
        run = octet === 0x1b ? run + 1 : 0
        if (run === 4) {
            escaped.push(0x1b, 0x1b, 0x1b, 0x1b)
            run = 0
        }
    }
    const fill = (4 - (escaped.length % 4)) % 4
    const covered = Buffer.concat([
        Buffer.from("1b1b1b1b01010101", "hex"),
        Buffer.from(escaped),
        Buffer.alloc(fill),
        Buffer.from("1b1b1b1b1a", "hex"),
        Buffer.from([fill]),
    ])
    return Buffer.concat([covered, crcOctets(covered)])
}

/** Messages and a Close of tag `tag` with the signature that `sign` makes of all octets before it. */
export function signedFile(messages: Buffer[], tag: number, sign: (covered: Buffer) => Buffer): Buffer {
    const open = [octets("03"), unsigned(1, 0), unsigned(1, 0)]
    const before = Buffer.concat([
        Buffer.from([0x76]),
        ...open,
        Buffer.from("72", "hex"),
        unsigned(2, tag),
        Buffer.from([0x71]),
    ])
    return file(...messages, message("03", tag, list(octets(sign(Buffer.concat([...messages, before]))))))
}

/** The same file after a change inside: message and transport checksums made right again. */
export function withChecksums(sml: Buffer, messageStarts: [start: number, crcAt: number][]): Buffer {
    const copy = Buffer.from(sml)
    for (const [start, crcAt] of messageStarts) crcOctets(copy.subarray(start, crcAt - 1)).copy(copy, crcAt)
    crcOctets(copy.subarray(0, copy.length - 2)).copy(copy, copy.length - 2)
    return copy
}
