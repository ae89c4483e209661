import { MBUS_SELECTED, MbusMaster } from "../../hal/mbus-master"
import type { UartPort } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { TELEGRAM_MBUS } from "../core/telegram-list"
import { addressIn, BY_SELECTION } from "./field-meters"
import { codeOf, type FieldSide } from "./field-side"

const usualBaud = 2400
/** More time for an answer than the standard gives, in ms, for who failed last. */
const patienceMs = 300
/** Within so many ms the next question is on the line, where there is one. */
const questionMs = 30
/** A meter is asked so often in its turn; one that failed in its last, and so has another turn soon, once. */
const tries = 3

/** Meters of a line: who is asked, whose telegram is being stored meanwhile, who is next, -1 = nobody; what is known of the next one. */
class Turns {
    asked = -1
    stored = -1
    next = -1
    entry: Buffer = hex``
    /** Questions sent before the storing began. */
    questions = 0
    /** What stopped the storing. */
    fault: any = undefined
}

/** Wired M-Bus on this line: setting "baud" and the line's number, 2400 Bd unless set. */
export function startMbus(side: FieldSide, line: number, port: UartPort): void {
    serveMbus.start(side, line, new MbusMaster(port, side.setting("baud" + line, usualBaud)))
}

function serveMbus(side: FieldSide, line: number, master: MbusMaster): void {
    const turns = new Turns()
    side.serve(
        line,
        () => master.open(),
        () => mbusTurn(side, line, master, turns),
    )
}

/**
 * Reads who is due, or looks who is there; false where there is nothing to do. The next meter is asked while the telegram of the one before is proved and stored: one waits so at most,
 * and its meter's turn is over when it is durable, so a meter whose telegram goes with the power is read again.
 */
function mbusTurn(side: FieldSide, line: number, master: MbusMaster, turns: Turns): boolean {
    if (side.searched(line)) {
        searchMbus(side, line, master)
        return true
    }
    const plan = side.meters.plan
    let meter = turns.next
    turns.next = -1
    if (meter < 0 || plan.busOf(meter) !== line) {
        meter = plan.next(line, side.now(), turns.stored)
        if (meter < 0) return false
        turns.entry = side.meters.entry(meter)
    }
    turns.asked = meter
    const entry = turns.entry
    const address = addressIn(entry)
    master.patienceMs = plan.patient(meter) ? patienceMs : 0
    master.tries = plan.failing(meter) > 0 ? 1 : tries
    let held: Buffer | undefined
    const code = codeOf(() => {
        let primary = entry[0]
        if (primary === BY_SELECTION) {
            master.select(join([cut(address, 2, 4), cut(address, 0, 2), cut(address, 6, 2)]))
            primary = MBUS_SELECTED
        }
        master.read(primary, frame => {
            const before = held
            held = frame
            if (before) keep(side, line, meter, address, before)
        })
    })
    while (turns.stored >= 0) platform().sleepMs(1)
    const fault = turns.fault
    turns.fault = undefined
    if (fault) throw fault
    turns.stored = meter
    turns.questions = master.asked
    store.start(side, line, master, turns, address, held, code)
    return true
}

/** Ends the turn of a meter whose last telegram is `held`, and finds out who is next. */
function store(
    side: FieldSide,
    line: number,
    master: MbusMaster,
    turns: Turns,
    address: Buffer,
    held: Buffer | undefined,
    code: number,
): void {
    const meter = turns.stored
    // The part on the same I2C bus that is asked first keeps the others waiting: the question, then the store.
    for (let i = 0; i < questionMs && master.asked === turns.questions; ++i) platform().sleepMs(1)
    try {
        if (held) {
            const telegram = held
            const wrong = codeOf(() => keep(side, line, meter, address, telegram))
            if (code === 0) code = wrong
        }
        platform().sleepMs(1)
        const now = side.now()
        side.over(meter, code, now)
        platform().sleepMs(1)
        const next = side.meters.plan.next(line, now, turns.asked)
        if (next >= 0) turns.entry = side.meters.entry(next)
        turns.next = next
    } catch (e: any) {
        turns.fault = e
    }
    turns.stored = -1
}

/** Proves and takes a telegram. */
function keep(side: FieldSide, line: number, meter: number, address: Buffer, frame: Buffer): void {
    const sender = senderOf(frame)
    if (sender.length > 0 && address.length === 8 && !sameOctets(sender, address))
        fail(Code.MeterOther, -1, address.toString("hex"), sender.toString("hex"))
    let proof = 0
    if (secured(frame)) {
        if (!side.open) fail(Code.MbusMode, -1, "security mode 0", "another")
        const telegram = side.open(frame, side.key(address))
        side.mustBeFresh(meter, telegram)
        proof = telegram.proof
        side.meters.plan.accepted(meter, telegram.counter >= 0 ? telegram.counter : telegram.access)
    }
    side.take(TELEGRAM_MBUS, line * 16 + proof, address, frame)
}

/** Commissioning: all primary addresses, and where several answer at one, all identifications. */
function searchMbus(side: FieldSide, line: number, master: MbusMaster): void {
    master.patienceMs = 0
    master.tries = 2
    let several = false
    const found = (primary: number, frame: Buffer | undefined) => {
        if (!frame) several = true
        else {
            let address = senderOf(frame)
            if (address.length === 0) address = Buffer.from([primary])
            if (side.meters.find(line, address) < 0) side.add(line, primary, address)
        }
    }
    master.scanPrimary(0, 250, found)
    if (several) master.scanSecondary((_mask, frame) => found(BY_SELECTION, frame))
    console.log("line " + line + " has " + side.meters.count(line) + " meters")
}

/** Who sent a frame: manufacturer, number, version, device type; empty where it does not say (short header, none). */
function senderOf(frame: Buffer): Buffer {
    const ci = frame[6]
    if (ci === 0x73 && frame.length === 25) {
        const fixed = Buffer.alloc(8)
        fixed.blitAt(2, frame, 7, 4)
        return fixed
    }
    return ci === 0x72 && frame.length > 20 ? join([cut(frame, 11, 2), cut(frame, 7, 4), cut(frame, 13, 2)]) : hex``
}

/** Does a frame say that it is encrypted, or has it a layer that authenticates it? */
function secured(frame: Buffer): boolean {
    const ci = frame[6]
    const at = ci === 0x72 ? 18 : 10
    if (ci >= 0x8c && ci <= 0x90) return true
    // Nothing but ones is the unused signature of EN 1434-3.
    const mode = frame[at] === 0xff ? 0 : frame[at] & 31
    return (ci === 0x72 || ci === 0x7a) && frame.length > at + 2 && mode > 0
}
