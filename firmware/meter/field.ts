import { Ade7953 } from "../../hal/ade7953"
import { Ds3231 } from "../../hal/ds3231"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart, uartAddress, uartCrystalHz } from "../../hal/parts"
import type { UartPort } from "../../hal/ports"
import { SmlLine } from "../../hal/rs485-link"
import { Sc16is752 } from "../../hal/sc16is752"
import { Ssd1306Strips } from "../../hal/ssd1306"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { Answerer } from "./answer"
import { eraseOrdered } from "./erase"
import { Functions } from "./functions"
import { Identity, Step } from "./identity"
import { Meter, measureForEver } from "./meter"
import { Panel } from "./panel"
import type { Software } from "./software"

const lineBaud = 9600
/** Longest request taken from the line. */
const longestFile = 2560
/** Within this the longest answer has left the line. */
const leaveMs = 5000
/** How often the line is asked for a whole request. */
const lineMs = 30

/**
 * The field image: brings up the parts, then measures by what `softwareOf` sets as the meter's rule, and answers on the line; `second` puts the second line to use. Without its FRAM it is nobody, and the runtime
 * starts it again every five seconds; any other part may be missing or come later. What makes a key at first is in `calibrate.ts`.
 */
export function startField(
    machine: Machine,
    softwareOf: (store: Store, meter: Meter) => Software | undefined,
    second?: (store: Store, meter: Meter, port: UartPort) => void,
): void {
    const bus = machine.bus
    const fram = new Mb85rc1mt(bus, framAddress)
    fram.start()
    const rtc = new Ds3231(bus)
    startPart(() => {
        rtc.start()
    })
    const frontEnd = new Ade7953(bus)
    const uart = new Sc16is752(bus, uartAddress, uartCrystalHz)
    eraseOrdered(new Identity(fram), fram, machine)
    const meter = new Meter(machine, fram, frontEnd, rtc)
    const software = softwareOf(fram, meter)
    const answerer = new Answerer(meter, new Functions(fram, meter, software))
    if (software && meter.identity.step() === Step.Calibrated) software.start()
    const line = new SmlLine(uart.port(0), lineBaud, longestFile, false)
    startPart(() => {
        uart.start()
        line.open()
    })

    if (second) second(fram, meter, uart.port(1))
    meter.face = new Panel(new Ssd1306Strips(bus), meter)
    measureForEver.start(meter)
    pumpLine.start(line)
    serveLine.start(line, answerer)
    console.log("meter " + meter.identity.serverId().toString("hex") + " step " + meter.identity.step())
    if (meter.identity.step() < Step.Calibrated) console.log("not calibrated: flash meter_calibration")
}

/** One bad file must not stop the meter: it is told in the log, and the asker hears nothing. */
function serveLine(line: SmlLine, answerer: Answerer): void {
    while (true) {
        try {
            const file = line.poll()
            const answer = file ? answerer.answer(file) : undefined
            if (answer) {
                if (answer.delayMs > 0) platform().sleepMs(answer.delayMs)
                line.send(answer.file)
                if (answerer.erasing()) {
                    platform().sleepMs(leaveMs)
                    // Not caught: the program starts anew, and erases before all else.
                    throw new Error("erasing")
                }
            }
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
        platform().sleepMs(lineMs)
    }
}

function pumpLine(line: SmlLine): void {
    line.pump()
}
