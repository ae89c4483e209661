import { createHash } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { readRegister } from "./authority.ts"
import { hostsOf, readCertificates, serialOf } from "./certificates.ts"
import { earlierFolders } from "./earlier.ts"
import { PkiError } from "./files.ts"
import { issuerPaths, partyPaths } from "./folders.ts"
import { partyAt } from "./parties.ts"
import { type PemObject, readPem } from "./pem.ts"
import { rightsText, roleName } from "./rights.ts"
import { roleOf } from "./role.ts"
import { x509 } from "./x509.ts"

/** One certificate of a PKI, with those it certified below it. */
export interface Entry {
    party: string
    subject: string
    /** Its role extension, as `operator, version 1, rights readCurrent, readProfile`; absent in a certificate from before there were roles. */
    role?: string
    /** Names and addresses of subjectAltName. */
    hosts: string[]
    serial: string
    notBefore: string
    notAfter: string
    /** SHA-256 of the DER, hex. */
    fingerprint: string
    /** Is the private key kept here? */
    key: boolean
    revoked?: { at: string; reason: string }
    /** What it had before it was renewed; in force to its end. */
    earlier: { serial: string; notAfter: string; fingerprint: string; revoked?: { at: string; reason: string } }[]
    certified: Entry[]
}

/** The whole PKI in `folder`: its roots. */
export function readTree(folder: string): Entry[] {
    const parties = partyPaths(folder).map(path => ({ path, issuer: partyAt(path)!.party.issuer }))
    const revoked = new Map<string, { at: string; reason: string }>()
    for (const issuer of issuerPaths(folder))
        for (const each of readRegister(join(folder, issuer)).issued)
            if (each.revoked) revoked.set(each.serial, each.revoked)
    const below = (issuer: string): Entry[] =>
        parties
            .filter(each => each.issuer === issuer && each.path !== issuer)
            .map(each => ({ ...describe(folder, each.path, revoked), certified: below(each.path) }))
    return parties
        .filter(each => each.issuer === each.path)
        .map(each => ({ ...describe(folder, each.path, revoked), certified: below(each.path) }))
}

function describe(folder: string, path: string, revoked: Map<string, { at: string; reason: string }>): Entry {
    const [certificate] = readCertificates(join(folder, path, "cert.pem"))
    return {
        party: path,
        subject: certificate.subject,
        role: roleText(certificate),
        hosts: hostsOf(certificate),
        serial: serialOf(certificate),
        notBefore: certificate.notBefore.toISOString(),
        notAfter: certificate.notAfter.toISOString(),
        fingerprint: fingerprint(Buffer.from(certificate.rawData)),
        key: existsSync(join(folder, path, "key.pem")),
        revoked: revoked.get(serialOf(certificate)),
        earlier: earlierFolders(join(folder, path)).map(each => {
            const [before] = readCertificates(join(each, "cert.pem"))
            return {
                serial: serialOf(before),
                notAfter: before.notAfter.toISOString(),
                fingerprint: fingerprint(Buffer.from(before.rawData)),
                revoked: revoked.get(serialOf(before)),
            }
        }),
        certified: [],
    }
}

/** The tree as lines of text. */
export function treeLines(entries: Entry[], now: Date, indent = ""): string[] {
    return entries.flatMap(entry => {
        return [
            `${indent}${entry.party}`,
            `${indent}    ${entry.subject}, ${entry.key ? "key here" : "key elsewhere"}`,
            `${indent}    ${entry.role ? `role ${entry.role}` : "no role"}${entry.hosts.map(host => `, ${host}`).join("")}`,
            `${indent}    ${stateOf(entry, now)}, ${entry.notBefore.slice(0, 10)} to ${entry.notAfter.slice(0, 10)}, serial ${entry.serial}`,
            `${indent}    SHA-256 ${entry.fingerprint}`,
            ...entry.earlier.map(
                each =>
                    `${indent}    before: ${stateOf(each, now)}, to ${each.notAfter.slice(0, 10)}, serial ${each.serial}`,
            ),
            ...treeLines(entry.certified, now, `${indent}    `),
        ]
    })
}

function stateOf(entry: Pick<Entry, "notAfter" | "revoked"> & { notBefore?: string }, now: Date): string {
    if (entry.revoked) return `REVOKED ${entry.revoked.at.slice(0, 10)} (${entry.revoked.reason})`
    if (new Date(entry.notAfter) < now) return "EXPIRED"
    return entry.notBefore && new Date(entry.notBefore) > now ? "NOT YET VALID" : "valid"
}

/** The fields of each object in a PEM or DER file. Of a private key nothing but its kind. */
export function readObjects(path: string): Record<string, unknown>[] {
    const content = readFileSync(path)
    const found = readPem(content.toString("latin1"))
    const objects = found.length > 0 ? found : [{ label: guess(content), der: content }]
    return objects.map(object => fieldsOf(object, path))
}

/** A binary file's kind, by what parses. */
function guess(der: Buffer): string {
    for (const label of ["CERTIFICATE", "X509 CRL", "CERTIFICATE REQUEST"])
        try {
            fieldsOf({ label, der }, "")
            return label
        } catch {}
    return ""
}

function fieldsOf({ label, der }: PemObject, path: string): Record<string, unknown> {
    if (label === "PRIVATE KEY" || label === "ENCRYPTED PRIVATE KEY")
        return {
            kind: "private key",
            encrypted: label !== "PRIVATE KEY",
            mode: (statSync(path).mode & 0o777).toString(8),
        }
    const octets = new Uint8Array(der)
    try {
        if (label === "CERTIFICATE") return certificateFields(new x509.X509Certificate(octets))
        if (label === "X509 CRL") return crlFields(new x509.X509Crl(octets))
        if (label === "CERTIFICATE REQUEST") {
            const request = new x509.Pkcs10CertificateRequest(octets)
            return { kind: "request", subject: request.subject, publicKey: hexOf(request.publicKey.rawData.slice(-64)) }
        }
    } catch {
        throw new PkiError(`${path} does not parse`)
    }
    throw new PkiError(`${path} holds no certificate, revocation list, request or key`)
}

function certificateFields(certificate: x509.X509Certificate): Record<string, unknown> {
    const basic = certificate.getExtension(x509.BasicConstraintsExtension)
    const usage = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0
    const names = ["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement"]
    return {
        kind: "certificate",
        subject: certificate.subject,
        issuer: certificate.issuer,
        serial: serialOf(certificate),
        role: roleText(certificate),
        hosts: hostsOf(certificate),
        notBefore: certificate.notBefore.toISOString(),
        notAfter: certificate.notAfter.toISOString(),
        ca: basic?.ca ?? false,
        pathLength: basic?.pathLength,
        keyUsage: [...names, "keyCertSign", "cRLSign"].filter((_, bit) => usage & (1 << bit)),
        subjectKeyId: certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
        authorityKeyId: certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
        publicKey: hexOf(certificate.publicKey.rawData.slice(-64)),
        fingerprint: fingerprint(Buffer.from(certificate.rawData)),
    }
}

/** The role extension in words. */
function roleText(certificate: x509.X509Certificate): string | undefined {
    try {
        const role = roleOf(certificate)
        if (!role) return undefined
        const rights = role.rights < 0 ? "" : `, rights ${rightsText(role.rights)}`
        return `${roleName(role.role)}, version ${role.version}${rights}`
    } catch {
        return "that does not parse"
    }
}

function crlFields(crl: x509.X509Crl): Record<string, unknown> {
    const number = crl.extensions.find(each => each.type === "2.5.29.20")
    return {
        kind: "revocation list",
        issuer: crl.issuer,
        number: number && Number.parseInt(hexOf(number.value).slice(4), 16),
        thisUpdate: crl.thisUpdate.toISOString(),
        nextUpdate: crl.nextUpdate?.toISOString(),
        revoked: crl.entries.map(each => ({
            serial: each.serialNumber,
            at: each.revocationDate.toISOString(),
            reason: x509.X509CrlReason[each.reason ?? 0],
        })),
    }
}

/** Fields as aligned lines. */
export function fieldLines(fields: Record<string, unknown>): string[] {
    return Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .flatMap(([name, value]) => {
            const values = Array.isArray(value)
                ? value.map(each => (typeof each === "object" ? Object.values(each).join(", ") : each))
                : [value]
            return (values.length > 0 ? values : ["none"]).map(
                (each, i) => `${(i === 0 ? name : "").padEnd(16)}${each}`,
            )
        })
}

function fingerprint(der: Buffer): string {
    return createHash("sha256").update(der).digest("hex")
}

function hexOf(octets: ArrayBuffer): string {
    return Buffer.from(octets).toString("hex")
}
