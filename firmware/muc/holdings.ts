import { type Crl, parseCrl, revokedAt } from "../core/crl"
import { certificateItem, HeldState, listItem } from "../core/inventory"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { type Certificate, parseCertificate } from "../core/x509"
import { CrlStore } from "./crl-store"
import { judgementSize, judgements, judgementsAt, TrustSlot, trustAt, trustSlotSize, trustSlots } from "./layout"

/** Kind in the inventory of what each trust slot holds. */
const kinds = hex`01 04 06 03 05`

/** Certificates and revocation lists that the MUC holds; one object for all that decides by them. */
export class Holdings {
    readonly trust: TrustStore
    readonly lists: CrlStore
    /** What `MucTrust` last found; gone before anything changes that it was found by. */
    readonly judgements: TrustStore
    /** Counts up whenever a list or a certificate has come: judgements made before do not hold. */
    version = 1

    constructor(store: Store) {
        this.trust = new TrustStore(store, trustAt, trustSlotSize, trustSlots)
        this.lists = new CrlStore(store)
        this.judgements = new TrustStore(store, judgementsAt, judgementSize, judgements)
    }

    /** The certificate in `slot`, revoked or not. */
    certificate(slot: TrustSlot): Certificate | undefined {
        const der = this.trust.read(slot)
        return der ? parseCertificate(der) : undefined
    }

    /** The certificate in `slot`; undefined where there is none, or it is revoked. */
    inForce(slot: TrustSlot): Certificate | undefined {
        const certificate = this.certificate(slot)
        return certificate && !this.revoked(certificate) ? certificate : undefined
    }

    /** Does the list at hand of its issuer name this certificate? Lists count whatever their age. */
    revoked(certificate: Certificate): boolean {
        const crl = this.crlOf(certificate.authorityKeyId)
        return crl !== undefined && revokedAt(crl, certificate) >= 0
    }

    /** The list of the issuer with this key. */
    crlOf(keyId: Buffer | undefined): Crl | undefined {
        const held = this.lists.of(keyId)
        return held ? parseCrl(this.lists.der(held)) : undefined
    }

    /** Items of the inventory (`firmware/core/inventory.ts`): certificates, then lists. */
    items(): Buffer[] {
        const items: Buffer[] = []
        for (let slot = TrustSlot.Muc; slot <= TrustSlot.SecurityManagement; ++slot) {
            const certificate = this.certificate(slot)
            if (!certificate) continue
            const state = this.revoked(certificate) ? HeldState.Revoked : HeldState.InForce
            items.push(certificateItem(kinds[slot], certificate.der, state))
        }
        const lists = this.lists.all()
        for (let i = 0; i < lists.length; ++i) items.push(listItem(parseCrl(this.lists.der(lists[i]))))
        return items
    }

    /** Keeps the provider's certificate, which is proved, in the slot that had none in force. */
    takeProvider(der: Buffer): void {
        this.change()
        const former = this.certificate(TrustSlot.SecurityManagement)
        this.trust.writePart(TrustSlot.SecurityManagement, 0, der)
        this.trust.close(TrustSlot.SecurityManagement, der.length)
        if (former) this.lists.forget(former.subjectKeyId)
    }

    /** Keeps a list that is proved, as `CrlStore.put`. */
    takeList(crl: Crl): void {
        this.change()
        this.lists.put(crl)
    }

    private change(): void {
        ++this.version
        for (let slot = 0; slot < judgements; ++slot) this.judgements.writePart(slot, 0, Buffer.alloc(0))
    }
}
