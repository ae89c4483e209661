import { createHash, createPrivateKey } from "node:crypto"
import { parseCrl } from "../../firmware/core/crl.ts"
import { PlombError } from "../../firmware/core/errors.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { nameText } from "../../firmware/core/x509-name.ts"

/** Something that a memory must not hold, or only in one place. */
export interface Secret {
    name: string
    octets: Buffer
}

/** Something found in a memory. */
export interface Find {
    kind: "certificate" | "revocation list" | "private key" | "secret" | "remnant"
    /** Common name of the subject or issuer; name of the secret. */
    name: string
    /** Offset in the memory. */
    at: number
    /** SHA-256 of the DER in hex, of certificates and lists. */
    fingerprint?: string
}

/** What stands in a PKCS#8 or SEC1 key before the 32 octets of a P-256 key: version 1, then an octet string. */
const keyHead = Buffer.from("0201010420", "hex")
/** What a certificate begins with behind its two headers: version 3, explicit. */
const certificateHead = Buffer.from("a003020102", "hex")

/**
 * Everything in `memory` that is a certificate or a revocation list in DER, whatever its place; the beginning of a
 * certificate that is not whole; a public key of `certificates` (DER) outside of what was found whole, the remnant of
 * one; a private key in DER; and `secrets`, in either order of octets.
 */
export function scan(memory: Uint8Array, certificates: readonly Buffer[], secrets: readonly Secret[]): Find[] {
    const octets = Buffer.from(memory)
    const finds: Find[] = []
    const whole: [from: number, to: number][] = []
    const inside = (at: number) => whole.some(([from, to]) => at >= from && at < to)
    for (const at of places(octets, Buffer.from([0x30]))) {
        const length = lengthOf(octets, at)
        if (length === undefined || inside(at)) continue
        const found = objectIn(octets, at, length)
        if (!found) continue
        finds.push(found)
        whole.push([at, at + length])
    }
    for (const at of places(octets, certificateHead))
        if (!inside(at) && at >= 8 && octets[at - 8] === 0x30 && octets[at - 4] === 0x30)
            finds.push({ kind: "remnant", name: "the beginning of a certificate", at: at - 8 })
    const known = new Map(certificates.map(der => [parseCertificate(der).publicKey.toString("hex"), der]))
    for (const [key, der] of known)
        for (const at of places(octets, Buffer.from(key, "hex").subarray(0, 32)))
            if (!inside(at)) finds.push({ kind: "remnant", name: `key of ${subjectOf(der)}`, at })
    for (const at of places(octets, keyHead)) finds.push({ kind: "private key", name: "a key in DER", at: at })
    for (const { name, octets: secret } of secrets)
        for (const order of [secret, Buffer.from(secret).reverse()])
            for (const at of places(octets, order)) finds.push({ kind: "secret", name, at })
    return finds.sort((a, b) => a.at - b.at)
}

/** The 32 octets of a P-256 private key in a PEM file's text. */
export function privateOctets(pem: string): Buffer {
    const { d } = createPrivateKey(pem).export({ format: "jwk" })
    return Buffer.from(d!, "base64url")
}

/** Common name of a certificate. */
export function subjectOf(der: Buffer): string {
    return nameText(der, parseCertificate(der).subjectAt, 3)
}

/** SHA-256 in hex. */
export function fingerprintOf(der: Uint8Array): string {
    return createHash("sha256").update(der).digest("hex")
}

/** Length of the SEQUENCE at `at`, header included, where it is of a size that certificates and lists have. */
function lengthOf(octets: Buffer, at: number): number | undefined {
    const form = octets[at + 1]
    const length =
        form === 0x82 && at + 4 <= octets.length
            ? 4 + octets.readUInt16BE(at + 2)
            : form === 0x81
              ? 3 + octets[at + 2]
              : undefined
    return length !== undefined && at + length <= octets.length ? length : undefined
}

function objectIn(octets: Buffer, at: number, length: number): Find | undefined {
    const der = Buffer.from(octets.subarray(at, at + length))
    const fingerprint = fingerprintOf(der)
    const certificate = quiet(() => parseCertificate(der))
    if (certificate) return { kind: "certificate", name: nameText(der, certificate.subjectAt, 3), at, fingerprint }
    const list = quiet(() => parseCrl(der))
    return list && { kind: "revocation list", name: nameText(der, list.issuerAt, 3), at, fingerprint }
}

function quiet<T>(parse: () => T): T | undefined {
    try {
        return parse()
    } catch (error) {
        if (error instanceof PlombError) return undefined
        throw error
    }
}

function places(octets: Buffer, wanted: Buffer): number[] {
    const found: number[] = []
    for (let at = octets.indexOf(wanted); at >= 0; at = octets.indexOf(wanted, at + 1)) found.push(at)
    return found
}
