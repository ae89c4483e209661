import { verifyChain } from "./chain"
import { CoseAlgorithm, type CoseKey } from "./cose"
import type { Crl } from "./crl"
import { DerReader } from "./der"
import { Code, fail } from "./errors"
import { cut, type OctetSource, sameOctets } from "./octets"
import { checkSigners, type Manifest, type PackageParts, PackageSigner } from "./package"
import { platform } from "./platform"
import { type Certificate, digitalSignature, parseCertificate } from "./x509"
import { hasRole, Role } from "./x509-role"

/** What a device judges a package by. */
export interface PackageTrust {
    /** CERT_MFC, held since production; it names its HSS key. */
    manufacturer: Certificate
    /** The institute's root, held since production; it names the institute's HSS key. */
    institute: Certificate
    /** Lists of revoked certificates at hand. */
    crls: Crl[]
    /** Seconds since 1970 UTC; 0: as of when the institute's certificate was issued, for what was accepted before. */
    atSeconds: number
}

/**
 * Proves a package: the manufacturer's two signatures, the institute's two where it is metrological, and the image's
 * hash. Throws what `packageKeys`, `checkSigners` and `checkImageHash` do.
 */
export function verifyPackage(source: OctetSource, parts: PackageParts, trust: PackageTrust): void {
    checkSigners(source, parts, packageKeys(parts.certificates, parts.manifest.metrological, trust))
    checkImageHash(source(parts.imageAt, parts.manifest.size), parts.manifest)
}

/** Throws `PackageHash` unless this is the image that the manifest names. */
export function checkImageHash(image: Buffer, manifest: Manifest): void {
    if (!sameOctets(platform().sha256([image]), manifest.sha256))
        fail(Code.PackageHash, -1, "the image that the manifest names", "another")
}

/**
 * The keys that must have signed a package, in the order of `PackageSigner`; `carried`: the certificates in it. Throws 21xx and 22xx (a certificate
 * carried), `PackageSigner` (no certificate of the institute), what `verifyChain` throws of it, `RoleMismatch`.
 */
export function packageKeys(carried: Buffer[], metrological: boolean, trust: PackageTrust): CoseKey[] {
    const keys = manufacturerKeys(trust.manufacturer)
    const certificates: Certificate[] = []
    for (let i = 0; i < carried.length; ++i) certificates.push(parseCertificate(carried[i]))
    if (metrological) {
        keys.push(es256(approver(certificates, trust)))
        keys.push(hss(trust.institute))
    }
    return keys
}

/** The keys of a manufacturer's two signatures. Throws `PackageSigner` where the certificate names no HSS key. */
export function manufacturerKeys(certificate: Certificate): CoseKey[] {
    return [es256(certificate), hss(certificate)]
}

/** The institute's approver among the package's certificates, proved. */
function approver(certificates: Certificate[], trust: PackageTrust): Certificate {
    for (let i = 0; i < certificates.length; ++i) {
        if (!hasRole(certificates[i], Role.institute)) continue
        return verifyChain({
            chain: [certificates[i]],
            anchors: [trust.institute],
            atSeconds: trust.atSeconds || certificates[i].notBefore,
            crls: trust.crls,
            crlMayBeStale: true,
            keyUsage: digitalSignature,
        })
    }
    return fail(Code.PackageSigner, PackageSigner.instituteEs256, "a certificate of the institute", "none")
}

function es256(certificate: Certificate): CoseKey {
    return {
        kid: certificate.subjectKeyId || Buffer.alloc(0),
        algorithm: CoseAlgorithm.Es256,
        key: certificate.publicKey,
    }
}

function hss(certificate: Certificate): CoseKey {
    const publicKey = hssKeyOf(certificate)
    return { kid: hssKeyId(publicKey), algorithm: CoseAlgorithm.HssLms, key: publicKey }
}

/**
 * The HSS public key that a certificate names (extension 1.3.6.1.3.20556.2, not critical, an OCTET STRING of 60 octets):
 * the holder's second key, for signatures that outlive elliptic curves. Throws `PackageSigner` where it names none.
 */
export function hssKeyOf(certificate: Certificate): Buffer {
    if (certificate.hssKeyAt === 0) fail(Code.PackageSigner, -1, "a certificate with an HSS key", "one without")
    const der = new DerReader(certificate.der, certificate.hssKeyAt, certificate.der.length)
    der.read(0x04)
    return cut(der.data, der.start, der.stop - der.start)
}

/** Key identifier of an HSS key in a package: the first 8 octets of its SHA-256. */
export function hssKeyId(publicKey: Buffer): Buffer {
    return cut(platform().sha256([publicKey]), 0, 8)
}
