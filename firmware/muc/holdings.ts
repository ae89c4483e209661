import { type Crl, parseCrl, revokedAt } from "../core/crl"
import { Code, fail, PlombError } from "../core/errors"
import { certificateItem, HeldState, listItem } from "../core/inventory"
import { SwitchedRecord } from "../core/journal"
import { join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { type Certificate, parseCertificate } from "../core/x509"
import { CrlStore } from "./crl-store"
import {
    judgementSize,
    judgements,
    judgementsAt,
    providerAt,
    TrustSlot,
    trustAt,
    trustSlotSize,
    trustSlots,
} from "./layout"

/** The other slot of the provider's certificate. */
const spareSlot = TrustSlot.SecurityManagement + 1

/** Kind in the inventory of what each trust slot holds. */
const kinds = hex`01 04 06 03 05`

/** Certificates and revocation lists that the MUC holds; one object for all that decides by them. */
export class Holdings {
    readonly trust: TrustStore
    readonly lists: CrlStore
    /** What `MucTrust` last found; gone before anything changes that it was found by. */
    readonly judgements: TrustStore
    /** Counts up whenever a list or a certificate has come or gone: judgements made before do not hold. */
    version = 1
    /** Slot of the provider's certificate (0 = there is none, it was deleted), and SHA-256 of the key that was. */
    private readonly record: SwitchedRecord
    private place: Buffer

    constructor(store: Store) {
        this.trust = new TrustStore(store, trustAt, trustSlotSize, trustSlots)
        this.lists = new CrlStore(store)
        this.judgements = new TrustStore(store, judgementsAt, judgementSize, judgements)
        this.record = new SwitchedRecord(store, providerAt, 33)
        try {
            this.place = this.record.load() || placeOf(TrustSlot.SecurityManagement, hex``)
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            // Nobody, rather than one who may have gone.
            this.place = placeOf(0, hex``)
        }
    }

    /** The certificate in `slot`, revoked or not. */
    certificate(slot: TrustSlot): Certificate | undefined {
        const provider = slot === TrustSlot.SecurityManagement
        const der = provider && this.place[0] === 0 ? undefined : this.trust.read(provider ? this.place[0] : slot)
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

    /** The lists that tell of these certificates. Each may have 4 KB, so nobody asks for more than that. */
    crlsOf(chain: Certificate[]): Crl[] {
        const crls: Crl[] = []
        for (let i = 0; i < chain.length; ++i) {
            const issuer = chain[i].authorityKeyId
            const own = chain[i].subjectKeyId
            const crl = issuer && own && sameOctets(issuer, own) ? undefined : this.crlOf(issuer)
            if (crl) crls.push(crl)
        }
        return crls
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

    /**
     * Keeps the provider's certificate, which is proved, or has none from now on: one write does it. Throws `ProviderDeleted` for
     * the one that was deleted here.
     */
    setProvider(next: Certificate | undefined): void {
        const former = this.certificate(TrustSlot.SecurityManagement)
        const before = this.place[0]
        let place = placeOf(0, former ? former.publicKey : hex``)
        if (next) {
            if (sameOctets(placeOf(0, next.publicKey), this.place))
                fail(Code.ProviderDeleted, -1, "another provider", "the one that was deleted")
            const slot = before === TrustSlot.SecurityManagement ? spareSlot : TrustSlot.SecurityManagement
            this.trust.writePart(slot, 0, next.der)
            this.trust.close(slot, next.der.length)
            place = placeOf(slot, hex``)
        }
        this.change()
        this.record.save(place)
        this.place = place
        if (before > 0) this.trust.writePart(before, 0, Buffer.alloc(trustSlotSize - 6))
        if (former && !(next && sameOctets(former.publicKey, next.publicKey))) this.lists.forget(former.subjectKeyId)
    }

    /** Was the provider deleted, and none has come since? */
    deleted(): boolean {
        return this.place[0] === 0
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

function placeOf(slot: number, key: Buffer): Buffer {
    return join([Buffer.from([slot]), platform().sha256([key])])
}
