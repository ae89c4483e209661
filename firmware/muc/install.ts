import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart } from "../../hal/parts"
import { MucClock } from "./clock"
import { Holdings } from "./holdings"
import { Identity } from "./identity"
import { Installation } from "./installation"
import { startInstallationService } from "./installation-service"
import { KeyRing } from "./keys"

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
    const holdings = new Holdings(fram)
    const clock = new MucClock(rtc, identity)
    const custody = machine.custody
    startInstallationService(new Installation(identity, new KeyRing(fram), holdings, custody, clock), custody)
    console.log("muc " + identity.serverId.toString("hex") + " step " + identity.step() + " for installation")
}
