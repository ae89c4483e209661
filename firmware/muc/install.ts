import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart } from "../../hal/parts"
import { Floor } from "../core/floor"
import { SoftwareArea } from "../core/software"
import { Addresses } from "./addresses"
import { MucClock } from "./clock"
import { eraseOrdered } from "./erase"
import { Holdings } from "./holdings"
import { Identity } from "./identity"
import { Installation } from "./installation"
import { startInstallationService } from "./installation-service"
import { KeyRing } from "./keys"
import { softwareAt } from "./layout"
import { LocalFunctions } from "./local-functions"

/**
 * The image for production and installation: the installation service and nothing else. The field image (`main.ts`) works with
 * what this one leaves in the FRAM and the key's holder; it has no service that could write there.
 */
export function start(machine: Machine): void {
    const fram = new Mb85rc1mt(machine.bus, framAddress)
    fram.start()
    const rtc = new Ds3231(machine.bus)
    startPart(() => {
        rtc.start()
    })
    const identity = new Identity(fram, machine.deviceId)
    const custody = machine.custody
    eraseOrdered(identity, fram, custody)
    const holdings = new Holdings(fram)
    const clock = new MucClock(rtc, identity)
    const keys = new KeyRing(fram)
    const addresses = new Addresses(fram, machine.settings)
    const functions = new LocalFunctions(fram, machine, identity, holdings, keys, clock, addresses)
    const floor = new Floor(fram, softwareAt + SoftwareArea.Floor, custody, () => custody)
    startInstallationService(new Installation(identity, keys, holdings, custody, clock, floor), custody, functions)
    console.log("muc " + identity.serverId.toString("hex") + " step " + identity.step() + " for installation")
}
