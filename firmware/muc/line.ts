import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart, uartAddress, uartCrystalHz } from "../../hal/parts"
import { SmlLine } from "../../hal/rs485-link"
import { Sc16is752 } from "../../hal/sc16is752"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { Addresses } from "./addresses"
import { Router } from "./answer"
import type { Answering } from "./answering"
import { MucClock } from "./clock"
import { Delivery } from "./delivery"
import { discover } from "./discovery"
import { Holdings } from "./holdings"
import { Identity, Step } from "./identity"
import { KeyRing } from "./keys"
import { LineMaster } from "./master"
import { MeterList } from "./meters"
import type { SecureUplink } from "./secure-uplink"
import type { Turn } from "./turns"
import { type Answers, serveUplink } from "./uplink"

const lineBaud = 9600
/** Longest answer of a meter. */
const longestFile = 4096
/** Once an hour, and every ten seconds while no meter is known. */
const discoveryMs = 3600000
const eagerDiscoveryMs = 10000
/** How often it is looked whether a meter's time to be told has come. */
const deliveryMs = 10000
/** A meter that answered no search and no request for so long has left the line. */
const silentMs = 604800000

/** What a MUC keeps, and its RS-485 line: the same in each image that has one. Fibers are begun by `startLine`. */
export class LineSide {
    readonly fram: Mb85rc1mt
    readonly uart: Sc16is752
    readonly line: SmlLine
    readonly identity: Identity
    readonly clock: MucClock
    readonly holdings: Holdings
    readonly keys: KeyRing
    readonly meters: MeterList
    readonly addresses: Addresses
    readonly master: LineMaster

    /** `first`: what is to be done before the line's buffers are there, where nothing is to be erased. Without its FRAM a MUC is nobody, and the runtime starts it again every five seconds; any other part may be missing or come later. */
    constructor(
        readonly machine: Machine,
        first?: (side: LineSide) => void,
    ) {
        const fram = new Mb85rc1mt(machine.bus, framAddress)
        fram.start()
        const rtc = new Ds3231(machine.bus)
        startPart(() => {
            rtc.start()
        })
        this.fram = fram
        this.identity = new Identity(fram, machine.deviceId)
        this.clock = new MucClock(rtc, this.identity)
        this.holdings = new Holdings(fram)
        if (first && this.serves()) first(this)
        const uart = new Sc16is752(machine.bus, uartAddress, uartCrystalHz)
        const line = new SmlLine(uart.port(0), lineBaud, longestFile, false)
        startPart(() => {
            uart.start()
            line.open()
        })
        this.uart = uart
        this.line = line
        this.keys = new KeyRing(fram)
        this.meters = new MeterList(fram)
        this.addresses = new Addresses(fram, machine.settings)
        this.master = new LineMaster(line, this.meters)
    }

    /** False where it is to be erased: nothing else is done then. */
    serves(): boolean {
        if (this.identity.step() <= Step.Installed) return true
        console.log("to be erased")
        return false
    }
}

/** Finds the line's meters, for ever; what answers for them. `turn`: where somebody else wants the heap at times. */
export function startLine(side: LineSide, functions: Answering, turn?: Turn): Router {
    functions.meters = side.meters
    const id = side.identity.serverId
    const meters = side.meters
    console.log("muc " + id.toString("hex") + " step " + side.identity.step() + " knows " + meters.count() + " meters")
    pumpLine.start(side.line)
    findMeters.start(side.master, meters, turn)
    return new Router(id, side.master, meters, functions)
}

function pumpLine(line: SmlLine): void {
    line.pump()
}

function findMeters(master: LineMaster, meters: MeterList, turn: Turn | undefined): void {
    while (true) {
        if (turn) turn.enter()
        try {
            const found = discover(master, meters)
            const gone = meters.forget(silentMs)
            if (found + gone > 0) console.log("found " + found + " meters, lost " + gone + ", now " + meters.count())
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
        if (turn) turn.leave()
        platform().sleepMs(meters.count() > 0 ? discoveryMs : eagerDiscoveryMs)
    }
}

/** Brings the line's meters certificates and lists that the MUC holds, for ever. */
export function startDelivery(side: LineSide, turn?: Turn): void {
    deliverForEver.start(new Delivery(side.holdings, side.master, side.meters), turn)
}

function deliverForEver(delivery: Delivery, turn: Turn | undefined): void {
    while (true) {
        platform().sleepMs(deliveryMs)
        if (turn) turn.enter()
        delivery.round()
        if (turn) turn.leave()
    }
}

/** Begins to call the head-end, which asks for nothing of a directory. */
export function callHeadEnd(uplink: SecureUplink, answers: Answers, addresses: Addresses): void {
    callHome.start(uplink, answers, addresses)
}

function callHome(uplink: SecureUplink, answers: Answers, addresses: Addresses): void {
    serveUplink(uplink, answers, addresses, undefined)
}
