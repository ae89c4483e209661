import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart, uartAddress, uartCrystalHz } from "../../hal/parts"
import type { Uplink } from "../../hal/ports"
import { SmlLine } from "../../hal/rs485-link"
import { Sc16is752 } from "../../hal/sc16is752"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { TrustStore } from "../core/trust-store"
import { Router } from "./answer"
import { MucClock } from "./clock"
import { discover } from "./discovery"
import { Identity } from "./identity"
import { Installation } from "./installation"
import { startInstallationService } from "./installation-service"
import { KeyRing } from "./keys"
import { trustAt, trustSlotSize, trustSlots } from "./layout"
import { LineMaster } from "./master"
import { MeterList } from "./meters"
import { serveUplink } from "./uplink"

const lineBaud = 9600
/** Longest answer of a meter. */
const longestFile = 4096
/** Once an hour, and every ten seconds while no meter is known. */
const discoveryMs = 3600000
const eagerDiscoveryMs = 10000

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
    const clock = new MucClock(rtc, identity)
    const trust = new TrustStore(fram, trustAt, trustSlotSize, trustSlots)
    const custody = machine.custody
    startInstallationService(new Installation(identity, new KeyRing(fram), trust, custody, clock), custody)
    const meters = new MeterList(fram)
    const master = new LineMaster(line)
    const router = new Router(machine, identity.serverId, master, meters)
    console.log(
        "muc " + router.serverId.toString("hex") + " step " + identity.step() + " knows " + meters.count() + " meters",
    )

    pumpLine.start(line)
    findMeters.start(master, meters)
    const uplink = machine.uplink
    if (!uplink) console.log("this board has no uplink")
    else callHome.start(uplink, router, machine.settings.get("uplink"))
}

function pumpLine(line: SmlLine): void {
    line.pump()
}

function findMeters(master: LineMaster, meters: MeterList): void {
    while (true) {
        try {
            const found = discover(master, meters)
            if (found > 0) console.log("found " + found + " meters, now " + meters.count())
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            e.print()
        }
        platform().sleepMs(meters.count() > 0 ? discoveryMs : eagerDiscoveryMs)
    }
}

/** `where` is the setting `uplink`, "host:port". */
function callHome(uplink: Uplink, router: Router, where: string): void {
    const colon = where.lastIndexOf(":")
    const port = parseInt(where.slice(colon + 1))
    if (colon < 1 || !(port > 0 && port < 65536)) {
        console.log('uplink is not set (uplink=HOST:PORT), came "' + where + '"')
        return
    }
    serveUplink(uplink, router, where.slice(0, colon), port)
}
