import "../node/platform.ts"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { type Crl, parseCrl, revokedAt } from "../../firmware/core/crl.ts"
import { PlombError } from "../../firmware/core/errors.ts"
import { sourceOf } from "../../firmware/core/octets.ts"
import { PackageSigner, readPackage } from "../../firmware/core/package.ts"
import { hssKeyId, hssKeyOf, verifyPackage } from "../../firmware/core/package-trust.ts"
import { type Certificate, parseCertificate } from "../../firmware/core/x509.ts"
import { PkiError, readText } from "../pki/files.ts"
import { readPem } from "../pki/pem.ts"

/** Whom a package is judged by: what a device holds since production, and the lists at hand. */
export interface Anchors {
    manufacturer: Certificate
    institute: Certificate
    crls: Crl[]
}

/** Reads the first certificate of a PEM file. */
export function readCertificate(path: string): Certificate {
    const found = readPem(readText(path)).find(object => object.label === "CERTIFICATE")
    if (!found) throw new PkiError(`${path} holds no certificate`)
    return parseCertificate(found.der)
}

/** The lists of a PEM file. */
export function readLists(path: string): Crl[] {
    return readPem(readText(path))
        .filter(object => object.label === "X509 CRL")
        .map(object => parseCrl(object.der))
}

/** The anchors of a whole PKI folder. */
export function anchorsOf(pki: string): Anchors {
    const lists = ["institute-root", "ca-root"].map(each => join(pki, each, "crl.pem")).filter(each => existsSync(each))
    return {
        manufacturer: readCertificate(join(pki, "manufacturer", "cert.pem")),
        institute: readCertificate(join(pki, "institute-root", "cert.pem")),
        crls: lists.flatMap(readLists),
    }
}

/** What came of judging a package. */
export interface PackageVerdict {
    accepted: boolean
    /** Who signed, as far as the anchors and the package's certificates tell. */
    findings: { what: string; good: boolean; why: string }[]
}

const signerNames: Record<PackageSigner, string> = {
    [PackageSigner.manufacturerEs256]: "manufacturer, ES256",
    [PackageSigner.manufacturerHss]: "manufacturer, HSS/LMS",
    [PackageSigner.instituteEs256]: "institute, ES256",
    [PackageSigner.instituteHss]: "institute, HSS/LMS",
}

/** Judges a package as a device does, at `at`; the first thing wrong is the finding, as a device tells it. */
export function judgePackage(octets: Buffer, anchors: Anchors, at: Date): PackageVerdict {
    const findings: PackageVerdict["findings"] = []
    const atSeconds = Math.floor(at.getTime() / 1000)
    try {
        const source = sourceOf(octets)
        const parts = readPackage(source, octets.length)
        if (anchors.crls.some(crl => revokedAt(crl, anchors.manufacturer) >= 0))
            findings.push({ what: "the manufacturer's certificate", good: false, why: "revoked" })
        else verifyPackage(source, parts, { ...anchors, atSeconds })
        if (findings.length === 0) {
            const needed = parts.manifest.metrological ? 4 : 2
            for (let i = 0; i < needed; ++i)
                findings.push({ what: signerNames[i as PackageSigner], good: true, why: "holds" })
            findings.push({ what: "image", good: true, why: "is the one that the manifest names" })
        }
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        const signature = error.code >= 3530 && error.code <= 3531 && error.at >= 0
        const what = signature ? signerNames[error.at as PackageSigner] : "package"
        findings.push({ what, good: false, why: error.message })
    }
    return { accepted: findings.every(each => each.good), findings }
}

/** Whose key a signature of the package names; "unknown" where nobody here has it. */
export function nameOfKey(kid: string, anchors: Anchors, certificates: Certificate[]): string {
    const is = (octets: Buffer | undefined) => octets?.toString("hex") === kid
    const hss = (certificate: Certificate) => certificate.hssKeyAt > 0 && is(hssKeyId(hssKeyOf(certificate)))
    if (is(anchors.manufacturer.subjectKeyId) || hss(anchors.manufacturer)) return "manufacturer"
    if (hss(anchors.institute) || certificates.some(each => is(each.subjectKeyId))) return "institute"
    return "unknown"
}
