import { Encoder } from "cbor-x"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CborReader, cborHead, checkCbor, Major } from "../../firmware/core/cbor"
import { type CborValue, unflatten } from "../../tools/vectors/cbor.ts"
import { answer } from "../../tools/vectors/device/cbor-answer"
import { codeThrown } from "../helpers/errors.ts"

const octets = (text: string) => Buffer.from(text, "hex")
const check = (data: Buffer) => checkCbor(data, 0, data.length)
const codeOf = (text: string) => codeThrown(() => check(octets(text)))

const peer = new Encoder({
    mapsAsObjects: false,
    useRecords: false,
    variableMapSize: true,
    tagUint8Array: false,
    int64AsType: "bigint",
} as object)

/** As the core gives values: all integers BigInt. */
function widened(value: unknown): unknown {
    if (typeof value === "number") return BigInt(value)
    if (value instanceof Uint8Array) return new Uint8Array(value)
    if (Array.isArray(value)) return value.map(widened)
    if (value instanceof Map) return new Map([...value].map(([key, content]) => [widened(key), widened(content)]))
    return value
}

/** For cbor-x: keys of a map in the order of their encoded octets; BigInt where it would write floating point. */
function sorted(value: unknown): unknown {
    if (typeof value === "number" && Math.abs(value) >= 2 ** 32) return BigInt(value)
    if (Array.isArray(value)) return value.map(sorted)
    if (!(value instanceof Map)) return value
    const entries = [...value].map(([key, content]) => [key, sorted(content)] as const)
    return new Map(entries.sort(([a], [b]) => Buffer.compare(peer.encode(a), peer.encode(b))))
}

const { value: anyValue } = fc.letrec<{ value: unknown }>(tie => {
    const integer = fc.oneof(
        fc.maxSafeInteger(),
        fc.integer({ min: -70000, max: 70000 }),
        fc.integer({ min: -30, max: 30 }),
        fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    )
    const text = fc.string({ unit: "grapheme", maxLength: 40 })
    const key = fc.oneof(fc.integer({ min: -300, max: 300 }), text)
    return {
        value: fc.oneof(
            { maxDepth: 5, depthIdentifier: "value" },
            fc.oneof(
                integer,
                text,
                fc.uint8Array({ maxLength: 300 }).map(Buffer.from),
                fc.boolean(),
                fc.constant(null),
            ),
            fc.array(tie("value"), { maxLength: 6, depthIdentifier: "value" }),
            fc
                .array(fc.tuple(key, tie("value")), { maxLength: 6, depthIdentifier: "value" })
                .map(entries => new Map(entries)),
        ),
    }
})

describe("strict CBOR beside cbor-x", () => {
    it("reads what cbor-x writes, to the same values", () => {
        fc.assert(
            fc.property(anyValue, value => {
                const encoded = Buffer.from(peer.encode(sorted(value)))
                expect(unflatten(answer(encoded))).toEqual(widened(value))
            }),
            { numRuns: 300 },
        )
    })

    it("a mutated item is a typed error, or what cbor-x writes again to the same octets", () => {
        fc.assert(
            fc.property(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, place, bits) => {
                const changed = Buffer.from(peer.encode(sorted(value)))
                changed[place % changed.length] ^= bits
                let back: CborValue | undefined
                const code = codeThrown(() => {
                    back = unflatten(answer(changed))
                })
                if (code !== "none") expect(code).toMatch(/^Cbor/)
                else if (!changed.some(octet => octet >> 5 === Major.Tag)) {
                    expect(widened(peer.decode(changed))).toEqual(back)
                    expect(Buffer.from(peer.encode(sorted(peer.decode(changed)))).toString("hex")).toBe(
                        changed.toString("hex"),
                    )
                }
            }),
            { numRuns: 500 },
        )
    })

    it("any octets are a value or a typed error with an offset inside of them", () => {
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 60 }), any => {
                try {
                    answer(Buffer.from(any))
                } catch (error: any) {
                    expect(error.name).toBe("PlombError")
                    expect(error.at).toBeGreaterThanOrEqual(0)
                    expect(error.at).toBeLessThanOrEqual(any.length)
                }
            }),
            { numRuns: 1000 },
        )
    })
})

describe("what deterministic encoding refuses (RFC 8949 4.2.1)", () => {
    const table: [string, string, string][] = [
        [
            "a number in more octets than it needs",
            "CborForm",
            "1817 1900ff 1a0000ffff 1b00000000ffffffff 5801aa 980101 3817",
        ],
        ["indefinite lengths, and the break alone", "CborUnsupported", "5fff 7fff 9fff bfff ff 81ff"],
        ["reserved heads", "CborUnsupported", "1c 3d 5e fc fd fe"],
        ["floating point and simple values", "CborUnsupported", "f93c00 fa3f800000 fb3ff0000000000000 f0 f7 f820"],
        [
            "an item cut off",
            "CborTruncated",
            "- 18 19ff 42aa 6161ff.42 81 a101 c1 9bffffffffffffffff 5bffffffffffffffff bb7fffffffffffffff",
        ],
        [
            "keys out of order or repeated",
            "CborKey",
            "a202000100 a201000100 a2616100616100 a220000100 a2616200616100 a262616100616200",
        ],
        ["keys that are no number or string", "CborKey", "a18000 a1a000 a1f500 a1c10000"],
        ["octets behind the item", "CborTrailing", "0000 f6f6 8000"],
        [
            "text that is no UTF-8",
            "CborText",
            "6180 61c3 62c0af 62c181 63e08080 63eda080 64f0808080 64f4908080 64f5808080 62c341 61ff 65f888808080",
        ],
    ]
    for (const [what, code, list] of table)
        it(what, () => {
            for (const text of list.split(" ").filter(each => !each.includes(".")))
                expect([text, codeOf(text === "-" ? "" : text)]).toEqual([text, code])
        })

    it("keys above 256 octets", () => {
        expect(codeOf("a1" + "58fe" + "00".repeat(254) + "00")).toBe("none")
        expect(codeOf("a1" + "58ff" + "00".repeat(255) + "00")).toBe("CborKey")
    })

    it("each scalar value of UTF-8 at the edges is taken", () => {
        for (const point of [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff]) {
            const text = Buffer.from(String.fromCodePoint(point), "utf8")
            expect(codeThrown(() => check(Buffer.concat([cborHead(Major.Text, text.length), text])))).toBe("none")
        }
    })

    it("sixteen levels of lists, maps and tags are taken, seventeen are not", () => {
        expect(codeOf("81".repeat(16) + "00")).toBe("none")
        expect(codeOf("81".repeat(17) + "00")).toBe("CborDepth")
        expect(codeOf("c1".repeat(17) + "00")).toBe("CborDepth")
        expect(codeOf("a100".repeat(17) + "00")).toBe("CborDepth")
        expect(codeOf("81".repeat(5000))).toBe("CborDepth")
    })
})

describe("reader and heads", () => {
    it("integers to 2^53 are numbers, above that their octets are where start and stop say", () => {
        const reader = new CborReader(octets("1b001fffffffffffff3b001fffffffffffff1b0020000000000000"), 0, 27)
        expect(reader.integer()).toBe(2 ** 53 - 1)
        expect(reader.integer()).toBe(-(2 ** 53))
        expect(codeThrown(() => reader.integer())).toBe("CborRange")
        expect([reader.argument, reader.start, reader.stop]).toEqual([-1, 19, 27])
    })

    it("another major type than is due is refused at its head", () => {
        const reader = new CborReader(octets("0143010203"), 1, 5)
        expect(codeThrown(() => reader.read(Major.Text))).toBe("CborType")
        expect([reader.from, reader.start, reader.stop]).toEqual([1, 2, 5])
        expect(codeThrown(() => new CborReader(octets("40"), 0, 1).integer())).toBe("CborType")
    })

    it("a span ends where it is said to", () => {
        expect(codeThrown(() => new CborReader(octets("42aabb"), 0, 2).next())).toBe("CborTruncated")
    })

    it("heads are in the fewest octets, as cbor-x writes them", () => {
        for (const number of [0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1])
            expect(cborHead(Major.Unsigned, number)).toEqual(Buffer.from(peer.encode(number)))
        expect(cborHead(Major.Octets, 300).toString("hex")).toBe("59012c")
    })
})
