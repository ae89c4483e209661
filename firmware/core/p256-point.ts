import { less, negMul, negMulLess, negSquare } from "./p256-field"
import { limbsAt, Modulus, octetOf, randomLimbs, reduce, tryInverse, vanishes, zeroLimbs } from "./p256-scalar"
import { combTable, curveConstants, fieldPrime, montgomeryOne, rSquaredModP } from "./p256-tables"
import { platform } from "./platform"

/** Arithmetic modulo p that is not in p256-field's hurry. */
export function primeField(): Modulus {
    return new Modulus(fieldPrime, rSquaredModP, 1)
}

/**
 * A running sum of points in Jacobian coordinates: x = X / Z^2, y = Y / Z^3, limbs as in p256-field.
 * A table of points has 64 octets each, x then y, 32 octets little endian in Montgomery form, two octets after the last.
 *
 * `addPoint` does not ask whether the point it adds is the sum itself or its opposite, nor whether the sum is the
 * point at infinity: all these leave Z = 0, which no later step can change. Whoever finds Z = 0 in the
 * end does it again with `careful` set.
 */
export class PointSum {
    /** -X: the negative products of p256-field then need the fewest corrections. */
    minusX: number[] = zeroLimbs()
    y: number[] = zeroLimbs()
    z: number[] = zeroLimbs()
    /** Nothing has been added yet, or (only if `careful`) the sum is the point at infinity. */
    infinite: boolean = true
    /** Point operations since the last yield; the first one yields. */
    operations: number = 5
    readonly a: number[] = zeroLimbs()
    readonly b: number[] = zeroLimbs()
    readonly c: number[] = zeroLimbs()
    readonly d: number[] = zeroLimbs()
    readonly e: number[] = zeroLimbs()

    constructor(
        readonly field: Modulus,
        readonly careful: boolean,
    ) {}
}

/** Sets `x` and `y` to the table's point at `offset`, y times `sign`. */
function load(table: Buffer, offset: number, x: number[], y: number[], sign: number): void {
    for (let i = 0; i < 10; ++i) {
        x[i] = table.getAt(offset, "i32") & 0xffffff
        y[i] = (table.getAt(offset + 32, "i32") & 0xffffff) * sign
        offset += 3
    }
    x[10] = table.getAt(offset, "u16")
    y[10] = table.getAt(offset + 32, "u16") * sign
}

/** A point operation is at most 11,000 steps, so five of them are well within the budget between two yields. */
function breathe(sum: PointSum): void {
    if (++sum.operations < 5) return
    sum.operations = 0
    platform().yieldNow()
}

/** Sets the sum to the table's point at `offset` if `sign` is 1, to its opposite if -1. */
export function setPoint(sum: PointSum, table: Buffer, offset: number, sign: number): void {
    load(table, offset, sum.minusX, sum.y, sign)
    sum.z = limbsAt(curveConstants, montgomeryOne)
    // Times one: doubling needs limbs of bound 1 here.
    negMul(sum.minusX, sum.minusX, sum.z)
    sum.infinite = false
}

/** The same point with another, random Z, so that the limbs met in a computation differ each time. */
export function randomiseZ(sum: PointSum): void {
    const factor = randomLimbs()
    const a = sum.a
    negSquare(a, factor)
    negMul(sum.minusX, sum.minusX, a)
    negMul(a, a, factor)
    // Y and Z both come out negative, which is the same point.
    negMul(sum.y, sum.y, a)
    negMul(sum.z, sum.z, factor)
}

/** Doubles the sum: 4 multiplications, 4 squarings (a = -3). No point of the curve has order two. */
export function doublePoint(sum: PointSum): void {
    if (sum.infinite) return
    breathe(sum)
    const x = sum.minusX
    const y = sum.y
    const z = sum.z
    const a = sum.a
    const b = sum.b
    const c = sum.c
    const d = sum.d
    negSquare(a, z)
    for (let i = 0; i < 11; ++i) {
        const xi = x[i]
        const ai = a[i]
        b[i] = (xi - ai) * 3
        c[i] = xi + ai
        a[i] = y[i] * -2
    }
    // d = -alpha = -3 (X - Z^2) (X + Z^2): bounds 6 and 2
    negMul(d, b, c)
    negMul(z, a, z)
    // a = -gamma = -Y^2, b = -beta = -X * gamma
    negSquare(a, y)
    negMul(b, x, a)
    // X' = alpha^2 - 8 beta, b = 4 beta - X'
    negMulLess(x, d, d, b, 8)
    less(b, x, 4, b)
    // Y' = alpha * (4 beta - X') - 8 gamma^2
    negSquare(a, a)
    negMulLess(y, d, b, a, -8)
}

/** Adds the table's point at `offset` if `sign` is 1, takes it away if -1: 8 multiplications, 3 squarings. */
export function addPoint(sum: PointSum, table: Buffer, offset: number, sign: number): void {
    if (sum.infinite) {
        setPoint(sum, table, offset, sign)
        return
    }
    breathe(sum)
    const x = sum.minusX
    const y = sum.y
    const z = sum.z
    const a = sum.a
    const b = sum.b
    const c = sum.c
    const h = sum.d
    const r = sum.e
    load(table, offset, h, r, -sign)
    // h = x2 Z^2 - X, r = y2 Z^3 - Y
    negSquare(a, z)
    negMulLess(h, h, a, x, -1)
    negMul(b, z, a)
    negMulLess(r, r, b, y, 1)
    if (sum.careful && meetsItself(sum, h, r)) {
        if (sum.infinite) return
        setPoint(sum, table, offset, sign)
        doublePoint(sum)
        return
    }
    // a = -h^2, b = h^3, c = -v = -X h^2
    negSquare(a, h)
    negMul(b, h, a)
    negMul(c, x, a)
    // X' = r^2 - h^3 - 2 v, a = v - X'
    less(a, b, 2, c)
    negMulLess(x, r, r, a, -1)
    less(a, x, 1, c)
    // Y' = r * (v - X') - Y h^3
    negMul(b, y, b)
    negMulLess(y, r, a, b, 1)
    // Y' and Z' = Z h have both come out negative, which is the same point.
    negMul(z, z, h)
}

/** Does the sum meet the same point (answers true) or its opposite (true, and the sum becomes infinite)? */
function meetsItself(sum: PointSum, h: number[], r: number[]): boolean {
    if (!vanishes(h, sum.field)) return false
    sum.infinite = !vanishes(r, sum.field)
    return true
}

/** The sum is the point at infinity, or was computed without care and has to be done again. */
export function isInfinite(sum: PointSum): boolean {
    return sum.infinite || vanishes(sum.z, sum.field)
}

/** Is `x`, below p, the affine x of the sum? Asked without an inversion: x * Z^2 = X. */
export function hasX(sum: PointSum, x: number[]): boolean {
    negSquare(sum.a, sum.z)
    negMul(sum.b, x, sum.field.rSquared)
    negMulLess(sum.a, sum.a, sum.b, sum.minusX, 1)
    return vanishes(sum.a, sum.field)
}

/**
 * Leaves the affine x, reduced, in the place of -X: x itself if `sign` is 1, in Montgomery form if it is -1. Not for the
 * point at infinity. Z is random where the point is secret, so the inversion is blinded.
 */
export function affineX(sum: PointSum, sign: number): void {
    const field = sum.field
    const a = sum.a
    const b = sum.b
    let inverted: number[] | undefined
    for (;;) {
        negSquare(a, sum.z)
        reduce(a, a, 1, field)
        // -1 / (Z^2 R)
        inverted = tryInverse(a, field)
        if (inverted) break
        randomiseZ(sum)
    }
    // a = 1 / Z^2, b = -R / Z^2
    negMul(a, inverted, field.rSquared)
    negMul(b, a, field.rSquared)
    if (sign < 0) less(a, b, 0, b)
    negMul(sum.minusX, sum.minusX, a)
    reduce(sum.minusX, sum.minusX, sign, field)
}

/** After `affineX` with the same `sign`, the affine y in the same form in the place of Y. */
export function affineY(sum: PointSum, sign: number): void {
    const y = sum.y
    negMul(y, y, sum.z)
    negMul(y, y, sum.b)
    negMul(y, y, sum.a)
    reduce(y, y, sign, sum.field)
}

/** Puts an affine point in Montgomery form, reduced, into a table. */
export function storePoint(table: Buffer, offset: number, x: number[], y: number[]): void {
    for (let i = 0; i < 32; ++i) {
        table[offset + i] = octetOf(x, i)
        table[offset + 32 + i] = octetOf(y, i)
    }
}

/**
 * Recodes an odd `k` below 2^256 into 258 digits that are all 1 or -1 (bit 1 or 0 of the result, least significant
 * first): such digits select a table's point and its sign, and never nothing.
 */
export function signedDigits(k: number[]): Buffer {
    const digits = Buffer.alloc(33)
    let low = octetOf(k, 0)
    for (let i = 0; i < 31; ++i) {
        const next = octetOf(k, i + 1)
        digits[i] = (low >> 1) | ((next & 1) << 7)
        low = next
    }
    digits[31] = low >> 1
    digits[32] = 2
    return digits
}

/**
 * Adds `sign` times the point that `teeth` digits at `at`, at + stride, … select among the 2^(teeth - 1) points at `base`
 * of the table. A negative top digit stands for the opposite of what the complement selects.
 */
export function addSelected(
    sum: PointSum,
    digits: Buffer,
    at: number,
    teeth: number,
    stride: number,
    table: Buffer,
    base: number,
    sign: number,
): void {
    let selected = 0
    for (let t = teeth - 1; t >= 0; --t) {
        const bit = at + t * stride
        selected = (selected << 1) | ((digits[bit >> 3] >> (bit & 7)) & 1)
    }
    const top = selected >> (teeth - 1)
    selected = (selected ^ (top - 1)) & ((1 << (teeth - 1)) - 1)
    addPoint(sum, table, base + selected * 64, sign * (2 * top - 1))
}

/** Adds `sign` times what column `j` (0 to 21; to 20 in block 1) of block 0 or 1 of the base point's comb selects. */
export function addColumn(sum: PointSum, digits: Buffer, j: number, block: number, sign: number): void {
    addSelected(sum, digits, j + 22 * block, 6, 43, combTable, 2048 * block, sign)
}
