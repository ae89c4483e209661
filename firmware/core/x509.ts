import type { DerReader } from "./der"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { Extensions, hssExtension, roleExtension } from "./x509-extensions"
import { emptyName, readName } from "./x509-name"
import { closeSigned, openSigned, readAlgorithm, readPublicKey, readTime, Signed } from "./x509-parts"

/** Bits of `Certificate.keyUsage` (RFC 5280 4.2.1.3): bit n of the standard has the value 2^n. */
export const digitalSignature = 1
export const nonRepudiation = 2
export const keyCertSign = 32
export const cRLSign = 64

/** An X.509v3 certificate (RFC 5280) with a P-256 key. Offsets named `…At` point into `der`. */
export class Certificate extends Signed {
    /** Serial number: content octets of the INTEGER, 1 to 20 (a leading zero octet included). */
    serial: Buffer
    /** Whole Name elements; compare with `sameName`. */
    issuerAt = 0
    subjectAt = 0
    /** First and last second of validity, since 1970 UTC. */
    notBefore = 0
    notAfter = 0
    /** X|Y, 64 octets. */
    publicKey: Buffer
    isCa = false
    /** Most intermediates below this CA, or -1 without limit. */
    pathLength = -1
    /** Sum of the bits above, or -1 where the extension is absent. */
    keyUsage = -1
    subjectKeyId: Buffer | undefined
    authorityKeyId: Buffer | undefined
    /** Values of extensions carried for others: the element inside extnValue, 0 where absent. */
    extendedKeyUsageAt = 0
    alternativeNamesAt = 0
    nameConstraintsAt = 0
    roleAt = 0
    hssKeyAt = 0

    constructor(der: Buffer) {
        super(der)
        this.serial = der
        this.publicKey = der
    }
}

/**
 * Reads one DER certificate, which must fill the buffer. Refuses with code 21xx (not DER), 22xx (not
 * our profile of RFC 5280); no signature and no time is checked here.
 */
export function parseCertificate(der: Buffer): Certificate {
    const certificate = new Certificate(der)
    const reader = openSigned(certificate)
    const version3 = reader.sees(0xa0)
    if (version3) {
        const outer = reader.enter(0xa0)
        if (reader.small() !== 2) fail(Code.X509Version, reader.start, "version 3", "another")
        reader.leave(outer)
    }
    readSerial(certificate, reader)
    readAlgorithm(certificate, reader)
    certificate.issuerAt = readName(reader)
    // RFC 5280 4.1.2.4: the issuer is named
    if (emptyName(der, certificate.issuerAt)) fail(Code.X509Name, certificate.issuerAt, "a named issuer", "none")
    const validity = reader.enter(0x30)
    certificate.notBefore = readTime(reader)
    certificate.notAfter = readTime(reader)
    reader.leave(validity)
    certificate.subjectAt = readName(reader)
    certificate.publicKey = readPublicKey(certificate, reader)
    // RFC 5280 4.1.2.8: unique identifiers are not generated; none is accepted
    if (version3 && reader.more()) {
        const explicit = reader.enter(0xa3)
        const extensions = new Extensions(reader)
        while (extensions.next()) readOne(certificate, extensions)
        reader.leave(explicit)
    }
    checkUse(certificate)
    closeSigned(certificate, reader)
    // RFC 5280 4.1.2.1: version 3; versions 1 and 2 have no place in this architecture
    if (!version3) fail(Code.X509Version, certificate.bodyAt, "version 3", "version 1")
    return certificate
}

/** CertificateSerialNumber: RFC 5280 4.1.2.2, positive, at most 20 octets. */
function readSerial(certificate: Certificate, der: DerReader): void {
    der.natural()
    const length = der.stop - der.start
    if (length > 20 || (length === 1 && der.data[der.start] === 0))
        fail(Code.X509Serial, der.start, "1 to 20 octets, not 0", length + " octets")
    certificate.serial = cut(der.data, der.start, length)
}

function readOne(certificate: Certificate, extensions: Extensions): void {
    const der = extensions.der
    const at = der.at
    switch (extensions.id) {
        case 14: // subjectKeyIdentifier
            // RFC 5280 4.2.1.2: not critical
            extensions.must(false)
            der.read(0x04)
            certificate.subjectKeyId = cut(der.data, der.start, der.stop - der.start)
            break
        case 15: // keyUsage
            certificate.keyUsage = readKeyUsage(der)
            break
        case 17: // subjectAltName
            // RFC 5280 4.2.1.6: GeneralNames is a SEQUENCE of one or more
            certificate.alternativeNamesAt = at
            der.list(-1)
            break
        case 19: {
            // basicConstraints
            // RFC 5280 4.2.1.9: critical in a CA's certificate
            const end = der.enter(0x30)
            certificate.isCa = der.flag()
            if (certificate.isCa) extensions.must(true)
            if (der.more()) certificate.pathLength = der.small()
            der.leave(end)
            break
        }
        case 30: // nameConstraints
            // RFC 5280 4.2.1.10: critical
            extensions.must(true)
            certificate.nameConstraintsAt = at
            der.read(0x30)
            break
        case 35: // authorityKeyIdentifier
            // RFC 5280 4.2.1.1: not critical
            extensions.must(false)
            certificate.authorityKeyId = readAuthorityKeyId(der)
            break
        case 36: // policyConstraints
        case 54: // inhibitAnyPolicy
            // RFC 5280 4.2.1.11, 4.2.1.14: critical; and policies are not part of this architecture
            extensions.must(true)
            extensions.pass()
            break
        case 37: // extKeyUsage
            // RFC 5280 4.2.1.12: ExtKeyUsageSyntax is a SEQUENCE of one or more
            certificate.extendedKeyUsageAt = at
            der.list(6)
            break
        case roleExtension:
            certificate.roleAt = at
            der.read(-1)
            break
        case hssExtension:
            certificate.hssKeyAt = at
            der.read(-1)
            break
        default:
            extensions.pass()
    }
}

function readKeyUsage(der: DerReader): number {
    der.bits()
    let usage = 0
    for (let i = 0; i < 9 && der.start + (i >> 3) < der.stop; ++i)
        if (der.data[der.start + (i >> 3)] & (0x80 >> (i & 7))) usage |= 1 << i
    // RFC 5280 4.2.1.3: at least one bit is set
    if (usage === 0) fail(Code.X509Extension, der.start, "a key usage", "none")
    return usage
}

/** AuthorityKeyIdentifier of RFC 5280 4.2.1.1: the key identifier and nothing else. */
export function readAuthorityKeyId(der: DerReader): Buffer {
    const end = der.enter(0x30)
    der.read(0x80)
    const keyId = cut(der.data, der.start, der.stop - der.start)
    der.leave(end)
    return keyId
}

/** What the extensions say together. */
function checkUse(certificate: Certificate): void {
    const at = certificate.subjectAt
    // Without the extension every use is allowed (-1: all bits)
    const signs = (certificate.keyUsage & keyCertSign) > 0
    let wrong = ""
    if (certificate.isCa) {
        // RFC 5280 4.1.2.6: a CA has a subject
        if (emptyName(certificate.der, at)) fail(Code.X509Name, at, "a named CA", "none")
        // RFC 5280 4.2.1.2: a CA has a subject key identifier
        if (!certificate.subjectKeyId) wrong = "no subject key identifier"
        // RFC 5280 4.2.1.9: keyCertSign only for a CA
    } else if (signs && certificate.keyUsage > 0) wrong = "keyCertSign without CA"
    // RFC 5280 4.2.1.10: name constraints only in a CA's certificate
    else if (certificate.nameConstraintsAt > 0) wrong = "name constraints without CA"
    // RFC 5280 4.2.1.9: a path length only for a CA that signs certificates
    if (certificate.pathLength >= 0 && !(certificate.isCa && signs)) wrong = "a path length without CA"
    if (wrong) fail(Code.X509Extension, at, "extensions that agree", wrong)
}
