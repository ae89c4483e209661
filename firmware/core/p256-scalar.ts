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

/** Same limbs. */
export function sameLimbs(a: number[], b: number[]): boolean {
    let difference = 0
    for (let i = 0; i < 11; ++i) difference |= a[i] ^ b[i]
    return difference === 0
}

/** r = sign * a, reduced; `a` may have signed limbs below 2^30, and a value a few times the modulus. */
export function reduce(r: number[], a: number[], sign: number, modulus: Modulus): void {
    carry(r, a, sign, r, 0)
    const m = modulus.limbs
    while (r[10] < 0) carry(r, r, 1, m, 1)
    while (!lessThan(r, m)) carry(r, r, 1, m, -1)
}

/** r = s * a + t * b with carries; the top limb keeps the sign. */
function carry(r: number[], a: number[], s: number, b: number[], t: number): void {
    let sum = 0
    for (let i = 0; i < 10; ++i) {
        sum = sum + s * a[i] + t * b[i]
        r[i] = sum & 0xffffff
        sum = sum >> 24
    }
    r[10] = sum + s * a[10] + t * b[10]
}

/** r = m - a for a of 1 to m (0 becomes m itself). */
export function negate(r: number[], a: number[], modulus: Modulus): void {
    carry(r, modulus.limbs, 1, a, -1)
}

/** r = a + b, carried but not reduced. */
export function addRaw(r: number[], a: number[], b: number[]): void {
    carry(r, a, 1, b, 1)
}

/** r = a + b modulo m. */
export function addModulo(r: number[], a: number[], b: number[], modulus: Modulus): void {
    carry(r, a, 1, b, 1)
    reduce(r, r, 1, modulus)
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

/**
 * 1 / a modulo m, for a public `a` of 1 to m - 1: time depends on the value.
 *
 * Lehmer's form of Euclid's algorithm. `x` and `y` shrink from m and a to 0 and 1. Each round runs
 * Euclid on their leading 36 to 48 bits as doubles, which yields a matrix (A -B; -C D) of quotients, then applies the matrix to
 * all limbs and, with plus signs, to the cofactors: always x = -s * a and y = u * a modulo m.
 */
export function inversePublic(a: number[], modulus: Modulus): number[] {
    platform().yieldNow()
    const x = zeroLimbs()
    const y = zeroLimbs()
    const s = zeroLimbs()
    const u = zeroLimbs()
    // A round may carry two limbs beyond the top one.
    s.push(0)
    u.push(0)
    for (let i = 0; i < 11; ++i) {
        x[i] = modulus.limbs[i]
        y[i] = a[i]
    }
    u[0] = 1
    let n = 10
    let k = 1
    // As a rule a round takes 36 bits off x and y together; the bound only stops what cannot be inverted.
    for (let round = 0; round < 200; ++round) {
        if ((round & 31) === 31) platform().yieldNow()
        while (n > 0 && x[n] === 0 && y[n] === 0) --n
        let A = 1
        let B = 0
        let C = 0
        let D = 1
        let xh = 0
        let yh = 0
        let q = 0
        if (n < 2) {
            // All of x and y is in the doubles: exact quotients, until one is zero or the matrix grows too large.
            xh = x[1] * 0x1000000 + x[0]
            yh = y[1] * 0x1000000 + y[0]
            if (xh === 0 || yh === 0) break
            for (;;) {
                q = xh / yh
                if (q > 0x4000000) break
                q = q | 0
                if (B + q * D > 0x4000000 || A + q * C > 0x4000000) break
                xh -= q * yh
                A += q * C
                B += q * D
                if (xh === 0) break
                q = yh / xh
                if (q > 0x4000000) break
                q = q | 0
                if (D + q * B > 0x4000000 || C + q * A > 0x4000000) break
                yh -= q * xh
                C += q * A
                D += q * B
                if (yh === 0) break
            }
        } else {
            xh = x[n] * 0x1000000 + x[n - 1]
            yh = y[n] * 0x1000000 + y[n - 1]
            q = x[n] | y[n]
            if (q < 64) {
                xh = xh * 262144 + (x[n - 2] >> 6)
                yh = yh * 262144 + (y[n - 2] >> 6)
            } else if (q < 4096) {
                xh = xh * 4096 + (x[n - 2] >> 12)
                yh = yh * 4096 + (y[n - 2] >> 12)
            }
            // A quotient counts only if the bits left out could not have changed it (Collins' condition); else undo.
            for (;;) {
                if (yh === 0) break
                q = (xh / yh) | 0
                xh -= q * yh
                A += q * C
                B += q * D
                if (xh < B || yh - xh < A + C) {
                    A -= q * C
                    B -= q * D
                    xh += q * yh
                    break
                }
                if (xh === 0) break
                q = (yh / xh) | 0
                yh -= q * xh
                C += q * A
                D += q * B
                if (yh < C || xh - yh < B + D) {
                    C -= q * A
                    D -= q * B
                    yh += q * xh
                    break
                }
            }
        }
        if (B === 0 && C === 0) {
            // No quotient was certain, or it is too large.
            if (lessThan(x, y)) divideOnce(y, x, u, s, n)
            else divideOnce(x, y, s, u, n)
            k = 11
            continue
        }
        let cx = 0
        let cy = 0
        let xi = 0
        let yi = 0
        for (let i = 0; i <= n; ++i) {
            xi = x[i]
            yi = y[i]
            cx = cx + A * xi - B * yi
            xi = C * xi
            x[i] = cx & 0xffffff
            cx = (cx - x[i]) * perLimb
            cy = cy + D * yi - xi
            y[i] = cy & 0xffffff
            cy = (cy - y[i]) * perLimb
        }
        cx = 0
        cy = 0
        for (let i = 0; i <= k; ++i) {
            xi = s[i]
            yi = u[i]
            cx = cx + A * xi + B * yi
            s[i] = cx & 0xffffff
            cx = (cx - s[i]) * perLimb
            cy = cy + D * yi + C * xi
            u[i] = cy & 0xffffff
            cy = (cy - u[i]) * perLimb
        }
        while (k < 11 && (s[k] !== 0 || u[k] !== 0 || s[k - 1] !== 0 || u[k - 1] !== 0)) ++k
    }
    if (y[0] === 1) reduce(u, u, 1, modulus)
    else reduce(u, s, -1, modulus)
    platform().yieldNow()
    return u
}

/**
 * One step of long division: takes the largest q * 2^(24 i) times `short` off `long` that is certain to fit, and adds as
 * many cofactors. `n` is the top limb of `long`, which is not the smaller one.
 */
function divideOnce(long: number[], short: number[], longCofactor: number[], shortCofactor: number[], n: number): void {
    let top = n
    while (top > 0 && short[top] === 0) --top
    let shift = n - top
    const below = top > 0 ? short[top - 1] : 0
    let q = (long[n] * 0x1000000 + long[n - 1]) / (short[top] * 0x1000000 + below + 1)
    if (q < 1 && shift > 0) {
        --shift
        q = q * 0x1000000
    }
    q = q < 1 ? 1 : q | 0
    let up = 0
    for (let i = 0; i + shift <= n; ++i) {
        up = up + long[i + shift] - q * short[i]
        const limb = up & 0xffffff
        long[i + shift] = limb
        up = (up - limb) * perLimb
    }
    up = 0
    for (let i = 0; i + shift <= 11; ++i) {
        up = up + longCofactor[i + shift] + q * shortCofactor[i]
        const limb = up & 0xffffff
        longCofactor[i + shift] = limb
        up = (up - limb) * perLimb
    }
}

/** 1 / a modulo m for a secret `a`: what is inverted is a * random, so that its time says nothing of `a`. */
export function inverse(a: number[], modulus: Modulus): number[] {
    const mask = randomLimbs()
    const r = zeroLimbs()
    montgomeryMultiply(r, a, mask, modulus)
    montgomeryMultiply(r, inversePublic(r, modulus), mask, modulus)
    return r
}

/** A random number of 256 bits, not reduced. */
export function randomLimbs(): number[] {
    return limbsFromOctets(platform().randomOctets(32), 0)
}
