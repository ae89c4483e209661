import { type Crl, laterNumber, parseCrl } from "../core/crl"
import { Code, fail, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { crlSlotSize, crlSlots, crlsAt } from "./layout"

/** Longest list kept, octets. */
export const longestCrl = crlSlotSize - 6

/** A list in its slot. */
export interface HeldCrl {
    slot: number
    /** Octets of the list. */
    length: number
    /** Key identifier of the issuer. */
    keyId: Buffer
    number: Buffer
    thisUpdate: number
    nextUpdate: number
}

/**
 * The newest revocation list of each of five issuers. A list is written into the spare slot and counts once that is closed,
 * so power that goes at any octet leaves the old one or the new one. Who signed a list is proved before it comes here.
 */
export class CrlStore {
    private readonly slots: TrustStore
    /** What the slots hold, the newest of each issuer. */
    private held: HeldCrl[] = []

    constructor(store: Store) {
        this.slots = new TrustStore(store, crlsAt, crlSlotSize, crlSlots)
        for (let slot = 0; slot < crlSlots; ++slot) {
            const der = this.slots.read(slot)
            const crl = der ? parseOwn(der) : undefined
            if (crl) this.note(slot, crl)
        }
    }

    /** The list of the issuer with this key, as it was told when it came. */
    of(keyId: Buffer | undefined): HeldCrl | undefined {
        for (let i = 0; i < this.held.length; ++i)
            if (keyId && sameOctets(this.held[i].keyId, keyId)) return this.held[i]
        return undefined
    }

    /** DER of a list held. Throws `RecordDamaged` where it can not be read any more. */
    der(held: HeldCrl): Buffer {
        const der = this.slots.read(held.slot)
        if (!der) fail(Code.RecordDamaged, held.slot, "a revocation list", "damage")
        return der
    }

    /** All lists held. */
    all(): HeldCrl[] {
        return this.held
    }

    /** Keeps a list that is proved; `CrlNotNewer` unless its number is higher than that of the list held. */
    put(crl: Crl): void {
        const former = this.of(crl.authorityKeyId)
        if (former && !laterNumber(crl.number, former.number))
            fail(Code.CrlNotNewer, -1, "above " + former.number.toString("hex"), crl.number.toString("hex"))
        if (crl.der.length > longestCrl) fail(Code.CrlTooLong, -1, longestCrl + " octets", "" + crl.der.length)
        const slot = this.spare()
        this.slots.writePart(slot, 0, crl.der)
        this.slots.close(slot, crl.der.length)
        this.note(slot, crl)
    }

    /** Forgets the list of the issuer with this key. */
    forget(keyId: Buffer | undefined): void {
        const held = this.of(keyId)
        if (held) this.drop(held)
    }

    private drop(held: HeldCrl): void {
        this.slots.writePart(held.slot, 0, Buffer.alloc(0))
        this.held = this.held.filter(each => each !== held)
    }

    private note(slot: number, crl: Crl): void {
        const keyId = crl.authorityKeyId
        if (!keyId) return
        const entry = {
            slot: slot,
            length: crl.der.length,
            keyId: keyId,
            number: crl.number,
            thisUpdate: crl.thisUpdate,
            nextUpdate: crl.nextUpdate,
        }
        for (let i = 0; i < this.held.length; ++i)
            if (sameOctets(this.held[i].keyId, keyId)) {
                if (laterNumber(crl.number, this.held[i].number)) this.held[i] = entry
                return
            }
        this.held.push(entry)
    }

    /** A slot that holds nothing that counts. Lists of issuers that are no more give way, the oldest first. */
    private spare(): number {
        for (;;) {
            let used = 0
            let oldest = this.held[0]
            for (let i = 0; i < this.held.length; ++i) {
                used |= 1 << this.held[i].slot
                if (this.held[i].nextUpdate < oldest.nextUpdate) oldest = this.held[i]
            }
            for (let slot = 0; slot < crlSlots; ++slot) if (!(used & (1 << slot))) return slot
            this.drop(oldest)
        }
    }
}

/** What is whole but can not be read is no list: it is fetched anew. */
function parseOwn(der: Buffer): Crl | undefined {
    try {
        return parseCrl(der)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        return undefined
    }
}
