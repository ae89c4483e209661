import { hkdfSync } from "node:crypto"
import { describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { deriveSecret, hkdfExpand, hkdfExpandLabel, hkdfExtract } from "../../firmware/core/hkdf"
import { platform } from "../../firmware/core/platform"
import { seeded } from "../helpers/random.ts"

const octets = (digits: string) => Buffer.from(digits.replace(/\s/g, ""), "hex")
const range = (from: number, to: number) => Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => from + i))

function codeOf(work: () => unknown): number {
    try {
        work()
    } catch (error) {
        if (error instanceof PlombError) return error.code
        throw error
    }
    return 0
}

describe("HKDF", () => {
    const zeros = Buffer.alloc(0)
    /** RFC 5869 appendices A.1 to A.3: input key material, salt, info, pseudo-random key, output. */
    const printed: [string, Buffer, Buffer, Buffer, string, string][] = [
        [
            "A.1",
            Buffer.alloc(22, 0x0b),
            range(0x00, 0x0c),
            range(0xf0, 0xf9),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ],
        [
            "A.2",
            range(0x00, 0x4f),
            range(0x60, 0xaf),
            range(0xb0, 0xff),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            `b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71
             cc30c58179ec3e87c14c01d5c1f3434f1d87`,
        ],
        [
            "A.3",
            Buffer.alloc(22, 0x0b),
            zeros,
            zeros,
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ],
    ]
    for (const [name, keyMaterial, salt, info, key, output] of printed)
        it(`derives what RFC 5869 appendix ${name} prints`, () => {
            expect(hkdfExtract(salt, keyMaterial).toString("hex")).toBe(key)
            const expected = octets(output)
            expect(hkdfExpand(octets(key), info, expected.length).toString("hex")).toBe(expected.toString("hex"))
        })

    it("derives the same octets as node:crypto at lengths of 1 to 300", () => {
        const random = seeded(11)
        for (let length = 1; length <= 300; ++length) {
            const [material, salt, info] = [1, 0, 0].map(least => random.octets(least + random.below(200)))
            const theirs = Buffer.from(hkdfSync("sha256", material, salt, info, length))
            expect(hkdfExpand(hkdfExtract(salt, material), info, length).equals(theirs)).toBe(true)
        }
    })

    it("refuses lengths that HKDF does not have", () => {
        for (const length of [-1, 0, 8161])
            expect(codeOf(() => hkdfExpand(zeros, zeros, length))).toBe(Code.BadArgument)
        expect(hkdfExpand(zeros, zeros, 8160).length).toBe(8160)
    })
})

describe("HKDF-Expand-Label", () => {
    /** RFC 8448 clause 3: the early secret without a pre-shared key, and what is derived from it and the hash of nothing. */
    it("derives what RFC 8448 clause 3 prints for derived, key, iv and finished", () => {
        const nothing = platform().sha256([])
        const early = hkdfExtract(Buffer.alloc(32), Buffer.alloc(32))
        expect(early.toString("hex")).toBe("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
        expect(deriveSecret(early, "derived", nothing).toString("hex")).toBe(
            "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba",
        )
        const secret = octets("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
        const none = Buffer.alloc(0)
        expect(hkdfExpandLabel(secret, "key", none, 16).toString("hex")).toBe("3fce516009c21727d0f2e4e86ee403bc")
        expect(hkdfExpandLabel(secret, "iv", none, 12).toString("hex")).toBe("5d313eb2671276ee13000b30")
        expect(hkdfExpandLabel(secret, "finished", none, 32).toString("hex")).toBe(
            "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8",
        )
    })

    it("takes labels of 249 and contexts of 255 octets, and refuses longer ones", () => {
        const key = Buffer.alloc(32)
        const longest = hkdfExpandLabel(key, "x".repeat(249), Buffer.alloc(255), 1)
        const info = Buffer.concat([
            octets("0001ff"),
            Buffer.from("tls13 " + "x".repeat(249)),
            octets("ff"),
            Buffer.alloc(255),
        ])
        expect(longest.equals(hkdfExpand(key, info, 1))).toBe(true)
        expect(codeOf(() => hkdfExpandLabel(key, "x".repeat(250), key, 1))).toBe(Code.BadArgument)
        expect(codeOf(() => hkdfExpandLabel(key, "x", Buffer.alloc(256), 1))).toBe(Code.BadArgument)
    })
})
