import { MBUS_SELECTED, MbusMaster } from "../../hal/mbus-master"
import type { UartPort } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { cut, join, sameOctets } from "../core/octets"
import { TELEGRAM_MBUS } from "../core/telegram-list"
import { addressIn, BY_SELECTION } from "./field-meters"
import type { FieldSide } from "./field-side"

const usualBaud = 2400
/** More time for an answer than the standard gives, in ms, for who failed last. */
const patienceMs = 300
/** Failures in a row after which a meter is asked once a turn, not three times. */
const deadAfter = 4

/** Wired M-Bus on this line: setting "baud" and the line's number, 2400 Bd unless set. */
export function startMbus(side: FieldSide, line: number, port: UartPort): void {
    serveMbus.start(side, line, new MbusMaster(port, side.setting("baud" + line, usualBaud)))
}

function serveMbus(side: FieldSide, line: number, master: MbusMaster): void {
    side.serve(
        line,
        () => master.open(),
        () => mbusTurn(side, line, master),
    )
}

/** Reads who is due, or looks who is there; false where there is nothing to do. */
function mbusTurn(side: FieldSide, line: number, master: MbusMaster): boolean {
    if (side.searched(line)) {
        searchMbus(side, line, master)
        return true
    }
    const plan = side.meters.plan
    const meter = plan.next(line, side.now())
    if (meter < 0) return false
    master.patienceMs = plan.patient(meter) ? patienceMs : 0
    master.tries = plan.failing(meter) < deadAfter ? 3 : 1
    side.turn(meter, () => {
        const entry = side.meters.entry(meter)
        const address = addressIn(entry)
        let primary = entry[0]
        if (primary === BY_SELECTION) {
            master.select(join([cut(address, 2, 4), cut(address, 0, 2), cut(address, 6, 2)]))
            primary = MBUS_SELECTED
        }
        master.read(primary, frame => {
            const sender = senderOf(frame)
            if (sender.length > 0 && address.length === 8 && !sameOctets(sender, address))
                fail(Code.MeterOther, -1, address.toString("hex"), sender.toString("hex"))
            let proof = 0
            if (secured(frame)) {
                if (!side.open) fail(Code.MbusMode, -1, "security mode 0", "another")
                const telegram = side.open(frame, side.key(address))
                side.mustBeFresh(meter, telegram)
                proof = telegram.proof
                plan.accepted(meter, telegram.counter >= 0 ? telegram.counter : telegram.access)
            }
            side.take(TELEGRAM_MBUS, line * 16 + proof, address, frame)
        })
    })
    return true
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
