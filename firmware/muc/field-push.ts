import type { PushListener } from "../../hal/push-listener"
import { READ_SILENT } from "../core/bus-schedule"
import { Code } from "../core/errors"
import { platform } from "../core/platform"
import type { FieldSide } from "./field-side"

/** A silence that parts telegrams. */
export const pushSilenceMs = 200
const silentSeconds = 3600
/** Octets that may come until the UART is looked at again: half its FIFO. */
const halfFifo = 32

/**
 * Listens on a line whose meter sends unasked, for ever: settings "baud" and "parity" with the line's number (parity 0 = 8N1, 1 = 8E1, 2 = 7E1). The receiver stands in the listener
 * already: for a fiber of its own.
 */
export function listen(
    side: FieldSide,
    line: number,
    listener: PushListener,
    usualBaud: number,
    usualParity: number,
): void {
    const baud = side.setting("baud" + line, usualBaud)
    const parity = side.setting("parity" + line, usualParity)
    const pollMs = Math.max(1, Math.floor((halfFifo * 10000) / baud))
    let lookedAt = side.now()
    side.serve(
        line,
        () => listener.open(baud, parity),
        () => {
            listener.poll()
            platform().sleepMs(pollMs)
            if (platform().millis() - listener.heardAt < silentSeconds * 1000) return true
            const now = side.now()
            if (now < lookedAt + 60) return true
            lookedAt = now
            const meter = side.meters.plan.next(line, now - silentSeconds)
            if (meter >= 0) {
                side.tell(meter, Code.MeterSilent)
                side.meters.plan.done(meter, READ_SILENT, false, now)
            }
            return true
        },
    )
}
