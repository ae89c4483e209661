import { createHash } from "node:crypto"

/** Octets of a block, and of the digest that announces one (firmware/core/slots.ts). */
export const blockOctets = 1024
const headOctets = 16
const slotOctets = 16_384

function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}

/** SHA-256 by which a package is announced, activated and confirmed. */
export function digestOf(file: Buffer): Buffer {
    return sha256(file)
}

/** The blocks in which a package travels, the last one shorter. Throws a `RangeError` for one that fits no slot. */
export function blocksOf(file: Buffer): Buffer[] {
    if (file.length === 0 || file.length > slotOctets)
        throw new RangeError(`the package has ${file.length} octets; a slot holds 1 to ${slotOctets}`)
    const blocks: Buffer[] = []
    for (let at = 0; at < file.length; at += blockOctets) blocks.push(file.subarray(at, at + blockOctets))
    return blocks
}

/** What announces a package: its length U32, its SHA-256, of each block the first 16 octets of its SHA-256. */
export function announcementOf(file: Buffer): Buffer {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(file.length)
    const heads = blocksOf(file).map(block => sha256(block).subarray(0, headOctets))
    return Buffer.concat([length, digestOf(file), ...heads])
}

/** What brings one block: its number U16, its octets. */
export function blockValue(index: number, block: Uint8Array): Buffer {
    return Buffer.concat([Buffer.of(index >> 8, index & 255), block])
}
