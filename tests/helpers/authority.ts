import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"

/** Certificates and revocation lists for tests, in DER by hand: any field can be made wrong. */

function der(tag: number, ...parts: (Buffer | string)[]): Buffer {
    const content = Buffer.concat(parts.map(part => (typeof part === "string" ? Buffer.from(part, "hex") : part)))
    const { length } = content
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const ecdsaSha256 = der(0x30, der(6, "2a8648ce3d040302"))

function nameOf(commonName: string): Buffer {
    return der(0x30, der(0x31, der(0x30, der(6, "550403"), der(0x0c, Buffer.from(commonName)))))
}

function timeOf(iso: string): Buffer {
    const digits = iso.replace(/[-T:]/g, "").slice(0, 14)
    return Number(digits.slice(0, 4)) < 2050
        ? der(0x17, Buffer.from(`${digits.slice(2)}Z`))
        : der(0x18, Buffer.from(`${digits}Z`))
}

function pemOf(label: string, content: Buffer): string {
    const lines = content.toString("base64").match(/.{1,64}/g)!
    return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
    return der(0x30, der(6, oid), ...(critical ? [der(1, "ff")] : []), der(4, value))
}

export interface CertificateFields {
    commonName: string
    issuer?: Party
    from?: string
    until?: string
    ca?: boolean
    pathLength?: number
    /** keyUsage octets: unused bits, then bits. */
    usage?: string
    serial?: string
    extra?: Buffer[]
    key?: { privateKey: KeyObject; publicKey: KeyObject }
}

export interface Party {
    commonName: string
    privateKey: KeyObject
    publicKey: KeyObject
    pem: string
    serial: string
}

let serials = 0x1000

/** A party with a fresh P-256 key and a certificate from `issuer` (or of its own). */
export function party(fields: CertificateFields): Party {
    const { privateKey, publicKey } = fields.key ?? generateKeyPairSync("ec", { namedCurve: "P-256" })
    const ca = fields.ca ?? false
    const serial = fields.serial ?? (++serials).toString(16)
    const constraints = [
        der(1, "ff"),
        ...(fields.pathLength === undefined ? [] : [der(2, Buffer.from([fields.pathLength]))]),
    ]
    const extensions = [
        ...(ca ? [extension("551d13", true, der(0x30, ...constraints))] : []),
        extension("551d0f", true, der(3, fields.usage ?? (ca ? "0106" : "06c0"))),
        ...(fields.extra ?? []),
    ]
    const tbs = der(
        0x30,
        der(0xa0, der(2, "02")),
        der(2, serial),
        ecdsaSha256,
        nameOf(fields.issuer?.commonName ?? fields.commonName),
        der(0x30, timeOf(fields.from ?? "2026-01-01T00:00:00"), timeOf(fields.until ?? "2040-01-01T00:00:00")),
        nameOf(fields.commonName),
        publicKey.export({ format: "der", type: "spki" }),
        der(0xa3, der(0x30, ...extensions)),
    )
    const signature = sign("sha256", tbs, fields.issuer?.privateKey ?? privateKey)
    const pem = pemOf("CERTIFICATE", der(0x30, tbs, ecdsaSha256, der(3, "00", signature)))
    return { commonName: fields.commonName, privateKey, publicKey, pem, serial }
}

/** A critical extension nobody knows. */
export const unknownCritical = extension("2a030405", true, der(5))

/** A revocation list of `issuer`; `revoked` gives serial, moment and reason code. */
export function revocationList(
    issuer: Party,
    from = "2026-11-22T00:00:00",
    until = "2026-11-23T00:00:00",
    revoked: [serial: string, at: string, reason: number][] = [],
): string {
    const entries = revoked.map(([serial, at, reason]) =>
        der(0x30, der(2, serial), timeOf(at), der(0x30, extension("551d15", false, der(10, Buffer.from([reason]))))),
    )
    const tbs = der(
        0x30,
        der(2, "01"),
        ecdsaSha256,
        nameOf(issuer.commonName),
        timeOf(from),
        timeOf(until),
        ...(entries.length > 0 ? [der(0x30, ...entries)] : []),
    )
    return pemOf("X509 CRL", der(0x30, tbs, ecdsaSha256, der(3, "00", sign("sha256", tbs, issuer.privateKey))))
}
