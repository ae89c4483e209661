import type { Machine } from "../../hal/machine"
import { Code, fail } from "../core/errors"
import { startField } from "./field"
import { Software } from "./software"

/** The meter image: what measures is a module, in a slot or the one that ships with the image. */
export function start(machine: Machine): void {
    startField(machine, (store, meter) => {
        const builtIn = machine.module
        if (!builtIn) fail(Code.SoftwareNone, -1, "a module in the image", "none")
        return new Software(store, meter, builtIn)
    })
}
