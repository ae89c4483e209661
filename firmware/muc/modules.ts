import type { Machine } from "../../hal/machine"
import { Code, fail, PlombError } from "../core/errors"
import { Logbook } from "../core/logbook"
import { platform } from "../core/platform"
import { identificationPath } from "../core/sml-parameter"
import { parameterRequest } from "../core/sml-request"
import { MucCommandTrust } from "./command-trust"
import { logbookAt, logbookEntries } from "./layout"
import { callHeadEnd, LineSide, startLine } from "./line"
import type { LineMaster } from "./master"
import type { MeterList } from "./meters"
import { ModuleFunctions } from "./module-functions"
import { MucTrust } from "./peer-trust"
import { SecureUplink } from "./secure-uplink"
import { MucSoftware } from "./software"

const secondMs = 1000
/** Seconds within which an answer has left the board. */
const leaveSeconds = 4

/**
 * The MUC that runs a module, out of a slot or the one that ships with the image, and without the directory: the module says which meter is
 * asked when whether it is there.
 */
export function start(machine: Machine): void {
    let software: MucSoftware | undefined
    const side = new LineSide(machine, first => {
        software = softwareOf(machine, first)
        // As a value: the optimiser would keep what it holds for as long as this function runs.
        const begin = beginSoftware
        begin(software)
    })
    const runs = software
    if (!side.serves() || !runs) return
    const functions = new ModuleFunctions(
        side.fram,
        machine,
        side.identity,
        side.holdings,
        side.keys,
        side.clock,
        side.addresses,
    )
    functions.software = runs
    runs.logbook = functions.logbook
    const router = startLine(side, functions)
    keepSoftware.start(runs, side.master, side.meters)
    const uplink = machine.uplink
    const agreement = machine.agreement
    if (!uplink || !agreement) {
        console.log("this board has no uplink")
        return
    }
    const trust = new MucTrust(side.holdings, side.clock, false)
    callHeadEnd(new SecureUplink(uplink, side.holdings, machine.custody, agreement, trust), router, side.addresses)
}

function softwareOf(machine: Machine, side: LineSide): MucSoftware {
    const builtIn = machine.module
    if (!builtIn) fail(Code.SoftwareNone, -1, "a module in the image", "none")
    const log = new Logbook(
        side.fram,
        logbookAt,
        logbookEntries,
        "ring",
        new MucCommandTrust(side.holdings, side.clock),
    )
    return new MucSoftware(side.fram, machine, side.identity, side.holdings, side.clock, log, builtIn)
}

function beginSoftware(software: MucSoftware): void {
    software.begin()
}

/** Asks whom the module names, and starts the program anew where its software is to change. */
function keepSoftware(software: MucSoftware, master: LineMaster, meters: MeterList): void {
    let at = platform().millis()
    let leaving = 0
    while (true) {
        platform().sleepMs(secondMs)
        const now = platform().millis()
        const seconds = Math.floor((now - at) / secondMs)
        at += seconds * secondMs
        try {
            software.passed(seconds)
            askNext(software, master, meters)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
        if (software.restart && ++leaving > leaveSeconds)
            // Not caught: the program starts anew.
            throw new Error("software is to change")
    }
}

/** One question to a meter, where its time has come by the module; not while an order is carried out. */
function askNext(software: MucSoftware, master: LineMaster, meters: MeterList): void {
    const module = software.module
    if (!module || software.busy) return
    module.meters = meters
    let code = 0
    software.polling = true
    try {
        const index = module.next(Math.floor(platform().millis() / secondMs))
        if (index >= 0) {
            const heard = isThere(master, meters.idAt(index))
            module.answered(index, Math.floor(platform().millis() / secondMs), heard)
        }
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        code = e.code
        if (code !== Code.Busy) console.log("module " + e.message)
    } finally {
        software.polling = false
    }
    if (code > 0 && code !== Code.Busy) software.failed(code)
}

/** Does this meter say who it is? Throws `Busy` where the line has no turn for that. */
function isThere(master: LineMaster, id: Buffer): boolean {
    const requestId = platform().randomOctets(4)
    try {
        master.exchange(id, requestId, parameterRequest(requestId, id, identificationPath))
        return true
    } catch (e: any) {
        if (!(e instanceof PlombError) || e.code !== Code.MeterSilent) throw e
        return false
    }
}
