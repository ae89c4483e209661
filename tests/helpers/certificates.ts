import { webcrypto } from "node:crypto"
import { parseCertificate } from "../../firmware/core/x509"
import { algorithm, x509 } from "../../tools/pki/x509.ts"

/** A party of a test chain, made with @peculiar/x509. */
export interface TestParty {
    name: string
    keys: CryptoKeyPair
    certificate: x509.X509Certificate
    der: Buffer
}

export interface TestPartyOptions {
    name?: string
    issuer?: TestParty
    /** A certification authority? With at most this many below it. */
    ca?: boolean
    pathLength?: number
    usage?: number
    notBefore?: Date
    notAfter?: Date
    keys?: CryptoKeyPair
    serial?: string
    /** In place of the usual ones. */
    extensions?: x509.Extension[]
    /** Besides the usual ones. */
    more?: x509.Extension[]
}

/** In the middle of the validity that test certificates have unless told otherwise. */
export const noon = Date.UTC(2030, 5, 15) / 1000

let count = 0

export async function newKeys(): Promise<CryptoKeyPair> {
    return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair
}

/** Certifies a party; without an issuer it certifies itself. */
export async function party(options: TestPartyOptions = {}): Promise<TestParty> {
    const { issuer, ca = issuer === undefined } = options
    const name = options.name ?? `Party ${++count}`
    const keys = options.keys ?? (await newKeys())
    const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
    const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: options.serial ?? (0x1000 + ++count).toString(16),
        subject: `CN=${name}`,
        issuer: issuer ? issuer.certificate.subjectName : `CN=${name}`,
        notBefore: options.notBefore ?? new Date(Date.UTC(2025, 0, 1)),
        notAfter: options.notAfter ?? new Date(Date.UTC(2036, 0, 1)),
        publicKey: keys.publicKey,
        signingKey: (issuer?.keys ?? keys).privateKey,
        signingAlgorithm: algorithm,
        extensions: options.extensions ?? [
            new x509.BasicConstraintsExtension(ca, options.pathLength, true),
            new x509.KeyUsagesExtension(options.usage ?? (ca ? keyCertSign | cRLSign : digitalSignature), true),
            await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
            await x509.AuthorityKeyIdentifierExtension.create((issuer?.keys ?? keys).publicKey),
            ...(options.more ?? []),
        ],
    })
    return { name, keys, certificate, der: Buffer.from(certificate.rawData) }
}

/** The party's certificate as the core reads it. */
export function read(of: TestParty) {
    return parseCertificate(of.der)
}

/** A revocation list of `issuer` that holds the certificates of `revoked`. */
export async function crlOf(
    issuer: TestParty,
    revoked: TestParty[] = [],
    options: { thisUpdate?: Date; nextUpdate?: Date; extensions?: x509.Extension[]; signer?: TestParty } = {},
): Promise<Buffer> {
    const crl = await x509.X509CrlGenerator.create({
        issuer: issuer.certificate.subjectName,
        thisUpdate: options.thisUpdate ?? new Date(Date.UTC(2030, 5, 1)),
        nextUpdate: options.nextUpdate ?? new Date(Date.UTC(2030, 6, 1)),
        entries: revoked.map(each => ({
            serialNumber: each.certificate.serialNumber,
            reason: x509.X509CrlReason.keyCompromise,
        })),
        signingKey: (options.signer ?? issuer).keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: options.extensions ?? [
            await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
            new x509.Extension("2.5.29.20", false, new Uint8Array([2, 1, 7])),
        ],
    })
    return Buffer.from(crl.rawData)
}
