import { Code, fail } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut, uintBE } from "../core/octets"
import type { Store } from "../core/store"
import { parametersAt } from "./layout"

/** Longest label, octets. */
const mostLabel = 32
const minutesADay = 1440

const meteringSize = 4
const sealAt = 4
const labelAt = 5
const size = labelAt + 1 + mostLabel

/** What commands set and a meter keeps: when tariff 2 runs, a label for people; and how the seal was found last. One record. */
export class Parameters {
    private readonly record: SwitchedRecord
    private readonly data: Buffer

    constructor(store: Store) {
        this.record = new SwitchedRecord(store, parametersAt, size)
        this.data = Buffer.alloc(size)
        // Tariff 2 from 22:00 to 06:00 UTC
        this.data.blitAt(0, hex`05280168`, 0, meteringSize)
        const saved = this.record.load()
        if (saved) this.data.blitAt(0, saved, 0, size)
    }

    /** Parameters of measuring: begin and end of tariff 2, minutes of the day UTC, U16 BE each. */
    metering(): Buffer {
        return cut(this.data, 0, meteringSize)
    }

    /** Throws `OutOfRange` unless these are parameters of measuring. */
    checkMetering(value: Buffer): void {
        if (value.length !== meteringSize || uintBE(value, 0, 2) >= minutesADay || uintBE(value, 2, 2) >= minutesADay)
            fail(Code.OutOfRange, -1, "two minutes of the day", value.length + " octets")
    }

    setMetering(value: Buffer): void {
        this.checkMetering(value)
        this.put(0, value)
    }

    /** Is it the time of tariff 2, `second` of the day? The tariff runs over midnight where it ends before it begins. */
    isTariff2(second: number): boolean {
        const minute = Math.floor(second / 60)
        const from = uintBE(this.data, 0, 2)
        const to = uintBE(this.data, 2, 2)
        return from <= to ? minute >= from && minute < to : minute >= from || minute < to
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
