import { platform } from "../../../firmware/core/platform"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../vm/device/serve"

/**
 * The baseline of `plomb perf`: P-256 as one writes it down first. 20 limbs of 13 bits in int32, array loops, Montgomery
 * form with R = 2^260, Jacobian double-and-add, inversion by Fermat. Right, and nothing else.
 */

const limbs = 20
const mask = 0x1fff
let prime: number[] = []
let multiplications = 0

function zero(): number[] {
    const r: number[] = []
    for (let i = 0; i < limbs; ++i) r.push(0)
    return r
}

function fromOctets(octets: Buffer, at: number): number[] {
    const r = zero()
    for (let bit = 0; bit < 256; ++bit) {
        const value = (octets[at + 31 - (bit >> 3)] >> (bit & 7)) & 1
        const limb = (bit / 13) | 0
        r[limb] = r[limb] | (value << (bit - 13 * limb))
    }
    return r
}

function toOctets(a: number[], octets: Buffer, at: number): void {
    for (let bit = 0; bit < 256; ++bit) {
        const limb = (bit / 13) | 0
        const value = (a[limb] >> (bit - 13 * limb)) & 1
        const octet = at + 31 - (bit >> 3)
        octets[octet] = octets[octet] | (value << (bit & 7))
    }
}

/** r = a + sign * b, carried. */
function combine(a: number[], b: number[], sign: number): number[] {
    const r = zero()
    let sum = 0
    for (let i = 0; i < limbs; ++i) {
        sum = sum + a[i] + sign * b[i]
        r[i] = i < limbs - 1 ? sum & mask : sum
        sum = sum >> 13
    }
    return r
}

function reduce(a: number[]): number[] {
    let r = a
    while (r[limbs - 1] < 0) r = combine(r, prime, 1)
    for (;;) {
        const less = combine(r, prime, -1)
        if (less[limbs - 1] < 0) return r
        r = less
    }
}

function add(a: number[], b: number[]): number[] {
    return reduce(combine(a, b, 1))
}

function subtract(a: number[], b: number[]): number[] {
    return reduce(combine(a, b, -1))
}

/** a * b / R. A column stays below 31 * 2^26: p has only 11 limbs' worth of ones. */
function multiply(a: number[], b: number[]): number[] {
    if ((++multiplications & 3) === 0) platform().yieldNow()
    const t = zero()
    for (let i = 0; i < limbs; ++i) {
        const x = a[i]
        // p = -1 modulo 2^13
        const low = t[0] + x * b[0]
        const q = low & mask
        const up = (low + q * prime[0]) >> 13
        for (let j = 1; j < limbs; ++j) t[j - 1] = t[j] + x * b[j] + q * prime[j]
        t[0] = t[0] + up
        t[limbs - 1] = 0
    }
    return reduce(combine(t, zero(), 0))
}

/** 1 / a = a^(p - 2) */
function invert(a: number[]): number[] {
    const two = zero()
    two[0] = 2
    const exponent = combine(prime, two, -1)
    let r = a
    for (let bit = 254; bit >= 0; --bit) {
        r = multiply(r, r)
        const limb = (bit / 13) | 0
        if ((exponent[limb] >> (bit - 13 * limb)) & 1) r = multiply(r, a)
    }
    return r
}

class Point {
    constructor(
        readonly x: number[],
        readonly y: number[],
        readonly z: number[],
    ) {}
}

function double(p: Point): Point {
    const delta = multiply(p.z, p.z)
    const gamma = multiply(p.y, p.y)
    const beta = multiply(p.x, gamma)
    const product = multiply(subtract(p.x, delta), add(p.x, delta))
    const alpha = add(add(product, product), product)
    const beta2 = add(beta, beta)
    const beta4 = add(beta2, beta2)
    const x = subtract(subtract(multiply(alpha, alpha), beta4), beta4)
    const yz = multiply(p.y, p.z)
    const gamma2 = multiply(gamma, gamma)
    const gamma4 = add(add(gamma2, gamma2), add(gamma2, gamma2))
    const y = subtract(subtract(multiply(alpha, subtract(beta4, x)), gamma4), gamma4)
    return new Point(x, y, add(yz, yz))
}

/** p + q for q with z = 1, p not q nor its opposite. */
function addAffine(p: Point, q: Point): Point {
    const zz = multiply(p.z, p.z)
    const h = subtract(multiply(q.x, zz), p.x)
    const r = subtract(multiply(q.y, multiply(zz, p.z)), p.y)
    const hh = multiply(h, h)
    const hhh = multiply(hh, h)
    const v = multiply(p.x, hh)
    const x = subtract(subtract(subtract(multiply(r, r), hhh), v), v)
    const y = subtract(multiply(r, subtract(v, x)), multiply(p.y, hhh))
    return new Point(x, y, multiply(p.z, h))
}

/** k * G as X|Y for k of 2 to order - 2. */
function multiplyBase(k: Buffer): Buffer {
    // 2^520 modulo p, for Montgomery form
    const rr = fromOctets(hex`000004fffffffdfffffffffffffffefffffffbffffffff000000000000000300`, 0)
    const one = zero()
    one[0] = 1
    const gx = fromOctets(hex`6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296`, 0)
    const gy = fromOctets(hex`4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5`, 0)
    const g = new Point(multiply(gx, rr), multiply(gy, rr), multiply(one, rr))
    let sum = g
    let started = false
    for (let bit = 255; bit >= 0; --bit) {
        if (started) sum = double(sum)
        if ((k[31 - (bit >> 3)] >> (bit & 7)) & 1) {
            if (started) sum = addAffine(sum, g)
            started = true
        }
    }
    const z = invert(sum.z)
    const zz = multiply(z, z)
    const octets = Buffer.alloc(64)
    toOctets(multiply(multiply(sum.x, zz), one), octets, 0)
    toOctets(multiply(multiply(sum.y, multiply(zz, z)), one), octets, 32)
    return octets
}

/** 0: nothing; 1: one field multiplication of the two numbers that follow; 2: the multiple of G of the number that follows. */
function answer(request: Buffer): Buffer {
    if (request[0] === 2) {
        const k = Buffer.alloc(32)
        k.blitAt(0, request, 1, 32)
        return multiplyBase(k)
    }
    const a = fromOctets(request, 1)
    const b = fromOctets(request, 33)
    const r = request[0] === 1 ? multiply(a, b) : a
    const octets = Buffer.alloc(32)
    toOctets(r, octets, 0)
    return octets
}

installDevicePlatform(() => false)
prime = fromOctets(hex`ffffffff00000001000000000000000000000000ffffffffffffffffffffffff`, 0)
serveCases(97, answer)
