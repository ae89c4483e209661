import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { initPki } from "../pki/init.ts"
import { issueWithKey } from "../pki/issue.ts"
import { newKey } from "../pki/keys.ts"
import { readPem } from "../pki/pem.ts"
import { revoke } from "../pki/revoke.ts"
import { algorithm, publicKeyOf, signingKey, x509 } from "../pki/x509.ts"

/**
 * Sound objects to mutate, each with its kind for `tools/vectors/device/x509-answer.ts`: the certificates and
 * lists of a PKI, a certificate with every extension the core knows, a request. Keys are fresh in each run.
 */
export async function seeds(): Promise<[number, Buffer][]> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-campaign-"))
    try {
        const pki = join(folder, "pki")
        await initPki(pki)
        for (const name of ["one", "two"]) {
            const { serial } = await issueWithKey(pki, "operator", name)
            await revoke(pki, serial, name === "one" ? "keyCompromise" : "unspecified")
        }
        const of = (path: string) => readPem(readFileSync(join(pki, path), "utf8"))[0].der
        return [
            [1, of("institute-root/cert.pem")],
            [1, of("calibration-authority/cert.pem")],
            [1, of("operators/one/cert.pem")],
            [1, await rich()],
            [2, of("security-management/crl.pem")],
            [2, of("ca-root/crl.pem")],
            [3, await request()],
        ]
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

/** A certificate with every extension the core knows, valid past 2050. */
async function rich(): Promise<Buffer> {
    const { key } = newKey()
    const publicKey = publicKeyOf(key)
    const extension = (oid: string, critical: boolean, hex: string) =>
        new x509.Extension(oid, critical, new Uint8Array(Buffer.from(hex, "hex")))
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
        serialNumber: "7f",
        name: "CN=Rich, O=Plomb, C=DE",
        notBefore: new Date(Date.UTC(2025, 0, 1)),
        notAfter: new Date(Date.UTC(2060, 0, 1)),
        keys: { publicKey: await publicKey.export(), privateKey: await signingKey(key) },
        signingAlgorithm: algorithm,
        extensions: [
            new x509.BasicConstraintsExtension(true, 2, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
            await x509.SubjectKeyIdentifierExtension.create(publicKey),
            await x509.AuthorityKeyIdentifierExtension.create(publicKey),
            new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]),
            new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "plomb.example" }]),
            extension("2.5.29.30", true, "300aa1083006820474657374"),
            extension("1.3.6.1.3.20556.1", true, "30060c0474657374"),
            extension("1.3.6.1.5.5.7.1.1", false, "3000"),
        ],
    })
    return Buffer.from(certificate.rawData)
}

async function request(): Promise<Buffer> {
    const { key } = newKey()
    const made = await x509.Pkcs10CertificateRequestGenerator.create({
        name: [{ CN: ["0a01504c420100000007"] }, { "2.5.4.5": ["7"] }],
        keys: { publicKey: await publicKeyOf(key).export(), privateKey: await signingKey(key) },
        signingAlgorithm: algorithm,
    })
    return Buffer.from(made.rawData)
}
