import { Code, fail } from "./errors"
import { RecordRing, SwitchedRecord } from "./journal"
import { cut, join, numberBE, uintBE } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

/** What an entry tells. The numbers are part of the interface and never change. */
export enum Event {
    timeSet = 1,
    parameterSet = 2,
    calibrated = 3,
    accessChanged = 4,
    providerChanged = 5,
    providerDeleted = 6,
    keyRollover = 7,
    logbookReset = 8,
    erased = 9,
    /** A command or request that was refused; `code` says why. */
    refused = 10,
    sealOpened = 11,
    clockStopped = 12,
    softwareReceived = 13,
    softwareActivated = 14,
    softwareWithdrawn = 15,
    /** What was announced by the entry before did not come about; `code` says why. */
    failed = 16,
    sealClosed = 17,
    keysSet = 18,
    addressesSet = 19,
    certificateTaken = 20,
    /** What was on trial stays. */
    softwareConfirmed = 21,
    softwareAnnounced = 22,
    /** A meter of the field buses was put on the list or taken off it. */
    meterSet = 23,
    /** Telegrams of a meter are refused from now on; `code` says why, the detail is the meter's address. */
    telegramRefused = 24,
}

/** Function and role of an entry that has none, and the role of nobody: whoever sent it proved nothing. */
export const none = 255

/**
 * An entry, all numbers big endian: number U32, secondsIndex U32, UTC U32 (0 = never set), time quality U8, event U8, function
 * U8, role U8, code U16, signer 8 octets, detail 16 octets, SHA-256 of the entry before 32.
 */
export const logEntrySize = 74
const eventAt = 13
const roleAt = 15
const codeAt = 16
const previousAt = 42

/** Places of a log kept for attempts and the reset. */
const kept = 8
/** Kinds of refusal of nobody that get an entry before a reset; all others are counted. */
const mostKinds = 16

/** Octets of the store that a logbook of `count` entries takes. */
export function logbookSize(count: number): number {
    return count * (logEntrySize + 8) + 2 * (countsSize + 4) + 1
}

/** Number of the reset the counts began with; attempts of nobody and of known signers without an entry. */
const countsSize = 12

/** The device's times, for entries. */
export interface LogClock {
    secondsIndex(): number
    /** 0 = never set. */
    utcSeconds(): number
    quality(): number
}

/** Who an entry is about; a `Caller` is one. */
export interface LogSigner {
    role: number
    id: Buffer
}

/**
 * Entries numbered from 1 on, each holding the hash of the one before. As "log" nothing is ever overwritten: when all but the
 * last places are taken `append` refuses, so what it was to announce is not done; attempts go on to be entered, then counted. As
 * "ring" the oldest make room.
 *
 * An entry stands for something allowed that is about to happen, and is durable before it: power loss can leave an entry
 * without its change, which the state itself and the next entry show, and never a change without its entry.
 *
 * A reset is one entry, `logbookReset`: with it the entries before are gone, and the chain goes on from them. Its detail
 * is how many were cleared and the number of the first of them, U32 each.
 */
export class Logbook {
    private readonly ring: RecordRing
    private readonly counts: SwitchedRecord
    /** Number of the oldest entry that counts. */
    private first = 1
    /** Number of the newest reset, 0 where there is none. */
    private cleared = 0
    /** Codes for which nobody has an entry. */
    private kinds: number[] = []

    /** Reads all entries once; lets other fibers run meanwhile. */
    constructor(
        store: Store,
        at: number,
        private readonly count: number,
        private readonly keeps: "ring" | "log",
        private readonly clock: LogClock,
    ) {
        this.ring = new RecordRing(store, at, count, logEntrySize)
        this.counts = new SwitchedRecord(store, at + count * (logEntrySize + 8), countsSize)
        const newest = this.ring.newest
        if (newest >= count) {
            this.first = newest - count + 1
            // Power went while an entry was taking its place.
            if (!this.ring.read(this.first)) this.first += 1
        }
        for (let number = this.first; number <= newest; ++number) {
            const entry = this.ring.read(number)
            if (entry) this.note(entry)
            platform().yieldNow()
        }
    }

    /** Is there no room for what has to be announced? */
    full(): boolean {
        return this.left() <= kept
    }

    /** The entry `number`, or undefined. */
    read(number: number): Buffer | undefined {
        return number >= this.first ? this.ring.read(number) : undefined
    }

    /** Number of the newest entry, 0 before the first. */
    newest(): number {
        return this.ring.newest
    }

    /**
     * count U32, number of the first U32, SHA-256 of the newest entry (zeros before the first), attempts of nobody U32 and
     * of known signers U32 that have no entry.
     */
    head(): Buffer {
        const counts = this.attempts()
        const count = this.ring.newest + 1 - this.first
        return join([numberBE(4, count), numberBE(4, this.first), this.hash(), cut(counts, 4, 8)])
    }

    /**
     * Enters what `signer` is about to do and answers its number; `detail` up to 16 octets. Throws `LogbookFull`: do not do it.
     */
    append(event: Event, fn: number, signer: LogSigner | undefined, code: number, detail: Buffer): number {
        if (this.full()) fail(Code.LogbookFull, -1, "room for an entry", "none")
        return this.enter(event, fn, signer, code, detail)
    }

    /**
     * An attempt that was refused with `code`: of nobody (also a known signer's command that was refused as a whole, which
     * anybody can send again) or of a signer whose command counted. Entered, or counted where there is no room.
     */
    refused(fn: number, signer: LogSigner | undefined, code: number, detail: Buffer): void {
        const kinds = this.kinds
        let room = this.left() > 1
        if (!signer && (kinds.indexOf(code) >= 0 || kinds.length >= mostKinds || this.full())) room = false
        if (room) {
            this.enter(Event.refused, fn, signer, code, detail)
            return
        }
        const counts = this.attempts()
        const at = signer ? 8 : 4
        counts.blitAt(at, numberBE(4, Math.min(uintBE(counts, at, 4) + 1, 0xffffffff)), 0, 4)
        this.counts.save(counts)
    }

    /** Clears the logbook for `signer`, who has read up to number `seen`; `LogbookNotSeen` if there is more. */
    reset(fn: number, signer: LogSigner, seen: number): void {
        const newest = this.ring.newest
        if (seen !== newest) fail(Code.LogbookNotSeen, -1, "the newest number, " + newest, "" + seen)
        const detail = join([numberBE(4, newest + 1 - this.first), numberBE(4, this.first)])
        this.enter(Event.logbookReset, fn, signer, 0, detail)
    }

    private left(): number {
        return this.keeps === "log" ? this.count + this.first - this.ring.newest - 1 : this.count
    }

    /** Counts of attempts since the last reset. */
    private attempts(): Buffer {
        const counts = this.counts.load()
        if (counts && uintBE(counts, 0, 4) >= this.cleared) return counts
        return join([numberBE(4, this.cleared), Buffer.alloc(8)])
    }

    private hash(): Buffer {
        const newest = this.ring.latest()
        return newest ? platform().sha256([newest]) : Buffer.alloc(32)
    }

    private enter(event: Event, fn: number, signer: LogSigner | undefined, code: number, detail: Buffer): number {
        const clock = this.clock
        const by = signer || { role: none, id: Buffer.alloc(8) }
        const entry = Buffer.alloc(logEntrySize)
        const head = join([
            numberBE(4, this.ring.newest + 1),
            numberBE(4, clock.secondsIndex()),
            numberBE(4, clock.utcSeconds()),
            Buffer.from([clock.quality(), event, fn, by.role]),
            numberBE(2, code),
            by.id,
            detail,
        ])
        entry.blitAt(0, head, 0, Math.min(head.length, previousAt))
        entry.blitAt(previousAt, this.hash(), 0, 32)
        const number = this.ring.append(entry)
        this.note(entry)
        if (number - this.first >= this.count) this.first = number + 1 - this.count
        return number
    }

    /** What a newest entry means for those before and after it. */
    private note(entry: Buffer): void {
        if (entry[eventAt] === Event.logbookReset) {
            this.first = uintBE(entry, 0, 4)
            this.cleared = this.first
            this.kinds = []
        } else if (entry[eventAt] === Event.refused && entry[roleAt] === none) this.kinds.push(uintBE(entry, codeAt, 2))
    }
}
