import {
    addColumn,
    addPoint,
    addSelected,
    affineOctets,
    coordinates,
    doublePoint,
    isInfinite,
    PointSum,
    primeField,
    randomiseZ,
    restoreForm,
    scale,
    setPoint,
    signedDigits,
    storePoint,
} from "./p256-point"
import { inversePublic, type Modulus, montgomeryMultiply, negate, zeroLimbs } from "./p256-scalar"
import { platform } from "./platform"

// The multiples of points that ECDSA and ECDH need. Those of a secret number run the same steps whatever it
// is, over coordinates that are random each time; only which table entry is read depends on it.

/** Makes `k` (0 to order - 1) odd by taking order - k if need be; answers the sign: 1 or -1. */
function makeOdd(k: number[], order: Modulus): number {
    const opposite = zeroLimbs()
    negate(opposite, k, order)
    const odd = k[0] & 1
    for (let i = 0; i < 11; ++i) k[i] = k[i] * odd + opposite[i] * (1 - odd)
    return 2 * odd - 1
}

/** k * G, affine: X or, if `count` is 2, X|Y, for a secret `k` of 1 to order - 1. 21 doublings, 42 additions. */
export function multiplyBase(k: number[], order: Modulus, count: number): Buffer {
    const odd = k.slice()
    const sign = makeOdd(odd, order)
    const digits = signedDigits(odd)
    let sum = combSum(digits, sign, false)
    if (isInfinite(sum)) sum = combSum(digits, sign, true)
    return affineOctets(sum, count)
}

function combSum(digits: Buffer, sign: number, careful: boolean): PointSum {
    const sum = new PointSum(primeField(), careful)
    for (let j = 21; j >= 0; --j) {
        doublePoint(sum)
        addColumn(sum, digits, j, 0, sign)
        if (j === 21) randomiseZ(sum)
        if (j < 21) addColumn(sum, digits, j, 1, sign)
    }
    return sum
}

/**
 * X of k * Q, affine, for a secret `k` of 1 to order - 1 and the point Q of `multiples`. 255 doublings, 85 additions
 * of the odd multiple that each three digits of 1 or -1 make.
 */
export function multiplyPoint(k: number[], order: Modulus, multiples: Buffer): Buffer {
    const odd = k.slice()
    const sign = makeOdd(odd, order)
    const digits = signedDigits(odd)
    let sum = windowSum(digits, sign, multiples, false)
    if (isInfinite(sum)) sum = windowSum(digits, sign, multiples, true)
    return affineOctets(sum, 1)
}

function windowSum(digits: Buffer, sign: number, multiples: Buffer, careful: boolean): PointSum {
    const sum = new PointSum(primeField(), careful)
    for (let i = 255; i >= 0; i -= 3) {
        doublePoint(sum)
        doublePoint(sum)
        doublePoint(sum)
        addSelected(sum, digits, i, 3, 1, multiples, 0, sign)
        if (i === 255) randomiseZ(sum)
    }
    return sum
}

/**
 * u1 * G + u2 * Q for public numbers below the order and the point Q of `multiples`. At most 256 doublings, on average
 * 51 additions for u2 and, joined to the last 22 doublings, 43 for u1. Infinite only if the sum is.
 */
export function combine(u1: number[], u2: number[], order: Modulus, multiples: Buffer): PointSum {
    const odd = u1.slice()
    const sign = makeOdd(odd, order)
    const digits = signedDigits(odd)
    const sparse = sparseDigits(u2)
    const sum = jointSum(digits, sign, sparse, multiples, false)
    return isInfinite(sum) ? jointSum(digits, sign, sparse, multiples, true) : sum
}

function jointSum(digits: Buffer, sign: number, sparse: Buffer, multiples: Buffer, careful: boolean): PointSum {
    const sum = new PointSum(primeField(), careful)
    for (let i = 256; i >= 0; --i) {
        doublePoint(sum)
        const digit = sparse[i]
        if (digit > 127) addPoint(sum, multiples, ((256 - digit) >> 1) * 64, -1)
        else if (digit > 0) addPoint(sum, multiples, (digit >> 1) * 64, 1)
        if (i < 22) {
            addColumn(sum, digits, i, 0, sign)
            if (i < 21) addColumn(sum, digits, i, 1, sign)
        }
    }
    return sum
}

/** Width-4 non-adjacent form: 257 digits, 0 or odd, -7 to 7 (negative ones plus 256), least significant first. */
function sparseDigits(k: number[]): Buffer {
    const digits = Buffer.alloc(257)
    let carry = 0
    let i = 0
    while (i < 257) {
        const limb = (i / 24) | 0
        const shift = i - 24 * limb
        let four = k[limb] >> shift
        if (shift > 20 && limb < 10) four = four | (k[limb + 1] << (24 - shift))
        four = (four & 15) + carry
        // Bit and carry both 0 or both 1: no digit, and the carry stays as it is.
        if ((four & 1) === 0) {
            ++i
            continue
        }
        carry = four > 7 ? 1 : 0
        digits[i] = (four - 16 * carry) & 0xff
        i += 4
    }
    return digits
}

/** Q, 3 Q, 5 Q, 7 Q as a table, from Q's affine coordinates in Montgomery form. One inversion for all. */
export function oddMultiples(qx: number[], qy: number[]): Buffer {
    const table = Buffer.alloc(4 * 64 + 2)
    const field = primeField()
    const sum = new PointSum(field, false)
    storePoint(table, 0, qx, qy)
    const triple = stepsFrom(sum, table, 1)
    // 7 Q = 2 * 3 Q + Q, from where the sum stands
    doublePoint(sum)
    addPoint(sum, table, 0, 1)
    const seven = coordinates(sum)
    const five = stepsFrom(sum, table, 2)
    const points = [triple, five, seven]

    const first = zeroLimbs()
    const all = zeroLimbs()
    const one = zeroLimbs()
    montgomeryMultiply(first, triple[2], five[2], field)
    montgomeryMultiply(all, first, seven[2], field)
    const inverted = inversePublic(all, field)
    restoreForm(inverted, field)
    for (let i = 2; i >= 0; --i) {
        // inverted = 1 / (z of points 0 to i)
        const point = points[i]
        if (i === 2) montgomeryMultiply(one, inverted, first, field)
        else if (i === 1) montgomeryMultiply(one, inverted, triple[2], field)
        else for (let l = 0; l < 11; ++l) one[l] = inverted[l]
        montgomeryMultiply(inverted, inverted, point[2], field)
        scale(point[0], point[1], one, field)
        storePoint(table, 64 * (i + 1), point[0], point[1])
        platform().yieldNow()
    }
    return table
}

/** (2^doublings + 1) * Q */
function stepsFrom(sum: PointSum, table: Buffer, doublings: number): number[][] {
    setPoint(sum, table, 0, 1)
    for (let i = 0; i < doublings; ++i) doublePoint(sum)
    addPoint(sum, table, 0, 1)
    return coordinates(sum)
}
