import { verifyChain, verifyCrl } from "../core/chain"
import { type Crl, laterNumber, parseCrl, revokedAt } from "../core/crl"
import { Code, fail } from "../core/errors"
import { certificateItem, Held, HeldState, listItem } from "../core/inventory"
import { cut, uintBE } from "../core/octets"
import { childName, octetsLeaf } from "../core/sml-parameter"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { type Certificate, cRLSign, digitalSignature, keyCertSign, parseCertificate } from "../core/x509"
import { hasRole, Role } from "../core/x509-role"
import { listsOfRevokedAt, TrustSlot, trustSlotSize } from "./layout"
import type { MeterTime } from "./time"

/** Room for an object to be taken and its issuer's certificate behind it. */
const areaSize = 2048

/** First octet of an order: a part (offset U16, octets), or what the parts are (two lengths U16); any other is a list. */
const part = 0
const takeCertificate = 1

/** Whose lists are kept. */
const ofCa = 0
const ofProvider = 1

/**
 * What the meter takes over its line and from whom (rules: README.md): its first CERT_SM, and revocation lists. All of it
 * proves itself against CERT_MFC, which the meter holds since production; who brings it does not matter.
 */
export class Certificates {
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
    ) {
        this.lists = new TrustStore(store, listsOfRevokedAt, trustSlotSize, 4)
    }

    /** CERT_MFC or CERT_SM; undefined where there is none, or it is revoked. */
    held(slot: TrustSlot): Certificate | undefined {
        const certificate = this.certificate(slot)
        return certificate && this.state(certificate) === HeldState.InForce ? certificate : undefined
    }

    /** Children of the inventory (`firmware/core/inventory.ts`) under `name`. */
    inventory(name: Buffer): any[] {
        const children: any[] = []
        for (let slot = TrustSlot.Meter; slot <= TrustSlot.SecurityManagement; ++slot) {
            const certificate = this.certificate(slot)
            if (!certificate) continue
            const state = slot < TrustSlot.Manufacturer ? HeldState.InForce : this.state(certificate)
            children.push(octetsLeaf(childName(name, slot + 1), certificateItem(slot + 1, certificate.der, state)))
        }
        for (let of = ofCa; of <= ofProvider; ++of) {
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
        const issuer =
            authority > 0 ? this.authority(cut(area, length, authority)) : this.held(TrustSlot.SecurityManagement)
        if (!issuer) fail(Code.CertificateMissing, -1, "the issuer's certificate", "none")
        if (order[0] === takeCertificate) this.takeProvider(der, issuer)
        else this.takeList(der, issuer, authority > 0 ? ofCa : ofProvider)
    }

    private takeProvider(der: Buffer, ca: Certificate): void {
        if (this.held(TrustSlot.SecurityManagement)) fail(Code.ProviderHeld, -1, "no CERT_SM", "one in force")
        if (!this.time.trusted()) fail(Code.TimeNotTrusted, -1, "a time that is set", "another")
        const list = this.list(ofCa)
        const certificate = verifyChain({
            chain: [parseCertificate(der)],
            anchors: [ca],
            atSeconds: this.time.utcSeconds(),
            crls: list ? [list] : [],
            keyUsage: digitalSignature | keyCertSign | cRLSign,
        })
        if (!hasRole(certificate, Role.securityManagement)) fail(Code.RoleMismatch, -1, "a provider's role", "another")
        // Lists of a provider before this one.
        for (let slot = 2; slot < 4; ++slot) this.lists.writePart(slot, 0, hex``)
        this.trust.writePart(TrustSlot.SecurityManagement, 0, der)
        this.trust.close(TrustSlot.SecurityManagement, der.length)
    }

    private takeList(der: Buffer, issuer: Certificate, of: number): void {
        const crl = parseCrl(der)
        verifyCrl(crl, issuer)
        const former = this.list(of)
        if (former && !laterNumber(crl.number, former.number))
            fail(Code.CrlNotNewer, -1, "a newer list than the one held", "another")
        this.lists.writePart(this.spare, 0, der)
        this.lists.close(this.spare, der.length)
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

    private certificate(slot: TrustSlot): Certificate | undefined {
        const der = this.trust.read(slot)
        return der ? parseCertificate(der) : undefined
    }

    /** The newest list of the CA or of the provider. */
    private list(of: number): Crl | undefined {
        let newest: Crl | undefined
        this.spare = 2 * of
        for (let slot = 2 * of; slot < 2 * of + 2; ++slot) {
            const der = this.lists.read(slot)
            const crl = der ? parseCrl(der) : undefined
            if (!crl || (newest && !laterNumber(crl.number, newest.number))) continue
            newest = crl
            this.spare = slot ^ 1
        }
        return newest
    }
}
