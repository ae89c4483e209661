import type { UartPort } from "../../hal/ports"
import { RADIO_AMB8465, RADIO_C1_T1, RADIO_IM871A, WmbusReceiver } from "../../hal/wmbus-receiver"
import { READ_SILENT } from "../core/bus-schedule"
import { Code } from "../core/errors"
import { platform } from "../core/platform"
import { wirelessTelegram } from "./field-radio"
import type { FieldSide } from "./field-side"

/** How often the UART is looked at, by the time its FIFO takes to fill, in ms. */
const pollMs = hex`05 1e`
/** A meter that was due so long ago, in seconds, and was not heard: its turn is over. */
const silentSeconds = 3600
const longestQueue = 8

/** A wireless M-Bus module on this line: setting "radio" 0 = iM871A, 1 = AMB8465 (unless set); setting "mode" 0 = T1, 1 = C1, 2 = S1, 3 = C1 and T1 (unless set). */
export function startWmbus(side: FieldSide, line: number, port: UartPort): void {
    const waiting: Buffer[] = []
    const module = side.setting("radio", RADIO_AMB8465) === RADIO_IM871A ? RADIO_IM871A : RADIO_AMB8465
    const receiver = new WmbusReceiver(port, module, telegram => {
        // What comes while others are being opened waits; memory is bounded, and meters send again.
        if (waiting.length < longestQueue) waiting.push(telegram)
    })
    serveWmbus.start(side, line, receiver)
    openWaiting.start(side, line, waiting)
}

function serveWmbus(side: FieldSide, line: number, receiver: WmbusReceiver): void {
    const wait = pollMs[receiver.module]
    side.serve(
        line,
        () => receiver.start(side.setting("mode", RADIO_C1_T1)),
        () => {
            receiver.poll()
            platform().sleepMs(wait)
            return true
        },
    )
}

/** Opens what was received: a fiber of its own, so that the UART does not wait for it. */
function openWaiting(side: FieldSide, line: number, waiting: Buffer[]): void {
    let lookedAt = side.now()
    for (;;) {
        const telegram = waiting.shift()
        if (telegram) wirelessTelegram(side, line, telegram)
        else platform().sleepMs(50)
        const now = side.now()
        if (now < lookedAt + 60) continue
        lookedAt = now
        const meter = side.meters.plan.next(line, now - silentSeconds)
        if (meter >= 0) {
            side.tell(meter, Code.MeterSilent)
            side.meters.plan.done(meter, READ_SILENT, false, now)
        }
    }
}
