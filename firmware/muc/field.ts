import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, secondUartAddress, startPart, uartAddress, uartCrystalHz } from "../../hal/parts"
import { Sc16is752 } from "../../hal/sc16is752"
import { platform } from "../core/platform"
import { Addresses } from "./addresses"
import { MucClock } from "./clock"
import { FieldFunctions } from "./field-functions"
import { FieldMeters } from "./field-meters"
import { type FieldBus, FieldSide } from "./field-side"
import { Holdings } from "./holdings"
import { Identity, Step } from "./identity"
import { KeyRing } from "./keys"
import { MucTrust } from "./peer-trust"
import { SecureUplink } from "./secure-uplink"
import { TelegramLists } from "./telegrams"
import { serveUplink } from "./uplink"

const signMs = 100

/**
 * The MUC image with field buses: reads meters that cannot sign, checks their symmetric protection, signs their telegrams as they came, and gives the lists to its uplink. `buses`: one a
 * line, as devicescript.json has them; two lines a UART chip.
 */
export function start(machine: Machine, buses: FieldBus[]): void {
    const fram = new Mb85rc1mt(machine.bus, framAddress)
    fram.start()
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
    const addresses = new Addresses(fram, machine.settings)
    const functions = new FieldFunctions(fram, machine, identity, holdings, keys, clock, addresses)
    functions.meters = functions
    functions.lines = buses.length
    console.log("muc " + identity.serverId.toString("hex") + " step " + identity.step())
    if (identity.step() < Step.Certified) {
        console.log("not installed: flash muc_install")
        return
    }
    const trust = functions.trust
    const side = new FieldSide(
        new FieldMeters(fram, buses.length),
        new TelegramLists(fram, machine, identity.serverId, trust),
        keys,
        trust,
        functions.logbook,
        machine.settings,
    )
    functions.side = side
    for (let line = 0; line < buses.length; line += 2)
        startLines(
            side,
            new Sc16is752(machine.bus, line > 0 ? secondUartAddress : uartAddress, uartCrystalHz),
            line,
            buses,
        )
    signLists.start(side.lists)
    const uplink = machine.uplink
    const agreement = machine.agreement
    if (!uplink || !agreement) {
        console.log("this board has no uplink")
        return
    }
    const toHeadEnd = new SecureUplink(uplink, holdings, custody, agreement, new MucTrust(holdings, clock, false))
    callHome.start(toHeadEnd, functions, addresses)
}

/** The lines of one UART chip. */
function startLines(side: FieldSide, part: Sc16is752, first: number, buses: FieldBus[]): void {
    startPart(() => {
        part.start()
    })
    for (let line = first; line < buses.length && line < first + 2; ++line) {
        if (side.meters.count(line) === 0) side.searches |= 1 << line
        buses[line](side, line, part.port(line & 1))
    }
}

function signLists(lists: TelegramLists): void {
    while (true) {
        lists.round()
        platform().sleepMs(signMs)
    }
}

function callHome(uplink: SecureUplink, functions: FieldFunctions, addresses: Addresses): void {
    serveUplink(uplink, functions, addresses, undefined)
}
