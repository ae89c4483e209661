import { type Aead, checkTag } from "./aead"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"

/** AEAD_CHACHA20_POLY1305 (RFC 8439 clause 2.8) for one key of 32 octets, which is kept by reference. Tags are 16 octets. */
export class ChaCha20Poly1305 implements Aead {
    constructor(private readonly key: Buffer) {
        if (key.length !== 32) fail(Code.BadArgument, -1, "a key of 32 octets", key.length + "")
    }

    /** See `Aead`; `nonce` 12 octets, else `BadArgument`. */
    seal(nonce: Buffer, aad: Buffer, octets: Buffer): Buffer {
        const state = initialState(this.key, nonce)
        const tagKey = Buffer.alloc(64)
        addBlock(state, tagKey, 0)
        const sealed = Buffer.alloc(octets.length + 16)
        sealed.blitAt(0, octets, 0, octets.length)
        addStream(state, sealed, octets.length)
        sealed.blitAt(octets.length, poly1305(tagKey, aad, sealed, octets.length), 0, 16)
        return sealed
    }

    /** See `Aead`; `nonce` 12 octets, else `BadArgument`. */
    open(nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer {
        const state = initialState(this.key, nonce)
        const tagKey = Buffer.alloc(64)
        addBlock(state, tagKey, 0)
        const length = sealed.length - 16
        checkTag(poly1305(tagKey, aad, sealed, length), sealed, length)
        const octets = cut(sealed, 0, length)
        addStream(state, octets, length)
        return octets
    }
}

/** The state of clause 2.3 with block count 0. */
function initialState(key: Buffer, nonce: Buffer): number[] {
    platform().yieldNow()
    if (nonce.length !== 12) fail(Code.BadArgument, -1, "a nonce of 12 octets", nonce.length + "")
    const state: number[] = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]
    for (let i = 0; i < 32; i += 4) state.push(key.getAt(i, "i32"))
    state.push(0)
    for (let i = 0; i < 12; i += 4) state.push(nonce.getAt(i, "i32"))
    return state
}

/** Adds (XOR) the key stream from the block after the state's to the first `length` of `octets`. */
function addStream(state: number[], octets: Buffer, length: number): void {
    for (let at = 0; at < length; at += 64) {
        state[12] = state[12] + 1
        if (length - at >= 64) addBlock(state, octets, at)
        else {
            const last = Buffer.alloc(64)
            last.blitAt(0, octets, at, length - at)
            addBlock(state, last, 0)
            octets.blitAt(at, last, 0, length - at)
        }
        if ((at & 255) === 192) platform().yieldNow()
    }
}

/**
 * Adds (XOR) one block of key stream to the 64 octets of `into` from `at`. About 5,600 steps. Only words that are rotated are
 * brought back to 32 bits: 42 sums of 32 bits stay exact in a double, and bit operations see them modulo 2^32.
 */
// biome-ignore format: one step a line
function addBlock(state: number[], into: Buffer, at: number): void {
    let t = 0
    let x0 = state[0], x1 = state[1], x2 = state[2], x3 = state[3]
    let x4 = state[4], x5 = state[5], x6 = state[6], x7 = state[7]
    let x8 = state[8], x9 = state[9], x10 = state[10], x11 = state[11]
    let x12 = state[12], x13 = state[13], x14 = state[14], x15 = state[15]
    for (let turn = 0; turn < 10; ++turn) {
        x0 = x0 + x4
        t = x12 ^ x0
        x12 = (t << 16) | (t >>> 16)
        x8 = x8 + x12
        t = x4 ^ x8
        x4 = (t << 12) | (t >>> 20)
        x0 = x0 + x4
        t = x12 ^ x0
        x12 = (t << 8) | (t >>> 24)
        x8 = x8 + x12
        t = x4 ^ x8
        x4 = (t << 7) | (t >>> 25)
        x1 = x1 + x5
        t = x13 ^ x1
        x13 = (t << 16) | (t >>> 16)
        x9 = x9 + x13
        t = x5 ^ x9
        x5 = (t << 12) | (t >>> 20)
        x1 = x1 + x5
        t = x13 ^ x1
        x13 = (t << 8) | (t >>> 24)
        x9 = x9 + x13
        t = x5 ^ x9
        x5 = (t << 7) | (t >>> 25)
        x2 = x2 + x6
        t = x14 ^ x2
        x14 = (t << 16) | (t >>> 16)
        x10 = x10 + x14
        t = x6 ^ x10
        x6 = (t << 12) | (t >>> 20)
        x2 = x2 + x6
        t = x14 ^ x2
        x14 = (t << 8) | (t >>> 24)
        x10 = x10 + x14
        t = x6 ^ x10
        x6 = (t << 7) | (t >>> 25)
        x3 = x3 + x7
        t = x15 ^ x3
        x15 = (t << 16) | (t >>> 16)
        x11 = x11 + x15
        t = x7 ^ x11
        x7 = (t << 12) | (t >>> 20)
        x3 = x3 + x7
        t = x15 ^ x3
        x15 = (t << 8) | (t >>> 24)
        x11 = x11 + x15
        t = x7 ^ x11
        x7 = (t << 7) | (t >>> 25)
        x0 = x0 + x5
        t = x15 ^ x0
        x15 = (t << 16) | (t >>> 16)
        x10 = x10 + x15
        t = x5 ^ x10
        x5 = (t << 12) | (t >>> 20)
        x0 = x0 + x5
        t = x15 ^ x0
        x15 = (t << 8) | (t >>> 24)
        x10 = x10 + x15
        t = x5 ^ x10
        x5 = (t << 7) | (t >>> 25)
        x1 = x1 + x6
        t = x12 ^ x1
        x12 = (t << 16) | (t >>> 16)
        x11 = x11 + x12
        t = x6 ^ x11
        x6 = (t << 12) | (t >>> 20)
        x1 = x1 + x6
        t = x12 ^ x1
        x12 = (t << 8) | (t >>> 24)
        x11 = x11 + x12
        t = x6 ^ x11
        x6 = (t << 7) | (t >>> 25)
        x2 = x2 + x7
        t = x13 ^ x2
        x13 = (t << 16) | (t >>> 16)
        x8 = x8 + x13
        t = x7 ^ x8
        x7 = (t << 12) | (t >>> 20)
        x2 = x2 + x7
        t = x13 ^ x2
        x13 = (t << 8) | (t >>> 24)
        x8 = x8 + x13
        t = x7 ^ x8
        x7 = (t << 7) | (t >>> 25)
        x3 = x3 + x4
        t = x14 ^ x3
        x14 = (t << 16) | (t >>> 16)
        x9 = x9 + x14
        t = x4 ^ x9
        x4 = (t << 12) | (t >>> 20)
        x3 = x3 + x4
        t = x14 ^ x3
        x14 = (t << 8) | (t >>> 24)
        x9 = x9 + x14
        t = x4 ^ x9
        x4 = (t << 7) | (t >>> 25)
    }
    into.setAt(at, "i32", (x0 + state[0]) ^ into.getAt(at, "i32"))
    into.setAt(at + 4, "i32", (x1 + state[1]) ^ into.getAt(at + 4, "i32"))
    into.setAt(at + 8, "i32", (x2 + state[2]) ^ into.getAt(at + 8, "i32"))
    into.setAt(at + 12, "i32", (x3 + state[3]) ^ into.getAt(at + 12, "i32"))
    into.setAt(at + 16, "i32", (x4 + state[4]) ^ into.getAt(at + 16, "i32"))
    into.setAt(at + 20, "i32", (x5 + state[5]) ^ into.getAt(at + 20, "i32"))
    into.setAt(at + 24, "i32", (x6 + state[6]) ^ into.getAt(at + 24, "i32"))
    into.setAt(at + 28, "i32", (x7 + state[7]) ^ into.getAt(at + 28, "i32"))
    into.setAt(at + 32, "i32", (x8 + state[8]) ^ into.getAt(at + 32, "i32"))
    into.setAt(at + 36, "i32", (x9 + state[9]) ^ into.getAt(at + 36, "i32"))
    into.setAt(at + 40, "i32", (x10 + state[10]) ^ into.getAt(at + 40, "i32"))
    into.setAt(at + 44, "i32", (x11 + state[11]) ^ into.getAt(at + 44, "i32"))
    into.setAt(at + 48, "i32", (x12 + state[12]) ^ into.getAt(at + 48, "i32"))
    into.setAt(at + 52, "i32", (x13 + state[13]) ^ into.getAt(at + 52, "i32"))
    into.setAt(at + 56, "i32", (x14 + state[14]) ^ into.getAt(at + 56, "i32"))
    into.setAt(at + 60, "i32", (x15 + state[15]) ^ into.getAt(at + 60, "i32"))
}

const limb = 0x3fffff
const perLimb = 1 / 0x400000

/**
 * Poly1305 (clause 2.5) as the AEAD uses it: over `aad` and the first `length` of `octets`, each filled up with zeros to
 * blocks of 16, and both lengths. `key`: one-time key, r | s, 32 octets or more.
 *
 * A number is 6 limbs of 22 bits in doubles; 2^132 is 20 modulo p. The limbs of r are negated, so that products are
 * subtracted: `+` looks for strings first. Limb 0 takes the carry of limb 5 and is below 2^30, since r5 is below 2^14; the others are
 * below 2^23. A column then is below 2^52 + 3 * 20 * 2^45 + 20 * 2^44.2 < 2^53.
 */
// biome-ignore format: one column a line
export function poly1305(key: Buffer, aad: Buffer, octets: Buffer, length: number): Buffer {
    const r0 = -(key.getAt(0, "i32") & limb)
    const r1 = -((key.getAt(2, "i32") >> 6) & 0x3ff03f)
    const r2 = -((key.getAt(5, "i32") >> 4) & 0xffff)
    const r3 = -((key.getAt(8, "i32") >> 2) & limb)
    const r4 = -(key.getAt(11, "i32") & 0x3ffc0f)
    const r5 = -((key.getAt(12, "i32") >> 14) & 0x3fff)
    const s1 = 20 * r1, s2 = 20 * r2, s3 = 20 * r3, s4 = 20 * r4, s5 = 20 * r5
    const lengths = Buffer.alloc(16)
    lengths.setAt(0, "u32", aad.length)
    lengths.setAt(8, "u32", length)
    let n0 = 0, n1 = 0, n2 = 0, n3 = 0, n4 = 0, n5 = 0, t = 0
    for (let part = 0; part < 3; ++part) {
        const source = part === 0 ? aad : part === 1 ? octets : lengths
        const end = part === 0 ? aad.length : part === 1 ? length : 16
        for (let from = 0; from < end; from += 16) {
            let block = source
            let at = from
            if (end - from < 16) {
                block = Buffer.alloc(16)
                block.blitAt(0, source, from, end - from)
                at = 0
            }
            const h0 = n0 + (block.getAt(at, "i32") & limb)
            const h1 = n1 + ((block.getAt(at + 2, "i32") >> 6) & limb)
            const h2 = n2 + ((block.getAt(at + 5, "i32") >> 4) & limb)
            const h3 = n3 + ((block.getAt(at + 8, "i32") >> 2) & limb)
            const h4 = n4 + (block.getAt(at + 11, "i32") & limb)
            const h5 = n5 + (block.getAt(at + 12, "i32") >>> 14) + 0x40000
            t = 0 - h0 * r0 - h1 * s5 - h2 * s4 - h3 * s3 - h4 * s2 - h5 * s1
            n0 = t & limb
            t = (t - n0) * perLimb - h0 * r1 - h1 * r0 - h2 * s5 - h3 * s4 - h4 * s3 - h5 * s2
            n1 = t & limb
            t = (t - n1) * perLimb - h0 * r2 - h1 * r1 - h2 * r0 - h3 * s5 - h4 * s4 - h5 * s3
            n2 = t & limb
            t = (t - n2) * perLimb - h0 * r3 - h1 * r2 - h2 * r1 - h3 * r0 - h4 * s5 - h5 * s4
            n3 = t & limb
            t = (t - n3) * perLimb - h0 * r4 - h1 * r3 - h2 * r2 - h3 * r1 - h4 * r0 - h5 * s5
            n4 = t & limb
            t = (t - n4) * perLimb - h0 * r5 - h1 * r4 - h2 * r3 - h3 * r2 - h4 * r1 - h5 * r0
            n5 = t & limb
            n0 = n0 + (t - n5) * (20 * perLimb)
            if ((from & 1023) === 1008) platform().yieldNow()
        }
    }
    return sumOf([n0, n1, n2, n3, n4, n5], key)
}

/** The limbs `h`, fully reduced, plus s (octets 16 to 31 of the key) modulo 2^128. */
function sumOf(h: number[], key: Buffer): Buffer {
    let carry = 0
    for (let turn = 0; turn < 3; ++turn) {
        for (let i = 0; i < 6; ++i) {
            carry += h[i]
            h[i] = carry & limb
            carry = carry >> 22
        }
        carry = 5 * (4 * carry + (h[5] >> 20))
        h[5] = h[5] & 0xfffff
    }
    // h + 5 reaches 2^130 exactly where h is not below p, and is h - p there.
    carry = 5
    const less: number[] = []
    for (let i = 0; i < 6; ++i) {
        carry += h[i]
        less.push(carry & limb)
        carry = carry >> 22
    }
    const limbs = less[5] >> 20 ? less : h
    const tag = Buffer.alloc(16)
    let next = 0
    let held = 0
    let bits = 0
    carry = 0
    for (let i = 0; i < 16; ++i) {
        if (bits < 8) {
            held += limbs[next++] << bits
            bits += 22
        }
        carry += (held & 0xff) + key[16 + i]
        tag[i] = carry & 0xff
        carry = carry >> 8
        held = held >> 8
        bits -= 8
    }
    return tag
}
