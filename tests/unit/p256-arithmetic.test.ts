import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { less, negMul, negMulLess, negSquare } from "../../firmware/core/p256-field"
import {
    inverse,
    limbsFromOctets,
    Modulus,
    montgomeryMultiply,
    reduce,
    tryInverse,
    zeroLimbs,
} from "../../firmware/core/p256-scalar"
import { fieldPrime, groupOrder, rSquaredModN, rSquaredModP } from "../../firmware/core/p256-tables"

const p = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const bigR = 1n << 264n
const unit = 1 << 23

const modulo = (a: bigint, m: bigint) => ((a % m) + m) % m
const value = (limbs: number[]) => limbs.reduce((sum, limb, i) => sum + (BigInt(limb) << BigInt(24 * i)), 0n)
const octets = (a: bigint) => Buffer.from(a.toString(16).padStart(64, "0"), "hex")

/** Limbs of at most `bound` units: extremes of either sign as often as anything between; a top limb as values below 8 p have it. */
function limbs(bound: number): fc.Arbitrary<number[]> {
    const most = bound * unit
    const limb = fc.oneof(fc.constantFrom(-most, most, -most + 1, most - 1, 0), fc.integer({ min: -most, max: most }))
    const top = fc.oneof(fc.constantFrom(-(1 << 19), 1 << 19), fc.integer({ min: -(1 << 19), max: 1 << 19 }))
    return fc.tuple(fc.array(limb, { minLength: 10, maxLength: 10 }), top).map(([low, high]) => [...low, high])
}

/** Same value modulo p, balanced limbs, top limb below 2^18. */
function expectProduct(r: number[], expected: bigint) {
    expect(modulo(value(r) * bigR, p)).toBe(modulo(expected, p))
    for (let i = 0; i < 10; ++i) expect(Math.abs(r[i])).toBeLessThanOrEqual(unit)
    expect(Math.abs(r[10])).toBeLessThan(1 << 18)
}

const bounds = fc.constantFrom<[number, number]>([1, 1], [6, 2], [12, 1], [3, 4], [2, 2], [1, 12])

describe("field arithmetic modulo p", () => {
    it("a product of limbs whose bounds multiply to at most 12 is exact and comes out balanced", () => {
        fc.assert(
            fc.property(
                bounds.chain(([a, b]) => fc.tuple(limbs(a), limbs(b), limbs(4), fc.integer({ min: -8, max: 8 }))),
                ([a, b, c, s]) => {
                    const r = zeroLimbs()
                    negMul(r, a, b)
                    expectProduct(r, -value(a) * value(b))
                    negMulLess(r, a, b, c, s)
                    expect(modulo(value(r) * bigR, p)).toBe(
                        modulo(-value(a) * value(b) - BigInt(s) * value(c) * bigR, p),
                    )
                    for (let i = 0; i < 10; ++i) expect(Math.abs(r[i])).toBeLessThanOrEqual(unit)
                },
            ),
            { numRuns: 3000, seed: 256 },
        )
    })

    it("the worst columns of all are exact: every limb at its bound, each choice of signs", () => {
        for (const [a, b] of [
            [6, 2],
            [12, 1],
            [3, 3],
        ])
            for (const [sa, sb] of [
                [1, 1],
                [1, -1],
                [-1, -1],
            ]) {
                const x = new Array(10).fill(sa * a * unit).concat(sa << 19)
                const y = new Array(10).fill(sb * b * unit).concat(sb << 19)
                const r = zeroLimbs()
                negMul(r, x, y)
                expectProduct(r, -value(x) * value(y))
                if (a === b) {
                    negSquare(r, x)
                    expectProduct(r, -value(x) * value(x))
                }
            }
    })

    it("one unit more than the invariant allows is not exact any more, so the bound is a true one", () => {
        const x = new Array(11).fill(14 * unit - 1)
        const y = new Array(11).fill(unit - 1)
        const r = zeroLimbs()
        negMul(r, x, y)
        expect(modulo(value(r) * bigR, p)).not.toBe(modulo(-value(x) * value(y), p))
    })

    it("squares, fused products and differences are those of the definition, in place too", () => {
        fc.assert(
            fc.property(limbs(3), limbs(4), limbs(1), fc.integer({ min: -8, max: 8 }), (a, c, e, s) => {
                const r = zeroLimbs()
                negSquare(r, a)
                expectProduct(r, -value(a) * value(a))
                const again = a.slice()
                negSquare(again, again)
                expect(again).toEqual(r)
                negMulLess(r, a, a, c, s)
                const fused = modulo(-value(a) * value(a) - BigInt(s) * value(c) * bigR, p)
                expect(modulo(value(r) * bigR, p)).toBe(fused)
                const inPlace = c.slice()
                negMulLess(inPlace, a, a, inPlace, s)
                expect(inPlace).toEqual(r)
                less(r, c, s, e)
                expect(value(r)).toBe(value(c) - BigInt(s) * value(e))
                const subtrahend = e.slice()
                less(subtrahend, c, s, subtrahend)
                expect(subtrahend).toEqual(r)
            }),
            { numRuns: 2000, seed: 257 },
        )
    })
})

describe("arithmetic modulo p and n", () => {
    const moduli: [string, Modulus, bigint][] = [
        ["p", new Modulus(fieldPrime, rSquaredModP, 1), p],
        ["n", new Modulus(groupOrder, rSquaredModN, 48207), n],
    ]
    const numbers = fc.oneof(
        fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
        fc
            .tuple(fc.nat(255), fc.integer({ min: -3, max: 3 }))
            .map(([e, d]) => modulo((1n << BigInt(e)) + BigInt(d), 1n << 256n)),
        fc.tuple(fc.constantFrom(p, n), fc.integer({ min: -3, max: 3 })).map(([m, d]) => m + BigInt(d)),
    )

    for (const [name, modulus, m] of moduli) {
        it(`${name}: a Montgomery product is reduced and right for any two numbers of 256 bits`, () => {
            fc.assert(
                fc.property(numbers, numbers, (a, b) => {
                    const r = zeroLimbs()
                    montgomeryMultiply(r, limbsFromOctets(octets(a), 0), limbsFromOctets(octets(b), 0), modulus)
                    expect(value(r)).toBeLessThan(m)
                    expect(modulo(value(r) * bigR, m)).toBe(modulo(a * b, m))
                }),
                { numRuns: 2000, seed: 258 },
            )
        })

        it(`${name}: signed limbs reduce to 0 … ${name} - 1`, () => {
            fc.assert(
                fc.property(limbs(2), fc.constantFrom(1, -1), (a, sign) => {
                    const r = zeroLimbs()
                    reduce(r, a, sign, modulus)
                    expect(value(r)).toBe(modulo(BigInt(sign) * value(a), m))
                }),
                { numRuns: 1000, seed: 259 },
            )
        })

        it(`${name}: a number times its inverse is one, also for quotients of any size in Euclid's algorithm`, () => {
            const one = (a: bigint) => {
                const limbsOf = limbsFromOctets(octets(a), 0)
                const tried = tryInverse(limbsOf, modulus)
                if (tried) expect(modulo(value(tried) * a, m)).toBe(1n)
                expect(modulo(value(inverse(limbsOf, modulus)) * a, m)).toBe(1n)
            }
            for (let e = 0n; e < 256n; ++e)
                for (const d of [-1n, 0n, 1n]) {
                    const a = (1n << e) + d
                    if (a > 0n && a < m) one(a)
                    if (a > 0n && a < m) one(m - a)
                    // m / a: the first quotient is about 2^e, with little behind it
                    if (a > 1n && m / a > 0n) one(m / a)
                }
            fc.assert(
                fc.property(numbers, a => {
                    if (modulo(a, m) !== 0n && a < m) one(a)
                }),
                { numRuns: 1000, seed: 260 },
            )
        })

        it(`${name}: of random numbers less than one in 200 has to be inverted again under another mask`, () => {
            let refused = 0
            for (let i = 0; i < 2000; ++i) {
                const a = createHash("sha256").update(`inverse ${i}`).digest()
                if (!tryInverse(limbsFromOctets(a, 0), modulus)) ++refused
            }
            expect(refused).toBeLessThan(10)
        })
    }
})
