import { Code, fail } from "./errors"
import { cut, join, sameOctets } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

/**
 * Records in a store whose writes may stop after any octet. Each record ends with a check over its place,
 * sequence and data. The check is SHA-256 cut to 32 bits: native on every board, where a CRC-32 in
 * bytecode would cost a hundred times as much.
 */

const checkSize = 4

function check(place: number, sequence: number, data: Buffer): Buffer {
    const head = Buffer.alloc(8)
    head.setAt(0, "u32", place)
    head.setAt(4, "u32", sequence)
    return cut(platform().sha256([head, data]), 0, checkSize)
}

/**
 * Append-only ring of `count` (at least 2) records of `recordSize` octets at `at`; it takes
 * `count * (recordSize + 8)` octets of the store. Record: sequence U32 LE, data, check. A write only ever
 * replaces the oldest record, so power loss at any octet leaves all others valid, the newest included.
 *
 * Sequences start at 1 and end at 2^31 - 1: 68 years of one record a second.
 */
export class RecordRing {
    /** Sequence of the newest valid record, 0 where there is none. */
    newest: number
    /** Damaged records newer than the newest valid one; one is what a power cut leaves, more are a fault. */
    torn: number

    /** Scans the store for the newest valid record; lets other fibers run meanwhile. */
    constructor(
        readonly store: Store,
        readonly at: number,
        readonly count: number,
        readonly recordSize: number,
    ) {
        this.newest = 0
        this.torn = 0
        const heads = Buffer.alloc(4 * count)
        for (let slot = 0; slot < count; ++slot) {
            const head = store.read(this.place(slot), 4)
            heads.blitAt(4 * slot, head, 0, 4)
            platform().yieldNow()
        }
        for (;;) {
            let best = 0
            platform().yieldNow()
            for (let slot = 0; slot < count; ++slot) {
                const sequence = heads.getAt(4 * slot, "i32")
                if (sequence > best && sequence % count === slot) best = sequence
            }
            if (best === 0 || this.read(best)) {
                this.newest = best
                // A sequence damaged on the bus must not hide the record: going back would lose what was shown.
                while (this.read(this.newest + 1)) ++this.newest
                return
            }
            ++this.torn
            heads.setAt(4 * (best % count), "u32", 0)
        }
    }

    /** Is something missing: more than a power cut leaves damaged, or all of a ring that was `used`? */
    damaged(used: boolean): boolean {
        return this.torn > 1 || (used && this.newest === 0)
    }

    /** Appends `data` (`recordSize` octets), reads it back and answers its sequence. `ReadBackMismatch`: it was not appended. */
    append(data: Buffer): number {
        if (data.length !== this.recordSize)
            fail(Code.BadArgument, -1, this.recordSize + " octets a record", "" + data.length)
        const sequence = this.newest + 1
        if (sequence > 0x7fffffff) fail(Code.OutOfRange, this.at, "a ring that is not used up", "" + sequence)
        const place = this.place(sequence % this.count)
        const head = Buffer.alloc(4)
        head.setAt(0, "u32", sequence)
        this.store.write(place, join([head, data, check(place, sequence, data)]))
        if (!this.read(sequence)) fail(Code.ReadBackMismatch, place, "the record just written", "another")
        this.newest = sequence
        return sequence
    }

    /** Data of the newest record; `undefined` where there is none. Throws `RecordDamaged` rather than begin anew. */
    latest(): Buffer | undefined {
        const data = this.read(this.newest)
        if (!data && this.newest > 0) fail(Code.RecordDamaged, this.at, "record " + this.newest, "a damaged one")
        return data
    }

    /** Data of record `sequence`; `undefined` where it is not there: never written, replaced or damaged. */
    read(sequence: number): Buffer | undefined {
        if (!(sequence > 0 && sequence <= 0x7fffffff)) return undefined
        const place = this.place(sequence % this.count)
        // Twice: damage may have come on the bus only.
        for (let attempt = 0; attempt < 2; ++attempt) {
            const record = this.store.read(place, this.recordSize + 4 + checkSize)
            const data = cut(record, 4, this.recordSize)
            if (
                record.getAt(0, "i32") === sequence &&
                sameOctets(cut(record, 4 + this.recordSize, checkSize), check(place, sequence, data))
            )
                return data
        }
        return undefined
    }

    /** The first `length` octets of the data of record `sequence` as they stand there, unchecked: to look for records. */
    peek(sequence: number, length: number): Buffer {
        return this.store.read(this.place(sequence % this.count) + 4, length)
    }

    private place(slot: number): number {
        return this.at + slot * (this.recordSize + 4 + checkSize)
    }
}

/** Values of the switch octet; they differ in every bit, so no single fault turns one into the other. */
const first = 0xa5
const second = 0x5a

/**
 * One value of `size` octets, replaced whole: the new copy is written beside the valid one and read back,
 * then one octet switches over. It takes `2 * (size + 4) + 1` octets of the store.
 *
 * @devsWhenUsed
 */
export class SwitchedRecord {
    constructor(
        readonly store: Store,
        readonly at: number,
        readonly size: number,
    ) {}

    /** The value; `undefined` where none was ever saved. Throws `RecordDamaged` rather than an older value. */
    load(): Buffer | undefined {
        const which = this.which()
        if (which === first || which === second) {
            const data = this.copy(which)
            if (data) return data
        } else {
            // A first save that power cut short leaves one copy and a blank switch.
            const valid = (this.copy(first) ? 1 : 0) + (this.copy(second) ? 1 : 0)
            if (valid === 0 || (valid === 1 && (which === 0 || which === 0xff))) return undefined
        }
        return fail(Code.RecordDamaged, this.at, "a valid record", "switch " + which)
    }

    /** Replaces the value; before the last octet is written, the former value holds. */
    save(data: Buffer): void {
        if (data.length !== this.size) fail(Code.BadArgument, -1, this.size + " octets", "" + data.length)
        const next = this.which() === first ? second : first
        const place = this.place(next)
        this.store.write(place, join([data, check(place, 0, data)]))
        if (!this.copy(next)) fail(Code.ReadBackMismatch, place, "the record just written", "another")
        this.turn(next)
    }

    /** Makes both copies the present value, so that nothing of the one before remains. */
    settle(): void {
        const data = this.load()
        if (!data) return
        const other = this.which() === first ? second : first
        const copy = this.copy(other)
        if (copy && sameOctets(copy, data)) return
        const place = this.place(other)
        this.store.write(place, join([data, check(place, 0, data)]))
    }

    private which(): number {
        const which = this.store.read(this.at, 1)[0]
        // Any other value is rare enough to look again, in case the bus changed it.
        return which === first || which === second ? which : this.store.read(this.at, 1)[0]
    }

    private turn(which: number): void {
        this.store.write(this.at, Buffer.from([which]))
        if (this.which() !== which) fail(Code.ReadBackMismatch, this.at, "switch " + which, "" + this.which())
    }

    private place(which: number): number {
        return this.at + 1 + (which === first ? 0 : this.size + checkSize)
    }

    private copy(which: number): Buffer | undefined {
        const place = this.place(which)
        for (let attempt = 0; attempt < 2; ++attempt) {
            const record = this.store.read(place, this.size + checkSize)
            const data = cut(record, 0, this.size)
            if (sameOctets(cut(record, this.size, checkSize), check(place, 0, data))) return data
        }
        return undefined
    }
}
