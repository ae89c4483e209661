import { Code, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { placesAt, TrustSlot } from "./layout"

const meterAt = 0
const providerAt = 1
const keyAt = 2
const deletedAt = 3
const formerAt = 35
const size = 36

/**
 * Which of the slots that have a double are in force: the meter's key with its certificate, and the provider's certificate. One
 * record, so one write of the FRAM switches.
 */
export class Places {
    private readonly record: SwitchedRecord
    private readonly data: Buffer

    constructor(store: Store) {
        this.record = new SwitchedRecord(store, placesAt, size)
        this.data = Buffer.alloc(size)
        this.begin()
        try {
            const saved = this.record.load()
            if (saved) this.data.blitAt(0, saved, 0, size)
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            // Nobody, rather than a provider who may have gone.
            this.data[providerAt] = 0
        }
    }

    /** Slot of CERT_EM. */
    meter(): TrustSlot {
        return this.data[meterAt]
    }

    /** Slot of CERT_SM; 0 where the provider was deleted and none has come since. */
    provider(): TrustSlot {
        return this.data[providerAt]
    }

    /** 0 = the key made at calibration is in force, 1 = the spare one. */
    key(): number {
        return this.data[keyAt]
    }

    /** Is this the key of the provider that was deleted last? */
    isDeleted(key: Buffer): boolean {
        const digest = platform().sha256([key])
        for (let i = 0; i < 32; ++i) if (digest[i] !== this.data[deletedAt + i]) return false
        return true
    }

    /** Key and certificate change to their doubles. */
    switchKey(): void {
        this.data[keyAt] ^= 1
        this.data[formerAt] = 1
        this.data[meterAt] = this.nextMeter()
        this.save()
    }

    /** Is the key before the present one still to be destroyed? */
    formerKept(): boolean {
        return this.data[formerAt] !== 0
    }

    formerGone(): void {
        this.data[formerAt] = 0
        this.save()
    }

    /** Where the next CERT_EM is written. */
    nextMeter(): TrustSlot {
        return this.data[meterAt] === TrustSlot.Meter ? TrustSlot.MeterNext : TrustSlot.Meter
    }

    /** Where the next CERT_SM is written. */
    nextProvider(): TrustSlot {
        return this.data[providerAt] === TrustSlot.SecurityManagement
            ? TrustSlot.SecurityManagementNext
            : TrustSlot.SecurityManagement
    }

    /** The provider in `slot` is in force; 0: none is, and the one with this key does not come again by itself. */
    setProvider(slot: number, deletedKey: Buffer | undefined): void {
        this.data[providerAt] = slot
        if (deletedKey) this.data.blitAt(deletedAt, platform().sha256([deletedKey]), 0, 32)
        this.save()
    }

    /** What the store did not take does not count here either. */
    private save(): void {
        try {
            this.record.save(this.data)
        } catch (e: any) {
            const saved = this.record.load()
            if (saved) this.data.blitAt(0, saved, 0, size)
            else this.begin()
            throw e
        }
    }

    private begin(): void {
        this.data.fillAt(0, size, 0)
        this.data[meterAt] = TrustSlot.Meter
        this.data[providerAt] = TrustSlot.SecurityManagement
    }
}
