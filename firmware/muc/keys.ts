import { Code, fail, PlombError } from "../core/errors"
import { Held } from "../core/inventory"
import { SwitchedRecord } from "../core/journal"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { moreKeysAt, symmetricKeysAt } from "./layout"

/** Link-layer address of a radio meter as on the air (EN 13757-4): manufacturer 2, number 4, version 1, device type 1. */
const addressSize = 8
/** A verifier of a password: iterations U32 BE, salt 16, PBKDF2-HMAC-SHA-256 of them 32 (services/installation.md). */
const verifierSize = 52

// The record: kind, length of the value, address, value.
const lengthAt = 1
const addressAt = 2
const valueAt = addressAt + addressSize
const recordSize = valueAt + verifierSize
/** Two copies with their checks, and the switch. */
const slotSize = 2 * (recordSize + 4) + 1

/** Keys that the first region has room for, and in all: 97 radio meters, two PLC links and the password. */
const firstKeys = 30
export const mostKeys = 100

/**
 * The symmetric secrets of the MUC, a slot each. What is replaced or removed is overwritten in both copies of its record. Nothing
 * here gives a value to anything that writes it out: kinds and addresses are all that is ever told.
 *
 * @devsWhenUsed
 */
export class KeyRing {
    private readonly none: Buffer

    constructor(private readonly store: Store) {
        this.none = Buffer.alloc(recordSize)
    }

    /**
     * Keeps `value` as the one key of this `kind` (of `Held`, 32 to 35) and `address` (8 octets for a radio meter, else none); an
     * empty value removes it. Throws `BadArgument` for what does not fit its kind, `TooManyKeys`.
     */
    put(kind: number, address: Buffer, value: Buffer): void {
        this.mustFit(kind, address, value)
        const record = Buffer.alloc(recordSize)
        record[0] = kind
        record[lengthAt] = value.length
        record.blitAt(addressAt, address, 0, address.length)
        record.blitAt(valueAt, value, 0, value.length)
        let free = -1
        for (let i = 0; i < mostKeys; ++i) {
            const held = this.load(i)
            if (held[0] === 0) {
                if (free < 0) free = i
            } else if (sameKey(held, record)) {
                this.save(i, value.length > 0 ? record : this.none)
                return
            }
        }
        if (value.length === 0) return
        if (free < 0) fail(Code.TooManyKeys, -1, "at most " + mostKeys + " keys", "one more")
        this.save(free, record)
    }

    /** Throws `BadArgument` for what does not fit its kind. */
    mustFit(kind: number, address: Buffer, value: Buffer): void {
        if (kind < Held.MBusKey || kind > Held.UserPassword) fail(Code.BadArgument, -1, "a kind of key", "" + kind)
        if (address.length !== (kind === Held.MBusKey ? addressSize : 0))
            fail(Code.BadArgument, -1, "the address of its kind", address.length + " octets")
        checkValue(kind, value)
    }

    /** Address of the radio meter whose key this slot (0 to `mostKeys` - 1) holds. */
    meterAt(slot: number): Buffer | undefined {
        const record = this.load(slot)
        return record[0] === Held.MBusKey ? cut(record, addressAt, addressSize) : undefined
    }

    /** The key in this slot, for what checks a telegram and tells nobody. */
    keyAt(slot: number): Buffer {
        const record = this.load(slot)
        return cut(record, valueAt, record[lengthAt])
    }

    /** Is there a key of this kind? */
    holds(kind: Held): boolean {
        for (let i = 0; i < mostKeys; ++i) if (this.load(i)[0] === kind) return true
        return false
    }

    /** What is held, as the inventory tells it (firmware/core/inventory.ts): kind, 0, address. */
    items(): Buffer[] {
        const items: Buffer[] = []
        for (let i = 0; i < mostKeys; ++i) {
            const record = this.load(i)
            const kind = record[0]
            if (kind === 0) continue
            const address = cut(record, addressAt, kind === Held.MBusKey ? addressSize : 0)
            items.push(join([Buffer.from([kind, 0]), address]))
        }
        return items
    }

    /** Verifier of the user's password, for what checks one. */
    password(): Buffer | undefined {
        return this.only(Held.UserPassword)
    }

    /** The one key of a kind that has no address: of a PLC link, for that link. */
    only(kind: Held): Buffer | undefined {
        for (let i = 0; i < mostKeys; ++i) {
            const record = this.load(i)
            if (record[0] === kind) return cut(record, valueAt, record[lengthAt])
        }
        return undefined
    }

    /** Overwrites what a power cut has left of keys that were replaced. */
    settle(): void {
        for (let i = 0; i < mostKeys; ++i) if (this.load(i)[0] > 0) this.record(i).settle()
    }

    private record(slot: number): SwitchedRecord {
        const at = slot < firstKeys ? symmetricKeysAt : moreKeysAt - firstKeys * slotSize
        return new SwitchedRecord(this.store, at + slot * slotSize, recordSize)
    }

    /** A damaged slot holds nothing; the key is missed in the list and put anew. */
    private load(slot: number): Buffer {
        // Some hundred steps a slot, and each question goes over all of them.
        platform().yieldNow()
        try {
            return this.record(slot).load() || this.none
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            return this.none
        }
    }

    private save(slot: number, data: Buffer): void {
        const record = this.record(slot)
        record.save(data)
        record.settle()
    }
}

/** 16 or 32 octets for a radio meter (OMS modes 5 and 7 use 16), 32 for the PLC links (AES-256-CCM); never all zero. */
function checkValue(kind: number, value: Buffer): void {
    const length = value.length
    if (length === 0) return
    let right = length === 32
    if (kind === Held.MBusKey) right = length === 16 || length === 32
    if (kind === Held.UserPassword) right = length === verifierSize
    if (!right) fail(Code.BadArgument, -1, "the length of its kind", "" + length)
    if (sameOctets(value, Buffer.alloc(length))) fail(Code.BadArgument, -1, "a key", "zeros")
}

function sameKey(a: Buffer, b: Buffer): boolean {
    return a[0] === b[0] && sameOctets(cut(a, addressAt, addressSize), cut(b, addressAt, addressSize))
}
