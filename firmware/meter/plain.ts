import type { Machine } from "../../hal/machine"
import { startField } from "./field"
import { plainRule } from "./rule"

/** The meter image without modules, where software custody leaves no room for them: the fixed part's own rule measures. */
export function start(machine: Machine): void {
    startField(machine, (_, meter) => {
        meter.rule = plainRule(meter)
        return undefined
    })
}
