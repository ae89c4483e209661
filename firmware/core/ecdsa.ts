import { Code, fail } from "./errors"
import { negMul, negSquare } from "./p256-field"
import { combine, multiplyBase, multiplyPoint, oddMultiples, sparseDigits } from "./p256-multiply"
import { affineY, hasX, isInfinite, primeField } from "./p256-point"
import {
    inverse,
    isZero,
    lessThan,
    limbsAt,
    limbsFromOctets,
    limbsToOctets,
    linear,
    Modulus,
    montgomeryMultiply,
    reduce,
    vanishes,
    zeroLimbs,
} from "./p256-scalar"
import { curveConstants, groupOrder, montgomeryB, rSquaredModN } from "./p256-tables"
import { platform } from "./platform"

/**
 * ECDSA and ECDH on P-256 (FIPS 186-5, RFC 6979, SP 800-56A). Keys and signatures are big endian: private key
 * 32 octets, public key X|Y 64, signature r|s 64, digest 32. Each call lets other fibers run about every 55,000
 * steps and keeps nothing between calls, so fibers may use it at the same time.
 *
 * Secrets meet no branch that depends on them, random coordinates and blinded inversions, but a bytecode VM promises no
 * constant time: a key that must resist a probe belongs into a secure element.
 */

/** A key pair; see above for the forms. */
export class KeyPairP256 {
    constructor(
        readonly privateKey: Buffer,
        readonly publicKey: Buffer,
    ) {}
}

function order(): Modulus {
    return new Modulus(groupOrder, rSquaredModN, 48207)
}

function inOrder(k: number[], n: Modulus): boolean {
    return !isZero(k) && lessThan(k, n.limbs)
}

function secretFrom(privateKey: Buffer, n: Modulus): number[] {
    const d = privateKey.length === 32 ? limbsFromOctets(privateKey, 0) : zeroLimbs()
    if (!inOrder(d, n)) fail(Code.BadPrivateKey, -1, "32 octets, 1 to order - 1", privateKey.length + " octets")
    return d
}

function checkDigest(digest: Buffer): void {
    if (digest.length !== 32) fail(Code.BadArgument, -1, "a digest of 32 octets", digest.length + " octets")
}

/**
 * Deterministic ECDSA (RFC 6979 with HMAC-SHA-256; FIPS 186-5 clause 6.4): r|s. Throws `BadPrivateKey`, and
 * `BadArgument` for a digest that is not 32 octets.
 */
export function signP256(privateKey: Buffer, digest: Buffer): Buffer {
    checkDigest(digest)
    const n = order()
    const d = secretFrom(privateKey, n)
    const e = limbsFromOctets(digest, 0)
    reduce(e, e, 1, n)
    // RFC 6979 3.2 a to g
    const e32 = Buffer.alloc(32)
    limbsToOctets(e32, 0, e)
    const tag = Buffer.alloc(1)
    const machine = platform()
    let key: Buffer = Buffer.alloc(32)
    let v: Buffer = Buffer.alloc(32)
    v.fillAt(0, 32, 1)
    for (let i = 0; i < 2; ++i) {
        tag[0] = i
        key = machine.hmacSha256(key, [v, tag, privateKey, e32])
        v = machine.hmacSha256(key, [v])
    }
    tag[0] = 0
    const signature = Buffer.alloc(64)
    for (;;) {
        // RFC 6979 3.2 h
        v = machine.hmacSha256(key, [v])
        const k = limbsFromOctets(v, 0)
        if (inOrder(k, n) && signWith(k, d, e, n, signature)) return signature
        key = machine.hmacSha256(key, [v, tag])
        v = machine.hmacSha256(key, [v])
    }
}

/** s = (e + r d) / k with r the x of k * G; false where r or s is 0. */
function signWith(k: number[], d: number[], e: number[], n: Modulus, signature: Buffer): boolean {
    const r = multiplyBase(k, n).minusX
    reduce(r, r, 1, n)
    const s = zeroLimbs()
    montgomeryMultiply(s, d, n.rSquared, n)
    montgomeryMultiply(s, s, r, n)
    // Below 2 n, which a product takes as well
    linear(s, s, 1, e, 1)
    montgomeryMultiply(s, s, n.rSquared, n)
    montgomeryMultiply(s, s, inverse(k, n), n)
    limbsToOctets(signature, 0, r)
    limbsToOctets(signature, 32, s)
    return !isZero(r) && !isZero(s)
}

/**
 * ECDSA verification (FIPS 186-5 clause 6.4.2). False for whatever does not hold: also for a key that is no
 * point of the curve, r or s out of range, wrong lengths of key or signature. Throws `BadArgument` for a digest that is not 32 octets.
 */
export function verifyP256(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
    checkDigest(digest)
    const q = pointFrom(publicKey)
    if (!q || signature.length !== 64) return false
    const n = order()
    const r = limbsFromOctets(signature, 0)
    const s = limbsFromOctets(signature, 32)
    if (!inOrder(r, n) || !inOrder(s, n)) return false
    const u1 = zeroLimbs()
    const u2 = zeroLimbs()
    const w = inverse(s, n)
    montgomeryMultiply(w, w, n.rSquared, n)
    montgomeryMultiply(u1, w, limbsFromOctets(digest, 0), n)
    montgomeryMultiply(u2, w, r, n)
    const sum = combine(u1, n, sparseDigits(u2), oddMultiples(q[0], q[1]))
    if (isInfinite(sum)) return false
    // r = x modulo n: x is r, or r + n where that is a coordinate too
    if (hasX(sum, r)) return true
    linear(r, r, 1, n.limbs, 1)
    return lessThan(r, sum.field.limbs) && hasX(sum, r)
}

/** x and y in Montgomery form if `publicKey` is a point of the curve (SP 800-56A 5.6.2.3.4). */
function pointFrom(publicKey: Buffer): number[][] | undefined {
    if (publicKey.length !== 64) return undefined
    const p = primeField()
    const x = limbsFromOctets(publicKey, 0)
    const y = limbsFromOctets(publicKey, 32)
    if (!lessThan(x, p.limbs) || !lessThan(y, p.limbs)) return undefined
    negMul(x, x, p.rSquared)
    negMul(y, y, p.rSquared)
    reduce(x, x, -1, p)
    reduce(y, y, -1, p)
    // -y^2 + x^3 - 3 x + b = 0
    const left = zeroLimbs()
    const right = zeroLimbs()
    negSquare(left, y)
    negSquare(right, x)
    negMul(right, right, x)
    const b = limbsAt(curveConstants, montgomeryB)
    for (let i = 0; i < 11; ++i) left[i] = left[i] + right[i] - 3 * x[i] + b[i]
    return vanishes(left, p) ? [x, y] : undefined
}

/** Are these 64 octets X|Y of a point of the curve? */
export function validPublicKeyP256(publicKey: Buffer): boolean {
    return pointFrom(publicKey) !== undefined
}

/** The public key of a private key. Throws `BadPrivateKey`. */
export function publicKeyP256(privateKey: Buffer): Buffer {
    const n = order()
    const point = multiplyBase(secretFrom(privateKey, n), n)
    affineY(point, 1)
    return octetsOf(point.minusX, point.y)
}

/** Two numbers of 32 octets, big endian. */
function octetsOf(a: number[], b: number[]): Buffer {
    const octets = Buffer.alloc(64)
    limbsToOctets(octets, 0, a)
    limbsToOctets(octets, 32, b)
    return octets
}

/** A new key pair from the machine's randomness, by rejection (FIPS 186-5 A.2.2). */
export function generateKeyP256(): KeyPairP256 {
    const n = order()
    for (;;) {
        const privateKey = platform().randomOctets(32)
        if (inOrder(limbsFromOctets(privateKey, 0), n)) return new KeyPairP256(privateKey, publicKeyP256(privateKey))
    }
}

/** The shared x coordinate of ECDH (SP 800-56A 5.7.1.2). Throws `BadPrivateKey` and `BadPublicKey`. */
export function ecdhP256(privateKey: Buffer, publicKey: Buffer): Buffer {
    const n = order()
    const d = secretFrom(privateKey, n)
    const q = pointFrom(publicKey)
    if (!q) return fail(Code.BadPublicKey, -1, "a point of P-256", publicKey.length + " octets")
    const secret = Buffer.alloc(32)
    limbsToOctets(secret, 0, multiplyPoint(d, n, oddMultiples(q[0], q[1])))
    return secret
}
