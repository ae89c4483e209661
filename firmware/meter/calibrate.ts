import { Ade7953 } from "../../hal/ade7953"
import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart } from "../../hal/parts"
import { Code } from "../core/errors"
import { startCalibrationService } from "./calibration-service"
import { eraseOrdered } from "./erase"
import { Identity, Step } from "./identity"
import { Meter, measureForEver } from "./meter"
import { plainRule } from "./rule"

/**
 * The image that makes a meter: its service is what the calibration station talks to. It signs test readings before sealing
 * and nothing on a sealed meter, which it neither changes nor counts for. The field image (`main.ts`) works with what this one
 * leaves in the FRAM and the key's holder; it has no service that could write there.
 */
export function start(machine: Machine): void {
    const fram = new Mb85rc1mt(machine.bus, framAddress)
    fram.start()
    const rtc = new Ds3231(machine.bus)
    startPart(() => {
        rtc.start()
    })
    eraseOrdered(new Identity(fram), fram, machine)
    const meter = new Meter(machine, fram, new Ade7953(machine.bus), rtc)
    meter.signsAt = Step.Certified
    meter.rule = plainRule(meter)
    startCalibrationService(meter)
    measureForEver.start(meter)
    const step = meter.identity.step()
    console.log("meter " + meter.identity.serverId().toString("hex") + " step " + step + " for calibration")
    if (step === Step.Calibrated) console.log("E" + Code.AlreadyCalibrated + ": calibrated, flash meter")
}
