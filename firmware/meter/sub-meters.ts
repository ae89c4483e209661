import { MBUS_SELECTED, type MbusMaster } from "../../hal/mbus-master"
import { Code, fail, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { TIME_SEC_INDEX, TIME_STAMP } from "../core/sml-values"
import type { SmlValue } from "../core/sml-write"
import type { Store } from "../core/store"
import { addSubMeter, openSubMeter, type SubMeter, SubMeterState, subRegisters } from "../core/sub-meters"
import { mostSubMeters, subMeterSize, subMeterSpace, subMetersAt } from "./layout"
import type { Further, Meter } from "./meter"

/** Primary address of a meter that is read by selection. */
const bySelection = 0xfd
/** A record: primary address + 1 (0: nobody), kind of the time, when the telegram was received, identification, length of the telegram, the telegram. */
const kindAt = 1
const secondsAt = 2
const addressAt = 6
const lengthAt = 14
const telegramAt = 16
const addressSize = 8

/**
 * Gas and water meters on the meter's second line: who they are, and the newest telegram of each with its time, kept over power cuts. What is told as present
 * was read in this run of the program and within two periods: nobody can say how long the power was away.
 */
export class SubMeters implements Further {
    private readonly records: SwitchedRecord[] = []
    /** What `records` hold, where there is a meter. */
    private readonly primaries = Buffer.alloc(mostSubMeters)
    /** When each was read last, in ms of this run; below 0: not yet. */
    private readonly readAt: number[] = []
    /** Who has been met in this run, by search or reading. */
    private readonly met: boolean[] = []
    /** What came of asking it last. */
    private readonly outcomes: SubMeterState[] = []

    constructor(
        store: Store,
        private readonly meter: Meter,
        /** Between two readings of a meter. */
        readonly periodMs: number,
    ) {
        for (let i = 0; i < mostSubMeters; ++i) {
            const record = new SwitchedRecord(store, subMetersAt + i * subMeterSpace, subMeterSize)
            this.records.push(record)
            this.readAt.push(-1)
            this.met.push(false)
            this.outcomes.push(SubMeterState.Former)
            try {
                const held = record.load()
                if (held) this.primaries[i] = held[0]
            } catch (e: any) {
                // A record that is lost is found again by the search.
                if (!(e instanceof PlombError)) throw e
                console.log(e.message)
            }
        }
    }

    /** How many there are. */
    count(): number {
        let count = 0
        for (let i = 0; i < mostSubMeters; ++i) if (this.primaries[i] > 0) ++count
        return count
    }

    /** Reads all; a meter that fails keeps none of the others from being read. */
    readAll(master: MbusMaster): void {
        for (let i = 0; i < mostSubMeters; ++i) if (this.primaries[i] > 0) this.read(master, i)
    }

    /**
     * Looks who is on the line: all primary addresses, and where several answer at one, all identifications. One who is new takes a free place, or that of a meter that was not met in this
     * run. Meters that are known stay.
     */
    search(master: MbusMaster): void {
        let several = false
        const self = this
        const found = (primary: number, frame: Buffer | undefined) => {
            if (!frame) several = true
            else self.meet(primary, frame)
        }
        master.tries = 2
        master.scanPrimary(0, 250, found)
        if (several) master.scanSecondary((_mask, frame) => found(bySelection, frame))
        master.tries = 3
        console.log("mbus has " + this.count() + " meters")
    }

    entries(): SmlValue[] {
        const entries: SmlValue[] = []
        for (let i = 0; i < mostSubMeters; ++i) {
            if (this.primaries[i] === 0) continue
            try {
                const held = this.records[i].load()
                if (held) addSubMeter(entries, i, this.subMeterOf(i, held))
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                // A record that is lost must not keep the meter from signing what it has measured.
                addSubMeter(entries, i, {
                    state: SubMeterState.Garbled,
                    timeKind: TIME_SEC_INDEX,
                    seconds: 0,
                    address: hex``,
                    telegram: hex``,
                })
            }
        }
        return entries
    }

    private subMeterOf(index: number, held: Buffer): SubMeter {
        const at = this.readAt[index]
        const present = at >= 0 && platform().millis() - at <= 2 * this.periodMs
        const outcome = this.outcomes[index]
        const telegram = cut(held, telegramAt, held.getAt(lengthAt, "u16"))
        let state = SubMeterState.Present
        if (!present || telegram.length === 0)
            state = outcome === SubMeterState.Present ? SubMeterState.Former : outcome
        return {
            state: state,
            timeKind: held[kindAt],
            seconds: held.getAt(secondsAt, "u32"),
            address: cut(held, addressAt, addressSize),
            telegram: telegram,
        }
    }

    private read(master: MbusMaster, index: number): void {
        const held = this.records[index].load()
        if (!held) return
        const address = cut(held, addressAt, addressSize)
        let frame = hex``
        let outcome = SubMeterState.Present
        try {
            let primary = held[0] - 1
            if (primary === bySelection) {
                master.select(join([cut(address, 2, 4), cut(address, 0, 2), cut(address, 6, 2)]))
                primary = MBUS_SELECTED
            }
            // Of several telegrams the first has the registers of the present.
            master.read(primary, each => {
                if (frame.length === 0) frame = each
            })
            this.take(index, held, frame)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            outcome = stateOf(e.code)
            if (outcome !== this.outcomes[index]) console.log("mbus " + address.toString("hex") + ": " + e.message)
        }
        this.outcomes[index] = outcome
    }

    /** Keeps a telegram that can be read and is that meter's. */
    private take(index: number, held: Buffer, frame: Buffer): void {
        const telegram = openSubMeter(frame)
        const address = telegram.meter
        if (!sameOctets(address, cut(held, addressAt, addressSize)))
            fail(Code.MeterOther, -1, cut(held, addressAt, addressSize).toString("hex"), address.toString("hex"))
        // What can not be decoded now could not be when a list is made.
        subRegisters(telegram)
        this.keep(index, held[0], address, frame)
        this.met[index] = true
        this.readAt[index] = platform().millis()
    }

    /** Somebody answers: who is it, and has he a place? */
    private meet(primary: number, frame: Buffer): void {
        let address = hex``
        try {
            address = openSubMeter(frame).meter
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            // Who encrypts says who he is all the same.
            if (frame[6] === 0x72 && frame.length > 16)
                address = join([cut(frame, 11, 2), cut(frame, 7, 4), cut(frame, 13, 2)])
        }
        if (address.length !== addressSize) {
            console.log("mbus: who is at " + primary + " does not say who it is")
            return
        }
        let place = -1
        for (let i = 0; i < mostSubMeters; ++i) {
            const held = this.primaries[i] > 0 ? this.records[i].load() : undefined
            if (held && sameOctets(cut(held, addressAt, addressSize), address)) {
                // Known; where he can be had may have changed.
                this.met[i] = true
                if (held[0] !== primary + 1) {
                    held[0] = primary + 1
                    this.records[i].save(held)
                }
                return
            }
        }
        for (let i = mostSubMeters - 1; i >= 0; --i) if (!this.met[i]) place = i
        for (let i = mostSubMeters - 1; i >= 0; --i) if (this.primaries[i] === 0) place = i
        if (place < 0) {
            console.log("mbus: no room for " + address.toString("hex"))
            return
        }
        this.met[place] = true
        this.outcomes[place] = SubMeterState.Former
        this.readAt[place] = -1
        this.keep(place, primary + 1, address, hex``)
    }

    private keep(index: number, primary: number, address: Buffer, telegram: Buffer): void {
        const record = Buffer.alloc(subMeterSize)
        const time = this.meter.time
        const trusted = time.trusted()
        record[0] = primary
        record[kindAt] = trusted ? TIME_STAMP : TIME_SEC_INDEX
        record.setAt(secondsAt, "u32", trusted ? time.utcSeconds() : time.secondsIndex())
        record.blitAt(addressAt, address, 0, addressSize)
        record.setAt(lengthAt, "u16", telegram.length)
        record.blitAt(telegramAt, telegram, 0, telegram.length)
        this.records[index].save(record)
        this.primaries[index] = primary
    }
}

function stateOf(code: number): SubMeterState {
    switch (code) {
        case Code.MeterSilent:
            return SubMeterState.Silent
        case Code.MbusNoKey:
        case Code.MbusMode:
            return SubMeterState.Encrypted
        case Code.MeterOther:
            return SubMeterState.Other
        default:
            return SubMeterState.Garbled
    }
}
