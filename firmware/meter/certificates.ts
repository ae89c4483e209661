import { verifyChain, verifyCrl } from "../core/chain"
import type { CommandTrust } from "../core/command"
import { type Crl, laterNumber, parseCrl, revokedAt } from "../core/crl"
import { Code, fail } from "../core/errors"
import { certificateItem, Held, HeldState, listItem } from "../core/inventory"
import { cut, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { childName, octetsLeaf } from "../core/sml-parameter"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { type Certificate, cRLSign, digitalSignature, keyCertSign, parseCertificate } from "../core/x509"
import { sameName } from "../core/x509-name"
import { hasRole, Role } from "../core/x509-role"
import { listsOfRevokedAt, listsOfRevokedSlots, TrustSlot, trustSlotSize } from "./layout"
import type { Places } from "./places"
import type { MeterTime } from "./time"

/** Room for an object to be taken and its issuer's certificate behind it. */
const areaSize = 2048

/** First octet of an order: a part (offset U16, octets), or what the parts are (two lengths U16); any other is a list. */
const part = 0
const takeCertificate = 1

/** Whose lists are kept. */
const ofCa = 0
const ofProvider = 1
const ofInstitute = 2
const issuers = 4

/**
 * What the meter takes over its line and from whom (rules: README.md): its first CERT_SM, and revocation lists. All of it
 * proves itself against what the meter holds since production; who brings it does not matter. The next CERT_SM and the next
 * CERT_EM come in the same way, and are taken by command alone.
 */
export class Certificates implements CommandTrust {
    private changes = 1
    /** Told of the CERT_SM that nobody's order is about to put in force. */
    onTake: (der: Buffer) => void = () => {}
    /** Parts that came; gone with the power. */
    private area: Buffer | undefined
    /** Two slots an issuer: the newest list stands while the next is written. */
    private readonly lists: TrustStore
    /** Where the next list goes, of the issuer whose list was looked up last. */
    private spare = 0

    constructor(
        store: Store,
        private readonly trust: TrustStore,
        private readonly time: MeterTime,
        private readonly places: Places,
    ) {
        this.lists = new TrustStore(store, listsOfRevokedAt, trustSlotSize, listsOfRevokedSlots)
    }

    /** CERT_MFC or CERT_SM; undefined where there is none, or it is revoked. */
    held(slot: TrustSlot): Certificate | undefined {
        const certificate = this.certificate(slot)
        return certificate && this.state(certificate) === HeldState.InForce ? certificate : undefined
    }

    /** Provider, manufacturer, calibration authority, institute root: who commands or certifies who does. */
    hold(): Certificate[] {
        const all: Certificate[] = []
        for (let slot = TrustSlot.CalibrationAuthority; slot <= TrustSlot.SecurityManagement; ++slot) {
            platform().yieldNow()
            const certificate = slot < TrustSlot.Manufacturer ? this.certificate(slot) : this.held(slot)
            if (certificate) all.push(certificate)
        }
        return all
    }

    /** The newest list of each issuer. */
    crls(): Crl[] {
        const all: Crl[] = []
        for (let of = ofCa; of < issuers; ++of) {
            const crl = this.list(of)
            if (crl) all.push(crl)
        }
        return all
    }

    utcSeconds(): number {
        return this.time.trusted() ? this.time.utcSeconds() : 0
    }

    version(): number {
        return this.changes
    }

    /** Children of the inventory (`firmware/core/inventory.ts`) under `name`. */
    inventory(name: Buffer): any[] {
        const children: any[] = []
        for (let slot = TrustSlot.Meter; slot <= TrustSlot.SecurityManagement; ++slot) {
            const certificate = this.certificate(slot)
            if (!certificate) continue
            platform().yieldNow()
            const state = slot < TrustSlot.Manufacturer ? HeldState.InForce : this.state(certificate)
            children.push(octetsLeaf(childName(name, slot + 1), certificateItem(slot + 1, certificate.der, state)))
        }
        for (let of = ofCa; of < issuers; ++of) {
            const crl = this.list(of)
            if (crl) children.push(octetsLeaf(childName(name, Held.RevocationList + of), listItem(crl)))
        }
        return children
    }

    /** Obeys one order: takes a part, or checks and keeps what the parts make. Refuses with nothing changed. */
    order(order: Buffer): void {
        const length = uintBE(order, 1, 2)
        if (order[0] === part && length === 0) this.area = Buffer.alloc(areaSize)
        const area = this.area
        if (!area) fail(Code.StepOutOfOrder, -1, "the first part", "another")
        if (order[0] === part) {
            if (length + order.length - 3 > areaSize) fail(Code.OutOfRange, length, "parts inside " + areaSize, "more")
            area.blitAt(length, order, 3, order.length - 3)
            return
        }
        this.area = undefined
        const der = cut(area, 0, length)
        const authority = uintBE(order, 3, 2)
        const ca = authority > 0 ? this.authority(cut(area, length, authority)) : undefined
        if (order[0] === takeCertificate) {
            if (this.held(TrustSlot.SecurityManagement)) fail(Code.ProviderHeld, -1, "no CERT_SM", "one in force")
            const certificate = this.checkProvider(der, ca)
            if (this.places.isDeleted(certificate.publicKey))
                fail(Code.ProviderDeleted, -1, "another provider", "the one that was deleted")
            this.onTake(der)
            this.takeProvider(der)
        } else this.takeList(der, ca)
    }

    /**
     * The next CERT_SM that came in parts, checked: `value` is its length and that of the CA's certificate behind it, U16 each, and its
     * SHA-256. Nothing has changed yet.
     */
    nextProvider(value: Buffer): Buffer {
        const area = this.takeArea()
        const length = uintBE(value, 0, 2)
        const der = this.whole(area, length, value, 4)
        this.checkProvider(der, this.authority(cut(area, length, uintBE(value, 2, 2))))
        return der
    }

    /** The next CERT_EM that came in parts, for `publicKey` and this meter; `value` is 02, its length U16 and its SHA-256. */
    nextMeter(value: Buffer, publicKey: Buffer): Buffer {
        const der = this.whole(this.takeArea(), uintBE(value, 1, 2), value, 3)
        const certificate = parseCertificate(der)
        const former = this.certificate(TrustSlot.Meter)
        if (!sameOctets(certificate.publicKey, publicKey))
            fail(Code.CertificateForOtherKey, -1, "a certificate for the key made last", "another key")
        if (!former || !sameName(certificate.der, certificate.subjectAt, former.der, former.subjectAt))
            fail(Code.CertificateForOtherName, -1, "a certificate for this meter", "another name")
        if (!hasRole(certificate, Role.meter)) fail(Code.RoleMismatch, -1, "a meter's role", "another")
        const authority = this.certificate(TrustSlot.CalibrationAuthority)
        const root = this.certificate(TrustSlot.InstituteRoot)
        if (!authority || !root) fail(Code.CertificateMissing, -1, "the institute's certificates", "none")
        verifyChain({
            chain: [certificate, authority],
            anchors: [root],
            atSeconds: this.time.utcSeconds(),
            crls: this.crls(),
            crlMayBeStale: true,
            keyUsage: digitalSignature,
        })
        return der
    }

    /** Makes a checked CERT_SM the one in force, by one write; what was of the provider before goes. */
    takeProvider(der: Buffer): void {
        const before = this.places.provider()
        const next = this.places.nextProvider()
        this.trust.writePart(next, 0, der)
        this.trust.close(next, der.length)
        this.places.setProvider(next, undefined)
        this.forget(before)
    }

    /** Takes CERT_SM away, by one write: nobody of that provider is let in any more. */
    deleteProvider(): void {
        const certificate = this.certificate(TrustSlot.SecurityManagement)
        if (!certificate) fail(Code.CertificateMissing, -1, "a provider", "none")
        const before = this.places.provider()
        this.places.setProvider(0, certificate.publicKey)
        this.forget(before)
    }

    /** Puts a checked CERT_EM into the slot that is not in force yet. */
    prepareMeter(der: Buffer): void {
        const next = this.places.nextMeter()
        this.trust.writePart(next, 0, der)
        this.trust.close(next, der.length)
    }

    /** The certificate of the key before the present one, where there was one. */
    formerMeter(): Buffer | undefined {
        return this.trust.read(this.places.nextMeter())
    }

    /** What stands in the slot in force. */
    der(slot: TrustSlot): Buffer | undefined {
        const place =
            slot === TrustSlot.SecurityManagement
                ? this.places.provider()
                : slot === TrustSlot.Meter
                  ? this.places.meter()
                  : slot
        return place === 0 && slot !== TrustSlot.Meter ? undefined : this.trust.read(place)
    }

    /** The certificate in a slot that is not in force goes. Lists of that provider are passed over: they name another key. */
    private forget(slot: number): void {
        ++this.changes
        if (slot > 0) this.trust.writePart(slot, 0, hex``)
    }

    private takeArea(): Buffer {
        const area = this.area
        if (!area) fail(Code.StepOutOfOrder, -1, "parts before the order", "none")
        this.area = undefined
        return area
    }

    /** The first `length` octets of the area, whose SHA-256 stands in `value` at `at`. */
    private whole(area: Buffer, length: number, value: Buffer, at: number): Buffer {
        const der = cut(area, 0, length)
        if (!sameOctets(platform().sha256([der]), cut(value, at, 32)))
            fail(Code.BadArgument, -1, "the certificate that the command names", "another")
        return der
    }

    private checkProvider(der: Buffer, ca: Certificate | undefined): Certificate {
        if (!ca) fail(Code.CertificateMissing, -1, "the CA's certificate", "none")
        if (!this.time.trusted()) fail(Code.TimeNotTrusted, -1, "a time that is set", "another")
        const list = this.list(ofCa)
        const certificate = verifyChain({
            chain: [parseCertificate(der)],
            anchors: [ca],
            atSeconds: this.time.utcSeconds(),
            crls: list ? [list] : [],
            crlMayBeStale: true,
            keyUsage: digitalSignature | keyCertSign | cRLSign,
        })
        if (!hasRole(certificate, Role.securityManagement)) fail(Code.RoleMismatch, -1, "a provider's role", "another")
        if (der.length > trustSlotSize - 6) fail(Code.CertificateTooLong, -1, "a slot's length", "" + der.length)
        return certificate
    }

    /** A list of the CA `ca`, or else of one who is held. */
    private takeList(der: Buffer, ca: Certificate | undefined): void {
        const crl = parseCrl(der)
        const keyId = crl.authorityKeyId
        let of = ofCa
        let issuer = ca
        for (let other = ofProvider; other < issuers && !ca; ++other) {
            const held = this.issuerOf(other)
            if (!held || !keyId || !held.subjectKeyId || !sameOctets(held.subjectKeyId, keyId)) continue
            issuer = held
            of = other
        }
        if (!issuer) fail(Code.CertificateMissing, -1, "the issuer's certificate", "none")
        verifyCrl(crl, issuer)
        const former = this.list(of)
        if (former && !laterNumber(crl.number, former.number))
            fail(Code.CrlNotNewer, -1, "a newer list than the one held", "another")
        this.lists.writePart(this.spare, 0, der)
        this.lists.close(this.spare, der.length)
        ++this.changes
    }

    private issuerOf(of: number): Certificate | undefined {
        if (of === ofProvider) return this.held(TrustSlot.SecurityManagement)
        return this.certificate(of === ofInstitute ? TrustSlot.InstituteRoot : TrustSlot.CalibrationAuthority)
    }

    /** The CA that issued CERT_MFC, be that one revoked or not. */
    private authority(der: Buffer): Certificate | undefined {
        const ca = parseCertificate(der)
        const manufacturer = this.certificate(TrustSlot.Manufacturer)
        if (!manufacturer) return undefined
        verifyChain({
            chain: [manufacturer],
            anchors: [ca],
            atSeconds: Math.max(manufacturer.notBefore, ca.notBefore),
        })
        return ca
    }

    private state(certificate: Certificate): HeldState {
        const crl = this.list(ofCa)
        return crl && revokedAt(crl, certificate) >= 0 ? HeldState.Revoked : HeldState.InForce
    }

    /** The certificate at a place, also one that is revoked. */
    certificate(slot: TrustSlot): Certificate | undefined {
        const der = this.der(slot)
        return der ? parseCertificate(der) : undefined
    }

    /** The newest list of an issuer; of the provider only what the one in force has signed. */
    private list(of: number): Crl | undefined {
        let newest: Crl | undefined
        const provider = of === ofProvider ? this.certificate(TrustSlot.SecurityManagement) : undefined
        this.spare = 2 * of
        for (let slot = 2 * of; slot < 2 * of + 2; ++slot) {
            const der = this.lists.read(slot)
            const crl = der ? parseCrl(der) : undefined
            if (!crl || (newest && !laterNumber(crl.number, newest.number))) continue
            if (of === ofProvider) {
                const keyId = provider ? provider.subjectKeyId : undefined
                if (!keyId || !crl.authorityKeyId || !sameOctets(keyId, crl.authorityKeyId)) continue
            }
            newest = crl
            this.spare = slot ^ 1
        }
        return newest
    }
}
