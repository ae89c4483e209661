import type { Machine } from "../../hal/machine"
import { MbusMaster } from "../../hal/mbus-master"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { startField } from "./field"
import { masterListSlotSize, masterListSlots } from "./layout"
import { plainRule } from "./rule"
import { SubMeters } from "./sub-meters"

const usualBaud = 2400
const usualPeriod = 15
/** Pause before the line is opened again where the UART has failed. */
const mendMs = 30000
const stepMs = 500

/**
 * The meter as master of gas and water meters on a wired M-Bus at its second line; by the fixed part's own rule, and without slots, whose place in the program it needs. Settings
 * of the board: `mbus_baud`, 2400 unless set; `mbus_period`, minutes between two readings, 15 unless set.
 */
export function start(machine: Machine): void {
    startField(
        machine,
        (_, meter) => {
            meter.rule = plainRule(meter)
            return undefined
        },
        (store, meter, port) => {
            const minutes = numberOf(machine, "mbus_period", usualPeriod)
            const subMeters = new SubMeters(store, meter, minutes * 60000)
            meter.further = subMeters
            meter.issuer.keep(masterListSlots, masterListSlotSize)
            serveMaster.start(subMeters, new MbusMaster(port, numberOf(machine, "mbus_baud", usualBaud)))
        },
    )
}

/** Reads all who are known, then looks once who else is there, then reads in each period; whatever fails, the electricity meter goes on. */
function serveMaster(subMeters: SubMeters, master: MbusMaster): void {
    let searched = false
    let open = false
    while (true) {
        const began = platform().millis()
        let pauseMs = subMeters.periodMs
        try {
            if (!open) master.open()
            open = true
            subMeters.readAll(master)
            if (!searched) {
                subMeters.search(master)
                searched = true
                pauseMs = 0
            }
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
            open = false
            pauseMs = mendMs
        }
        while (platform().millis() - began < pauseMs) platform().sleepMs(stepMs)
    }
}

/** A positive number of the board's settings, or the usual one. */
function numberOf(machine: Machine, key: string, usual: number): number {
    const number = parseInt(machine.settings.get(key))
    return number > 0 ? number : usual
}
