/**
 * Arithmetic modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, made for a machine that has doubles but no wide
 * integers, and where one array access costs as much as a multiplication.
 *
 * A number is 11 limbs of 24 bits in doubles, least significant first, in Montgomery form with R = 2^264.
 * Limbs are signed and need not be reduced: a limb bound is counted in units of 2^23. Results have bound 1
 * (balanced limbs; the top limb holds the rest, under 2^18), numbers read from octets have bound 2, sums add up their bounds, so
 * sums and small multiples need no carries. A product is exact as long as the bounds of its factors multiply
 * to at most 12: a column is then below 10 * 12 * 2^46 + 2^42 < 2^53.
 *
 * Reduction goes by columns from the low end. p = -1 modulo 2^96, so what must be added to clear a column is its own
 * low 24 bits, q: q * p = -q + q * 2^96 + q * 2^192 - q * 2^224 + q * 2^256, which is +q at four and at eight
 * limbs further up, -256 q at nine, 65536 q at ten. High columns are rounded to the nearest multiple of 2^24,
 * which leaves balanced limbs. Everything is subtracted where it can be: `+` looks for strings first.
 *
 * `r` may be the same array as any input.
 */

// Variables, not constants: an octet or two of code at each use instead of five.
// biome-ignore lint/style/useConst: as above
let limbMask = 0xffffff
// biome-ignore lint/style/useConst: as above
let bits8 = 256
// biome-ignore lint/style/useConst: as above
let bits16 = 65536
const perLimb = 1 / 0x1000000
/** A double of this size has no bits below 2^24: adding and taking it away rounds. */
const rounder = 1.5 * 2 ** 76
const minusRounder = -1.5 * 2 ** 76

/** r = -a * b / R. Limb bounds of `a` times limb bounds of `b` at most 12. */
// biome-ignore format: one column a line
export function negMul(r: number[], a: number[], b: number[]): void {
    const a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7], a8 = a[8], a9 = a[9], a10 = a[10]
    const b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3], b4 = b[4], b5 = b[5], b6 = b[6], b7 = b[7], b8 = b[8], b9 = b[9], b10 = b[10]
    let t = -a0 * b0
    const q0 = t & limbMask
    t = (t - q0) * perLimb - a0 * b1 - a1 * b0
    const q1 = t & limbMask
    t = (t - q1) * perLimb - a0 * b2 - a1 * b1 - a2 * b0
    const q2 = t & limbMask
    t = (t - q2) * perLimb - a0 * b3 - a1 * b2 - a2 * b1 - a3 * b0
    const q3 = t & limbMask
    t = (t - q3) * perLimb - a0 * b4 - a1 * b3 - a2 * b2 - a3 * b1 - a4 * b0 + q0
    const q4 = t & limbMask
    t = (t - q4) * perLimb - a0 * b5 - a1 * b4 - a2 * b3 - a3 * b2 - a4 * b1 - a5 * b0 + q1
    const q5 = t & limbMask
    t = (t - q5) * perLimb - a0 * b6 - a1 * b5 - a2 * b4 - a3 * b3 - a4 * b2 - a5 * b1 - a6 * b0 + q2
    const q6 = t & limbMask
    t = (t - q6) * perLimb - a0 * b7 - a1 * b6 - a2 * b5 - a3 * b4 - a4 * b3 - a5 * b2 - a6 * b1 - a7 * b0 + q3
    const q7 = t & limbMask
    t = (t - q7) * perLimb - a0 * b8 - a1 * b7 - a2 * b6 - a3 * b5 - a4 * b4 - a5 * b3 - a6 * b2 - a7 * b1 - a8 * b0 + q4 + q0
    const q8 = t & limbMask
    t = (t - q8) * perLimb - a0 * b9 - a1 * b8 - a2 * b7 - a3 * b6 - a4 * b5 - a5 * b4 - a6 * b3 - a7 * b2 - a8 * b1 - a9 * b0 + q5 + q1 - bits8 * q0
    const q9 = t & limbMask
    t = (t - q9) * perLimb - a0 * b10 - a1 * b9 - a2 * b8 - a3 * b7 - a4 * b6 - a5 * b5 - a6 * b4 - a7 * b3 - a8 * b2 - a9 * b1 - a10 * b0 + q6 + q2 - bits8 * q1 + bits16 * q0
    const q10 = t & limbMask
    t = (t - q10) * perLimb - a1 * b10 - a2 * b9 - a3 * b8 - a4 * b7 - a5 * b6 - a6 * b5 - a7 * b4 - a8 * b3 - a9 * b2 - a10 * b1 + q7 + q3 - bits8 * q2 + bits16 * q1
    let h = t - minusRounder - rounder
    r[0] = t - h
    t = h * perLimb - a2 * b10 - a3 * b9 - a4 * b8 - a5 * b7 - a6 * b6 - a7 * b5 - a8 * b4 - a9 * b3 - a10 * b2 + q8 + q4 - bits8 * q3 + bits16 * q2
    h = t - minusRounder - rounder
    r[1] = t - h
    t = h * perLimb - a3 * b10 - a4 * b9 - a5 * b8 - a6 * b7 - a7 * b6 - a8 * b5 - a9 * b4 - a10 * b3 + q9 + q5 - bits8 * q4 + bits16 * q3
    h = t - minusRounder - rounder
    r[2] = t - h
    t = h * perLimb - a4 * b10 - a5 * b9 - a6 * b8 - a7 * b7 - a8 * b6 - a9 * b5 - a10 * b4 + q10 + q6 - bits8 * q5 + bits16 * q4
    h = t - minusRounder - rounder
    r[3] = t - h
    t = h * perLimb - a5 * b10 - a6 * b9 - a7 * b8 - a8 * b7 - a9 * b6 - a10 * b5 + q7 - bits8 * q6 + bits16 * q5
    h = t - minusRounder - rounder
    r[4] = t - h
    t = h * perLimb - a6 * b10 - a7 * b9 - a8 * b8 - a9 * b7 - a10 * b6 + q8 - bits8 * q7 + bits16 * q6
    h = t - minusRounder - rounder
    r[5] = t - h
    t = h * perLimb - a7 * b10 - a8 * b9 - a9 * b8 - a10 * b7 + q9 - bits8 * q8 + bits16 * q7
    h = t - minusRounder - rounder
    r[6] = t - h
    t = h * perLimb - a8 * b10 - a9 * b9 - a10 * b8 + q10 - bits8 * q9 + bits16 * q8
    h = t - minusRounder - rounder
    r[7] = t - h
    t = h * perLimb - a9 * b10 - a10 * b9 - bits8 * q10 + bits16 * q9
    h = t - minusRounder - rounder
    r[8] = t - h
    t = h * perLimb - a10 * b10 + bits16 * q10
    h = t - minusRounder - rounder
    r[9] = t - h
    r[10] = h * perLimb
}

/** r = -a * b / R - s * c; further `c` at most 4 and `s` -8 to 8. */
// biome-ignore format: one column a line
export function negMulLess(r: number[], a: number[], b: number[], c: number[], s: number): void {
    const a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7], a8 = a[8], a9 = a[9], a10 = a[10]
    const b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3], b4 = b[4], b5 = b[5], b6 = b[6], b7 = b[7], b8 = b[8], b9 = b[9], b10 = b[10]
    let t = -a0 * b0
    const q0 = t & limbMask
    t = (t - q0) * perLimb - a0 * b1 - a1 * b0
    const q1 = t & limbMask
    t = (t - q1) * perLimb - a0 * b2 - a1 * b1 - a2 * b0
    const q2 = t & limbMask
    t = (t - q2) * perLimb - a0 * b3 - a1 * b2 - a2 * b1 - a3 * b0
    const q3 = t & limbMask
    t = (t - q3) * perLimb - a0 * b4 - a1 * b3 - a2 * b2 - a3 * b1 - a4 * b0 + q0
    const q4 = t & limbMask
    t = (t - q4) * perLimb - a0 * b5 - a1 * b4 - a2 * b3 - a3 * b2 - a4 * b1 - a5 * b0 + q1
    const q5 = t & limbMask
    t = (t - q5) * perLimb - a0 * b6 - a1 * b5 - a2 * b4 - a3 * b3 - a4 * b2 - a5 * b1 - a6 * b0 + q2
    const q6 = t & limbMask
    t = (t - q6) * perLimb - a0 * b7 - a1 * b6 - a2 * b5 - a3 * b4 - a4 * b3 - a5 * b2 - a6 * b1 - a7 * b0 + q3
    const q7 = t & limbMask
    t = (t - q7) * perLimb - a0 * b8 - a1 * b7 - a2 * b6 - a3 * b5 - a4 * b4 - a5 * b3 - a6 * b2 - a7 * b1 - a8 * b0 + q4 + q0
    const q8 = t & limbMask
    t = (t - q8) * perLimb - a0 * b9 - a1 * b8 - a2 * b7 - a3 * b6 - a4 * b5 - a5 * b4 - a6 * b3 - a7 * b2 - a8 * b1 - a9 * b0 + q5 + q1 - bits8 * q0
    const q9 = t & limbMask
    t = (t - q9) * perLimb - a0 * b10 - a1 * b9 - a2 * b8 - a3 * b7 - a4 * b6 - a5 * b5 - a6 * b4 - a7 * b3 - a8 * b2 - a9 * b1 - a10 * b0 + q6 + q2 - bits8 * q1 + bits16 * q0
    const q10 = t & limbMask
    t = (t - q10) * perLimb - a1 * b10 - a2 * b9 - a3 * b8 - a4 * b7 - a5 * b6 - a6 * b5 - a7 * b4 - a8 * b3 - a9 * b2 - a10 * b1 + q7 + q3 - bits8 * q2 + bits16 * q1 - s * c[0]
    let h = t - minusRounder - rounder
    r[0] = t - h
    t = h * perLimb - a2 * b10 - a3 * b9 - a4 * b8 - a5 * b7 - a6 * b6 - a7 * b5 - a8 * b4 - a9 * b3 - a10 * b2 + q8 + q4 - bits8 * q3 + bits16 * q2 - s * c[1]
    h = t - minusRounder - rounder
    r[1] = t - h
    t = h * perLimb - a3 * b10 - a4 * b9 - a5 * b8 - a6 * b7 - a7 * b6 - a8 * b5 - a9 * b4 - a10 * b3 + q9 + q5 - bits8 * q4 + bits16 * q3 - s * c[2]
    h = t - minusRounder - rounder
    r[2] = t - h
    t = h * perLimb - a4 * b10 - a5 * b9 - a6 * b8 - a7 * b7 - a8 * b6 - a9 * b5 - a10 * b4 + q10 + q6 - bits8 * q5 + bits16 * q4 - s * c[3]
    h = t - minusRounder - rounder
    r[3] = t - h
    t = h * perLimb - a5 * b10 - a6 * b9 - a7 * b8 - a8 * b7 - a9 * b6 - a10 * b5 + q7 - bits8 * q6 + bits16 * q5 - s * c[4]
    h = t - minusRounder - rounder
    r[4] = t - h
    t = h * perLimb - a6 * b10 - a7 * b9 - a8 * b8 - a9 * b7 - a10 * b6 + q8 - bits8 * q7 + bits16 * q6 - s * c[5]
    h = t - minusRounder - rounder
    r[5] = t - h
    t = h * perLimb - a7 * b10 - a8 * b9 - a9 * b8 - a10 * b7 + q9 - bits8 * q8 + bits16 * q7 - s * c[6]
    h = t - minusRounder - rounder
    r[6] = t - h
    t = h * perLimb - a8 * b10 - a9 * b9 - a10 * b8 + q10 - bits8 * q9 + bits16 * q8 - s * c[7]
    h = t - minusRounder - rounder
    r[7] = t - h
    t = h * perLimb - a9 * b10 - a10 * b9 - bits8 * q10 + bits16 * q9 - s * c[8]
    h = t - minusRounder - rounder
    r[8] = t - h
    t = h * perLimb - a10 * b10 + bits16 * q10 - s * c[9]
    h = t - minusRounder - rounder
    r[9] = t - h
    r[10] = h * perLimb - s * c[10]
}

/** r = -a * a / R. Limb bound of `a` at most 3. */
// biome-ignore format: one column a line
export function negSquare(r: number[], a: number[]): void {
    const a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7], a8 = a[8], a9 = a[9], a10 = a[10]
    let t = -a0 * a0
    const q0 = t & limbMask
    t = (t - q0) * perLimb - 2 * a0 * a1
    const q1 = t & limbMask
    t = (t - q1) * perLimb - 2 * a0 * a2 - a1 * a1
    const q2 = t & limbMask
    t = (t - q2) * perLimb - 2 * (a0 * a3 + a1 * a2)
    const q3 = t & limbMask
    t = (t - q3) * perLimb - 2 * (a0 * a4 + a1 * a3) - a2 * a2 + q0
    const q4 = t & limbMask
    t = (t - q4) * perLimb - 2 * (a0 * a5 + a1 * a4 + a2 * a3) + q1
    const q5 = t & limbMask
    t = (t - q5) * perLimb - 2 * (a0 * a6 + a1 * a5 + a2 * a4) - a3 * a3 + q2
    const q6 = t & limbMask
    t = (t - q6) * perLimb - 2 * (a0 * a7 + a1 * a6 + a2 * a5 + a3 * a4) + q3
    const q7 = t & limbMask
    t = (t - q7) * perLimb - 2 * (a0 * a8 + a1 * a7 + a2 * a6 + a3 * a5) - a4 * a4 + q4 + q0
    const q8 = t & limbMask
    t = (t - q8) * perLimb - 2 * (a0 * a9 + a1 * a8 + a2 * a7 + a3 * a6 + a4 * a5) + q5 + q1 - bits8 * q0
    const q9 = t & limbMask
    t = (t - q9) * perLimb - 2 * (a0 * a10 + a1 * a9 + a2 * a8 + a3 * a7 + a4 * a6) - a5 * a5 + q6 + q2 - bits8 * q1 + bits16 * q0
    const q10 = t & limbMask
    t = (t - q10) * perLimb - 2 * (a1 * a10 + a2 * a9 + a3 * a8 + a4 * a7 + a5 * a6) + q7 + q3 - bits8 * q2 + bits16 * q1
    let h = t - minusRounder - rounder
    r[0] = t - h
    t = h * perLimb - 2 * (a2 * a10 + a3 * a9 + a4 * a8 + a5 * a7) - a6 * a6 + q8 + q4 - bits8 * q3 + bits16 * q2
    h = t - minusRounder - rounder
    r[1] = t - h
    t = h * perLimb - 2 * (a3 * a10 + a4 * a9 + a5 * a8 + a6 * a7) + q9 + q5 - bits8 * q4 + bits16 * q3
    h = t - minusRounder - rounder
    r[2] = t - h
    t = h * perLimb - 2 * (a4 * a10 + a5 * a9 + a6 * a8) - a7 * a7 + q10 + q6 - bits8 * q5 + bits16 * q4
    h = t - minusRounder - rounder
    r[3] = t - h
    t = h * perLimb - 2 * (a5 * a10 + a6 * a9 + a7 * a8) + q7 - bits8 * q6 + bits16 * q5
    h = t - minusRounder - rounder
    r[4] = t - h
    t = h * perLimb - 2 * (a6 * a10 + a7 * a9) - a8 * a8 + q8 - bits8 * q7 + bits16 * q6
    h = t - minusRounder - rounder
    r[5] = t - h
    t = h * perLimb - 2 * (a7 * a10 + a8 * a9) + q9 - bits8 * q8 + bits16 * q7
    h = t - minusRounder - rounder
    r[6] = t - h
    t = h * perLimb - 2 * a8 * a10 - a9 * a9 + q10 - bits8 * q9 + bits16 * q8
    h = t - minusRounder - rounder
    r[7] = t - h
    t = h * perLimb - 2 * a9 * a10 - bits8 * q10 + bits16 * q9
    h = t - minusRounder - rounder
    r[8] = t - h
    t = h * perLimb - a10 * a10 + bits16 * q10
    h = t - minusRounder - rounder
    r[9] = t - h
    r[10] = h * perLimb
}

/** r = a - s * b, limb by limb. */
export function less(r: number[], a: number[], s: number, b: number[]): void {
    r[0] = a[0] - s * b[0]
    r[1] = a[1] - s * b[1]
    r[2] = a[2] - s * b[2]
    r[3] = a[3] - s * b[3]
    r[4] = a[4] - s * b[4]
    r[5] = a[5] - s * b[5]
    r[6] = a[6] - s * b[6]
    r[7] = a[7] - s * b[7]
    r[8] = a[8] - s * b[8]
    r[9] = a[9] - s * b[9]
    r[10] = a[10] - s * b[10]
}
