import { Code } from "./errors"
import { cut, sameOctets } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

/** What came of a reading; what went wrong last is kept of each meter. */
export const READ_DONE = 0
export const READ_SILENT = 1
export const READ_DAMAGED = 2
export const READ_REFUSED = 3
/** The bus or its UART failed: no meter is to blame. */
export const READ_BLOCKED = 4

/** What an error that a link threw means for the meter that was asked. */
export function readOutcome(code: number): number {
    if (code === Code.MeterSilent) return READ_SILENT
    if (code === Code.MeterGarbled) return READ_DAMAGED
    // What is wrong with a telegram that came is no fault of the bus.
    return code === Code.MeterRefused || code === Code.MeterOther || code < 4000 ? READ_REFUSED : READ_BLOCKED
}

/** Octets of a meter's record, of its copy in the store. */
const recordSize = 20
const copySize = recordSize + 4
const none = 0xff
/** Places in a record. */
const SEQUENCE = 0
const BUS = 1
const FAILURES = 2
const LAST = 3
const PERIOD = 4
const MISSED = 6
const DUE = 8
const GOOD = 12
const COUNTER = 16

/** First wait after a failure, doubled with each one more, in s; longest of a meter that seems dead. */
const firstWait = 30
const longestWait = 86400
/** After so many failures in a row, each of another reading, a bus counts as blocked: then one meter is tried each so many seconds. */
const blockedAfter = 6
const blockedWait = 60

/**
 * When which meter of which bus is read. Each bus is served by a fiber of its own that asks `next` and tells `done`; nothing here waits, so a blocked bus keeps no
 * other from its work. All is held in one Buffer, 20 octets a meter; of each record the store has two copies, written in turn, so a power cut at any octet leaves the
 * state before or after. `BusSchedule.octets(count)` octets of the store from `at` on.
 *
 * A meter that fails is asked again after 30 s, 60 s, ... but not later than its next turn; after 4 failures it counts as dead and its waits go on doubling, up to a day. A bus on which
 * nobody answers is blocked: its meters are not counted as failing, one of them is tried a minute.
 *
 * Record: sequence U8 | bus U8 (FF = none) | failures in a row U8 | what went wrong last U8 (bit 7: answers late) | period U16 in minutes | turns missed U16 | due U32 | last read U32 (UTC
 * seconds) | number of the last telegram taken U32 (its message counter or access number; FFFFFFFF = none).
 *
 * @devsWhenUsed
 */
export class BusSchedule {
    readonly records: Buffer
    /** Failures in a row on each bus, and when a blocked one is tried next. */
    private readonly failures: Buffer
    private readonly tryAt: Buffer

    /** `count` meters (at most 1,000), `buses` at most 16. Reads what the store holds: a meter with no good copy is none. */
    constructor(
        readonly store: Store,
        readonly at: number,
        readonly count: number,
        readonly buses: number,
    ) {
        this.records = Buffer.alloc(recordSize * count)
        this.failures = Buffer.alloc(buses)
        this.tryAt = Buffer.alloc(4 * buses)
        for (let meter = 0; meter < count; ++meter) {
            const record = meter * recordSize
            this.records[record + BUS] = none
            let newest = -1
            for (let copy = 0; copy < 2; ++copy) {
                const octets = store.read(this.place(meter, copy), copySize)
                const sequence = octets[SEQUENCE]
                if ((sequence & 1) !== copy || !sameOctets(cut(octets, recordSize, 4), checkOf(meter, octets))) continue
                if (newest >= 0 && ((sequence - newest) & 0xff) > 127) continue
                newest = sequence
                this.records.blitAt(record, octets, 0, recordSize)
            }
            platform().yieldNow()
        }
    }

    /** Octets of the store that `count` meters take. */
    static octets(count: number): number {
        return count * 2 * copySize
    }

    /** Reads the meter on this bus each `minutes` (1 to 10,080) from now on; `now` in UTC seconds. Its first turns are spread over the period. */
    set(meter: number, bus: number, minutes: number, now: number): void {
        const record = meter * recordSize
        this.records.fillAt(record + BUS, recordSize - BUS, 0)
        this.records[record + BUS] = bus
        this.records.setAt(record + PERIOD, "u16", minutes)
        this.records.setAt(record + COUNTER, "u32", 0xffffffff)
        this.save(meter, now)
    }

    /** The meter is read no more. */
    remove(meter: number): void {
        this.records[meter * recordSize + BUS] = none
        this.save(meter, 0)
    }

    /** Whose turn it is on this bus: who waits longest, but for one whose turn is not `done` yet; -1 = nobody. */
    next(bus: number, now: number, except?: number): number {
        if (this.failures[bus] >= blockedAfter && now < this.tryAt.getAt(4 * bus, "u32")) return -1
        let best = -1
        let least = now + 1
        for (let meter = 0; meter < this.count; ++meter) {
            const record = meter * recordSize
            if ((meter & 127) === 127) platform().yieldNow()
            if (this.records[record + BUS] !== bus || meter === except) continue
            const due = this.records.getAt(record + DUE, "u32")
            if (due < least) {
                least = due
                best = meter
            }
        }
        return best
    }

    /** What came of a meter's turn, `READ_DONE`, ...; `late`: it answered only because it was given more time than the standard does. */
    done(meter: number, outcome: number, late: boolean, now: number): void {
        const records = this.records
        const record = meter * recordSize
        const bus = records[record + BUS]
        if (bus >= this.buses) return
        const turn = this.turnOf(meter, 60 * records.getAt(record + PERIOD, "u16"), now)
        let next = turn
        if (outcome === READ_DONE) {
            this.failures[bus] = 0
            records[record + FAILURES] = 0
            records[record + LAST] = late ? 0x80 : 0
            records.setAt(record + GOOD, "u32", now)
        } else {
            this.failures[bus] = outcome === READ_REFUSED ? 0 : Math.min(this.failures[bus] + 1, 255)
            records[record + LAST] = (records[record + LAST] & 0x80) | outcome
            if (this.failures[bus] >= blockedAfter || outcome === READ_BLOCKED) {
                this.tryAt.setAt(4 * bus, "u32", now + blockedWait)
                next = now + blockedWait
            } else {
                const failures = Math.min(records[record + FAILURES] + 1, 255)
                records[record + FAILURES] = failures
                next = now + Math.min(firstWait * Math.pow(2, Math.min(failures, 16) - 1), longestWait)
                if (next > turn) {
                    records.setAt(record + MISSED, "u16", Math.min(records.getAt(record + MISSED, "u16") + 1, 0xffff))
                    if (failures < 4) next = turn
                }
            }
        }
        records.setAt(record + DUE, "u32", next)
        this.save(meter, 0)
    }

    /** Number of the last telegram taken from this meter, -1 = none. */
    counter(meter: number): number {
        const counter = this.records.getAt(meter * recordSize + COUNTER, "u32")
        return counter === 0xffffffff ? -1 : counter
    }

    /** A telegram with this number is taken; kept with the next `done`. */
    accepted(meter: number, counter: number): void {
        this.records.setAt(meter * recordSize + COUNTER, "u32", counter)
    }

    /** Bus of this meter, 255 = there is none in this place. */
    busOf(meter: number): number {
        return this.records[meter * recordSize + BUS]
    }

    /** When it was read last, UTC seconds; 0 = never. */
    lastRead(meter: number): number {
        return this.records.getAt(meter * recordSize + GOOD, "u32")
    }

    /** When it is due, UTC seconds. */
    due(meter: number): number {
        return this.records.getAt(meter * recordSize + DUE, "u32")
    }

    /** Should this meter be given more time than the standard does: it was late before, or failed last time? */
    patient(meter: number): boolean {
        const record = meter * recordSize
        return this.records[record + FAILURES] > 0 || this.records[record + LAST] > 127
    }

    /** Failures in a row; 4 and more: it seems dead. */
    failing(meter: number): number {
        return this.records[meter * recordSize + FAILURES]
    }

    /** Nobody answers on this bus. */
    blocked(bus: number): boolean {
        return this.failures[bus] >= blockedAfter
    }

    /** The meter's next regular turn after `now`: each has its own second of the period. */
    private turnOf(meter: number, period: number, now: number): number {
        const shift = Math.floor((period * ((meter * 157) & 0xff)) / 256)
        return period * Math.ceil((now + 1 - shift) / period) + shift
    }

    /** Writes the record; `from` > 0: due at its first turn after that. */
    private save(meter: number, from: number): void {
        const record = meter * recordSize
        const records = this.records
        if (from > 0)
            records.setAt(record + DUE, "u32", this.turnOf(meter, 60 * records.getAt(record + PERIOD, "u16"), from))
        const sequence = (records[record] + 1) & 0xff
        records[record] = sequence
        const copy = Buffer.alloc(copySize)
        copy.blitAt(0, records, record, recordSize)
        copy.blitAt(recordSize, checkOf(meter, copy), 0, 4)
        this.store.write(this.place(meter, sequence & 1), copy)
    }

    private place(meter: number, copy: number): number {
        return this.at + (2 * meter + copy) * copySize
    }
}

/** Check of a copy: what belongs to another meter's place does not hold. */
function checkOf(meter: number, copy: Buffer): Buffer {
    return cut(platform().sha256([Buffer.from([meter & 0xff, meter >> 8]), cut(copy, 0, recordSize)]), 0, 4)
}
