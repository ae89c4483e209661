import { curveConstants } from "./p256-tables"
import { platform } from "./platform"

/**
 * Arithmetic modulo any odd number of 256 bits (here p and the group order n), for what happens a few
 * times an operation. A number is 11 limbs of 24 bits, least significant first; unlike in p256-field
 * they are all 0 to 2^24 - 1 (the top one to 2^16 - 1) and values are fully reduced.
 */
export class Modulus {
    /** The modulus itself. */
    readonly limbs: number[]
    /** R^2, R = 2^264: multiplying by it takes a number into Montgomery form. */
    readonly rSquared: number[]

    /** `negInverse` is -1 / modulus modulo 2^24; the offsets are those of p256-tables. */
    constructor(
        modulusOffset: number,
        rSquaredOffset: number,
        readonly negInverse: number,
    ) {
        this.limbs = limbsAt(curveConstants, modulusOffset)
        this.rSquared = limbsAt(curveConstants, rSquaredOffset)
    }
}

const perLimb = 1 / 0x1000000

/** Limbs of zero. */
export function zeroLimbs(): number[] {
    return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/** The 32 octets little endian at `offset` (two more must follow) as limbs. */
export function limbsAt(table: Buffer, offset: number): number[] {
    const r = zeroLimbs()
    for (let i = 0; i < 11; ++i) r[i] = table.getAt(offset + 3 * i, "i32") & (i < 10 ? 0xffffff : 0xffff)
    return r
}

/** The 32 octets big endian at `offset`, as the standards write numbers, as limbs. */
export function limbsFromOctets(octets: Buffer, offset: number): number[] {
    const reversed = Buffer.alloc(34)
    for (let i = 0; i < 32; ++i) reversed[i] = octets[offset + 31 - i]
    return limbsAt(reversed, 0)
}

/** Octet `i` (0 to 31, least significant first) of reduced limbs. */
export function octetOf(a: number[], i: number): number {
    const limb = (i / 3) | 0
    return (a[limb] >> (8 * (i - 3 * limb))) & 0xff
}

/** Writes reduced limbs as 32 octets big endian. */
export function limbsToOctets(target: Buffer, offset: number, a: number[]): void {
    for (let i = 0; i < 32; ++i) target[offset + 31 - i] = octetOf(a, i)
}

/** a < b for limbs in range. Stops at the first difference: only for what is public or random. */
export function lessThan(a: number[], b: number[]): boolean {
    let i = 10
    while (i > 0 && a[i] === b[i]) --i
    return a[i] < b[i]
}

/** All limbs are zero. */
export function isZero(a: number[]): boolean {
    let any = 0
    for (let i = 0; i < 11; ++i) any |= a[i]
    return any === 0
}

/** Is `a` (as for `reduce`) a multiple of the modulus? */
export function vanishes(a: number[], modulus: Modulus): boolean {
    const t = zeroLimbs()
    reduce(t, a, 1, modulus)
    return isZero(t)
}

/** r = sign * a, reduced; `a` may have signed limbs below 2^30, and a value a few times the modulus. */
export function reduce(r: number[], a: number[], sign: number, modulus: Modulus): void {
    linear(r, a, sign, r, 0)
    const m = modulus.limbs
    while (r[10] < 0) linear(r, r, 1, m, 1)
    while (!lessThan(r, m)) linear(r, r, 1, m, -1)
}

/** r = s * a + t * b with carries, not reduced; the top limb keeps the sign. */
export function linear(r: number[], a: number[], s: number, b: number[], t: number): void {
    let sum = 0
    for (let i = 0; i < 10; ++i) {
        sum = sum + s * a[i] + t * b[i]
        r[i] = sum & 0xffffff
        sum = sum >> 24
    }
    r[10] = sum + s * a[10] + t * b[10]
}

/**
 * r = a * b / R, reduced. One row of the product at a time; a column collects at most 22 products of
 * 2^48, which is still exact.
 */
// biome-ignore format: one number a line
export function montgomeryMultiply(r: number[], a: number[], b: number[], modulus: Modulus): void {
    const m = modulus.limbs
    const negInverse = modulus.negInverse
    const b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3], b4 = b[4], b5 = b[5], b6 = b[6], b7 = b[7], b8 = b[8], b9 = b[9], b10 = b[10]
    const m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3], m4 = m[4], m5 = m[5], m6 = m[6], m7 = m[7], m8 = m[8], m9 = m[9], m10 = m[10]
    let t0 = 0, t1 = 0, t2 = 0, t3 = 0, t4 = 0, t5 = 0, t6 = 0, t7 = 0, t8 = 0, t9 = 0, t10 = 0
    for (let i = 0; i < 11; ++i) {
        const x = a[i]
        t0 = t0 + x * b0
        const q = ((t0 & 0xffffff) * negInverse) & 0xffffff
        t0 = (t0 + q * m0) * perLimb + t1 + x * b1 + q * m1
        t1 = t2 + x * b2 + q * m2
        t2 = t3 + x * b3 + q * m3
        t3 = t4 + x * b4 + q * m4
        t4 = t5 + x * b5 + q * m5
        t5 = t6 + x * b6 + q * m6
        t6 = t7 + x * b7 + q * m7
        t7 = t8 + x * b8 + q * m8
        t8 = t9 + x * b9 + q * m9
        t9 = t10 + x * b10 + q * m10
        t10 = 0
    }
    const t = [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9]
    let up = 0
    for (let i = 0; i < 10; ++i) {
        up = up + t[i]
        const limb = up & 0xffffff
        r[i] = limb
        up = (up - limb) * perLimb
    }
    r[10] = up
    reduce(r, r, 1, modulus)
}

/** (x, y) = (A x + B y, C x + D y) on limbs 0 to `n`; the top ones keep the sign. Factors below 2^27, so sums below 2^53. */
function transform(x: number[], y: number[], A: number, B: number, C: number, D: number, n: number): void {
    let cx = 0
    let cy = 0
    let xi = x[0]
    let yi = y[0]
    for (let i = 0; i < n; ++i) {
        cx = cx + A * xi + B * yi
        cy = cy + C * xi + D * yi
        xi = cx & 0xffffff
        x[i] = xi
        cx = (cx - xi) * perLimb
        yi = cy & 0xffffff
        y[i] = yi
        cy = (cy - yi) * perLimb
        xi = x[i + 1]
        yi = y[i + 1]
    }
    x[n] = cx + A * xi + B * yi
    y[n] = cy + C * xi + D * yi
}

/**
 * 1 / a modulo m for an `a` of 1 to m - 1 that is random or public, as time depends on it; or undefined where a
 * quotient is too large or too uncertain: for one random number in 5,000, or because `a` was chosen for it. The caller then asks
 * again for `a` times something random.
 *
 * Lehmer's form of Euclid's algorithm. `x` and `y` shrink from m and a to 0 and 1. Each round runs
 * Euclid on their leading 36 to 48 bits as doubles, which yields a matrix (A B; C D) of quotients, B and C not positive, then
 * applies it to all limbs and to the cofactors: always x = s * a and y = u * a modulo m.
 */
export function tryInverse(a: number[], modulus: Modulus): number[] | undefined {
    platform().yieldNow()
    const x = modulus.limbs.slice()
    const y = a.slice()
    const s = zeroLimbs()
    const u = zeroLimbs()
    u[0] = 1
    let n = 10
    let k = 0
    for (;;) {
        while (n > 1 && (x[n] | y[n]) === 0) --n
        let A = 1
        let B = 0
        let C = 0
        let D = 1
        let xh = x[n] * 0x1000000 + x[n - 1]
        let yh = y[n] * 0x1000000 + y[n - 1]
        const exact = n === 1
        if (exact && (xh === 0 || yh === 0)) break
        const top = x[n] | y[n]
        if (!exact && top < 4096) {
            const more = top < 64 ? 18 : 12
            xh = xh * (1 << more) + (x[n - 2] >> (24 - more))
            yh = yh * (1 << more) + (y[n - 2] >> (24 - more))
        }
        // A quotient counts only if the bits left out could not have changed it (Collins' condition). Where none are left
        // out, all count whose factors stay small enough for `transform`.
        for (;;) {
            let q = xh / yh
            if (q > 0x2000000) break
            q = q | 0
            let rest = xh - q * yh
            let first = A - q * C
            let second = B - q * D
            if (exact ? first - second > 0x4000000 : rest < -second || yh - rest < first - C) break
            xh = rest
            A = first
            B = second
            q = yh / xh
            if (q > 0x2000000) break
            q = q | 0
            rest = yh - q * xh
            first = C - q * A
            second = D - q * B
            if (exact ? second - first > 0x4000000 : rest < -first || xh - rest < second - B) break
            yh = rest
            C = first
            D = second
        }
        if (B === 0 && C === 0) return undefined
        transform(x, y, A, B, C, D, n)
        // Cofactors grow by at most two limbs a round.
        k = k < 9 ? k + 2 : 10
        transform(s, u, A, B, C, D, k)
    }
    reduce(u, y[0] === 1 ? u : s, 1, modulus)
    platform().yieldNow()
    return u
}

/** 1 / a modulo the order, for a secret or chosen `a`: what is inverted is a * random, so that its time says nothing of `a`. */
export function inverse(a: number[], order: Modulus): number[] {
    const r = zeroLimbs()
    for (;;) {
        const mask = randomLimbs()
        montgomeryMultiply(r, a, mask, order)
        const inverted = tryInverse(r, order)
        if (inverted) {
            montgomeryMultiply(r, inverted, mask, order)
            return r
        }
    }
}

/** A random number of 256 bits, not reduced. */
export function randomLimbs(): number[] {
    return limbsFromOctets(platform().randomOctets(32), 0)
}
