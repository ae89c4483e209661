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
import { MucClock } from "./clock"
import { Delivery } from "./delivery"
import { discover } from "./discovery"
import { Functions } from "./functions"
import { Holdings } from "./holdings"
import { Identity, Step } from "./identity"
import { Initialization } from "./initialization"
import { KeyRing } from "./keys"
import { LineMaster } from "./master"
import { MeterList } from "./meters"
import { MucTrust } from "./peer-trust"
import { SecureUplink } from "./secure-uplink"
import type { Turn } from "./turns"
import { serveUplink } from "./uplink"

export const lineBaud = 9600
/** Longest answer of a meter. */
export const longestFile = 4096
/** Once an hour, and every ten seconds while no meter is known. */
const discoveryMs = 3600000
const eagerDiscoveryMs = 10000
/** How often it is looked whether a meter's time to be told has come. */
const deliveryMs = 10000
/** A meter that answered no search and no request for so long has left the line. */
const silentMs = 604800000

/** The MUC image: finds the meters of its RS-485 line and carries requests and answers between them and its uplink. */
export function start(machine: Machine): void {
    const fram = new Mb85rc1mt(machine.bus, framAddress)
    fram.start()
    const uart = new Sc16is752(machine.bus, uartAddress, uartCrystalHz)
    const line = new SmlLine(uart.port(0), lineBaud, longestFile, false)
    startPart(() => {
        uart.start()
        line.open()
    })
    const rtc = new Ds3231(machine.bus)
    startPart(() => {
        rtc.start()
    })
    const identity = new Identity(fram, machine.deviceId)
    const custody = machine.custody
    if (identity.step() > Step.Installed) {
        console.log("to be erased")
        return
    }
    const clock = new MucClock(rtc, identity)
    const holdings = new Holdings(fram)
    const keys = new KeyRing(fram)
    const meters = new MeterList(fram)
    const addresses = new Addresses(fram, machine.settings)
    const master = new LineMaster(line, meters)
    const functions = new Functions(fram, machine, identity, holdings, keys, clock, addresses)
    functions.meters = meters
    const router = new Router(identity.serverId, master, meters, functions)
    console.log(
        "muc " +
            identity.serverId.toString("hex") +
            " step " +
            identity.step() +
            " knows " +
            meters.count() +
            " meters",
    )

    pumpLine.start(line)
    findMeters.start(master, meters)
    deliverForEver.start(new Delivery(holdings, master, meters))
    const uplink = machine.uplink
    const agreement = machine.agreement
    if (!uplink || !agreement) {
        console.log("this board has no uplink")
        return
    }
    const toDirectory = new SecureUplink(uplink, holdings, custody, agreement, new MucTrust(holdings, clock, true))
    const toHeadEnd = new SecureUplink(uplink, holdings, custody, agreement, new MucTrust(holdings, clock, false))
    const initialization = new Initialization(holdings, clock, toDirectory, addresses)
    functions.onProvider = () => initialization.soon()
    callHome.start(toHeadEnd, router, addresses, initialization)
}

export function pumpLine(line: SmlLine): void {
    line.pump()
}

/** `turn`: where somebody else wants the heap at times. */
export function findMeters(master: LineMaster, meters: MeterList, turn?: Turn): void {
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

export function deliverForEver(delivery: Delivery, turn?: Turn): void {
    while (true) {
        platform().sleepMs(deliveryMs)
        if (turn) turn.enter()
        delivery.round()
        if (turn) turn.leave()
    }
}

function callHome(uplink: SecureUplink, router: Router, addresses: Addresses, initialization: Initialization): void {
    serveUplink(uplink, router, addresses, initialization)
}
