import type { Settings, UartPort } from "../../hal/ports"
import { READ_DONE, readOutcome } from "../core/bus-schedule"
import { Code, PlombError } from "../core/errors"
import { Event, type Logbook, none } from "../core/logbook"
import { checkFresh, type MbusTelegram } from "../core/mbus-telegram"
import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { MucCommandTrust } from "./command-trust"
import type { InvocationCounter } from "./dlms-counter"
import { type FieldMeters, hashOf } from "./field-meters"
import { type KeyRing, mostKeys } from "./keys"
import { mostFieldMeters } from "./layout"
import type { TelegramLists } from "./telegrams"

/** Puts a bus on a line: starts the fiber that serves it. `line` 0 to 3: channels A and B of the first and the second UART. */
export type FieldBus = (side: FieldSide, line: number, port: UartPort) => void

/** Pause before a line is opened again whose UART or module failed, and of one that has nothing to do, in ms. */
const mendMs = 30000
const idleMs = 1000
/** Why telegrams were refused is counted by these codes; the last place is for all others. */
export const countedCodes = [
    Code.MeterSilent,
    Code.MeterGarbled,
    Code.MeterOther,
    Code.MbusNoKey,
    Code.MbusWrongKey,
    Code.MbusMac,
    Code.MbusReplayed,
    Code.MbusMode,
    0,
]
/** What the codes of DLMS protection are above those of M-Bus: each has the same place. */
const dlmsCodes = 10
/** A number of 8 bits may have gone round after so many seconds: then only the same one counts as replayed. */
const roundSeconds = 1800

/** What the buses share: the meters, their keys, the telegrams taken, and what went wrong. */
export class FieldSide {
    /** Telegrams taken, and those refused by `countedCodes`. */
    taken = 0
    readonly counts: number[] = []
    /** Time that each line was in use, in ms, all between two questions included; where meters push, it always is. */
    readonly busyMs: number[] = []
    /** Opens a wired frame whose meter's key is held; undefined where the image carries no AES. */
    open: ((frame: Buffer, key: Buffer | undefined) => MbusTelegram) | undefined
    /** Of DLMS: one for all lines. */
    invocations: InvocationCounter | undefined
    /** Lines that are to be searched for meters, a bit each. */
    searches = 0
    /** What went wrong last with each meter. */
    private readonly problems = Buffer.alloc(2 * mostFieldMeters)
    /** First octets of a hash of the address that each key is for. */
    private readonly keyHashes = Buffer.alloc(2 * mostKeys)

    constructor(
        readonly meters: FieldMeters,
        readonly lists: TelegramLists,
        readonly keys: KeyRing,
        readonly trust: MucCommandTrust,
        readonly logbook: Logbook,
        readonly settings: Settings,
    ) {
        for (let i = 0; i < countedCodes.length; ++i) this.counts.push(0)
        for (let line = 0; line < meters.plan.buses; ++line) this.busyMs.push(0)
        for (let slot = 0; slot < mostKeys; ++slot) {
            const address = keys.meterAt(slot)
            if (address) this.keyHashes.setAt(2 * slot, "u16", hashOf(address))
        }
    }

    /** UTC seconds; without a clock that is trusted, those since the start. */
    now(): number {
        return this.trust.utcSeconds() || this.trust.secondsIndex()
    }

    /** A number that the board's settings give under this name, or `usual`. */
    setting(name: string, usual: number): number {
        const text = this.settings.get(name)
        return text.length > 0 ? parseInt(text) : usual
    }

    /** Puts a meter on the list; as often read as the setting "period" says, in minutes, hourly unless set. */
    add(line: number, primary: number, address: Buffer): number {
        const meter = this.meters.set(line, primary, address, this.setting("period", 60), this.now())
        if (meter < 0) console.log("no room for more meters")
        else this.logbook.append(Event.meterSet, none, undefined, 0, address)
        return meter
    }

    /** The key of the meter with this address; undefined where none is held. */
    key(address: Buffer): Buffer | undefined {
        const hash = hashOf(address)
        for (let slot = 0; slot < mostKeys; ++slot) {
            if (this.keyHashes.getAt(2 * slot, "u16") !== hash) continue
            const held = this.keys.meterAt(slot)
            if (held && sameOctets(held, address)) return this.keys.keyAt(slot)
        }
        return undefined
    }

    /** Throws unless an opened telegram is newer than the last one taken from this meter. */
    mustBeFresh(meter: number, telegram: MbusTelegram): void {
        const plan = this.meters.plan
        const last = plan.counter(meter)
        if (telegram.counter < 0 && telegram.access !== last && this.now() - plan.lastRead(meter) > roundSeconds) return
        checkFresh(telegram, last)
    }

    /** Keeps a telegram of a meter whose address this is; `status` as in the list, line and protection. */
    take(kind: number, status: number, address: Buffer, telegram: Buffer): void {
        this.lists.add(kind, status, address, telegram)
        ++this.taken
    }

    /** A meter's turn: `action` throws what was wrong. */
    turn(meter: number, action: () => void): void {
        this.over(meter, codeOf(action), this.now())
    }

    /** A meter's turn is over: `code` says what was wrong, 0 = nothing. */
    over(meter: number, code: number, now: number): void {
        this.meters.plan.done(meter, code === 0 ? READ_DONE : readOutcome(code), false, now)
        this.tell(meter, code)
    }

    /** Counts what went wrong, and enters it where it is new for this meter. */
    tell(meter: number, code: number): void {
        if (code !== 0) {
            let which = 0
            // Of DLMS: no key, wrong key, tag, replayed, as of M-Bus.
            const counted = code >= Code.DlmsNoKey && code <= Code.DlmsReplayed ? code - dlmsCodes : code
            const like = counted === Code.DlmsMode ? Code.MbusMode : counted
            while (countedCodes[which] !== like && which < countedCodes.length - 1) ++which
            this.counts[which] = this.counts[which] + 1
        }
        if (meter < 0) return
        const before = this.problems.getAt(2 * meter, "u16")
        this.problems.setAt(2 * meter, "u16", code)
        if (code !== 0 && code !== before && code !== Code.MeterSilent && code !== Code.MeterGarbled)
            this.logbook.append(Event.telegramRefused, none, undefined, code, this.meters.address(meter))
    }

    /** What went wrong last with this meter; 0 = nothing. */
    problem(meter: number): number {
        return this.problems.getAt(2 * meter, "u16")
    }

    /** Is this line to be searched? It is at the start where it has no meters, and when somebody says so. */
    searched(line: number): boolean {
        const bit = 1 << line
        const due = (this.searches & bit) !== 0
        this.searches = this.searches & ~bit
        return due
    }

    /** Serves a line for ever: `step` answers false where there is nothing to do; where its UART or module fails, it is opened again. */
    serve(line: number, open: () => void, step: () => boolean): void {
        for (;;) {
            try {
                open()
                for (;;) {
                    const from = platform().millis()
                    if (step()) this.busyMs[line] = this.busyMs[line] + platform().millis() - from
                    else platform().sleepMs(idleMs)
                }
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                console.log("line " + line + " " + e.message)
            }
            platform().sleepMs(mendMs)
        }
    }
}

/** What an action throws, as the code of its error; 0 = nothing. */
export function codeOf(action: () => void): number {
    try {
        action()
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        return e.code
    }
    return 0
}
