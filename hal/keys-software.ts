import { generateKeyP256, signP256, verifyP256 } from "../firmware/core/ecdsa"
import { Code, fail } from "../firmware/core/errors"
import { SwitchedRecord } from "../firmware/core/journal"
import { cut } from "../firmware/core/octets"
import type { Store } from "../firmware/core/store"
import { type CustodyState, type KeyCustody, KeyProtection } from "./ports"

// The record: flags, counter U32 LE, private key 32, public key 64.
const counterAt = 1
const privateAt = 5
const publicAt = 37
const recordSize = 101

/** Flags. */
const configured = 1
const keyPresent = 2
const sealed = 4

/**
 * Key custody without a secure element: P-256 in bytecode, the key in the store. Whoever can read the store has
 * the key; every signed list says so (`KeyProtection.None`). The steps follow those of the element, so calibration
 * is the same procedure. The record takes 211 octets at `at`.
 *
 * A key that is replaced or erased is overwritten in both copies of the record; the counter survives both.
 */
export class SoftwareCustody implements KeyCustody {
    readonly protection: KeyProtection
    private readonly record: SwitchedRecord
    private settled: boolean

    /** `at` by default where the FRAM map of the images keeps 512 octets for it. */
    constructor(store: Store, at: number = 0x00800) {
        this.protection = KeyProtection.None
        this.record = new SwitchedRecord(store, at, recordSize)
        this.settled = false
    }

    state(): CustodyState {
        const record = this.load()
        const flags = record[0]
        wipe(record)
        return {
            configured: (flags & configured) !== 0,
            keyPresent: (flags & keyPresent) !== 0,
            sealed: (flags & sealed) !== 0,
        }
    }

    serial(): Buffer {
        return Buffer.alloc(0)
    }

    configure(): void {
        this.flag(configured)
    }

    generateKey(): Buffer {
        const record = this.load()
        if ((record[0] & configured) === 0) fail(Code.ElementNotLocked, -1, "a configured custody", "a bare one")
        const pair = generateKeyP256()
        record[0] |= keyPresent
        record.blitAt(privateAt, pair.privateKey, 0, 32)
        record.blitAt(publicAt, pair.publicKey, 0, 64)
        wipe(pair.privateKey)
        this.replace(record)
        return pair.publicKey
    }

    publicKey(): Buffer {
        const record = this.loadKey()
        const key = cut(record, publicAt, 64)
        wipe(record)
        return key
    }

    sign(digest: Buffer): Buffer {
        const record = this.loadKey()
        const key = cut(record, privateAt, 32)
        wipe(record)
        try {
            return signP256(key, digest)
        } finally {
            wipe(key)
        }
    }

    verify(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
        return verifyP256(publicKey, digest, signature)
    }

    seal(): void {
        wipe(this.loadKey())
        this.flag(sealed)
    }

    erase(): void {
        const record = this.load()
        record[0] &= ~keyPresent & 0xff
        record.fillAt(privateAt, recordSize - privateAt, 0)
        this.replace(record)
    }

    counter(): number {
        const record = this.load()
        const value = record.getAt(counterAt, "u32")
        wipe(record)
        return value
    }

    incrementCounter(): number {
        const record = this.load()
        const value = record.getAt(counterAt, "u32") + 1
        record.setAt(counterAt, "u32", value)
        this.record.save(record)
        wipe(record)
        return value
    }

    private flag(flag: number): void {
        const record = this.load()
        record[0] |= flag
        this.record.save(record)
        wipe(record)
    }

    /** The record; all zero where there is none yet. */
    private load(): Buffer {
        // Power may have gone between the two copies of a replaced key.
        if (!this.settled) this.record.settle()
        this.settled = true
        return this.record.load() || Buffer.alloc(recordSize)
    }

    private loadKey(): Buffer {
        const record = this.load()
        if ((record[0] & keyPresent) === 0) fail(Code.KeyAbsent, -1, "a key in the store", "none")
        return record
    }

    /** Saves into both copies, so that neither holds the former key. */
    private replace(record: Buffer): void {
        this.record.save(record)
        this.record.settle()
        wipe(record)
    }
}

function wipe(octets: Buffer): void {
    octets.fillAt(0, octets.length, 0)
}
