import { createECDH, createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from "node:crypto"
import { p256 } from "@noble/curves/nist.js"
import { afterEach, describe, expect, it } from "vitest"
import { DerReader, ecdsaFromDer } from "../../firmware/core/der"
import { ecdsaToDer } from "../../firmware/core/der-write"
import {
    ecdhP256,
    generateKeyP256,
    publicKeyP256,
    signP256,
    validPublicKeyP256,
    verifyP256,
} from "../../firmware/core/ecdsa"
import { Code, PlombError } from "../../firmware/core/errors"
import { installPlatform } from "../../firmware/core/platform"
import { nodePlatform } from "../../tools/node/platform.ts"

const { p, n } = p256.Point.CURVE()
const modulo = (a: bigint, m = n) => ((a % m) + m) % m
const octets = (a: bigint) => Buffer.from(a.toString(16).padStart(64, "0"), "hex")
const number = (b: Uint8Array) => BigInt("0x" + Buffer.from(b).toString("hex"))
const sha256 = (text: string) => nodePlatform.sha256([Buffer.from(text)])

function inverse(a: bigint): bigint {
    let [r, s, x, y] = [modulo(a), n, 1n, 0n]
    while (r > 1n) [r, s, x, y] = [s % r, r, y - (s / r) * x, x]
    return modulo(x)
}

/** k * G as X|Y. */
function multiple(k: bigint): Buffer {
    return Buffer.from(p256.Point.BASE.multiply(modulo(k)).toBytes(false).slice(1))
}

/** A repeatable stream of octets. */
function seeded(seed: string): (count: number) => Buffer {
    let counter = 0
    return count =>
        Buffer.concat(Array.from({ length: Math.ceil(count / 32) }, () => sha256(seed + counter++))).subarray(0, count)
}

function codeOf(action: () => unknown): number {
    try {
        action()
    } catch (error) {
        if (error instanceof PlombError) return error.code
        throw error
    }
    return 0
}

/** The two ways a joined sum is asked about: a signature with these multiples, for the key q * G. */
function verifiesWith(u1: bigint, u2: bigint, q: bigint): boolean {
    const sum = modulo(u1 + u2 * q)
    // Where the sum is infinite no r exists; any will do to be refused.
    const r = sum === 0n ? 1n : modulo(number(multiple(sum).subarray(0, 32)))
    const s = modulo(r * inverse(u2))
    return verifyP256(multiple(q), octets(modulo(u1 * s)), Buffer.concat([octets(r), octets(s)]))
}

/** What digits of 1 and -1 at `positions` make of an odd k: the value that the comb or window adds there. */
function selected(k: bigint, positions: bigint[]): bigint {
    const digits = (k >> 1n) + (1n << 257n)
    return positions.reduce((sum, at) => sum + ((digits >> at) & 1n ? 1n << at : -(1n << at)), 0n)
}

const column = (j: bigint) => [0n, 1n, 2n, 3n, 4n, 5n].map(t => j + 43n * t)

afterEach(() => installPlatform(nodePlatform))

describe("signatures", () => {
    it("are those of RFC 6979 A.2.5", () => {
        const d = Buffer.from("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", "hex")
        expect(publicKeyP256(d).toString("hex").toUpperCase()).toBe(
            "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB67903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
        )
        expect(signP256(d, sha256("sample")).toString("hex").toUpperCase()).toBe(
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        )
        expect(signP256(d, sha256("test")).toString("hex").toUpperCase()).toBe(
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        )
    })

    it("agree with noble and OpenSSL in both directions, for 300 seeded keys", () => {
        const random = seeded("differential")
        for (let i = 0; i < 300; ++i) {
            const d = random(32)
            const message = random(1 + (i % 100))
            const digest = nodePlatform.sha256([message])
            const q = publicKeyP256(d)
            expect(q).toEqual(Buffer.from(p256.getPublicKey(d, false).slice(1)))
            const signature = signP256(d, digest)
            expect(signature).toEqual(Buffer.from(p256.sign(digest, d, { prehash: false, lowS: false })))
            const jwk = {
                kty: "EC",
                crv: "P-256",
                x: q.subarray(0, 32).toString("base64url"),
                y: q.subarray(32).toString("base64url"),
            }
            const publicKey = createPublicKey({ key: jwk, format: "jwk" })
            expect(nodeVerify("sha256", message, publicKey, ecdsaToDer(signature))).toBe(true)
            const privateKey = createPrivateKey({ key: { ...jwk, d: d.toString("base64url") }, format: "jwk" })
            const theirs = nodeSign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" })
            expect(verifyP256(q, digest, theirs)).toBe(true)
            const at = random(2)
            theirs[at[0] % 64] ^= 1 << (at[1] % 8)
            expect(verifyP256(q, digest, theirs)).toBe(false)
        }
    })

    it("keep their value through 10,000 round trips between r|s and DER, leading zeros and high bits included", () => {
        const random = seeded("round trips")
        for (let i = 0; i < 10_000; ++i) {
            const signature = Buffer.from(random(64))
            // Every second one starts r or s with zeros, some with all of them
            const zeros = random(2)
            if (i & 1) signature.fill(0, 0, zeros[0] % 33)
            if (i & 2) signature.fill(0, 32, 32 + (zeros[1] % 33))
            if (i & 4) signature[zeros[0] % 64] |= 0x80
            const der = ecdsaToDer(signature)
            expect(ecdsaFromDer(new DerReader(der, 0, der.length)).equals(signature)).toBe(true)
            if (i % 20 === 0 && number(signature.subarray(0, 32)) && number(signature.subarray(32)))
                if (number(signature.subarray(0, 32)) < n && number(signature.subarray(32)) < n)
                    expect(Buffer.from(p256.Signature.fromBytes(signature).toBytes("der"))).toEqual(der)
        }
    })

    it("with r or s outside 1 … order - 1 are refused, and so are r + n for r, and other lengths", () => {
        const d = sha256("key")
        const q = publicKeyP256(d)
        const digest = sha256("message")
        const good = signP256(d, digest)
        const [r, s] = [good.subarray(0, 32), good.subarray(32)]
        expect(verifyP256(q, digest, good)).toBe(true)
        for (const bad of [0n, n, n + 1n, (1n << 256n) - 1n]) {
            expect(verifyP256(q, digest, Buffer.concat([octets(bad), s]))).toBe(false)
            expect(verifyP256(q, digest, Buffer.concat([r, octets(bad)]))).toBe(false)
        }
        expect(verifyP256(q, digest, good.subarray(1))).toBe(false)
        expect(verifyP256(q, digest, Buffer.concat([good, Buffer.alloc(1)]))).toBe(false)
        // order - s is the other valid one: ECDSA's own malleability
        expect(verifyP256(q, digest, Buffer.concat([r, octets(n - number(s))]))).toBe(true)
        expect(codeOf(() => verifyP256(q, Buffer.alloc(31), good))).toBe(Code.BadArgument)
        expect(codeOf(() => signP256(d, Buffer.alloc(33)))).toBe(Code.BadArgument)
    })

    it("hold where x of the point lies above the order, so that r is x - n", () => {
        // x = n + 5 is the least such coordinate (found by trying); its key follows from r, s and the point
        let x = n
        let point = p256.Point.BASE
        for (; ; ++x)
            try {
                point = p256.Point.fromHex("02" + x.toString(16).padStart(64, "0"))
                break
            } catch {
                // no point has this x
            }
        const r = x - n
        const [s, e] = [12345n, 678n]
        // R = (e G + r Q) / s, so Q = (s R - e G) / r
        const q = point
            .multiply(s)
            .subtract(p256.Point.BASE.multiply(e))
            .multiply(inverse(r || 1n))
        const key = Buffer.from(q.toBytes(false).slice(1))
        expect(x).toBeLessThan(p)
        expect(verifyP256(key, octets(e), Buffer.concat([octets(r), octets(s)]))).toBe(true)
        expect(verifyP256(key, octets(e), Buffer.concat([octets(r + 1n), octets(s)]))).toBe(false)
    })
})

describe("sums that meet themselves", () => {
    it("every pair of small and extreme multiples verifies for keys close to G, and infinity never does", () => {
        const multiples = [
            0n,
            1n,
            2n,
            3n,
            4n,
            7n,
            8n,
            1n << 22n,
            1n << 128n,
            n - 1n,
            n - 2n,
            n - 7n,
            (n - 1n) / 2n,
            (n + 1n) / 2n,
        ]
        for (const q of [1n, n - 1n, 2n, n - 2n, 3n, inverse(2n), inverse(7n)])
            for (const u1 of multiples)
                for (const u2 of multiples.slice(1)) expect(verifiesWith(u1, u2, q)).toBe(modulo(u1 + u2 * q) !== 0n)
    })

    it("verification finds the sum where an addition meets the same point, its opposite, or infinity before or after", () => {
        const random = seeded("meetings")
        for (let i = 0; i < 20; ++i) {
            const u1 = modulo(number(random(32)))
            const u2 = modulo(number(random(32))) || 1n
            const [odd, sign] = u1 & 1n ? [u1, 1n] : [n - u1, -1n]
            // The last two additions: columns 0 and 22 of the comb
            const last = sign * selected(odd, column(22n))
            const before = sign * selected(odd, column(0n))
            for (const sum of [2n * last, last, 0n, last + before, last + 2n * before]) {
                const q = modulo((sum - u1) * inverse(u2))
                if (q !== 0n) expect(verifiesWith(u1, u2, q)).toBe(modulo(sum) !== 0n)
            }
        }
    })

    it("the keys whose comb meets itself are multiplied again with care, and right", () => {
        const met: bigint[] = []
        // k = n + 2 w, where w is what column 22, the last addition, selects for k itself: the sum is w already
        for (let signs = 0; signs < 64; ++signs) {
            const w = column(22n).reduce((sum, at, t) => sum + ((signs >> t) & 1 ? 1n << at : -(1n << at)), 0n)
            const k = n + 2n * w
            if (k > 0n && k < n && selected(k, column(22n)) === w) met.push(k)
        }
        expect(met.length).toBeGreaterThan(0)
        const random = seeded("care")
        for (const k of met)
            for (const key of [k, n - k]) {
                let drawn = 0
                const randomOctets = (count: number) => {
                    ++drawn
                    return random(count)
                }
                installPlatform({ ...nodePlatform, randomOctets })
                expect(publicKeyP256(octets(key))).toEqual(multiple(key))
                // One random Z for each attempt
                expect(drawn).toBe(2)
            }
    })

    it("ECDH is right for every secret next to 0 and to the order", () => {
        const q = multiple(0x1234567n)
        for (let d = 1n; d < 40n; ++d)
            for (const key of [d, n - d])
                expect(ecdhP256(octets(key), q)).toEqual(multiple(key * 0x1234567n).subarray(0, 32))
    })
})

describe("keys", () => {
    it("private: 32 octets of 1 … order - 1, anything else is BadPrivateKey", () => {
        for (const good of [1n, 2n, n - 1n]) expect(publicKeyP256(octets(good))).toEqual(multiple(good))
        for (const bad of [
            octets(0n),
            octets(n),
            octets((1n << 256n) - 1n),
            Buffer.alloc(31, 1),
            Buffer.alloc(33, 1),
        ]) {
            expect(codeOf(() => publicKeyP256(bad))).toBe(Code.BadPrivateKey)
            expect(codeOf(() => signP256(bad, sha256("")))).toBe(Code.BadPrivateKey)
            expect(codeOf(() => ecdhP256(bad, multiple(1n)))).toBe(Code.BadPrivateKey)
        }
    })

    it("public: a point of the curve with coordinates below p, anything else is refused", () => {
        const q = multiple(7n)
        expect(validPublicKeyP256(q)).toBe(true)
        const off = Buffer.from(q)
        off[63] ^= 1
        const bad = [off, Buffer.alloc(64), q.subarray(1), Buffer.concat([q, q]), Buffer.alloc(64, 0xff)]
        // The point with x = 5, and the same with 5 + p, which fits in 32 octets too
        const five = Buffer.from(
            p256.Point.fromHex("02" + octets(5n).toString("hex"))
                .toBytes(false)
                .slice(1),
        )
        expect(validPublicKeyP256(five)).toBe(true)
        bad.push(Buffer.concat([octets(5n + p), five.subarray(32)]))
        for (const key of bad) {
            expect(validPublicKeyP256(key)).toBe(false)
            expect(verifyP256(key, sha256(""), signP256(octets(7n), sha256("")))).toBe(false)
            expect(codeOf(() => ecdhP256(octets(7n), key))).toBe(Code.BadPublicKey)
        }
    })

    it("generated ones skip octets that are no key, and fit together", () => {
        const draws = [octets(0n), octets(n), octets(5n)]
        installPlatform({ ...nodePlatform, randomOctets: count => draws.shift() ?? nodePlatform.randomOctets(count) })
        const pair = generateKeyP256()
        expect(pair.privateKey).toEqual(octets(5n))
        expect(pair.publicKey).toEqual(multiple(5n))
    })

    it("agree with OpenSSL on 100 shared secrets", () => {
        const random = seeded("ecdh")
        for (let i = 0; i < 100; ++i) {
            const [a, b] = [random(32), random(32)]
            const peer = createECDH("prime256v1")
            peer.setPrivateKey(b)
            const shared = peer.computeSecret(Buffer.concat([Buffer.from([4]), publicKeyP256(a)]))
            expect(ecdhP256(a, publicKeyP256(b))).toEqual(shared)
        }
    })
})
