import { BoardCipher } from "../../hal/cipher-board"
import type { Machine } from "../../hal/machine"
import { PlcUart } from "../../hal/plc-uart"
import { PlombError } from "../core/errors"
import { Indicator } from "../core/indicator"
import { Held } from "../core/inventory"
import { CustomerSide } from "./customer-side"
import { IndicatorSide } from "./indicator-side"
import { KeptReadings } from "./kept"
import { KeyExchange } from "./key-exchange"
import { displayDayAt, displayLinkAt, userLinkAt } from "./layout"
import { callHeadEnd, LineSide, startDelivery, startLine } from "./line"
import { loggedLockout } from "./lockout"
import { OwnReadings } from "./own-readings"
import { MucTrust } from "./peer-trust"
import { PlcFunctions } from "./plc-functions"
import { PlcEnd, PlcServer } from "./plc-server"
import { SecureUplink } from "./secure-uplink"
import type { Answers } from "./uplink"

/** Addresses on the power line where none are set. */
const displayAddress = 2
const adapterAddress = 3
/** Local time less UTC in minutes where it is not set; "eu": an hour more in the summer of the European Union. */
const usualZone = "60 eu"

/**
 * The MUC with a PLC modem on the second channel of its UART chip, and without the directory: revocation lists and keys of the links come over the
 * uplink. What the head-end reads of the meters is kept and told to the consumption display, and to the customer who has his password.
 */
export function start(machine: Machine): void {
    const side = new LineSide(machine)
    if (!side.serves()) return
    const fram = side.fram
    const holdings = side.holdings
    const keys = side.keys
    const clock = side.clock
    const addresses = side.addresses
    const settings = machine.settings
    const functions = new PlcFunctions(fram, machine, side.identity, holdings, keys, clock, addresses)
    const router = startLine(side, functions)
    startDelivery(side)
    const kept = new KeptReadings(fram)
    const zone = settings.get("zone") || usualZone
    const indicator = new Indicator(fram, displayDayAt, parseInt(zone) || 0, zone.indexOf("eu") >= 0)
    const display = new IndicatorSide(indicator, kept, side.meters, settings)
    display.recall(functions.trust.utcSeconds())
    const displayAt = parseInt(settings.get("display")) || displayAddress
    const own = new OwnReadings(kept, functions.table, side.meters, settings)
    const customer = new CustomerSide(own, keys, loggedLockout(fram, functions.logbook))
    const adapterAt = parseInt(settings.get("adapter")) || adapterAddress
    const ends = [
        new PlcEnd(Held.DisplayKey, displayLinkAt, displayAt, display),
        new PlcEnd(Held.UserKey, userLinkAt, adapterAt, customer),
    ]
    const server = new PlcServer(new PlcUart(side.uart.port(1)), ends, fram, keys, new BoardCipher(), functions.logbook)
    functions.onKey = kind => server.rekey(kind)
    serveLine.start(server)
    const agreement = machine.agreement
    const uplink = machine.uplink
    if (!agreement || !uplink) return
    const exchange = new KeyExchange(agreement, side.identity.serverId)
    functions.exchange = exchange
    const trust = new MucTrust(holdings, clock, false)
    const toHeadEnd = new SecureUplink(uplink, holdings, machine.custody, exchange, trust)
    const keeping: Answers = {
        route: raw => {
            const answer = router.route(raw)
            if (answer) keep(kept, display, answer, functions.trust.utcSeconds())
            return answer
        },
    }
    callHeadEnd(toHeadEnd, keeping, addresses)
}

function serveLine(server: PlcServer): void {
    while (true) server.round()
}

/** What can not be kept is handed on all the same. */
function keep(kept: KeptReadings, display: IndicatorSide, answer: Buffer, utcSeconds: number): void {
    try {
        const head = kept.take(answer, utcSeconds)
        if (head) display.see(head, utcSeconds)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log("not kept: " + e.message)
    }
}
