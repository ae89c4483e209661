import { BusSchedule } from "../core/bus-schedule"
import { cut, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { fieldMetersAt, fieldPlanAt, mostFieldMeters } from "./layout"

/** Longest address of a meter, octets. */
export const mostAddress = 16
/** Primary address of a meter, unused, length of the address, unused, address. */
const entrySize = 20
const lengthAt = 2
const addressAt = 4
/** Primary address of a wired meter that is asked by its identification, since it shares its own with another. */
export const BY_SELECTION = 0xfd

/**
 * The meters of the field buses: who they are, and when they are read (`BusSchedule`). A meter's address is its identification as on the air for M-Bus and wireless M-Bus (manufacturer 2,
 * number 4, version, device type), the device address of IEC 62056-21, the server id of SML. It is written before the schedule's record, which alone makes it a meter.
 */
export class FieldMeters {
    readonly plan: BusSchedule
    /** First octets of a hash of each address, so that nobody is looked for in the store who is not there. */
    private readonly hashes = Buffer.alloc(2 * mostFieldMeters)

    constructor(
        readonly store: Store,
        lines: number,
    ) {
        this.plan = new BusSchedule(store, fieldPlanAt, mostFieldMeters, lines)
        for (let meter = 0; meter < mostFieldMeters; ++meter)
            if (this.plan.busOf(meter) < lines) this.remember(meter, this.address(meter))
    }

    /** The meter with this address on this line, or -1. */
    find(line: number, address: Buffer): number {
        const wanted = hashOf(address)
        for (let meter = 0; meter < mostFieldMeters; ++meter)
            if (
                this.hashes.getAt(2 * meter, "u16") === wanted &&
                this.plan.busOf(meter) === line &&
                sameOctets(this.address(meter), address)
            )
                return meter
        return -1
    }

    /** Meters of a line. */
    count(line: number): number {
        let count = 0
        for (let meter = 0; meter < mostFieldMeters; ++meter) if (this.plan.busOf(meter) === line) ++count
        return count
    }

    address(meter: number): Buffer {
        return addressIn(this.entry(meter))
    }

    /** What the store says of a meter: its primary address (first octet), and its address for `addressIn`. */
    entry(meter: number): Buffer {
        return this.store.read(fieldMetersAt + meter * entrySize, entrySize)
    }

    /** Reads the meter each `minutes` from now on; one that is there already keeps its place. Answers which it is; -1: the list is full. */
    set(line: number, primary: number, address: Buffer, minutes: number, now: number): number {
        let meter = this.find(line, address)
        for (let free = 0; meter < 0 && free < mostFieldMeters; ++free) if (this.plan.busOf(free) === 255) meter = free
        if (meter < 0) return -1
        const entry = Buffer.alloc(entrySize)
        entry[0] = primary
        entry[lengthAt] = address.length
        entry.blitAt(addressAt, address, 0, address.length)
        this.store.write(fieldMetersAt + meter * entrySize, entry)
        this.remember(meter, address)
        this.plan.set(meter, line, minutes, now)
        return meter
    }

    private remember(meter: number, address: Buffer): void {
        this.hashes.setAt(2 * meter, "u16", hashOf(address))
    }
}

export function addressIn(entry: Buffer): Buffer {
    return cut(entry, addressAt, Math.min(entry[lengthAt], mostAddress))
}

/** First octets of a hash, to look for an address by. */
export function hashOf(address: Buffer): number {
    return platform().sha256([address]).getAt(0, "u16")
}
