import { Code, fail } from "./errors"
import { SwitchedRecord } from "./journal"
import { platform } from "./platform"
import type { Store } from "./store"
import { isEuSummer } from "./time"

/**
 * What MUC and consumption display say to each other in the frames of a PLC link, and the MUC's room behind it: which
 * values, how often, and how good they are. Little endian.
 *
 * Values: 1 | flags U8 | time of the values U32, UTC seconds | offset of local time I16, minutes | age when sent U16, s |
 * power I32, 0.1 W, negative when fed in | energy drawn since `from` U32, 0.1 Wh | from U32, UTC seconds.
 * Question of the display: 2 | floor of its link U64 | the same under the key to come U64.
 */

/** Bits of `flags`. */
export enum Quality {
    /** The meter's clock is set and runs. */
    TimeKnown = 1,
    /** `energy` and `from` are there. */
    EnergyKnown = 2,
    /** `from` is the beginning of the day. */
    WholeDay = 4,
    /** The meter reports a fault, an open cover or a clock that is not trusted. */
    MeterFault = 8,
}

/** `age` where there was no value since the MUC started; ages above count as this too. */
export const noAge = 0xffff

const valuesKind = 1
const questionKind = 2
const valuesSize = 22
const questionSize = 17

/** What the display is told. */
export class Values {
    flags: number
    /** UTC seconds; 0 where the meter's time is not known. */
    time: number
    /** Local time less UTC, minutes. */
    zone: number
    /** Seconds from the measurement to the sending. */
    age: number
    /** 0.1 W; negative when fed in. */
    power: number
    /** 0.1 Wh drawn since `from`, UTC seconds. */
    energy: number
    from: number

    constructor() {
        this.flags = 0
        this.time = 0
        this.zone = 0
        this.age = noAge
        this.power = 0
        this.energy = 0
        this.from = 0
    }

    /** The message. */
    encode(): Buffer {
        const message = Buffer.alloc(valuesSize)
        message[0] = valuesKind
        message[1] = this.flags
        message.setAt(2, "u32", this.time)
        message.setAt(6, "i16", this.zone)
        message.setAt(8, "u16", this.age)
        message.setAt(10, "i32", this.power)
        message.setAt(14, "u32", this.energy)
        message.setAt(18, "u32", this.from)
        return message
    }
}

/** What `encode` gave: `PlcMessage`. */
export function readValues(message: Buffer): Values {
    if (message.length !== valuesSize || message[0] !== valuesKind)
        fail(Code.PlcMessage, 0, valuesSize + " octets of values", message.length + " octets")
    const values = new Values()
    values.flags = message[1]
    values.time = message.getAt(2, "u32")
    values.zone = message.getAt(6, "i16")
    values.age = message.getAt(8, "u16")
    values.power = message.getAt(10, "i32")
    values.energy = message.getAt(14, "u32")
    values.from = message.getAt(18, "u32")
    return values
}

/** The display's question. */
export function questionOf(floor: number, floorUnderNew: number): Buffer {
    const message = Buffer.alloc(questionSize)
    message[0] = questionKind
    message.setAt(1, "u64", floor)
    message.setAt(9, "u64", floorUnderNew)
    return message
}

/** Is it the question of a peer, with its floors? */
export function isQuestion(message: Buffer): boolean {
    return message.length === questionSize && message[0] === questionKind
}

/** The higher floor of a question, to which the sender's counter goes: `PlcMessage`. */
export function floorOf(message: Buffer): number {
    if (!isQuestion(message))
        fail(Code.PlcMessage, 0, questionSize + " octets of a question", message.length + " octets")
    return Math.max(message.getAt(1, "u64"), message.getAt(9, "u64"))
}

/** A first value that comes within so many seconds of midnight stands for the whole day. */
const soonAfterMidnight = 900
/** New values go out so often at most, and old ones (which are then seen to be old) so often, ms. */
const freshMs = 10000
const staleMs = 60000
const daySeconds = 86400

// The record: beginning U32, register there U64 (0.1 Wh), whole day U8.
const recordSize = 13
/** What `Indicator` takes of the store. */
export const indicatorSize = 2 * (recordSize + 4) + 1

/**
 * The MUC's side: takes each reading and says when a message is due. The register at the beginning of the day outlasts a
 * power cut.
 *
 * @devsWhenUsed
 */
export class Indicator {
    private readonly day: SwitchedRecord
    private readonly values: Values
    private takenAt: number
    private sentAt: number
    private fresh: boolean

    /** `zone`: local time less UTC in minutes, which says when a day begins; `summer`: an hour more while it is summer in the European Union. */
    constructor(
        store: Store,
        at: number,
        private readonly zone: number,
        private readonly summer = false,
    ) {
        this.day = new SwitchedRecord(store, at, recordSize)
        this.values = new Values()
        this.values.zone = zone
        this.takenAt = 0
        this.sentAt = -staleMs
        this.fresh = false
    }

    /**
     * A reading of the meter: UTC seconds and whether its clock is to be trusted, power (0.1 W), energy drawn (0.1 Wh, the
     * register 1.8.0), whether the meter reports no fault, and how old it is already, s.
     */
    take(time: number, trusted: boolean, power: number, register: number, sound: boolean, age = 0): void {
        const v = this.values
        v.power = power
        v.flags = sound ? 0 : Quality.MeterFault
        v.time = trusted ? time : 0
        if (trusted) {
            v.zone = this.zoneAt(time)
            v.flags |= Quality.TimeKnown | Quality.EnergyKnown
            const from = this.beginning(time, register)
            v.from = from.getAt(0, "u32")
            v.energy = register - from.getAt(4, "u64")
            if (from[12] > 0) v.flags |= Quality.WholeDay
        }
        this.takenAt = platform().millis() - 1000 * age
        this.fresh = true
        v.age = age
    }

    /** The next message, where one is due; `asked`: one is due now. */
    due(asked: boolean): Buffer | undefined {
        const now = platform().millis()
        const since = now - this.sentAt
        if (!asked && since < (this.fresh ? freshMs : staleMs)) return undefined
        this.sentAt = now
        this.fresh = false
        const v = this.values
        if (v.age < noAge) v.age = Math.min(noAge, Math.round((now - this.takenAt) / 1000))
        return v.encode()
    }

    private zoneAt(time: number): number {
        return this.zone + (this.summer && isEuSummer(time) ? 60 : 0)
    }

    /** Beginning of the day that `time` is in, and the register there: the one stored, or this reading where there is none. */
    private beginning(time: number, register: number): Buffer {
        const zone = this.zoneAt(time) * 60
        const day = Math.floor((time + zone) / daySeconds) * daySeconds
        // On the day of the change midnight was of the other zone.
        const midnight = day - this.zoneAt(day - zone) * 60
        const stored = this.day.load()
        if (stored) {
            const from = stored.getAt(0, "u32")
            // A register that is lower is another meter's.
            if (from >= midnight && from <= time && stored.getAt(4, "u64") <= register) return stored
        }
        const record = Buffer.alloc(recordSize)
        const whole = time - midnight < soonAfterMidnight
        record.setAt(0, "u32", whole ? midnight : time)
        record.setAt(4, "u64", register)
        record[12] = whole ? 1 : 0
        this.day.save(record)
        return record
    }
}
