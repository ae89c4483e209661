import { verifyChain, verifyCrl } from "../core/chain"
import { type Crl, parseCrl } from "../core/crl"
import { Code, fail } from "../core/errors"
import { sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { type Certificate, cRLSign, digitalSignature, keyCertSign, parseCertificate } from "../core/x509"
import { Role, readRole } from "../core/x509-role"
import { longestCrl } from "./crl-store"
import type { Holdings } from "./holdings"
import { broughtAt, TrustSlot, trustSlotSize } from "./layout"

/** Longest certificate kept, octets. */
const longestCertificate = trustSlotSize - 6

/** Throws `RoleMismatch` unless the certificate has this role. */
export function mustBe(wanted: Role, certificate: Certificate): void {
    const role = readRole(certificate)
    if (!role || role.role !== wanted)
        fail(Code.RoleMismatch, -1, "role " + wanted, role ? "" + role.role : "a certificate without role")
}

/** A certificate of this role that the root in `slot` issued, valid `now` and not on that root's list, which must be current. */
export function prove(holdings: Holdings, der: Buffer, slot: TrustSlot, wanted: Role, now: number): Certificate {
    if (der.length > longestCertificate)
        fail(Code.CertificateTooLong, -1, longestCertificate + " octets", "" + der.length)
    const root = holdings.certificate(slot)
    if (!root) fail(Code.CertificateMissing, -1, "a root in slot " + slot, "none")
    const crl = holdings.crlOf(root.subjectKeyId)
    const certificate = verifyChain({
        chain: [parseCertificate(der)],
        anchors: [root],
        atSeconds: now,
        crls: crl ? [crl] : [],
        crlRequired: true,
        keyUsage: digitalSignature | keyCertSign | cRLSign,
    })
    mustBe(wanted, certificate)
    return certificate
}

/** A provider's certificate: as `prove`, issued by the CA. */
export function proveProvider(holdings: Holdings, der: Buffer, now: number): Certificate {
    return prove(holdings, der, TrustSlot.CaRoot, Role.securityManagement, now)
}

/** A list of this issuer that is current. */
export function proveList(der: Buffer, issuer: Certificate, now: number): Crl {
    if (der.length > longestCrl) fail(Code.CrlTooLong, -1, longestCrl + " octets", "" + der.length)
    const crl = parseCrl(der)
    // RFC 5280 6.3.3 (a): the list is current
    if (now < crl.thisUpdate) fail(Code.CrlNotYetValid, -1, "a list of the past", "from " + crl.thisUpdate)
    if (now > crl.nextUpdate) fail(Code.CrlStale, -1, "a list until " + now, "" + crl.nextUpdate)
    verifyCrl(crl, issuer)
    return crl
}

/** As `takeListOfHeld`, for a list that was brought in parts (order 2: U8 2, U16 length). */
export function takeBroughtList(store: Store, holdings: Holdings, order: Buffer, now: number): void {
    if (order[0] !== 2) fail(Code.BadArgument, -1, "a list that was brought", "order " + order[0])
    takeListOfHeld(holdings, store.read(broughtAt, uintBE(order, 1, 2)), now)
}

/** Keeps a list, current and of an issuer held; the one that is held already is no error. */
export function takeListOfHeld(holdings: Holdings, der: Buffer, now: number): void {
    const keyId = parseCrl(der).authorityKeyId
    for (let slot = TrustSlot.Manufacturer; slot <= TrustSlot.SecurityManagement; ++slot) {
        platform().yieldNow()
        const issuer = holdings.certificate(slot)
        if (!issuer || !issuer.subjectKeyId || !keyId || !sameOctets(issuer.subjectKeyId, keyId)) continue
        const crl = proveList(der, issuer, now)
        const held = holdings.crlOf(keyId)
        if (!held || !sameOctets(held.der, der)) holdings.takeList(crl)
        return
    }
    fail(Code.CertificateMissing, -1, "the issuer of the list", "none held")
}
