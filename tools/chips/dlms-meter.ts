/** A meter of DLMS/COSEM at a line: the one of `plomb emulate dlms`, which readers of others were tried on (tools/emulate/README.md), at a UART with 8N1. */
import { DlmsEmulator, type DlmsOptions } from "../emulate/dlms.ts"
import { MeterLine } from "../emulate/line.ts"
import { meterOf } from "../emulate/meter.ts"
import type { Rs485Wire } from "./rs485-wire"
import { plainFormat } from "./uart-frame"

/** One meter, and what its line is. */
export interface DlmsMeterOptions extends DlmsOptions {
    baud?: number
    /** Share of frames that are damaged. */
    errors?: number
    /** Time until it answers, in ms. */
    reactionMs?: number
}

/** System title of that meter, hex: manufacturer, 0, number. */
export const dlmsMeterTitle = "504c420010000001"

export class DlmsMeter {
    readonly line: MeterLine

    constructor(wire: Rs485Wire, options: DlmsMeterOptions) {
        const { baud = 9600, errors = 0, reactionMs = 30 } = options
        let nowMs = 0
        const tap = wire.tap({
            format: plainFormat(baud),
            onReceived: (received, atMs) => {
                nowMs = atMs
                emulated.take(Buffer.of(received.octet))
            },
        })
        const port = {
            name: "wire",
            onData: () => {},
            write: (octets: Buffer) => tap.send(octets, nowMs + reactionMs),
            setBaud: () => {},
            close: async () => {},
        }
        this.line = new MeterLine(port, errors, 1, () => {})
        const emulated = new DlmsEmulator(meterOf(), this.line, options)
    }
}
