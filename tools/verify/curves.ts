import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto"
import { ecdsa, weierstrass } from "@noble/curves/abstract/weierstrass.js"
import { brainpoolP256r1, brainpoolP384r1, brainpoolP512r1 } from "@noble/curves/misc.js"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import { secp256k1 } from "@noble/curves/secp256k1.js"
import { sha256 } from "@noble/hashes/sha2.js"

/** secp192r1 (SEC 2, clause 2.2.2), which @noble/curves leaves out: charging meters of the first kind sign with it. */
const p192 = ecdsa(
    weierstrass({
        p: 0xfffffffffffffffffffffffffffffffeffffffffffffffffn,
        n: 0xffffffffffffffffffffffff99def836146bc9b1b4d22831n,
        h: 1n,
        a: 0xfffffffffffffffffffffffffffffffefffffffffffffffcn,
        b: 0x64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1n,
        Gx: 0x188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012n,
        Gy: 0x07192b95ffc8da78631011ed6b24cdd573f977a11e794811n,
    }),
    sha256,
)

/** A curve by its SEC or RFC 5639 name: field width in octets, object identifier (DER), noble's arithmetic. */
interface Curve {
    width: number
    oid: string
    noble: typeof p256
}

const curves: Record<string, Curve> = {
    secp192r1: { width: 24, oid: "06082a8648ce3d030101", noble: p192 },
    secp256r1: { width: 32, oid: "06082a8648ce3d030107", noble: p256 },
    secp384r1: { width: 48, oid: "06052b81040022", noble: p384 },
    secp521r1: { width: 66, oid: "06052b81040023", noble: p521 },
    secp256k1: { width: 32, oid: "06052b8104000a", noble: secp256k1 },
    brainpoolP256r1: { width: 32, oid: "06092b2403030208010107", noble: brainpoolP256r1 },
    brainpoolP384r1: { width: 48, oid: "06092b240303020801010b", noble: brainpoolP384r1 },
    brainpoolP512r1: { width: 64, oid: "06092b240303020801010d", noble: brainpoolP512r1 },
}

/** A public key on a known curve, or why it is none. */
export type PublicKey =
    | { curve: string; point: Buffer; keyObject: KeyObject; pem: string }
    | { refused: string; curve?: string }

function der(tag: number, ...parts: Buffer[]): Buffer {
    const content = Buffer.concat(parts)
    const { length } = content
    const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...head]), content])
}

/** The key X | Y on the curve named; refuses a point that does not lie on it (SEC 1 clause 3.2.2.1). */
export function keyFromPoint(curve: string, xy: Buffer): PublicKey {
    const known = curves[curve]
    if (!known) return { refused: `the curve ${curve.slice(0, 40)} is not supported: neither library has it` }
    if (xy.length !== 2 * known.width)
        return { refused: `expected ${2 * known.width} octets X|Y on ${curve}, came ${xy.length}`, curve }
    const point = Buffer.concat([Buffer.from([4]), xy])
    try {
        known.noble.Point.fromBytes(point).assertValidity()
    } catch {
        return { refused: `the key is not a point of ${curve}`, curve }
    }
    const algorithm = der(0x30, Buffer.from("06072a8648ce3d0201", "hex"), Buffer.from(known.oid, "hex"))
    const spki = der(0x30, algorithm, der(3, Buffer.from([0]), point))
    try {
        const keyObject = createPublicKey({ key: spki, format: "der", type: "spki" })
        return { curve, point, keyObject, pem: keyObject.export({ format: "pem", type: "spki" }) as string }
    } catch {
        return { refused: `${curve} is not supported: node:crypto of this machine refuses it`, curve }
    }
}

/** The key of a SubjectPublicKeyInfo (RFC 5480), uncompressed point on a named curve. */
export function keyFromSpki(spki: Buffer): PublicKey {
    for (const [name, { width, oid }] of Object.entries(curves)) {
        const algorithm = der(0x30, Buffer.from("06072a8648ce3d0201", "hex"), Buffer.from(oid, "hex"))
        const frame = der(0x30, algorithm, der(3, Buffer.from([0, 4]), Buffer.alloc(2 * width)))
        const head = frame.length - 2 * width
        if (spki.length === frame.length && spki.subarray(0, head).equals(frame.subarray(0, head)))
            return keyFromPoint(name, spki.subarray(head))
    }
    return { refused: "not a SubjectPublicKeyInfo with an uncompressed point on a known curve" }
}

/** A key as a person hands it over: PEM, SubjectPublicKeyInfo in hex, or X|Y (also 04|X|Y) in hex. */
export function keyFromText(text: string): PublicKey {
    if (text.includes("-----BEGIN")) {
        const body = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]*)-----END PUBLIC KEY-----/.exec(text)
        if (!body) return { refused: "the PEM text holds no PUBLIC KEY" }
        return keyFromSpki(Buffer.from(body[1], "base64"))
    }
    const digits = text.replace(/[\s:]/g, "")
    if (!/^([0-9a-fA-F]{2})+$/.test(digits)) return { refused: "neither PEM nor hexadecimal digits" }
    const octets = Buffer.from(digits, "hex")
    if (octets[0] === 0x30) return keyFromSpki(octets)
    if (octets.length === 65 && octets[0] === 4) return keyFromPoint("secp256r1", octets.subarray(1))
    if (octets.length === 64) return keyFromPoint("secp256r1", octets)
    if (octets.length === 48) return keyFromPoint("secp192r1", octets)
    return { refused: `a bare key of ${octets.length} octets: 48 (secp192r1) or 64 (secp256r1) are known` }
}

/** What two independent implementations say of one ECDSA-SHA256 signature (FIPS 186-5 clause 6.4.2). */
export interface SignatureResult {
    holds: boolean
    /** For a person: what each of them said. */
    text: string
}

/** What was said last, by SHA-256 of key, octets and signature: every reading brings the same certificates and lists along. */
const said = new Map<string, SignatureResult>()
const mostSaid = 1000

/** Verifies r | s over `signed` with node:crypto (OpenSSL) and with @noble/curves; holds only if both say so. */
export function verifyBoth(key: PublicKey, signed: Buffer, signature: Buffer): SignatureResult {
    if ("refused" in key) return { holds: false, text: key.refused }
    const { width } = curves[key.curve]
    if (signature.length !== 2 * width)
        return { holds: false, text: `${signature.length} octets of signature, ${2 * width} expected` }
    // Curve and signature have one length together, so nothing can move from one part into another.
    const name = createHash("sha256").update(key.pem).update(signature).update(signed).digest("base64")
    const known = said.get(name)
    if (known) return known
    const result = verifyAnew(key, signed, signature)
    if (said.size >= mostSaid) said.clear()
    said.set(name, result)
    return result
}

function verifyAnew(key: Exclude<PublicKey, { refused: string }>, signed: Buffer, signature: Buffer): SignatureResult {
    const { noble } = curves[key.curve]
    let byNode = false
    let byNoble = false
    try {
        byNode = verify("sha256", signed, { key: key.keyObject, dsaEncoding: "ieee-p1363" }, signature)
    } catch {
        // OpenSSL reports r or s out of range as an error of its own: the signature does not hold.
    }
    const digest = createHash("sha256").update(signed).digest()
    try {
        byNoble = noble.verify(signature, digest, key.point, { prehash: false, lowS: false, format: "compact" })
    } catch {
        // noble throws for r or s out of range.
    }
    if (byNode !== byNoble)
        return { holds: false, text: `OpenSSL says ${byNode ? "good" : "bad"}, noble the contrary: report this file` }
    return { holds: byNode, text: byNode ? "holds by OpenSSL and by noble" : "does not hold, by OpenSSL and by noble" }
}

/** r | s as the DER SEQUENCE that `openssl dgst -verify` reads (RFC 3279 clause 2.2.3). */
export function derSignature(signature: Buffer): Buffer {
    const integer = (value: Buffer) => {
        let from = 0
        while (from < value.length - 1 && value[from] === 0) ++from
        const digits = value.subarray(from)
        return der(2, digits[0] >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits)
    }
    const half = signature.length / 2
    return der(0x30, integer(signature.subarray(0, half)), integer(signature.subarray(half)))
}

/** The width in octets of r and of s on a curve; undefined for an unknown one. */
export function widthOf(curve: string): number | undefined {
    return curves[curve]?.width
}

/** A curve's usual name from one of its other names; the name itself where it has none. */
export function curveName(name: string): string {
    const plain = name.toLowerCase().replace(/[-_]/g, "")
    if (plain === "prime256v1" || plain === "p256") return "secp256r1"
    if (plain === "prime192v1" || plain === "p192") return "secp192r1"
    const brainpool = /^brainpoolp?(\d{3})r1$/.exec(plain)
    if (brainpool) return `brainpoolP${brainpool[1]}r1`
    return plain
}
