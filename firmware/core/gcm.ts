import { type Aead, checkTag } from "./aead"
import { addAesBlock, expandAesKey } from "./aes"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"

/**
 * AES-GCM (NIST SP 800-38D). Elements of the field are four words, big endian: the top bit of the first is the coefficient
 * of 1, so that multiplication by x is a shift to the right.
 */
export class AesGcm implements Aead {
    private readonly words: number[]
    /** The 16 multiples of the hash key by polynomials of degree below 4, one array for each word of an element. */
    private readonly multiples: number[][]

    /**
     * `key` 16 or 32 octets, expanded here (about 1 KB of heap). `tagLength` 4, 8 or 12 to 16 octets (clause 5.2.1.2); both else `BadArgument`.
     */
    constructor(
        key: Buffer,
        private readonly tagLength = 16,
    ) {
        if (tagLength !== 4 && tagLength !== 8 && !(tagLength >= 12 && tagLength <= 16))
            fail(Code.BadArgument, -1, "a tag of 4, 8 or 12 to 16 octets", tagLength + "")
        this.words = expandAesKey(key)
        const hashKey = Buffer.alloc(16)
        addAesBlock(this.words, 0, 0, 0, 0, hashKey, 0)
        this.multiples = multiplesOf(hashKey)
    }

    /** See `Aead`; `nonce` 1 octet or more, 12 in the ordinary case, else `BadArgument`. */
    seal(nonce: Buffer, aad: Buffer, octets: Buffer): Buffer {
        const counter = this.firstCounter(nonce)
        const length = octets.length
        const sealed = Buffer.alloc(length + this.tagLength)
        sealed.blitAt(0, octets, 0, length)
        this.addStream(counter, sealed, length)
        sealed.blitAt(length, this.tagOf(counter, aad, sealed, length), 0, this.tagLength)
        return sealed
    }

    /** See `Aead`; `nonce` as for `seal`. */
    open(nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer {
        const counter = this.firstCounter(nonce)
        const length = sealed.length - this.tagLength
        checkTag(this.tagOf(counter, aad, sealed, length), sealed, length)
        const octets = cut(sealed, 0, length)
        this.addStream(counter, octets, length)
        return octets
    }

    /** J0 of clause 7.1: three words little endian as the cipher takes them, and the count in its own order. */
    private firstCounter(nonce: Buffer): number[] {
        platform().yieldNow()
        if (nonce.length === 0) fail(Code.BadArgument, -1, "a nonce", "no octets")
        if (nonce.length === 12) return [nonce.getAt(0, "i32"), nonce.getAt(4, "i32"), nonce.getAt(8, "i32"), 1]
        const sum: number[] = [0, 0, 0, 0]
        this.hash(sum, nonce, nonce.length)
        this.hash(sum, lengths(0, nonce.length), 16)
        return [swapped(sum[0]), swapped(sum[1]), swapped(sum[2]), sum[3]]
    }

    /** Adds (XOR) the key stream from the block after `counter` (clause 6.5) to the first `length` of `octets`. */
    private addStream(counter: number[], octets: Buffer, length: number): void {
        const words = this.words
        const c0 = counter[0]
        const c1 = counter[1]
        const c2 = counter[2]
        let count = counter[3]
        for (let at = 0; at < length; at += 16) {
            count = (count + 1) | 0
            if (length - at >= 16) addAesBlock(words, c0, c1, c2, swapped(count), octets, at)
            else {
                const last = Buffer.alloc(16)
                last.blitAt(0, octets, at, length - at)
                addAesBlock(words, c0, c1, c2, swapped(count), last, 0)
                octets.blitAt(at, last, 0, length - at)
            }
            if ((at & 255) === 240) platform().yieldNow()
        }
    }

    /** The tag over `aad` and the first `length` of `octets`. */
    private tagOf(counter: number[], aad: Buffer, octets: Buffer, length: number): Buffer {
        const sum: number[] = [0, 0, 0, 0]
        this.hash(sum, aad, aad.length)
        this.hash(sum, octets, length)
        this.hash(sum, lengths(aad.length, length), 16)
        const tag = Buffer.alloc(16)
        for (let i = 0; i < 4; ++i) tag.setAt(4 * i, "i32", swapped(sum[i]))
        addAesBlock(this.words, counter[0], counter[1], counter[2], swapped(counter[3]), tag, 0)
        return cut(tag, 0, this.tagLength)
    }

    /**
     * GHASH (clause 6.4) goes on from `sum`, over the first `length` of `octets` filled up with zeros to blocks of 16. About 1,450 steps a
     * block: a product of 256 bits by a comb of four teeth, one nibble of each word a turn, then reduced at once.
     */
    // biome-ignore format: one word a line
    private hash(sum: number[], octets: Buffer, length: number): void {
        const t0 = this.multiples[0], t1 = this.multiples[1], t2 = this.multiples[2], t3 = this.multiples[3]
        let z0 = sum[0], z1 = sum[1], z2 = sum[2], z3 = sum[3]
        for (let from = 0; from < length; from += 16) {
            let block = octets
            let at = from
            if (length - from < 16) {
                block = Buffer.alloc(16)
                block.blitAt(0, octets, from, length - from)
                at = 0
            }
            const x0 = block.getAt(at, "i32")
            const x1 = block.getAt(at + 4, "i32")
            const x2 = block.getAt(at + 8, "i32")
            const x3 = block.getAt(at + 12, "i32")
            z0 = z0 ^ (x0 << 24) ^ ((x0 & 0xff00) << 8) ^ ((x0 >> 8) & 0xff00) ^ (x0 >>> 24)
            z1 = z1 ^ (x1 << 24) ^ ((x1 & 0xff00) << 8) ^ ((x1 >> 8) & 0xff00) ^ (x1 >>> 24)
            z2 = z2 ^ (x2 << 24) ^ ((x2 & 0xff00) << 8) ^ ((x2 >> 8) & 0xff00) ^ (x2 >>> 24)
            z3 = z3 ^ (x3 << 24) ^ ((x3 & 0xff00) << 8) ^ ((x3 >> 8) & 0xff00) ^ (x3 >>> 24)
            let c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0, c5 = 0, c6 = 0, c7 = 0
            for (let shift = 0; shift < 32; shift += 4) {
                const n0 = (z0 >> shift) & 15
                const n1 = (z1 >> shift) & 15
                const n2 = (z2 >> shift) & 15
                const n3 = (z3 >> shift) & 15
                c7 = (c7 >>> 4) ^ (c6 << 28)
                c6 = (c6 >>> 4) ^ (c5 << 28) ^ t3[n3]
                c5 = (c5 >>> 4) ^ (c4 << 28) ^ t3[n2] ^ t2[n3]
                c4 = (c4 >>> 4) ^ (c3 << 28) ^ t3[n1] ^ t2[n2] ^ t1[n3]
                c3 = (c3 >>> 4) ^ (c2 << 28) ^ t3[n0] ^ t2[n1] ^ t1[n2] ^ t0[n3]
                c2 = (c2 >>> 4) ^ (c1 << 28) ^ t2[n0] ^ t1[n1] ^ t0[n2]
                c1 = (c1 >>> 4) ^ (c0 << 28) ^ t1[n0] ^ t0[n1]
                c0 = (c0 >>> 4) ^ t0[n0]
            }
            c4 = c4 ^ (c7 << 31) ^ (c7 << 30) ^ (c7 << 25)
            z0 = c0 ^ c4 ^ (c4 >>> 1) ^ (c4 >>> 2) ^ (c4 >>> 7)
            z1 = c1 ^ c5 ^ (c5 >>> 1) ^ (c4 << 31) ^ (c5 >>> 2) ^ (c4 << 30) ^ (c5 >>> 7) ^ (c4 << 25)
            z2 = c2 ^ c6 ^ (c6 >>> 1) ^ (c5 << 31) ^ (c6 >>> 2) ^ (c5 << 30) ^ (c6 >>> 7) ^ (c5 << 25)
            z3 = c3 ^ c7 ^ (c7 >>> 1) ^ (c6 << 31) ^ (c7 >>> 2) ^ (c6 << 30) ^ (c7 >>> 7) ^ (c6 << 25)
            if ((from & 127) === 112) platform().yieldNow()
        }
        sum[0] = z0
        sum[1] = z1
        sum[2] = z2
        sum[3] = z3
    }
}

/** Both lengths (octets) in bits, as the last block of GHASH. */
function lengths(first: number, second: number): Buffer {
    const block = Buffer.alloc(16)
    block.setAt(4, "i32", swapped(8 * first))
    block.setAt(12, "i32", swapped(8 * second))
    return block
}

/** Entry 8 is the key itself, 4 times x, 2 times x^2, 1 times x^3; the others are their sums. */
function multiplesOf(hashKey: Buffer): number[][] {
    const multiples: number[][] = []
    for (let word = 0; word < 4; ++word) {
        const entries: number[] = []
        for (let i = 0; i < 16; ++i) entries.push(i === 8 ? swapped(hashKey.getAt(4 * word, "i32")) : 0)
        multiples.push(entries)
    }
    for (let i = 4; i > 0; i = i >> 1) {
        // The bit that leaves at the end comes back as 1 + x + x^2 + x^7.
        let carry = 0
        for (let word = 0; word < 4; ++word) {
            const from = multiples[word][2 * i]
            multiples[word][i] = (from >>> 1) ^ (carry << 31)
            carry = from & 1
        }
        multiples[0][i] = multiples[0][i] ^ (carry * -0x1f000000)
    }
    for (let i = 2; i < 16; i = i << 1)
        for (let k = 1; k < i; ++k)
            for (let word = 0; word < 4; ++word) multiples[word][i + k] = multiples[word][i] ^ multiples[word][k]
    return multiples
}

/** The four octets of a word in the other order. */
function swapped(x: number): number {
    return (x << 24) ^ ((x & 0xff00) << 8) ^ ((x >> 8) & 0xff00) ^ (x >>> 24)
}
