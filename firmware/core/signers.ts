import { sameAt } from "./der"
import { Code, fail } from "./errors"
import { SwitchedRecord } from "./journal"
import type { Store } from "./store"

/** Signers whose counters are kept. */
const most = 24
/** First octets of SHA-256 of the public key, counter U32 LE, end of the certificate U32 LE. */
const entrySize = 16
const counterAt = 8
const notAfterAt = 12
/** Before the entries stands the floor: the latest end of a certificate whose counter was given up, U32 LE. */
const floorSize = 4
const size = floorSize + most * entrySize

/** Octets of the store that `Signers` takes. */
export const signersSize = 2 * (size + 4) + 1

/**
 * The last counter of each signer, one switched record: a command counts before anything of it is done, and power loss leaves
 * all counters as they were before or after.
 */
export class Signers {
    private readonly record: SwitchedRecord

    constructor(store: Store, at: number) {
        this.record = new SwitchedRecord(store, at, size)
    }

    /**
     * Takes note of `counter` of the signer `id` (8 octets), whose certificate ends at `notAfter`; `now` in seconds, 0 = not
     * trusted. Throws `CommandReplayed` unless it is higher than the last one. A new signer takes a free place or that of one
     * whose certificate has ended (never without a trusted clock), else `TooManySigners`; `SignerForgotten` where its own
     * certificate ends so early that it may have been one of those.
     */
    take(id: Buffer, counter: number, notAfter: number, now: number): void {
        const data = this.record.load() || Buffer.alloc(size)
        let entry = -1
        let free = -1
        let earliest = now > 0 ? now : 1
        for (let at = floorSize; at < size; at += entrySize) {
            if (sameAt(data, at, id, 0, counterAt)) entry = at
            const ends = data.getAt(at + notAfterAt, "u32")
            if (ends < earliest) {
                earliest = ends
                free = at
            }
        }
        let ends = notAfter
        if (entry >= 0) {
            ends = Math.max(ends, data.getAt(entry + notAfterAt, "u32"))
            if (counter <= data.getAt(entry + counterAt, "u32"))
                fail(Code.CommandReplayed, -1, "a counter above the last", "" + counter)
        } else {
            const floor = data.getAt(0, "u32")
            if (counter === 0) fail(Code.CommandReplayed, -1, "a counter from 1", "0")
            if (notAfter <= floor) fail(Code.SignerForgotten, -1, "a certificate beyond " + floor, "" + notAfter)
            if (free < 0) fail(Code.TooManySigners, -1, "room for a signer", "none")
            data.setAt(0, "u32", Math.max(floor, earliest))
            entry = free
            data.blitAt(entry, id, 0, counterAt)
        }
        data.setAt(entry + counterAt, "u32", counter)
        data.setAt(entry + notAfterAt, "u32", ends)
        this.record.save(data)
    }

    /** Forgets all signers: nothing but a device without any trust left is safe then. */
    reset(): void {
        this.record.save(Buffer.alloc(size))
    }
}
