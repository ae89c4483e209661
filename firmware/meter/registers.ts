import { RecordRing } from "../core/journal"
import type { Store } from "../core/store"
import { journalAt, journalCount, journalSize } from "./layout"

/** Microwatt-seconds in one register unit of 0.1 Wh. */
const unit = 360000000

const totalAt = 0
const tariff1At = 12
const tariff2At = 24
const fedInAt = 36
const secondsAt = 48

/**
 * Energy registers and the seconds index, kept in a FRAM journal. What the meter shows or signs is only
 * what the journal already holds, so that no power cut can make a register go back behind a value
 * somebody has seen.
 *
 * A register is a count of 0.1 Wh (exact to 2^53) and a remainder in microwatt-seconds.
 */
export class Registers {
    private readonly ring: RecordRing
    private next: Buffer
    private shown: Buffer

    constructor(store: Store) {
        this.ring = new RecordRing(store, journalAt, journalCount, journalSize)
        const latest = this.ring.latest()
        this.next = Buffer.alloc(journalSize)
        if (latest) this.next.blitAt(0, latest, 0, journalSize)
        this.shown = Buffer.alloc(journalSize)
        this.show()
    }

    /** Adds energy in microwatt-seconds, negative when fed in, under `tariff` 1 or 2. */
    add(microwattSeconds: number, tariff: number): void {
        if (microwattSeconds < 0) {
            this.grow(fedInAt, -microwattSeconds)
        } else {
            this.grow(totalAt, microwattSeconds)
            this.grow(tariff === 2 ? tariff2At : tariff1At, microwattSeconds)
        }
    }

    /** Makes all additions durable and then visible; `secondsIndex` never goes back. */
    commit(secondsIndex: number): void {
        if (secondsIndex > this.next.getAt(secondsAt, "u32")) this.next.setAt(secondsAt, "u32", secondsIndex)
        this.ring.append(this.next)
        this.show()
    }

    /** Records are lost: counting on would begin anew. `used`: this meter has counted before. */
    damaged(used: boolean): boolean {
        return this.ring.damaged(used)
    }

    /** 1-0:1.8.0, in 0.1 Wh; the tariffs and the register fed in likewise. */
    total(): number {
        return this.shown.getAt(totalAt, "u64")
    }
    tariff1(): number {
        return this.shown.getAt(tariff1At, "u64")
    }
    tariff2(): number {
        return this.shown.getAt(tariff2At, "u64")
    }
    fedIn(): number {
        return this.shown.getAt(fedInAt, "u64")
    }
    /** Running seconds of the device at the last commit. */
    secondsIndex(): number {
        return this.shown.getAt(secondsAt, "u32")
    }

    private grow(at: number, microwattSeconds: number): void {
        const sum = this.next.getAt(at + 8, "u32") + microwattSeconds
        const units = Math.floor(sum / unit)
        this.next.setAt(at, "u64", this.next.getAt(at, "u64") + units)
        this.next.setAt(at + 8, "u32", sum - units * unit)
    }

    private show(): void {
        this.shown.blitAt(0, this.next, 0, journalSize)
    }
}
