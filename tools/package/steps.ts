import { existsSync } from "node:fs"
import { join } from "node:path"
import { readCertificates } from "../pki/certificates.ts"
import { PkiError } from "../pki/files.ts"
import { HssKey } from "../pki/hss.ts"
import { openKey } from "../pki/keys.ts"
import { Package } from "./package.ts"

/** Who signs a package. */
export type SigningParty = "institute" | "manufacturer"

/** The manufacturer's submission. */
export const submit = Package.create

/** Folder of a party's HSS key in a PKI. Throws `PkiError` where it has none. */
export function hssFolder(pki: string, by: SigningParty): string {
    const folder = join(pki, by === "institute" ? "institute-root" : "manufacturer", "hss")
    if (existsSync(folder)) return folder
    throw new PkiError(
        `the ${by} has no HSS key: plomb pki init DIR --hss H10/W4, or plomb pki renew PARTY --hss H10/W4`,
    )
}

/** Adds a party's ES256 signature; the institute's brings its certificate along. */
export async function signClassic(made: Package, by: SigningParty, pki: string, secret?: string): Promise<Package> {
    const signer = join(pki, by === "institute" ? "institute-approval" : "manufacturer")
    const [certificate] = readCertificates(join(signer, "cert.pem"))
    const der = new Uint8Array(certificate.rawData)
    const keyId = new Uint8Array(await certificate.publicKey.getKeyIdentifier())
    return made.signEs256(openKey(join(signer, "key.pem"), secret), { der, keyId }, by === "institute")
}

/** Adds a party's HSS/LMS signature, which uses up a one-time key. */
export async function signHashBased(made: Package, by: SigningParty, pki: string, secret?: string): Promise<Package> {
    const hss = HssKey.open(hssFolder(pki, by), secret)
    return made.signHss(hss.publicKey, message => hss.sign(message))
}

/** Both signatures of the institute. */
export async function approve(made: Package, pki: string, secret?: string): Promise<Package> {
    return signHashBased(await signClassic(made, "institute", pki, secret), "institute", pki, secret)
}

/** Both signatures of the manufacturer. */
export async function countersign(made: Package, pki: string, secret?: string): Promise<Package> {
    return signHashBased(await signClassic(made, "manufacturer", pki, secret), "manufacturer", pki, secret)
}
