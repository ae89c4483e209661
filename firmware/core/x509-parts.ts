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

/** Least and most of century, year, month, day, hour, minute, second. */
const bounds = hex`1363 0063 010c 011f 0017 003b 003b`

/** Time of RFC 5280 4.1.2.5 in seconds since 1970 UTC. */
export function readTime(der: DerReader): number {
    const general = der.sees(0x18)
    der.read(general ? 0x18 : 0x17)
    const data = der.data
    let at = der.start
    // RFC 5280 4.1.2.5.1, 4.1.2.5.2: seconds present, no fraction, Zulu
    let sound = der.stop - at === (general ? 15 : 13) && data[der.stop - 1] === 0x5a
    const parts = Buffer.alloc(7)
    for (let i = general ? 0 : 1; i < 7 && sound; ++i) {
        const high = (data[at] - 48) & 0xff
        const low = (data[at + 1] - 48) & 0xff
        const value = high * 10 + low
        sound = high < 10 && low < 10 && value >= bounds[2 * i] && value <= bounds[2 * i + 1]
        parts[i] = value
        at += 2
    }
    if (!general) parts[0] = parts[1] < 50 ? 20 : 19
    const year = parts[0] * 100 + parts[1]
    // RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050
    if (!sound || general !== year >= 2050 || parts[3] > daysInMonth(year, parts[2]))
        fail(Code.DerValue, der.start, "a time of RFC 5280", "another")
    return utcSeconds(year, parts[2], parts[3], parts[4], parts[5], parts[6])
}
