import {
    addColumn,
    addPoint,
    addSelected,
    affineX,
    affineY,
    doublePoint,
    isInfinite,
    PointSum,
    primeField,
    randomiseZ,
    setPoint,
    signedDigits,
    storePoint,
} from "./p256-point"
import { linear, type Modulus, zeroLimbs } from "./p256-scalar"
import { combTable } from "./p256-tables"

// The multiples of points that ECDSA and ECDH need. Those of a secret number run the same steps whatever it
// is, over coordinates that are random each time; only which table entry is read depends on it.

/** Makes `k` (0 to order - 1) odd by taking order - k if need be; answers the sign: 1 or -1. */
function makeOdd(k: number[], order: Modulus): number {
    const opposite = zeroLimbs()
    linear(opposite, order.limbs, 1, k, -1)
    const odd = k[0] & 1
    for (let i = 0; i < 11; ++i) k[i] = k[i] * odd + opposite[i] * (1 - odd)
    return 2 * odd - 1
}

/**
 * X of k * Q, affine, for a secret `k` of 1 to order - 1 and the point Q of `multiples`. 255 doublings, 85 additions
 * of the odd multiple that each three digits of 1 or -1 make.
 */
export function multiplyPoint(k: number[], order: Modulus, multiples: Buffer): number[] {
    const odd = k.slice()
    const sign = makeOdd(odd, order)
    const digits = signedDigits(odd)
    let sum = windowSum(digits, sign, multiples, false)
    if (isInfinite(sum)) sum = windowSum(digits, sign, multiples, true)
    affineX(sum, 1)
    return sum.minusX
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

/** k * G for a secret `k` of 1 to order - 1, its affine x done. 21 doublings, 42 additions. */
export function multiplyBase(k: number[], order: Modulus): PointSum {
    const sum = combine(k, order, Buffer.alloc(22), combTable)
    affineX(sum, 1)
    return sum
}

/**
 * k * G + u * Q for `k` of 0 to order - 1, the point Q of `multiples` and the digits `sparse` of u: 22 zeros for u = 0, else 257, whose
 * points are public. At most 256 doublings, on average 51 additions for u and, joined to the last 22 doublings, 43
 * for k. Infinite only if the sum is.
 */
export function combine(k: number[], order: Modulus, sparse: Buffer, multiples: Buffer): PointSum {
    const odd = k.slice()
    const sign = makeOdd(odd, order)
    const digits = signedDigits(odd)
    let careful = false
    for (;;) {
        const sum = new PointSum(primeField(), careful)
        for (let i = sparse.length - 1; i >= 0; --i) {
            doublePoint(sum)
            const digit = sparse[i]
            if (digit > 127) addPoint(sum, multiples, ((256 - digit) >> 1) * 64, -1)
            else if (digit > 0) addPoint(sum, multiples, (digit >> 1) * 64, 1)
            if (i < 22) {
                addColumn(sum, digits, i, 0, sign)
                if (i < 21) addColumn(sum, digits, i, 1, sign)
                else randomiseZ(sum)
            }
        }
        if (careful || !isInfinite(sum)) return sum
        careful = true
    }
}

/** Width-4 non-adjacent form: 257 digits, 0 or odd, -7 to 7 (negative ones plus 256), least significant first. */
export function sparseDigits(k: number[]): Buffer {
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

/** Q, 3 Q, 5 Q, 7 Q as a table, from Q's affine coordinates in Montgomery form. */
export function oddMultiples(qx: number[], qy: number[]): Buffer {
    const table = Buffer.alloc(4 * 64 + 2)
    const sum = new PointSum(primeField(), false)
    storePoint(table, 0, qx, qy)
    // 2 Q + Q, 4 Q + Q, 8 Q - Q
    for (let i = 1; i < 4; ++i) {
        setPoint(sum, table, 0, 1)
        for (let j = 0; j < i; ++j) doublePoint(sum)
        addPoint(sum, table, 0, i < 3 ? 1 : -1)
        affineX(sum, -1)
        affineY(sum, -1)
        storePoint(table, 64 * i, sum.minusX, sum.y)
    }
    return table
}
