import { addAesBlock, expandAesKey } from "./aes"
import { cut } from "./octets"
import { platform } from "./platform"

/**
 * AES-CMAC (RFC 4493, NIST SP 800-38B) of the octets, 16 octets; whoever needs fewer takes the first. `key` 16 or 32 octets, else
 * `BadArgument`. Yields every 256 octets.
 */
export function cmac(key: Buffer, octets: Buffer): Buffer {
    const words = expandAesKey(key)
    const length = octets.length
    // The last block begins here; an empty message has one, all padding.
    const last = length > 0 ? (length - 1) & -16 : 0
    const sum = Buffer.alloc(16)
    for (let at = 0; at < last; at += 16) {
        addBlock(sum, octets, at)
        encrypt(words, sum)
        if ((at & 255) === 240) platform().yieldNow()
    }
    const subkey = Buffer.alloc(16)
    encrypt(words, subkey)
    double(subkey)
    const block = Buffer.alloc(16)
    if (length > last) block.blitAt(0, octets, last, length - last)
    if (length - last < 16) {
        block[length - last] = 0x80
        double(subkey)
    }
    addBlock(sum, block, 0)
    addBlock(sum, subkey, 0)
    encrypt(words, sum)
    return sum
}

/**
 * AES-CTR (NIST SP 800-38A clause 6.5) with the counter in the last octet of `first`: at most 4 KB. Gives a copy of `octets` decrypted,
 * or encrypted, from `at` on.
 */
export function cryptCtr(key: Buffer, first: Buffer, octets: Buffer, at: number): Buffer {
    const words = expandAesKey(key)
    const block = cut(first, 0, 16)
    const crypted = cut(octets, 0, octets.length)
    for (let from = at; from < octets.length; from += 16) {
        const stream = cut(block, 0, 16)
        encrypt(words, stream)
        for (let i = from; i < octets.length && i < from + 16; ++i) crypted[i] = crypted[i] ^ stream[i - from]
        block[15] = (block[15] + 1) & 0xff
        platform().yieldNow()
    }
    return crypted
}

/** Encrypts the 16 octets in place. */
function encrypt(words: number[], block: Buffer): void {
    const a0 = block.getAt(0, "i32")
    const a1 = block.getAt(4, "i32")
    const a2 = block.getAt(8, "i32")
    const a3 = block.getAt(12, "i32")
    block.fillAt(0, 16, 0)
    addAesBlock(words, a0, a1, a2, a3, block, 0)
}

function addBlock(sum: Buffer, octets: Buffer, at: number): void {
    for (let i = 0; i < 16; ++i) sum[i] = sum[i] ^ octets[at + i]
}

/** Times x in the field of 2^128 elements. */
function double(element: Buffer): void {
    let carry = 0
    for (let i = 15; i >= 0; --i) {
        const shifted = (element[i] << 1) | carry
        element[i] = shifted & 0xff
        carry = shifted >> 8
    }
    element[15] = element[15] ^ (carry * 0x87)
}
