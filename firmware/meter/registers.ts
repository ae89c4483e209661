import { Code, fail } from "../core/errors"
import { RecordRing } from "../core/journal"
import { cut } from "../core/octets"
import type { Store } from "../core/store"
import { journalAt, journalCount, journalSize } from "./layout"

/** Microwatt-seconds in one register unit of 0.1 Wh. */
const unit = 360000000

/** Tariffs a meter has registers for. */
export const mostTariffs = 4
/** The register of energy fed in; 0 is all that was drawn, 1 to 4 are the tariffs. */
export const fedIn = 9

const fedInAt = 60
const secondsAt = 72
const stateAt = 76
/** Octets that the metrological module keeps here. */
export const stateSize = 32

/**
 * Energy registers, the seconds index and the metrological module's state, kept in a FRAM journal. What the meter shows or signs is only
 * what the journal already holds, so that no power cut can make a register go back behind a value
 * somebody has seen.
 *
 * A register is a count of 0.1 Wh (exact to 2^53) and a remainder in microwatt-seconds.
 */
export class Registers {
    private readonly ring: RecordRing
    private next: Buffer
    private shown: Buffer
    /** What the module keeps; made durable with the registers. */
    readonly state: Buffer

    constructor(store: Store) {
        this.ring = new RecordRing(store, journalAt, journalCount, journalSize)
        const latest = this.ring.latest()
        this.next = Buffer.alloc(journalSize)
        if (latest) this.next.blitAt(0, latest, 0, journalSize)
        this.shown = Buffer.alloc(journalSize)
        this.shown.blitAt(0, this.next, 0, journalSize)
        this.state = cut(this.next, stateAt, stateSize)
    }

    /** Adds energy, 0 to 2^52 microwatt-seconds, to a register. Throws `OutOfRange`. */
    add(register: number, microwattSeconds: number): void {
        if (!(microwattSeconds >= 0 && microwattSeconds < 4503599627370496))
            fail(Code.OutOfRange, register, "energy", "" + microwattSeconds)
        const at = placeOf(register)
        const sum = this.next.getAt(at + 8, "u32") + Math.round(microwattSeconds)
        const units = Math.floor(sum / unit)
        this.next.setAt(at, "u64", this.next.getAt(at, "u64") + units)
        this.next.setAt(at + 8, "u32", sum - units * unit)
    }

    /** Takes back all additions since the last commit. */
    revert(): void {
        this.next.blitAt(0, this.shown, 0, journalSize)
        this.state.blitAt(0, this.shown, stateAt, stateSize)
    }

    /** Makes all additions durable and then visible; `secondsIndex` never goes back. */
    commit(secondsIndex: number): void {
        if (secondsIndex > this.next.getAt(secondsAt, "u32")) this.next.setAt(secondsAt, "u32", secondsIndex)
        this.next.blitAt(stateAt, this.state, 0, stateSize)
        this.ring.append(this.next)
        this.shown.blitAt(0, this.next, 0, journalSize)
    }

    /** Records are lost: counting on would begin anew. `used`: this meter has counted before. */
    damaged(used: boolean): boolean {
        return this.ring.damaged(used)
    }

    /** What a register holds, in 0.1 Wh: 0 is 1-0:1.8.0, 1 to 4 are 1-0:1.8.1 to 1.8.4, `fedIn` is 1-0:2.8.0. Throws `OutOfRange`. */
    register(register: number): number {
        return this.shown.getAt(placeOf(register), "u64")
    }
    /** Running seconds of the device at the last commit. */
    secondsIndex(): number {
        return this.shown.getAt(secondsAt, "u32")
    }
}

function placeOf(register: number): number {
    if (register === fedIn) return fedInAt
    if (!(register >= 0 && register <= mostTariffs && register === Math.floor(register)))
        fail(Code.OutOfRange, -1, "register 0 to " + mostTariffs + " or " + fedIn, "" + register)
    return register * 12
}
