import { Code, fail } from "./errors"
import { SwitchedRecord } from "./journal"
import { cut, numberBE, sameOctets, uintBE } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

/** What a slot holds. */
export enum SlotState {
    Empty = 0,
    /** A package announced; some of its blocks may be there. */
    Receiving = 1,
    /** Whole and proved; runs once it is activated. */
    Verified = 2,
    /** Runs until it is confirmed, or its time is up. */
    Trial = 3,
    /** Runs, or would but for the one on trial. */
    Active = 4,
    /** What ran before it. */
    Former = 5,
    /** Did not hold, for the reason told. */
    Failed = 6,
}

export const slotCount = 3
/** Octets of a meter's slot, so of its longest package. */
export const slotSize = 0x4000
/** Octets of a block of a delivery; the last may be shorter. */
export const blockSize = 1024
/** Octets read at a time. */
const pieceSize = 192
/** Octets of the digest by which each block is announced. */
const headSize = 16
const mostBlocks = slotSize / blockSize

/** A version on trial is confirmed within this time of running, and after so many starts at most. */
export const trialSeconds = 900
const trialStarts = 3

const leftAt = 0
const startsAt = 2
const slotsFrom = 4
const versionAt = 1
const lengthAt = 5
const reasonAt = 7
const digestAt = 9
const entry = digestAt + 32
/** Octets of what is kept of the slots: seconds left of the trial U16, its starts U8, 0, then of each slot state U8, version U32, octets U16, reason U16, SHA-256 of the package. Big endian. */
export const slotsSize = slotsFrom + slotCount * entry

const announcedHead = 4 + 32
/** Octets of the store for the announcement of a package of `slotSize` and one octet a block. */
export const receivingSize = 2 * (announcedHead + mostBlocks * headSize + 4) + 1 + mostBlocks
const there = 0xa5

/**
 * Software packages in the store: three slots, what each holds, and the delivery of one into a slot that nothing needs. Each change is
 * one write of a switched record, so a power cut leaves the old state or the new one. Whether a package may run is its caller's to judge.
 */
export class Slots {
    private readonly record: SwitchedRecord
    private readonly announcement: SwitchedRecord
    private data: Buffer
    /** Octets of an announcement: as many as the longest package has. */
    private readonly announcedSize: number

    /** `at`: the record; `receivingAt`: `receivingSize` octets; `slotsAt`: the packages. */
    constructor(
        private readonly store: Store,
        at: number,
        private readonly receivingAt: number,
        private readonly slotsAt: number,
        /** Octets of a slot, so of the longest package; `slotSize` at most. */
        private readonly size: number = slotSize,
    ) {
        this.record = new SwitchedRecord(store, at, slotsSize)
        this.announcedSize = announcedHead + (size / blockSize) * headSize
        this.announcement = new SwitchedRecord(store, receivingAt + mostBlocks, this.announcedSize)
        this.data = this.record.load() || Buffer.alloc(slotsSize)
    }

    /** All that is kept of the slots, as laid out above. */
    octets(): Buffer {
        return this.data
    }

    /** The slot in this state, -1 where none is. */
    find(state: SlotState): number {
        for (let slot = 0; slot < slotCount; ++slot) if (this.data[this.place(slot)] === state) return slot
        return -1
    }

    state(slot: number): SlotState {
        return this.data[this.place(slot)]
    }

    version(slot: number): number {
        return uintBE(this.data, this.place(slot) + versionAt, 4)
    }

    digest(slot: number): Buffer {
        return cut(this.data, this.place(slot) + digestAt, 32)
    }

    /** Octets of the package in a slot. */
    length(slot: number): number {
        return uintBE(this.data, this.place(slot) + lengthAt, 2)
    }

    /** `length` octets of the package in a slot from an octet on. Throws `OutOfRange`. */
    read(slot: number, from: number, length: number): Buffer {
        if (!(from >= 0 && length >= 0 && from + length <= this.length(slot)))
            fail(Code.OutOfRange, from, length + " octets", "fewer")
        const octets = Buffer.alloc(length)
        for (let at = 0; at < length; at += pieceSize) {
            const size = Math.min(pieceSize, length - at)
            octets.blitAt(at, this.store.read(this.slotsAt + slot * this.size + from + at, size), 0, size)
            // A device's lines are served between: so much takes 18 ms at 100 kHz.
            platform().yieldNow()
        }
        return octets
    }

    /**
     * A package is to come: octets U32, its SHA-256, of each block the first 16 octets of its SHA-256. The same one again goes on where it
     * stopped, and one that is here already needs nothing. Throws `SlotForm`.
     */
    announce(value: Buffer): void {
        const length = value.length < announcedHead ? 0 : uintBE(value, 0, 4)
        const blocks = Math.ceil(length / blockSize)
        if (length === 0 || length > this.size || value.length !== announcedHead + blocks * headSize)
            fail(Code.SlotForm, 0, "a package of 1 to " + this.size + " octets and its blocks", length + " octets")
        const digest = cut(value, 4, 32)
        const padded = Buffer.alloc(this.announcedSize)
        padded.blitAt(0, value, 0, value.length)
        for (let slot = 0; slot < slotCount; ++slot) {
            const state = this.state(slot)
            if (state === SlotState.Empty || state === SlotState.Failed || !sameOctets(this.digest(slot), digest))
                continue
            if (state !== SlotState.Receiving || sameOctets(this.announced(), padded)) return
        }
        // What is least needed makes room; beside one on trial that is the one from before the active one.
        let slot = -1
        const order = hex`01 00 06 02 05`
        for (let i = 0; i < order.length && slot < 0; ++i)
            if (order[i] !== SlotState.Former || this.find(SlotState.Trial) >= 0) slot = this.find(order[i])
        // Until the announcement stands, the slot must not be taken for what it held.
        this.put(this.changed(slot, SlotState.Empty, 0))
        this.store.write(this.receivingAt, Buffer.alloc(mostBlocks))
        this.announcement.save(padded)
        const next = this.changed(slot, SlotState.Receiving, 0)
        const at = this.place(slot)
        next.blitAt(at + versionAt, Buffer.alloc(4), 0, 4)
        next.blitAt(at + lengthAt, numberBE(2, length), 0, 2)
        next.blitAt(at + digestAt, digest, 0, 32)
        this.put(next)
    }

    /** One octet a block of the package being received: 1 where it is there. Empty where none is being received. */
    blocks(): Buffer {
        const slot = this.find(SlotState.Receiving)
        if (slot < 0) return Buffer.alloc(0)
        const marks = this.store.read(this.receivingAt, Math.ceil(uintBE(this.announced(), 0, 4) / blockSize))
        for (let i = 0; i < marks.length; ++i) marks[i] = marks[i] === there ? 1 : 0
        return marks
    }

    /**
     * Takes a block: number U16, octets. It proves itself by the digest announced, so anybody may bring it. Throws `SlotIdle`, `SlotForm`,
     * `SlotBlock`.
     */
    block(value: Buffer): void {
        const slot = this.find(SlotState.Receiving)
        if (slot < 0) fail(Code.SlotIdle, -1, "a package announced", "none")
        const announced = this.announced()
        const length = uintBE(announced, 0, 4)
        const index = value.length < 2 ? mostBlocks : uintBE(value, 0, 2)
        const at = index * blockSize
        const size = Math.min(blockSize, length - at)
        if (at >= length || value.length !== size + 2)
            fail(Code.SlotForm, 0, "a block of the package", "block " + index + ", " + value.length + " octets")
        const parts: Buffer[] = []
        for (let from = 2; from < value.length; from += pieceSize)
            parts.push(cut(value, from, Math.min(pieceSize, value.length - from)))
        if (!isBlock(announced, index, parts)) fail(Code.SlotBlock, index, "the block announced", "another")
        if (this.store.read(this.receivingAt + index, 1)[0] === there) return
        const place = this.slotsAt + slot * this.size + at
        for (let i = 0; i < parts.length; ++i) this.store.write(place + i * pieceSize, parts[i])
        if (!isBlock(announced, index, this.pieces(slot, at, size)))
            fail(Code.ReadBackMismatch, place, "the block just written", "another")
        this.store.write(this.receivingAt + index, Buffer.from([there]))
    }

    /** The slot whose package has all its blocks and is to be judged; -1 where there is none. Throws `PackageHash`: these are not the package announced. */
    whole(): number {
        const slot = this.find(SlotState.Receiving)
        const marks = this.blocks()
        for (let i = 0; i < marks.length; ++i) if (marks[i] === 0) return -1
        if (slot < 0) return -1
        const parts = this.pieces(slot, 0, this.length(slot))
        if (!sameOctets(platform().sha256(parts), this.digest(slot)))
            fail(Code.PackageHash, -1, "the package announced", "another")
        return slot
    }

    /** The package in the slot is proved. */
    verified(slot: number, version: number): void {
        const next = this.changed(slot, SlotState.Verified, 0)
        next.blitAt(this.place(slot) + versionAt, numberBE(4, version), 0, 4)
        this.put(next)
    }

    /** The slot's content did not hold: where it ran, what it ran instead of runs again. */
    fail(slot: number, reason: number): void {
        const was = this.state(slot)
        const next = this.changed(slot, SlotState.Failed, reason)
        const former = this.find(SlotState.Former)
        if (was === SlotState.Active && former >= 0) next[this.place(former)] = SlotState.Active
        this.put(next)
    }

    /** The slot with this package in this state. Throws `SlotState`. */
    named(digest: Buffer, state: SlotState): number {
        for (let slot = 0; slot < slotCount; ++slot)
            if (this.state(slot) === state && sameOctets(this.digest(slot), digest)) return slot
        return fail(Code.SlotState, -1, "this package in state " + state, "none")
    }

    /** Begins the trial of a verified slot. */
    begin(slot: number): void {
        if (this.find(SlotState.Trial) >= 0) fail(Code.SlotState, -1, "no other on trial", "one")
        const next = this.changed(slot, SlotState.Trial, 0)
        next.blitAt(leftAt, numberBE(2, trialSeconds), 0, 2)
        next[startsAt] = 0
        this.put(next)
    }

    /** The version on trial is the active one from now on, the one that was is the former, and what was former is gone. */
    confirm(slot: number): void {
        const next = this.changed(slot, SlotState.Active, 0)
        const active = this.find(SlotState.Active)
        const former = this.find(SlotState.Former)
        if (former >= 0) next[this.place(former)] = SlotState.Empty
        if (active >= 0) next[this.place(active)] = SlotState.Former
        this.put(next)
    }

    /** Counts a start of what is on trial; false once it has had all it may have. */
    start(): boolean {
        if (this.data[startsAt] >= trialStarts) return false
        const next = cut(this.data, 0, slotsSize)
        next[startsAt] += 1
        this.put(next)
        return true
    }

    /** No time of the trial has been written down: it may never have run. */
    untried(): boolean {
        return uintBE(this.data, leftAt, 2) === trialSeconds
    }

    /** `seconds` of a trial have passed; false once its time is up. */
    spend(seconds: number): boolean {
        const left = uintBE(this.data, leftAt, 2)
        const next = cut(this.data, 0, slotsSize)
        next.blitAt(leftAt, numberBE(2, Math.max(0, left - seconds)), 0, 2)
        this.put(next)
        return left > seconds
    }

    /** `length` octets of a slot from an octet on, in pieces: there may be no room for them in one. */
    private pieces(slot: number, from: number, length: number): Buffer[] {
        const parts: Buffer[] = []
        for (let at = 0; at < length; at += pieceSize)
            parts.push(this.read(slot, from + at, Math.min(pieceSize, length - at)))
        return parts
    }

    private announced(): Buffer {
        return this.announcement.load() || Buffer.alloc(this.announcedSize)
    }

    private place(slot: number): number {
        return slotsFrom + slot * entry
    }

    private changed(slot: number, state: SlotState, reason: number): Buffer {
        const next = cut(this.data, 0, slotsSize)
        const at = this.place(slot)
        next[at] = state
        next.blitAt(at + reasonAt, numberBE(2, reason), 0, 2)
        return next
    }

    private put(next: Buffer): void {
        try {
            this.record.save(next)
        } finally {
            // What the store did not take does not count here either.
            this.data = this.record.load() || Buffer.alloc(slotsSize)
        }
    }
}

/** Are these the octets of the block that was announced? */
function isBlock(announced: Buffer, index: number, parts: Buffer[]): boolean {
    const head = cut(announced, announcedHead + index * headSize, headSize)
    return sameOctets(cut(platform().sha256(parts), 0, headSize), head)
}
