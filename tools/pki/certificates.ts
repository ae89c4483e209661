import { join } from "node:path"
import { createFile, PkiError, readText, replaceFile } from "./files.ts"
import { pem, readPem } from "./pem.ts"
import { x509 } from "./x509.ts"

/** Writes cert.pem and chain.pem, leaf first. */
export function writeCertificates(folder: string, chain: x509.X509Certificate[]): void {
    createFile(join(folder, "cert.pem"), pemOf(chain[0]))
    createFile(join(folder, "chain.pem"), chain.map(pemOf).join(""))
}

/** Puts another chain in the place of the old one; chain.pem, which is first, is the one that counts. */
export function replaceCertificates(folder: string, chain: x509.X509Certificate[]): void {
    replaceFile(join(folder, "chain.pem"), chain.map(pemOf).join(""))
    replaceFile(join(folder, "cert.pem"), pemOf(chain[0]))
}

function pemOf(certificate: x509.X509Certificate): string {
    return pem("CERTIFICATE", new Uint8Array(certificate.rawData))
}

/** The certificates of a PEM file, at least one. */
export function readCertificates(path: string): x509.X509Certificate[] {
    const objects = readPem(readText(path)).filter(object => object.label === "CERTIFICATE")
    if (objects.length === 0) throw new PkiError(`${path} holds no certificate`)
    try {
        return objects.map(object => new x509.X509Certificate(new Uint8Array(object.der)))
    } catch {
        throw new PkiError(`${path} holds a certificate that does not parse`)
    }
}

/** Serial number of a certificate as the register writes it: hex of the value, two digits an octet. */
export function serialOf(certificate: x509.X509Certificate): string {
    return normalSerial(certificate.serialNumber)
}

/** The same for a number in hex that a person typed. */
export function normalSerial(hex: string): string {
    const digits = hex.toLowerCase().replace(/[:\s]/g, "").replace(/^0+/, "")
    return digits.length % 2 === 0 ? digits : `0${digits}`
}

/** Names and addresses of subjectAltName. */
export function hostsOf(certificate: x509.X509Certificate): string[] {
    const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? []
    return names.map(name => name.value)
}

/** The identifier that certificates of a key's holder carry and name it by (RFC 5280 4.2.1.2), hex. */
export async function keyIdOf(key: x509.PublicKey): Promise<string> {
    return Buffer.from(await key.getKeyIdentifier()).toString("hex")
}

/** Day of a moment, as people read it. */
export function dateOf(date: Date): string {
    return date.toISOString().slice(0, 10)
}
