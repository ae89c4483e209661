import { crc16 } from "../core/crc16"
import { Code, fail } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut, join, uintBE } from "../core/octets"
import type { Store } from "../core/store"
import { parametersAt } from "./layout"
import { mostTariffs } from "./registers"

/** Longest label, octets. */
const mostLabel = 32
const minutesADay = 1440
/** Where the switches stand in what a module gets. */
const switchesAt = 34

/** Octets of a switch of the tariff, and most of them. */
const switchSize = 4
const mostMetering = 8 * switchSize
const sealAt = 4
const labelAt = 5
const meteringAt = labelAt + 1 + mostLabel
const size = meteringAt + 1 + mostMetering

/** Tariff 2 from 22:00 to 06:00 UTC. */
export const defaultMetering = hex`05280168`

/** What commands set and a meter keeps: when which tariff runs, a label for people; and how the seal was found last. One record. */
export class Parameters {
    private readonly record: SwitchedRecord
    private readonly data: Buffer

    constructor(store: Store) {
        this.record = new SwitchedRecord(store, parametersAt, size)
        this.data = Buffer.alloc(size)
        this.data[meteringAt] = switchSize
        this.data.blitAt(meteringAt + 1, defaultMetering, 0, switchSize)
        const saved = this.record.load()
        if (saved) this.data.blitAt(0, saved, 0, size)
    }

    /**
     * Parameters of measuring: begin and end of tariff 2, minutes of the day UTC, U16 BE each; or two to eight switches in the order of the
     * day: minute UTC U16 BE, days U8 (bit 0 Monday), tariff U8.
     */
    metering(): Buffer {
        return cut(this.data, meteringAt + 1, this.data[meteringAt])
    }

    /** Throws `OutOfRange` unless these are parameters of measuring. */
    checkMetering(value: Buffer): void {
        const both = value.length === switchSize
        let good = value.length > 0 && value.length <= mostMetering && value.length % switchSize === 0
        let before = 0
        for (let at = 0; good && at < value.length; at += both ? 2 : switchSize) {
            const minute = uintBE(value, at, 2)
            good = minute < minutesADay
            if (!both) {
                good = good && minute >= before && value[at + 2] < 0x80 && value[at + 3] > 0
                good = good && value[at + 3] <= mostTariffs
            }
            before = minute
        }
        if (!good) fail(Code.OutOfRange, -1, "minutes of the day and tariffs", value.length + " octets")
    }

    setMetering(value: Buffer): void {
        this.checkMetering(value)
        this.data[meteringAt] = value.length
        this.put(meteringAt + 1, value)
    }

    /** The tariff at a minute of a day (0 Monday): that of the last switch before it, else 1. */
    tariff(minute: number, day: number): number {
        const switches = switchesOf(this.metering())
        let tariff = 1
        for (let at = 0; at < switches.length && uintBE(switches, at, 2) <= minute; at += switchSize)
            if (switches[at + 2] & (1 << day)) tariff = switches[at + 3]
        return tariff
    }

    /** Text for people, up to 32 octets. */
    label(): Buffer {
        return cut(this.data, labelAt + 1, this.data[labelAt])
    }

    checkLabel(value: Buffer): void {
        if (value.length > mostLabel) fail(Code.OutOfRange, -1, "at most " + mostLabel + " octets", "" + value.length)
    }

    setLabel(value: Buffer): void {
        this.checkLabel(value)
        this.data[labelAt] = value.length
        this.put(labelAt + 1, value)
    }

    /** Was the seal open when it was last looked at? */
    sealOpen(): boolean {
        return this.data[sealAt] !== 0
    }

    setSealOpen(open: boolean): void {
        this.put(sealAt, Buffer.from([open ? 1 : 0]))
    }

    private put(at: number, value: Buffer): void {
        this.data.blitAt(at, value, 0, value.length)
        this.record.save(this.data)
    }
}

/** `Parameters.metering` as switches. */
function switchesOf(held: Buffer): Buffer {
    if (held.length !== switchSize) return held
    const from = uintBE(held, 0, 2)
    const to = uintBE(held, 2, 2)
    const begin = join([cut(held, 0, 2), hex`7f02`])
    const end = join([cut(held, 2, 2), hex`7f01`])
    return from < to ? join([begin, end]) : from > to ? join([hex`00007f02`, end, begin]) : hex``
}

/**
 * The parameters of a metrological module (firmware/modules/metrology.ts): gains of the front end's counts, `microwattSeconds` of one
 * for the energy, the switches of the tariff, CRC-16/X.25.
 */
export function moduleParameters(metering: Buffer, microwattSeconds: number): Buffer {
    const switches = switchesOf(metering)
    const end = switchesAt + switches.length
    const octets = Buffer.alloc(end + 2)
    octets.setAt(0, "f64", microwattSeconds)
    // The front end says millivolts and milliamperes.
    octets.setAt(8, "f64", 0.001)
    octets.setAt(16, "f64", 0.001)
    octets.setAt(32, "u16", Math.floor(switches.length / switchSize))
    octets.blitAt(switchesAt, switches, 0, switches.length)
    for (let at = switchesAt; at < end; at += switchSize) {
        octets[at] = switches[at - switchesAt + 1]
        octets[at + 1] = switches[at - switchesAt]
    }
    octets.setAt(end, "u16", crc16(octets, 0, end, 0xffff) ^ 0xffff)
    return octets
}
