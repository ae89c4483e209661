import { DerReader, ecdsaFromDer, sameAt } from "./der"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"
import { daysInMonth, utcSeconds } from "./time"

/** What certificates, revocation lists and requests share: SIGNED{} of X.509 over the original octets. */
export class Signed {
    /** The signed octets, header included: `der` from `bodyAt` to `bodyEnd`. */
    bodyAt = 0
    bodyEnd = 0
    /** r|s, 64 octets. */
    signature: Buffer
    /** The AlgorithmIdentifier inside the body, 0 if there is none. */
    algorithmAt = 0
    /** Where an algorithm or a key other than ECDSA P-256 stands, or 0; told once all else is sound. */
    foreignAt = 0

    constructor(readonly der: Buffer) {
        this.signature = der
    }
}

/** Opens SIGNED{}: a reader inside the body. The buffer must be the one object and nothing else. */
export function openSigned(object: Signed): DerReader {
    const der = new DerReader(object.der, 0, object.der.length)
    der.enter(0x30)
    if (der.end < object.der.length) fail(Code.DerTrailing, der.end, "the end", object.der.length - der.end + " octets")
    der.enter(0x30)
    object.bodyAt = der.from
    object.bodyEnd = der.end
    return der
}

/** Reads what follows the body, which must be used up: algorithm and signature. */
export function closeSigned(object: Signed, der: DerReader): void {
    der.leave(object.der.length)
    const body = object.algorithmAt
    readAlgorithm(object, der)
    // RFC 5280 4.1.1.2, 5.1.1.2: the same algorithm inside and outside the signed part
    if (body > 0 && !sameElement(object.der, body, object.der, object.algorithmAt))
        fail(Code.X509AlgorithmDiffers, object.algorithmAt, "the algorithm of the signed part", "another")
    if (der.bits() !== 0) fail(Code.DerValue, der.start, "whole octets", "a part of one")
    if (der.more()) fail(Code.DerTrailing, der.at, "the end", "more")
    if (object.foreignAt > 0)
        fail(Code.X509Algorithm, object.foreignAt, "ECDSA P-256 with SHA-256", "another algorithm")
    der.at = der.start
    object.signature = ecdsaFromDer(der)
    if (der.more()) fail(Code.DerTrailing, der.at, "the end", "more")
}

/** AlgorithmIdentifier of a signature; anything but ecdsa-with-SHA256 (RFC 5758 3.2) is noted as foreign. */
export function readAlgorithm(object: Signed, der: DerReader): void {
    const outer = der.enter(0x30)
    object.algorithmAt = der.from
    der.oid()
    if (!der.is(hex`2a8648ce3d040302`) || der.more()) object.foreignAt = der.start
    if (der.more()) der.read(-1)
    der.leave(outer)
}

/** SubjectPublicKeyInfo (RFC 5480 2.1), uncompressed point: X|Y, 64 octets. Any other key is noted as foreign. */
export function readPublicKey(object: Signed, der: DerReader): Buffer {
    const outer = der.enter(0x30)
    const inner = der.enter(0x30)
    const at = der.from
    der.oid()
    if (der.more()) der.read(-1)
    der.leave(inner)
    const unused = der.bits()
    der.leave(outer)
    if (
        sameAt(der.data, at, hex`301306072a8648ce3d020106082a8648ce3d030107`, 0, 21) &&
        unused === 0 &&
        der.stop - der.start === 65 &&
        der.data[der.start] === 4
    )
        return cut(der.data, der.start + 1, 64)
    object.foreignAt = at
    return object.der
}

/** Whether the signature over the body holds under this key, X|Y. */
export function verifySigned(object: Signed, publicKey: Buffer): boolean {
    const body = cut(object.der, object.bodyAt, object.bodyEnd - object.bodyAt)
    return platform().verifyP256(publicKey, platform().sha256([body]), object.signature)
}

/** Compares two whole elements octet by octet. */
export function sameElement(a: Buffer, aAt: number, b: Buffer, bAt: number): boolean {
    const reader = new DerReader(a, aAt, a.length)
    reader.read(-1)
    return sameAt(a, aAt, b, bAt, reader.stop - aAt)
}

/** Time of RFC 5280 4.1.2.5 in seconds since 1970 UTC. */
export function readTime(der: DerReader): number {
    const general = der.sees(0x18)
    der.read(general ? 0x18 : 0x17)
    const data = der.data
    const at = der.start
    // RFC 5280 4.1.2.5.1, 4.1.2.5.2: seconds present, no fraction, Zulu
    let sound = der.stop - at === (general ? 15 : 13) && data[der.stop - 1] === 0x5a
    const pairs: number[] = []
    for (let i = at; sound && i < der.stop - 1; i += 2) {
        const high = data[i] - 48
        const low = data[i + 1] - 48
        sound = high >= 0 && high <= 9 && low >= 0 && low <= 9
        pairs.push(high * 10 + low)
    }
    if (sound) {
        let year = pairs[0] < 50 ? 2000 : 1900
        if (general) year = (pairs.shift() || 0) * 100
        year += pairs[0]
        // RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050
        sound =
            general === year >= 2050 &&
            pairs[1] >= 1 &&
            pairs[1] <= 12 &&
            pairs[2] >= 1 &&
            pairs[2] <= daysInMonth(year, pairs[1]) &&
            pairs[3] < 24 &&
            pairs[4] < 60 &&
            pairs[5] < 60
        if (sound) return utcSeconds(year, pairs[1], pairs[2], pairs[3], pairs[4], pairs[5])
    }
    return fail(Code.DerValue, at, "a time of RFC 5280", "another")
}
