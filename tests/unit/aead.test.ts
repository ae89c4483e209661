import { createCipheriv, createDecipheriv } from "node:crypto"
import { poly1305 as noblePoly1305 } from "@noble/ciphers/_poly1305.js"
import { gcm } from "@noble/ciphers/aes.js"
import { chacha20poly1305 } from "@noble/ciphers/chacha.js"
import { describe, expect, it } from "vitest"
import type { Aead } from "../../firmware/core/aead"
import { addAesBlock, expandAesKey } from "../../firmware/core/aes"
import { decryptCbc } from "../../firmware/core/aes-decrypt"
import { ChaCha20Poly1305, poly1305 } from "../../firmware/core/chacha20poly1305"
import { Code, PlombError } from "../../firmware/core/errors"
import { AesGcm } from "../../firmware/core/gcm"
import { seeded } from "../helpers/random.ts"

const octets = (digits: string) => Buffer.from(digits.replace(/\s/g, ""), "hex")

function refused(work: () => unknown): number {
    try {
        work()
    } catch (error) {
        if (error instanceof PlombError) return error.code
        throw error
    }
    return 0
}

describe("ChaCha20-Poly1305", () => {
    const text =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."

    it("seals the example of RFC 8439 clause 2.8.2 to the octets printed there, and opens it", () => {
        const aead = new ChaCha20Poly1305(octets("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"))
        const nonce = octets("070000004041424344454647")
        const aad = octets("50515253c0c1c2c3c4c5c6c7")
        const sealed = aead.seal(nonce, aad, Buffer.from(text))
        expect(sealed.toString("hex")).toBe(
            octets(`d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6
                    3dbea45e8ca9671282fafb69da92728b 1a71de0a9e060b2905d6a5b67ecd3b36
                    92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc
                    3ff4def08e4b7a9de576d26586cec64b 6116 1ae10b594f09e26a7e902ecbd0600691`).toString("hex"),
        )
        expect(aead.open(nonce, aad, sealed).toString()).toBe(text)
    })

    it("opens the message of RFC 8439 appendix A.5", () => {
        const aead = new ChaCha20Poly1305(octets("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"))
        const sealed = octets(`64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2
            4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b9481
            14ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4
            b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a
            0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10
            49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b
            eead9d67890cbb22392336fea1851f38`)
        const opened = aead.open(octets("000000000102030405060708"), octets("f33388860000000000004e91"), sealed)
        expect(opened.toString()).toBe(
            "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or " +
                "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference " +
                "material or to cite them other than as /“work in progress./”",
        )
    })

    it("has exact limbs where the one-time key, the message and the sum are as large as they can be", () => {
        const random = seeded(7)
        const keys = [Buffer.alloc(32, 0xff), Buffer.alloc(32), Buffer.concat([Buffer.of(2), Buffer.alloc(31, 0xff)])]
        for (let turn = 0; turn < 60; ++turn) {
            const key = Buffer.from(keys[turn] ?? (turn & 1 ? keys[0] : random.octets(32)))
            const message = turn & 2 ? random.octets(turn * 16) : Buffer.alloc(turn * 16, 0xff)
            const lengths = Buffer.alloc(16)
            lengths.writeUInt32LE(message.length, 8)
            const padded = Buffer.concat([message, lengths])
            expect(poly1305(key, Buffer.alloc(0), message, message.length).toString("hex")).toBe(
                Buffer.from(noblePoly1305(padded, key)).toString("hex"),
            )
        }
    })
})

describe("AES", () => {
    // FIPS 197 appendix C.1 and C.3.
    for (const [size, cipher] of [
        [16, "69c4e0d86a7b0430d8cdb78070b4c55a"],
        [32, "8ea2b7ca516745bfeafc49904b496089"],
    ] as const)
        it(`encrypts the example of FIPS 197 with a key of ${size} octets`, () => {
            const words = expandAesKey(Buffer.from(Array.from({ length: size }, (_, i) => i)))
            const plain = octets("00112233445566778899aabbccddeeff")
            const into = Buffer.alloc(20)
            const [a, b, c, d] = [0, 4, 8, 12].map(at => plain.readInt32LE(at))
            addAesBlock(words, a, b, c, d, into, 3)
            expect(into.toString("hex")).toBe(`000000${cipher}00`)
            addAesBlock(words, a, b, c, d, into, 3)
            expect(into.equals(Buffer.alloc(20))).toBe(true)
        })

    it("substitutes all 256 octets in all four places as node:crypto does", () => {
        for (let i = 0; i < 256; ++i) {
            const key = Buffer.alloc(16, i)
            const into = Buffer.alloc(16)
            addAesBlock(expandAesKey(key), 0, 0, 0, 0, into, 0)
            const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false)
            expect(into.equals(cipher.update(Buffer.alloc(16)))).toBe(true)
        }
    })

    it("decrypts in CBC mode what node:crypto encrypts, with both key sizes", () => {
        const random = seeded(51)
        for (let turn = 0; turn < 200; ++turn) {
            const size = turn & 1 ? 16 : 32
            const [key, vector, plain] = [random.octets(size), random.octets(16), random.octets(16 * (turn % 21))]
            const cipher = createCipheriv(`aes-${8 * size}-cbc`, key, vector).setAutoPadding(false)
            const octetsOfCbc = Buffer.concat([cipher.update(plain), cipher.final()])
            expect(decryptCbc(key, vector, octetsOfCbc).equals(plain)).toBe(true)
        }
    })

    it("refuses a vector that is not one block, and octets that are not whole blocks", () => {
        const block = Buffer.alloc(16)
        for (const [vector, length] of [
            [15, 16],
            [17, 16],
            [16, 15],
            [16, 1],
        ])
            expect(refused(() => decryptCbc(block, Buffer.alloc(vector), Buffer.alloc(length)))).toBe(Code.BadArgument)
    })

    it("refuses keys of other lengths", () => {
        for (const length of [0, 15, 24, 33])
            expect(refused(() => expandAesKey(Buffer.alloc(length)))).toBe(Code.BadArgument)
    })
})

/** A cipher, and what node:crypto calls it. */
const ciphers: [string, number, number, (key: Buffer, tag: number) => Aead][] = [
    ["chacha20-poly1305", 32, 1, key => new ChaCha20Poly1305(key)],
    ["aes-128-gcm", 16, 3, (key, tag) => new AesGcm(key, tag)],
    ["aes-256-gcm", 32, 5, (key, tag) => new AesGcm(key, tag)],
]

for (const [name, keyLength, seed, make] of ciphers)
    describe(`${name}, beside node:crypto and @noble/ciphers`, () => {
        const isGcm = name !== "chacha20-poly1305"

        it("seals the same octets at lengths of 0 to 300, and opens what they seal", () => {
            const random = seeded(seed)
            for (let turn = 0; turn <= 300; ++turn) {
                const key = random.octets(keyLength)
                const nonce = random.octets(isGcm && turn % 5 === 0 ? 1 + random.below(40) : 12)
                const tagLength = isGcm && turn % 3 === 0 ? 12 + random.below(5) : 16
                const aad = random.octets(random.below(301))
                const plain = random.octets(turn)
                const ours = make(key, tagLength)
                const sealed = ours.seal(nonce, aad, plain)
                const theirs = createCipheriv(name as "aes-128-gcm", key, nonce, { authTagLength: tagLength })
                theirs.setAAD(aad, { plaintextLength: plain.length })
                const expected = Buffer.concat([theirs.update(plain), theirs.final(), theirs.getAuthTag()])
                expect(sealed.toString("hex")).toBe(expected.toString("hex"))
                expect(ours.open(nonce, aad, sealed).equals(plain)).toBe(true)
                if (tagLength < 16 || nonce.length < 8) continue
                const noble = (isGcm ? gcm : chacha20poly1305)(key, nonce, aad)
                expect(ours.open(nonce, aad, Buffer.from(noble.encrypt(plain))).equals(plain)).toBe(true)
            }
        })

        it("seals and opens 5,000 octets as node:crypto does", () => {
            const random = seeded(seed + 10)
            const [key, nonce, plain] = [random.octets(keyLength), random.octets(12), random.octets(5000)]
            const sealed = make(key, 16).seal(nonce, Buffer.alloc(0), plain)
            const theirs = createDecipheriv(name as "aes-128-gcm", key, nonce, { authTagLength: 16 })
            theirs.setAuthTag(sealed.subarray(5000))
            expect(Buffer.concat([theirs.update(sealed.subarray(0, 5000)), theirs.final()]).equals(plain)).toBe(true)
        })

        it("refuses each single flipped bit, of ciphertext, tag, nonce and additional data, and leaves the input alone", () => {
            const random = seeded(seed + 20)
            const aead = make(random.octets(keyLength), 16)
            const parts = [
                random.octets(12),
                random.octets(5),
                aead.seal(Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(0)),
            ]
            parts[2] = aead.seal(parts[0], parts[1], random.octets(19))
            for (const [which, part] of parts.entries())
                for (let bit = 0; bit < 8 * part.length; ++bit) {
                    const changed = parts.map(each => Buffer.from(each))
                    changed[which][bit >> 3] ^= 1 << (bit & 7)
                    const before = changed[2].toString("hex")
                    expect(refused(() => aead.open(changed[0], changed[1], changed[2]))).toBe(Code.TagMismatch)
                    expect(changed[2].toString("hex")).toBe(before)
                }
        })

        it("refuses what was cut at any octet, also where there is no room for a tag", () => {
            const random = seeded(seed + 30)
            const aead = make(random.octets(keyLength), 16)
            const nonce = random.octets(12)
            const sealed = aead.seal(nonce, Buffer.alloc(0), random.octets(40))
            for (let length = 0; length < sealed.length; ++length) {
                const part = Buffer.from(sealed.subarray(0, length))
                expect(refused(() => aead.open(nonce, Buffer.alloc(0), part))).toBe(Code.TagMismatch)
            }
        })

        it("refuses keys and nonces of a wrong length", () => {
            const aead = make(Buffer.alloc(keyLength), 16)
            const none = Buffer.alloc(0)
            expect(refused(() => make(Buffer.alloc(keyLength - 1), 16))).toBe(Code.BadArgument)
            for (const length of isGcm ? [0] : [0, 8, 11, 13, 24]) {
                expect(refused(() => aead.seal(Buffer.alloc(length), none, none))).toBe(Code.BadArgument)
                expect(refused(() => aead.open(Buffer.alloc(length), none, Buffer.alloc(16)))).toBe(Code.BadArgument)
            }
        })
    })

it("AES-GCM has the tag lengths of SP 800-38D and no others", () => {
    for (let length = 0; length <= 17; ++length)
        expect(refused(() => new AesGcm(Buffer.alloc(16), length)) === 0).toBe(
            [4, 8, 12, 13, 14, 15, 16].includes(length),
        )
})
