import type { KeyObject } from "node:crypto"
import { join } from "node:path"
import type { Role } from "../../../firmware/core/x509-role.ts"
import { Signer } from "../../authority/signer.ts"
import { readCertificates } from "../../pki/certificates.ts"
import { newKey, openKey } from "../../pki/keys.ts"
import { roleExtensionOf } from "../../pki/role.ts"
import { algorithm, publicKeyOf, signingKey, x509 } from "../../pki/x509.ts"
import type { Person } from "./company.ts"
import type { Stage } from "./stage.ts"

/** What a certificate says that `plomb pki` would not issue. */
export interface Forgery {
    /** Absent: none at all. */
    role?: Role
    rights?: number
    /** Folder of the issuer, whose key signs. */
    by: string
    /** Signs with this key and not the issuer's. */
    signedBy?: KeyObject
}

/** Somebody with a certificate that an authority has really signed, or seems to have, and that it had no right to sign. */
export async function forge(stage: Stage, name: string, { role, rights = -1, by, signedBy }: Forgery): Promise<Person> {
    const folder = join(stage.pki, by)
    const [issuer] = readCertificates(join(folder, "cert.pem"))
    const issuerKey = openKey(join(folder, "key.pem"))
    const { key } = newKey()
    const publicKey = publicKeyOf(key)
    const now = stage.now().getTime()
    const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: "4242",
        subject: new x509.Name([{ CN: [name] }]),
        issuer: issuer.subjectName,
        notBefore: new Date(now - 60_000),
        notAfter: new Date(now + 86_400_000),
        publicKey,
        signingKey: await signingKey(signedBy ?? issuerKey),
        signingAlgorithm: algorithm,
        extensions: [
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            await x509.SubjectKeyIdentifierExtension.create(publicKey),
            await x509.AuthorityKeyIdentifierExtension.create(publicKeyOf(issuerKey)),
            ...(role === undefined ? [] : [roleExtensionOf({ role, version: 1, rights })]),
        ],
    })
    const signer = new Signer({ key, chain: [Buffer.from(certificate.rawData)] })
    return { name, path: `forged/${name}`, signer }
}
