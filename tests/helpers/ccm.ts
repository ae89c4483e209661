import { createCipheriv } from "node:crypto"

/**
 * CCM as RFC 3610 and SP 800-38C write it down, on single blocks of AES: what a frame must be, without the code of anybody's CCM.
 * `tagSize` 4 to 16, nonce 7 to 13 octets.
 */
export function ccm(key: Buffer, nonce: Buffer, associated: Buffer, plain: Buffer, tagSize: number): Buffer {
    const block = (octets: Buffer): Buffer =>
        createCipheriv(`aes-${key.length * 8}-ecb`, key, null)
            .setAutoPadding(false)
            .update(octets)
    const q = 15 - nonce.length
    const numbered = (flags: number, count: number): Buffer => {
        const counter = Buffer.alloc(q)
        counter.writeUIntBE(count, q - Math.min(q, 6), Math.min(q, 6))
        return Buffer.concat([Buffer.of(flags), nonce, counter])
    }
    const padded = (octets: Buffer): Buffer => Buffer.concat([octets, Buffer.alloc((16 - (octets.length % 16)) % 16)])
    const flags = (associated.length > 0 ? 0x40 : 0) + (((tagSize - 2) / 2) << 3) + (q - 1)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(associated.length)
    const formatted = Buffer.concat([
        numbered(flags, plain.length),
        associated.length > 0 ? padded(Buffer.concat([length, associated])) : Buffer.alloc(0),
        padded(plain),
    ])
    let mac: Buffer = Buffer.alloc(16)
    for (let at = 0; at < formatted.length; at += 16)
        mac = block(Buffer.from(formatted.subarray(at, at + 16).map((octet, i) => octet ^ mac[i])))
    const stream = (count: number): Buffer => block(numbered(q - 1, count))
    const sealed = Buffer.from(plain)
    for (let at = 0; at < plain.length; at += 16) {
        const key16 = stream(1 + at / 16)
        for (let i = at; i < Math.min(at + 16, plain.length); ++i) sealed[i] ^= key16[i - at]
    }
    const first = stream(0)
    return Buffer.concat([sealed, mac.subarray(0, tagSize).map((octet, i) => octet ^ first[i])])
}
