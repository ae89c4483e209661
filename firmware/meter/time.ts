import { type RealTimeClock, TimeQuality } from "../../hal/ports"
import { Code, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { timeAt, timeSize } from "./layout"

const qualityAt = 0
const setAtSeconds = 4
/** Day of the last correction, and by how many seconds the time was corrected on it. */
const dayAt = 8
const correctedAt = 12
const daySeconds = 86400
/** Seconds a day by which the time may be corrected without that being a new time. */
const mostCorrection = 3

/**
 * The meter's two times: UTC with its quality, and the seconds index that only ever runs forward.
 *
 * The oscillator's stop flag is looked at on every read and copied to FRAM before anything is signed;
 * the flag itself is cleared by an authorised set alone, so a wrong time can not come to look right by
 * being read (zephyr#76476).
 */
export class MeterTime {
    private readonly record: SwitchedRecord
    private readonly data: Buffer
    private readonly startedMs: number
    private utc = 0
    private answers = false

    constructor(
        store: Store,
        private readonly rtc: RealTimeClock,
        private readonly indexAtStart: number,
    ) {
        this.record = new SwitchedRecord(store, timeAt, timeSize)
        this.data = Buffer.alloc(timeSize)
        try {
            const saved = this.record.load()
            if (saved) this.data.blitAt(0, saved, 0, timeSize)
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            console.log(e.message)
            this.data[qualityAt] = TimeQuality.Stopped
        }
        this.startedMs = platform().millis()
    }

    /**
     * Reads the clock; to be called once a second. A clock that does not answer counts as stopped until it answers
     * again: its own flag says whether it went on. True where it is found that the oscillator has stopped.
     */
    refresh(): boolean {
        let running = true
        this.answers = false
        this.utc = 0
        try {
            const reading = this.rtc.read()
            this.utc = reading.utcSeconds
            running = reading.running
            this.answers = true
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
        }
        if (!running && this.data[qualityAt] === TimeQuality.Set) {
            this.data[qualityAt] = TimeQuality.Stopped
            this.record.save(this.data)
            return true
        }
        return false
    }

    /** Is a set to `utcSeconds` a correction of a trusted time: 3 s at most, and with all others of the day together? */
    isCorrection(utcSeconds: number): boolean {
        return this.trusted() && this.corrected(utcSeconds) <= mostCorrection
    }

    /** By how many seconds the time would have been corrected on this day. */
    private corrected(utcSeconds: number): number {
        const before = this.data.getAt(dayAt, "u32") === Math.floor(this.utc / daySeconds) ? this.data[correctedAt] : 0
        return before + Math.abs(utcSeconds - this.utc)
    }

    /** An authorised set of the time. */
    set(utcSeconds: number): void {
        const corrected = this.isCorrection(utcSeconds) ? this.corrected(utcSeconds) : 0
        this.rtc.set(utcSeconds)
        this.data.setAt(dayAt, "u32", Math.floor(this.utc / daySeconds))
        this.data[correctedAt] = corrected
        this.data[qualityAt] = TimeQuality.Set
        this.data.setAt(setAtSeconds, "u32", utcSeconds)
        this.record.save(this.data)
        this.utc = utcSeconds
        this.answers = true
    }

    quality(): TimeQuality {
        const quality = this.data[qualityAt]
        return quality === TimeQuality.Set && !this.answers ? TimeQuality.Stopped : quality
    }

    trusted(): boolean {
        return this.quality() === TimeQuality.Set
    }

    /** UTC seconds of the last refresh; worth nothing unless `trusted`. */
    utcSeconds(): number {
        return this.utc
    }

    /** Running seconds of this device over all its life. */
    secondsIndex(): number {
        return this.indexAtStart + Math.floor((platform().millis() - this.startedMs) / 1000)
    }
}
