import type { Machine } from "../../hal/machine"
import type { Calibration, EnergyFrontEnd, KeyCustody, Measurement, RealTimeClock } from "../../hal/ports"
import { Code, fail, PlombError } from "../core/errors"
import { Event } from "../core/logbook"
import { platform } from "../core/platform"
import { SignedListFields } from "../core/signed-list"
import type { SmlValue } from "../core/sml-write"
import type { Store } from "../core/store"
import { TrustStore } from "../core/trust-store"
import { Certificates } from "./certificates"
import { Identity, Step } from "./identity"
import { type Issued, Issuer } from "./issuer"
import { trustAt, trustSlotSize, trustSlots } from "./layout"
import { Parameters } from "./parameters"
import { Places } from "./places"
import { fedIn, Registers } from "./registers"
import { Status } from "./status"
import { MeterTime } from "./time"

/** Length of a load profile period in seconds. */
const periodSeconds = 900
/** In which the line takes what has come meanwhile. */
const lineMs = 20

/** What measures by the energy the front end has taken: which registers count, and when a period is over. */
export interface Rule {
    /** Name and version, and SHA-256 of its image; 32 octets. */
    readonly identification: Buffer
    readonly checksum: Buffer
    /** Counts what was drawn (negative: fed in) since the last time. Throws `PlombError`: nothing is counted then. */
    count(microwattSeconds: number, present: Measurement): void
}

/** Who chooses the rule. */
export interface RuleKeeper {
    /** The rule failed with this code; the energy waits for the next second. */
    ruleFailed(code: number): void
    /** Once a second, after what was counted is durable. */
    secondOver(): void
}

/** Shows people the meter's state, and throws nothing. */
export interface Face {
    /** A second's work is done; or something long begins (`still`), in which nothing is counted and this is not called. */
    show(still: boolean): void
}

/** Who has more to say in signed lists. */
export interface Further {
    /** Entries behind the meter's own; throws nothing but what is a fault of the program. */
    entries(): SmlValue[]
}

/** Where events are entered; a full logbook stops nothing that has happened already. */
export interface EventLog {
    noteEvent(event: Event, code: number, detail: Buffer): void
}

/**
 * The meter: once a second it takes the energy from the front end, makes it durable, looks at the clock
 * and closes load profile periods; on request it issues a signed list of what is durable.
 */
export class Meter {
    readonly identity: Identity
    readonly trust: TrustStore
    readonly places: Places
    readonly certificates: Certificates
    readonly parameters: Parameters
    /** Told of what no command asked for; absent in the image for calibration. */
    log: EventLog | undefined
    /** Looks after the rule, where it may be replaced. */
    keeper: RuleKeeper | undefined
    /** The panel, where the image has one. */
    face: Face | undefined
    /** Meters that this one reads, in the image that does. */
    further: Further | undefined
    /** The metrological module in force; without one nothing is measured. */
    rule: Rule | undefined
    /** Bits of the status word that the rule has set, and that it has found a period to be over. */
    moduleStatus = 0
    periodOver = false
    /** A request is being answered: what takes much of the heap waits. */
    answering = false
    /** Microwatt-seconds taken from the front end and not counted yet. */
    private pending = 0
    /** It signs at this step only, and measures up to it; the image for calibration sets the one before. */
    signsAt: Step = Step.Calibrated
    readonly registers: Registers
    readonly time: MeterTime
    readonly issuer: Issuer
    private present: Measurement
    /** Registers or hash chain are lost: nothing is counted or signed, everything else is answered. */
    private readonly damaged: boolean
    private frontEndRuns = false
    /** Code of the front end's last fault: each is told once. */
    private fault = 0
    private frontEndStarting = false
    private powerWasLost = true
    private lastPeriod = -1
    /** The clock was found stopped, and nobody has been told. */
    private clockStopped: boolean

    constructor(
        readonly machine: Machine,
        readonly store: Store,
        private readonly frontEnd: EnergyFrontEnd,
        rtc: RealTimeClock,
    ) {
        this.identity = new Identity(store)
        this.trust = new TrustStore(store, trustAt, trustSlotSize, trustSlots)
        this.registers = new Registers(store)
        this.time = new MeterTime(store, rtc, this.registers.secondsIndex())
        this.places = new Places(store)
        this.certificates = new Certificates(store, this.trust, this.time, this.places)
        this.parameters = new Parameters(store)
        const self = this
        this.issuer = new Issuer(store, () => self.custody())
        this.damaged = this.registers.damaged(this.identity.step() >= Step.Certified) || this.issuer.damaged()
        if (this.damaged) console.log("registers or hash chain are damaged: this meter neither counts nor signs")
        this.present = nothing()
        this.clockStopped = this.time.refresh()
        this.lastPeriod = this.period()
    }

    /** One second's work. A front end fault is shown in the status word and met by a new start. */
    tick(): void {
        if (this.time.refresh() || this.clockStopped) {
            this.clockStopped = false
            this.tell(Event.clockStopped, 0, hex``)
        }
        this.watchSeal()
        if (this.frontEndStarting || this.damaged) return
        // Without a module what is drawn waits in the front end, which keeps it for half a minute.
        if (this.rule) {
            const ran = this.frontEndRuns
            // A reset is met at once: each second in which the front end stands still is energy lost.
            if (!this.take() && ran) this.take()
            this.registers.commit(this.time.secondsIndex())
            this.closePeriod()
        }
        if (this.keeper) this.keeper.secondOver()
    }

    /** Enters what no command asked for. */
    tell(event: Event, code: number, detail: Buffer): void {
        if (this.log) this.log.noteEvent(event, code, detail)
    }

    /** Holder of the key in force. */
    custody(): KeyCustody {
        return this.keyHolder(this.places.key())
    }

    /** Holder of the key made at calibration (0) or of the spare one (1). */
    keyHolder(which: number): KeyCustody {
        const spare = this.machine.spare
        if (which === 0) return this.machine.custody
        if (!spare) fail(Code.KeyAbsent, -1, "a second key", "none on this board")
        return spare
    }

    private watchSeal(): void {
        const open = this.machine.sealOpen()
        if (open === this.parameters.sealOpen() || this.identity.step() !== Step.Calibrated) return
        this.tell(open ? Event.sealOpened : Event.sealClosed, 0, hex``)
        this.parameters.setSealOpen(open)
    }

    /** Takes the energy since the last time; false where the front end failed, which is then started at the next call. */
    private take(): boolean {
        try {
            if (!this.frontEndRuns) this.startFrontEnd(this.identity.calibration())
            this.pending += this.frontEnd.takeEnergy()
            try {
                this.present = this.frontEnd.measure()
            } finally {
                this.count()
            }
            this.fault = 0
            return true
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            if (this.fault !== e.code) console.log(e.message)
            this.fault = e.code
            this.frontEndRuns = false
            this.present = nothing()
            return false
        }
    }

    /** Has the rule count what was taken. */
    private count(): void {
        const energy = this.pending
        this.pending = 0
        if (!this.rule) return
        try {
            this.rule.count(energy, this.present)
        } catch (e: any) {
            this.registers.revert()
            if (!(e instanceof PlombError)) throw e
            this.pending = energy
            console.log(e.message)
            if (this.keeper) this.keeper.ruleFailed(e.code)
        }
    }

    /** Starts the front end with these constants; other fibers leave it alone meanwhile. */
    startFrontEnd(constants: Calibration): void {
        this.frontEndStarting = true
        this.frontEndRuns = false
        try {
            this.frontEnd.start(constants)
            this.frontEndRuns = true
        } finally {
            this.frontEndStarting = false
        }
    }

    /** What flows at this moment. */
    measure(): Measurement {
        return this.frontEnd.measure()
    }

    /** Issues a signed list of the present, durable registers. Throws `NotCalibrated`, `RecordDamaged`. */
    issueList(): Issued {
        const step = this.identity.step()
        if (step !== this.signsAt) fail(Code.NotCalibrated, -1, "step " + this.signsAt, "" + step)
        if (this.damaged) fail(Code.RecordDamaged, -1, "sound registers and hash chain", "damaged ones")
        const meter = this
        const issued = this.issuer.issueList(() => {
            const fields = meter.fields()
            fields.drawn1 = meter.registers.register(1)
            fields.drawn2 = meter.registers.register(2)
            fields.drawn3 = meter.registers.register(3)
            fields.drawn4 = meter.registers.register(4)
            fields.power = Math.round(meter.present.milliwatts / 100)
            fields.software = Buffer.from(meter.machine.softwareIdentification)
            fields.checksum = meter.machine.softwareChecksum
            fields.module = meter.rule ? meter.rule.identification : hex``
            fields.moduleChecksum = meter.rule ? meter.rule.checksum : Buffer.alloc(32)
            if (meter.further) fields.further = meter.further.entries()
            return fields
        })
        this.powerWasLost = false
        return issued
    }

    /** The status word, bits as in `Status`. */
    status(): number {
        let word = 0
        if (!this.time.trusted()) word |= Status.TimeNotTrusted
        if (this.machine.sealOpen()) word |= Status.SealOpen
        if (!this.frontEndRuns) word |= Status.FrontEndFault
        if (this.present.noLoad) word |= Status.NoLoad
        else word |= Status.LoadPresent
        if (this.identity.step() !== Step.Calibrated) word |= Status.Uncalibrated
        if (this.powerWasLost) word |= Status.PowerWasLost
        if (this.damaged) word |= Status.MemoryDamaged
        if (this.present.milliwatts < 0) word |= Status.FeedingIn
        if (!this.rule) word |= Status.NoSoftware
        return word | this.moduleStatus
    }

    private fields(): SignedListFields {
        const fields = new SignedListFields()
        fields.serverId = this.identity.serverId()
        fields.secondsIndex = this.registers.secondsIndex()
        fields.timeQuality = this.time.quality()
        fields.seconds = this.time.utcSeconds()
        fields.drawn = this.registers.register(0)
        fields.fedIn = this.registers.register(fedIn)
        fields.status = this.status()
        fields.keyProtection = this.custody().protection
        return fields
    }

    /** Which period the present second lies in: of the day's grid where the time is trusted, else of the device's life. */
    private period(): number {
        const seconds = this.time.trusted() ? this.time.utcSeconds() : this.time.secondsIndex()
        return Math.floor(seconds / periodSeconds)
    }

    /** Signs the row of the period that has just ended; periods the meter slept through get none. */
    private closePeriod(): void {
        const now = this.period()
        if (now === this.lastPeriod) return
        if (now === this.lastPeriod + 1 && this.periodOver && this.identity.step() === this.signsAt) {
            const meter = this
            // Throws where the key's holder fails: then the next second tries again.
            this.issuer.issueRow(() => {
                const fields = meter.fields()
                fields.periodEnd = now * periodSeconds
                fields.regPeriod = periodSeconds
                return fields
            })
        }
        this.lastPeriod = now
        this.periodOver = false
    }
}

function nothing(): Measurement {
    return { millivolts: 0, milliamperes: 0, milliwatts: 0, millihertz: 0, noLoad: true }
}

/**
 * Runs `meter` as long as it may measure, a tick at once and one on each full second of the machine's clock. A fault of a part ends one tick,
 * not the meter: energy not yet taken waits in the front end.
 */
export function measureForEver(meter: Meter): void {
    while (meter.identity.step() <= meter.signsAt) {
        try {
            meter.tick()
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
        if (meter.face) {
            // The line first, which looks for what has come every few milliseconds: its part keeps 64 octets.
            platform().sleepMs(lineMs)
            meter.face.show(false)
        }
        const now = platform().millis()
        platform().sleepMs(1000 - (now - Math.floor(now / 1000) * 1000))
    }
}
