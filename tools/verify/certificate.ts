import { X509Certificate } from "node:crypto"
import { keyFromSpki, type PublicKey, verifyBoth, widthOf } from "./curves.ts"
import { contentOf, DerDamage, type DerNode, demand, inside, oidOf, readDer, timeOf, whole } from "./der.ts"

/** What the verifier needs of an X.509v3 certificate (RFC 5280 clause 4.1). Times are UTC seconds. */
export interface Certificate {
    der: Buffer
    tbs: Buffer
    signature: Buffer
    signatureAlgorithm: string
    version: number
    serial: string
    issuer: Buffer
    subject: Buffer
    /** For a person: the common name, or the whole name in hex where there is none. */
    subjectText: string
    notBefore: number
    notAfter: number
    key: PublicKey
    isCa: boolean
    pathLength?: number
    /** Bits of keyUsage by their number; undefined where the extension is absent. */
    keyUsage?: Set<number>
    extensions: Map<string, { critical: boolean; value: Buffer }>
}

/** A revocation list (RFC 5280 clause 5.1). */
export interface RevocationList {
    tbs: Buffer
    signature: Buffer
    signatureAlgorithm: string
    issuer: Buffer
    thisUpdate: number
    nextUpdate?: number
    revoked: Map<string, { at: number; reason?: number; invalidFrom?: number }>
    criticalExtensions: string[]
}

/** ecdsa-with-SHA256 (RFC 5758 clause 3.2). */
export const ecdsaWithSha256 = "1.2.840.10045.4.3.2"

const commonName = "2.5.4.3"
const maxDerOctets = 4 * 1024 * 1024

/** The DER octets inside a PEM text; throws `DerDamage`. */
export function derOfPem(pem: string, label: string): Buffer {
    const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(pem)
    if (!match) throw new DerDamage(-1, `no PEM text of "${label}"`)
    if (match[1].length > 2 * maxDerOctets) throw new DerDamage(-1, "too large")
    return Buffer.from(match[1], "base64")
}

/** All texts of one label in a PEM file. */
export function splitPem(text: string, label: string): string[] {
    return text.match(new RegExp(`-----BEGIN ${label}-----[A-Za-z0-9+/=\\s]*-----END ${label}-----`, "g")) ?? []
}

/** The common name of a Name, printable characters only. */
function nameText(name: DerNode): string {
    for (const set of inside(name))
        for (const attribute of inside(set)) {
            const [type, value] = inside(attribute)
            if (type && value && oidOf(type) === commonName)
                return contentOf(value)
                    .toString("utf8")
                    .replace(/[^\p{L}\p{N} .,:_-]/gu, "?")
                    .slice(0, 80)
        }
    return contentOf(name).toString("hex").slice(0, 80)
}

function readExtensions(node: DerNode | undefined): Certificate["extensions"] {
    const extensions: Certificate["extensions"] = new Map()
    if (!node) return extensions
    for (const extension of inside(demand(inside(node)[0], 0x30, "extensions"))) {
        const parts = inside(extension)
        const critical = parts.length === 3 && demand(parts[1], 1, "critical") && contentOf(parts[1])[0] === 0xff
        const oid = oidOf(demand(parts[0], 6, "extension id"))
        if (extensions.has(oid)) throw new DerDamage(extension.start, `extension ${oid} twice`)
        extensions.set(oid, { critical, value: contentOf(demand(parts[parts.length - 1], 4, "extension value")) })
    }
    return extensions
}

function bitsOf(value: Buffer): Set<number> {
    const octets = contentOf(demand(readDer(value), 3, "keyUsage"))
    const bits = new Set<number>()
    for (let bit = 0; bit < 8 * (octets.length - 1); ++bit)
        if (octets[1 + (bit >> 3)] & (0x80 >> (bit & 7))) bits.add(bit)
    return bits
}

/** SEQUENCE { tbs, algorithm, BIT STRING }: certificates and revocation lists alike. */
function signedParts(der: Buffer) {
    const outer = demand(readDer(der), 0x30, "a signed structure")
    if (outer.end !== der.length) throw new DerDamage(outer.end, "nothing more was expected")
    const [tbs, algorithm, bits, more] = inside(outer)
    if (more) throw new DerDamage(more.start, "nothing more was expected")
    const algorithmOid = oidOf(demand(inside(demand(algorithm, 0x30, "signatureAlgorithm"))[0], 6, "algorithm"))
    const bitString = contentOf(demand(bits, 3, "signatureValue"))
    if (bitString[0] !== 0) throw new DerDamage(bits.start, "a bit string of whole octets was expected")
    return { tbs: demand(tbs, 0x30, "the signed part"), algorithm, algorithmOid, signature: bitString.subarray(1) }
}

function sameAlgorithm(inner: DerNode, outer: DerNode): void {
    // RFC 5280 clauses 4.1.1.2 and 5.1.1.2: both must name the same algorithm.
    if (!whole(inner).equals(whole(outer))) throw new DerDamage(inner.start, "two different signature algorithms")
}

function serialOf(node: DerNode): string {
    return contentOf(demand(node, 2, "serialNumber")).toString("hex")
}

/** Reads a certificate; throws `DerDamage`. OpenSSL (node:crypto) must be able to read it too. */
export function readCertificate(der: Buffer): Certificate {
    try {
        new X509Certificate(der)
    } catch {
        throw new DerDamage(0, "OpenSSL cannot read it as a certificate")
    }
    const { tbs, algorithm, algorithmOid, signature } = signedParts(der)
    const fields = inside(tbs)
    const version = fields[0]?.tag === 0xa0 ? contentOf(demand(inside(fields.shift()!)[0], 2, "version"))[0] + 1 : 1
    const [serial, inner, issuer, validity, subject, spki, ...rest] = fields
    sameAlgorithm(demand(inner, 0x30, "signature"), algorithm)
    const [notBefore, notAfter] = inside(demand(validity, 0x30, "validity"))
    const extensions = readExtensions(rest.find(node => node.tag === 0xa3))
    const certificate: Certificate = {
        der,
        tbs: whole(tbs),
        signature,
        signatureAlgorithm: algorithmOid,
        version,
        serial: serialOf(serial),
        issuer: whole(demand(issuer, 0x30, "issuer")),
        subject: whole(demand(subject, 0x30, "subject")),
        subjectText: nameText(subject),
        notBefore: timeOf(demand(notBefore, notBefore?.tag ?? 0, "notBefore")),
        notAfter: timeOf(demand(notAfter, notAfter?.tag ?? 0, "notAfter")),
        key: keyFromSpki(whole(demand(spki, 0x30, "subjectPublicKeyInfo"))),
        isCa: false,
        extensions,
    }
    const constraints = extensions.get("2.5.29.19")
    if (constraints) {
        const parts = inside(demand(readDer(constraints.value), 0x30, "basicConstraints"))
        if (parts[0]?.tag === 1) certificate.isCa = contentOf(parts.shift()!)[0] === 0xff
        if (parts[0]) {
            const octets = contentOf(demand(parts[0], 2, "pathLenConstraint"))
            if (octets.length < 1 || octets.length > 2 || octets[0] >= 0x80)
                throw new DerDamage(parts[0].start, "a small path length")
            certificate.pathLength = octets.readUIntBE(0, octets.length)
        }
    }
    const usage = extensions.get("2.5.29.15")
    if (usage) certificate.keyUsage = bitsOf(usage.value)
    return certificate
}

/** Reads a revocation list; throws `DerDamage`. */
export function readCrl(der: Buffer): RevocationList {
    const { tbs, algorithm, algorithmOid, signature } = signedParts(der)
    const fields = inside(tbs)
    if (fields[0]?.tag === 2) fields.shift()
    const [inner, issuer, thisUpdate] = fields
    sameAlgorithm(demand(inner, 0x30, "signature"), algorithm)
    let next = 3
    const isTime = (node?: DerNode) => node?.tag === 0x17 || node?.tag === 0x18
    const nextUpdate = isTime(fields[next]) ? timeOf(fields[next++]) : undefined
    const revoked: RevocationList["revoked"] = new Map()
    if (fields[next]?.tag === 0x30)
        for (const entry of inside(fields[next++])) {
            const [serial, date, extensions] = inside(entry)
            const details: { at: number; reason?: number; invalidFrom?: number } = {
                at: timeOf(demand(date, date?.tag ?? 0, "revocationDate")),
            }
            for (const extension of extensions ? inside(extensions) : []) {
                const parts = inside(extension)
                const value = readDer(contentOf(demand(parts[parts.length - 1], 4, "extension value")))
                const oid = oidOf(demand(parts[0], 6, "extension id"))
                if (oid === "2.5.29.21") details.reason = contentOf(demand(value, 10, "reasonCode"))[0]
                if (oid === "2.5.29.24") details.invalidFrom = timeOf(value)
            }
            revoked.set(serialOf(serial), details)
        }
    const extensions = readExtensions(fields.find(node => node.tag === 0xa0))
    return {
        tbs: whole(tbs),
        signature,
        signatureAlgorithm: algorithmOid,
        issuer: whole(demand(issuer, 0x30, "issuer")),
        thisUpdate: timeOf(demand(thisUpdate, thisUpdate?.tag ?? 0, "thisUpdate")),
        nextUpdate,
        revoked,
        criticalExtensions: [...extensions].filter(([, { critical }]) => critical).map(([oid]) => oid),
    }
}

/** ECDSA-Sig-Value (RFC 3279 clause 2.2.3) to r | s as wide as the curve; undefined where it is not strict DER. */
export function rawSignature(der: Buffer, width: number): Buffer | undefined {
    try {
        const outer = demand(readDer(der), 0x30, "ECDSA-Sig-Value")
        const parts = inside(outer)
        if (outer.end !== der.length || parts.length !== 2) return undefined
        const padded = parts.map(part => {
            const digits = contentOf(demand(part, 2, "an integer"))
            if (digits.length === 0 || digits[0] >= 0x80) throw new DerDamage(part.start, "a positive integer")
            if (digits.length > 1 && digits[0] === 0 && digits[1] < 0x80) throw new DerDamage(part.start, "padding")
            const from = digits[0] === 0 ? 1 : 0
            if (digits.length - from > width) throw new DerDamage(part.start, "too large")
            return Buffer.concat([Buffer.alloc(width - digits.length + from), digits.subarray(from)])
        })
        return Buffer.concat(padded)
    } catch (error) {
        if (error instanceof DerDamage) return undefined
        throw error
    }
}

/** Does `issuer` vouch for the signed structure? In words where not. */
export function signedBy(
    item: { tbs: Buffer; signature: Buffer; signatureAlgorithm: string },
    issuer: { key: PublicKey },
): { holds: boolean; text: string } {
    if (item.signatureAlgorithm !== ecdsaWithSha256)
        return { holds: false, text: `signature algorithm ${item.signatureAlgorithm}` }
    if ("refused" in issuer.key) return { holds: false, text: issuer.key.refused }
    const raw = rawSignature(item.signature, widthOf(issuer.key.curve)!)
    if (!raw) return { holds: false, text: "the signature is not DER" }
    return verifyBoth(issuer.key, item.tbs, raw)
}
