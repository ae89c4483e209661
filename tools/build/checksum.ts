import { createHash } from "node:crypto"

/** Stands for the software checksum while an image is compiled; 32 octets nothing else has. */
export const checksumMark = createHash("sha256").update("place of the software checksum").digest("hex")

/**
 * Writes the software checksum into a fresh image, over the mark: SHA-256 of the image with 32 octets of zero
 * in the checksum's place. Anybody who holds the image can compute it again (`softwareChecksum`), and an image cannot
 * be changed without changing it. Answers where it stands.
 */
export function sealChecksum(bytecode: Uint8Array): number {
    const image = Buffer.from(bytecode.buffer, bytecode.byteOffset, bytecode.length)
    const mark = Buffer.from(checksumMark, "hex")
    const at = image.indexOf(mark)
    if (at < 0) throw new Error("the image does not use its software checksum")
    if (image.indexOf(mark, at + 1) >= 0) throw new Error("the mark of the software checksum stands in the image twice")
    image.set(softwareChecksum(bytecode, at), at)
    return at
}

/** The software checksum of an image whose checksum stands at octet `at`; 32 octets. */
export function softwareChecksum(bytecode: Uint8Array, at: number): Buffer {
    const blank = Buffer.from(bytecode)
    blank.fill(0, at, at + 32)
    return createHash("sha256").update(blank).digest()
}
