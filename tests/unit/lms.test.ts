import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { verifyHss, verifyLmots, verifyLms } from "../../firmware/core/lms"
import { hssKey, hssSignature, LmsSigner } from "../../tools/pki/lms.ts"
import { codeThrown } from "../helpers/errors.ts"

const octets = (text: string) => Buffer.from(text, "hex")
const identifier = octets("202122232425262728292a2b2c2d2e2f")
const seed = (n: number) => Buffer.from(Array.from({ length: n }, (_, i) => i))
const message = Buffer.from("the octets of a package")

describe("RFC 8554 appendix F, test case 2 (H10/W4 over H5/W8), made from its private values", () => {
    const root = new LmsSigner(
        6,
        3,
        octets("d08fabd4a2091ff0a8cb4ed834e74534"),
        octets("558b8966c48ae9cb898b423c83443aae014a72f1b1ab5cc85cf1d892903b5439"),
    )
    const second = new LmsSigner(
        5,
        4,
        octets("215f83b7ccb9acbcd08db97b0d04dc2b"),
        octets("a1c4696e2608035a886100d05cd99945eb3370731884a8235e2fb3d4d71f2547"),
    )
    const text = octets(
        "54686520656e756d65726174696f6e20696e2074686520436f6e737469747574696f6e2c206f66206365727461696e20" +
            "7269676874732c207368616c6c206e6f7420626520636f6e73747275656420746f2064656e79206f7220646973706172" +
            "616765206f74686572732072657461696e6564206279207468652070656f706c652e0a",
    )
    const upper = root.sign(
        3,
        octets("3d46bee8660f8f215d3f96408a7a64cf1c4da02b63a55f62c666ef5707a914ce"),
        second.publicKey,
    )
    const lower = second.sign(4, octets("0eb1ed54a2460d512388cad533138d240534e97b1e82d33bd927d201dfc24ebb"), text)
    const signature = hssSignature(lower, upper, second.publicKey)

    it("the keys and the signature begin and end as printed there", () => {
        expect(hssKey(2, root).toString("hex")).toBe(
            "000000020000000600000003d08fabd4a2091ff0a8cb4ed834e7453432a58885cd9ba0431235466bff9651c6c92124404d45fa53cf161c28f1ad5a8e",
        )
        expect(second.publicKey.toString("hex")).toBe(
            "0000000500000004215f83b7ccb9acbcd08db97b0d04dc2ba1cd035833e0e90059603f26e07ad2aad152338e7a5e5984bcd5f7bb4eba40b7",
        )
        const hex = [upper, lower].map(each => each.toString("hex"))
        expect(hex[0].slice(80, 144)).toBe("0674e8cb7a55f0c48d484f31f3aa4af9719a74f22cf823b94431d01c926e2a76")
        expect(hex[0].slice(-64)).toBe("a415e291fd107d21dc1f084b1158208249f28f4f7c7e931ba7b3bd0d824a4570")
        expect(hex[1].slice(80, 144)).toBe("11b3649023696f85150b189e50c00e98850ac343a77b3638319c347d7310269d")
        expect(hex[1].slice(-64)).toBe("e4041d95398a6f7f3e0ee97cc1591849d4ed236338b147abde9f51ef9fd4e1c1")
    })

    it("holds, and holds for no other message", () => {
        expect(verifyHss(hssKey(2, root), [text], signature)).toBe(true)
        expect(verifyHss(hssKey(2, root), [text.subarray(0, 9), text.subarray(9)], signature)).toBe(true)
        expect(verifyHss(hssKey(2, root), [text, Buffer.of(0)], signature)).toBe(false)
    })

    it("a signature of one level does not stand for a key of two, nor the other way round", () => {
        expect(verifyHss(hssKey(2, root), [second.publicKey], hssSignature(upper))).toBe(false)
        expect(verifyHss(hssKey(1, root), [second.publicKey], hssSignature(upper))).toBe(true)
        expect(verifyHss(hssKey(1, root), [text], signature)).toBe(false)
    })

    it("a second key of no known set, or cut off, is a signature that does not hold", () => {
        const at = 4 + upper.length
        for (const change of [
            (each: Buffer) => each.fill(0xff, at, at + 4),
            (each: Buffer) => each.fill(0, at + 4, at + 8),
            (each: Buffer) => each.fill(9, at + 7, at + 8),
        ])
            expect(verifyHss(hssKey(2, root), [text], change(Buffer.from(signature)))).toBe(false)
        for (let length = 0; length < signature.length; length += 7)
            expect(verifyHss(hssKey(2, root), [text], signature.subarray(0, length))).toBe(false)
    })

    it("no mutation is taken", () => {
        fc.assert(
            fc.property(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
                const changed = Buffer.from(signature)
                changed[at] ^= bits
                return !verifyHss(hssKey(2, root), [text], changed)
            }),
            { numRuns: 120 },
        )
    })
})

describe("every one-time set and two trees", () => {
    for (const ots of [1, 2, 3, 4, 5, 6, 7, 8]) {
        it(`LM-OTS type ${ots} with H5: each of three leaves holds; the same key in another set is refused`, () => {
            const n = ots > 4 ? 24 : 32
            const signer = new LmsSigner(ots > 4 ? 10 : 5, ots, identifier, seed(n))
            for (const leaf of [0, 13, 31]) {
                const signature = signer.sign(leaf, seed(n), message)
                expect(verifyLms(signer.publicKey, [message], signature)).toBe(true)
                expect(verifyLms(signer.publicKey, [message], Buffer.concat([signature, Buffer.of(0)]))).toBe(false)
                const other = Buffer.from(signature)
                other[7] = (ots & 4) | (((ots & 3) + 1) & 3) || 1
                if (other[7] !== ots) expect(verifyLms(signer.publicKey, [message], other)).toBe(false)
                const beyond = Buffer.from(signature)
                beyond[3] += 32
                expect(verifyLms(signer.publicKey, [message], beyond)).toBe(false)
            }
        })
    }
})

describe("keys that no signer makes", () => {
    const signer = new LmsSigner(5, 4, identifier, seed(32))
    const signature = signer.sign(1, seed(32), message)
    const key = signer.publicKey

    it("are a typed error: unknown sets, hashes of two lengths, other lengths, three levels", () => {
        const changed = (at: number, value: number) => {
            const copy = Buffer.from(key)
            copy[at] = value
            return copy
        }
        for (const bad of [
            changed(3, 4),
            changed(3, 10),
            changed(3, 15),
            changed(0, 1),
            changed(7, 0),
            changed(7, 8),
            changed(7, 9),
            changed(4, 1),
            key.subarray(0, 55),
            Buffer.concat([key, Buffer.of(0)]),
            Buffer.alloc(0),
        ]) {
            expect(codeThrown(() => verifyLms(bad, [message], signature))).toBe("LmsKey")
            expect(codeThrown(() => verifyHss(Buffer.concat([Buffer.of(0, 0, 0, 1), bad]), [], signature))).toBe(
                "LmsKey",
            )
        }
        for (const levels of [0, 3, 8, 255])
            expect(codeThrown(() => verifyHss(Buffer.concat([Buffer.of(0, 0, 0, levels), key]), [], signature))).toBe(
                "LmsKey",
            )
        expect(codeThrown(() => verifyLmots(key.subarray(0, 23), [message], signature))).toBe("LmsKey")
    })

    it("any octets as key and signature give a value or a typed error", () => {
        const head = fc.constantFrom(octets("0000000100000005"), octets("000000020000000600000003"), octets(""))
        fc.assert(
            fc.property(
                head,
                fc.uint8Array({ maxLength: 80 }),
                fc.uint8Array({ maxLength: 300 }),
                (start, rest, signed) => {
                    const bad = Buffer.concat([start, rest])
                    for (const verify of [verifyHss, verifyLms, verifyLmots]) {
                        let came = false
                        expect(codeThrown(() => (came = verify(bad, [message], Buffer.from(signed))))).toMatch(
                            /^(none|LmsKey)$/,
                        )
                        expect(came).toBe(false)
                    }
                },
            ),
            { numRuns: 300 },
        )
    })
})
