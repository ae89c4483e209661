import type { UartPort } from "../../hal/ports"
import { openWired } from "../core/mbus-telegram"
import { startMbus } from "./field-mbus"
import type { FieldSide } from "./field-side"

/** Wired M-Bus with meters that encrypt (security modes 5 and 7), beside those that do not. */
export function startSecuredMbus(side: FieldSide, line: number, port: UartPort): void {
    side.open = openWired
    startMbus(side, line, port)
}
