import { type Crl, revokedAt } from "./crl"
import { DerReader } from "./der"
import { Code, fail } from "./errors"
import { sameOctets } from "./octets"
import { platform } from "./platform"
import { type Certificate, cRLSign, keyCertSign } from "./x509"
import { sameName } from "./x509-name"
import { verifySigned } from "./x509-parts"

/** Longest chain looked at, whatever the caller allows. */
const longestChain = 10

/** What `verifyChain` is to prove. */
export interface ChainCheck {
    /** Leaf first, each issued by the next one. The anchor may be the last or be left out. */
    chain: Certificate[]
    /** Trusted certificates, self-signed or not; one of them issued the last of the chain. */
    anchors: Certificate[]
    /** The moment of validity, seconds since 1970 UTC. */
    atSeconds: number
    /** Revocation lists at hand; each that belongs to an issuer of the chain is used. */
    crls?: Crl[]
    /** All of them were proved (`verifyCrl`) when they came, and have stood in the caller's own memory since. */
    crlsProved?: boolean
    /** Refuse a certificate of whose issuer no current list is at hand. */
    crlRequired?: boolean
    /** Use lists whose time is over as well: what they revoke is revoked, what they do not is not proved. */
    crlMayBeStale?: boolean
    /** Bits of `Certificate.keyUsage` that the leaf must have where it has that extension. */
    keyUsage?: number
    /** Content octets of the OID that the leaf's extended key usage must list. */
    extendedKeyUsage?: Buffer
    /** Most intermediates that are not self-issued, 4 unless told. */
    maxIntermediates?: number
}

/**
 * Certification path validation (RFC 5280 6.1) from the leaf to one of the anchors, without policies.
 * Answers the leaf, or throws the code that tells what is wrong (32xx); cheap checks come before all
 * signatures, so the reason told is the first in that order and not the only one.
 */
export function verifyChain(check: ChainCheck): Certificate {
    const chain = check.chain
    let count = chain.length
    if (count < 1) fail(Code.BadArgument, -1, "a certificate", "an empty chain")
    if (count > longestChain) fail(Code.ChainTooLong, -1, "at most " + longestChain + " certificates", "" + count)
    for (let i = 0; i < check.anchors.length; ++i)
        if (count > 1 && sameOctets(check.anchors[i].der, chain[count - 1].der)) count--
    const anchor = findAnchor(chain[count - 1], check.anchors)

    checkValidity(anchor, count, check.atSeconds)
    let left = check.maxIntermediates === undefined ? 4 : check.maxIntermediates
    let pathLength = longestChain
    let issuer = anchor
    for (let i = count - 1; i >= 0; --i) {
        const certificate = chain[i]
        platform().yieldNow()
        checkIssuer(issuer, i + 1)
        // RFC 5280 6.1.4 (m): the shortest path length allowed so far
        if (issuer.pathLength >= 0 && issuer.pathLength < pathLength) pathLength = issuer.pathLength
        checkIssued(certificate, issuer, i)
        checkValidity(certificate, i, check.atSeconds)
        // RFC 5280 6.1.4 (l): self-issued certificates do not count, and the leaf never does
        if (i > 0 && !sameName(certificate.der, certificate.subjectAt, certificate.der, certificate.issuerAt)) {
            if (--pathLength < 0) fail(Code.ChainPathLength, -1, "the path length of the issuers", which(i))
            if (--left < 0) fail(Code.ChainTooLong, -1, "fewer intermediates", which(i))
        }
        issuer = certificate
    }
    checkLeaf(chain[0], check)

    issuer = anchor
    for (let i = count - 1; i >= 0; --i) {
        // RFC 5280 6.1.3 (a)(1): signed by the issuer
        if (!verifySigned(chain[i], issuer.publicKey)) fail(Code.ChainSignature, -1, "the issuer's signature", which(i))
        platform().yieldNow()
        checkRevoked(chain[i], issuer, i, check)
        issuer = chain[i]
    }
    return chain[0]
}

function which(index: number): string {
    return index === 0 ? "the leaf" : "certificate " + index + " above the leaf"
}

/** The anchor that the certificate names by issuer and key identifier; `ChainIssuer`, `ChainKeyId` where there is none. */
export function findAnchor(certificate: Certificate, anchors: Certificate[]): Certificate {
    let code = Code.ChainIssuer
    for (let i = 0; i < anchors.length; ++i)
        if (sameName(certificate.der, certificate.issuerAt, anchors[i].der, anchors[i].subjectAt)) {
            if (keyIdFits(certificate.authorityKeyId, anchors[i])) return anchors[i]
            code = Code.ChainKeyId
        }
    return fail(code, -1, "an issuer among " + anchors.length + " anchors", "another issuer")
}

function keyIdFits(keyId: Buffer | undefined, issuer: Certificate): boolean {
    return !keyId || (issuer.subjectKeyId !== undefined && sameOctets(keyId, issuer.subjectKeyId))
}

function checkIssuer(issuer: Certificate, index: number): void {
    // RFC 5280 6.1.4 (k): an issuer is a CA
    if (!issuer.isCa) fail(Code.ChainNotCa, -1, "a certification authority", which(index))
    // RFC 5280 6.1.4 (n): an issuer may sign certificates
    if (!(issuer.keyUsage & keyCertSign)) fail(Code.ChainKeyUsage, -1, "keyCertSign", which(index))
    // RFC 5280 4.2.1.10: name constraints are critical, and not part of this architecture
    if (issuer.nameConstraintsAt > 0)
        fail(Code.ChainNameConstraints, issuer.nameConstraintsAt, "no name constraints", which(index))
}

function checkIssued(certificate: Certificate, issuer: Certificate, index: number): void {
    // RFC 5280 6.1.3 (a)(4): issuer's subject and certificate's issuer are the same name
    if (!sameName(certificate.der, certificate.issuerAt, issuer.der, issuer.subjectAt))
        fail(Code.ChainIssuer, certificate.issuerAt, "the next certificate as issuer", which(index))
    // RFC 5280 4.2.1.1: all but a self-signed certificate name the issuer's key
    if (!certificate.authorityKeyId && !sameOctets(certificate.publicKey, issuer.publicKey))
        fail(Code.ChainKeyId, -1, "an authority key identifier", which(index))
    if (!keyIdFits(certificate.authorityKeyId, issuer))
        fail(Code.ChainKeyId, -1, "the issuer's key identifier", which(index))
}

function checkValidity(certificate: Certificate, index: number, atSeconds: number): void {
    // RFC 5280 6.1.3 (a)(2): notBefore and notAfter belong to the period
    if (atSeconds < certificate.notBefore)
        fail(Code.ChainNotYetValid, -1, "valid from " + certificate.notBefore, which(index) + " at " + atSeconds)
    if (atSeconds > certificate.notAfter)
        fail(Code.ChainExpired, -1, "valid to " + certificate.notAfter, which(index) + " at " + atSeconds)
}

function checkLeaf(leaf: Certificate, check: ChainCheck): void {
    const usage = check.keyUsage || 0
    // RFC 5280 4.2.1.3: where the extension is present the use must be among the bits
    if ((leaf.keyUsage & usage) !== usage) fail(Code.ChainKeyUsage, -1, "key usage " + usage, "" + leaf.keyUsage)
    // RFC 5280 4.2.1.12: an application may require that its purpose is listed
    if (check.extendedKeyUsage && !lists(leaf, check.extendedKeyUsage))
        fail(Code.ChainExtendedKeyUsage, leaf.extendedKeyUsageAt, "the extended key usage asked for", "others")
}

function lists(leaf: Certificate, oid: Buffer): boolean {
    if (leaf.extendedKeyUsageAt === 0) return false
    const der = new DerReader(leaf.der, leaf.extendedKeyUsageAt, leaf.der.length)
    der.enter(0x30)
    while (der.more()) {
        der.read(6)
        if (der.is(oid)) return true
    }
    return false
}

/** Proves that `crl` is a list of `issuer`. Throws `ChainIssuer`, `ChainKeyId`, `ChainKeyUsage` or `CrlSignature`; looks at no time. */
export function verifyCrl(crl: Crl, issuer: Certificate): void {
    // RFC 5280 6.3.3 (b): the list's issuer
    if (!sameName(crl.der, crl.issuerAt, issuer.der, issuer.subjectAt))
        fail(Code.ChainIssuer, crl.issuerAt, "a list of this issuer", "another's")
    // RFC 5280 5.2.1: a list names its issuer's key
    if (!crl.authorityKeyId || !keyIdFits(crl.authorityKeyId, issuer))
        fail(Code.ChainKeyId, -1, "the issuer's key identifier", "a list")
    checkListSignature(crl, issuer)
}

function checkListSignature(crl: Crl, issuer: Certificate): void {
    // RFC 5280 6.3.3 (f): the issuer may sign lists
    if (!(issuer.keyUsage & cRLSign)) fail(Code.ChainKeyUsage, -1, "cRLSign", "an issuer without")
    // RFC 5280 6.3.3 (g): signed by the issuer
    if (!verifySigned(crl, issuer.publicKey)) fail(Code.CrlSignature, -1, "the issuer's signature", "another")
}

function checkRevoked(certificate: Certificate, issuer: Certificate, index: number, check: ChainCheck): void {
    const crls = check.crls || []
    let code = check.crlRequired ? Code.CrlMissing : 0
    for (let i = 0; i < crls.length; ++i) {
        const crl = crls[i]
        // RFC 5280 6.3.3 (b): the list's issuer is the certificate's
        if (!sameName(crl.der, crl.issuerAt, certificate.der, certificate.issuerAt)) continue
        if (!keyIdFits(crl.authorityKeyId, issuer)) continue
        if (!check.crlsProved) checkListSignature(crl, issuer)
        // RFC 5280 6.3.3 (i): not on the list
        if (revokedAt(crl, certificate) >= 0) fail(Code.ChainRevoked, -1, "a certificate in force", which(index))
        // RFC 5280 6.3.3 (a): the list is current
        if (check.atSeconds < crl.thisUpdate) code = Code.CrlNotYetValid
        else if (check.atSeconds > crl.nextUpdate) code = Code.CrlStale
        else return
    }
    if (code > 0 && !check.crlMayBeStale) fail(code, -1, "a current revocation list of the issuer", which(index))
}
