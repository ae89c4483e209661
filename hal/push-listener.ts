import { Code } from "../firmware/core/errors"
import { iecSevenBits } from "../firmware/core/iec62056"
import { platform } from "../firmware/core/platform"
import { codeOf } from "./bus-register"
import type { UartPort } from "./ports"

/** What puts telegrams together: `SmlReceiver`, `IecReceiver` (P1 and mode D), `HdlcReceiver` (DLMS push), `MbusReceiver`. */
export interface PushReceiver {
    feed(octets: Buffer): void
    /** Nothing came for longer than a telegram may pause. */
    timeout(): void
}

/**
 * Listens to a meter that sends unasked. Octets go to the receiver as they come; a silence of `silenceMs` parts telegrams, so that one cut off does not swallow the next.
 * A loss in the UART or its reset costs the telegram it fell into.
 *
 * @devsWhenUsed
 */
export class PushListener {
    /** Octets lost to the UART's FIFO or its settings; silences after octets, so about as many as telegrams. */
    overruns = 0
    resets = 0
    silences = 0
    /** When the last octet came, as `platform().millis()`: whether the meter is still there. */
    heardAt = 0
    private begun = false

    /** `sevenBits`: the parity is in the top bit and taken off here (7E1 at a UART that can only 8N1). */
    constructor(
        readonly port: UartPort,
        readonly receiver: PushReceiver,
        readonly silenceMs: number,
        readonly sevenBits: boolean,
    ) {}

    /** As `UartPort.open`. */
    open(baud: number, parity: number): void {
        this.port.open(baud, parity)
        this.baud = baud
        this.parity = parity
    }
    private baud = 0
    private parity = 0

    /** Takes in what has come; called more often than the UART's FIFO fills (66 ms at 9600 Bd). Errors of the bus pass. */
    poll(): void {
        try {
            const octets = this.port.receive()
            const now = platform().millis()
            if (octets.length > 0) {
                this.heardAt = now
                this.begun = true
                this.receiver.feed(this.sevenBits ? iecSevenBits(octets) : octets)
            } else if (this.begun && now - this.heardAt >= this.silenceMs) {
                this.begun = false
                ++this.silences
                this.receiver.timeout()
            }
        } catch (error) {
            const code = codeOf(error)
            if (code === Code.UartReset) {
                ++this.resets
                this.port.open(this.baud, this.parity)
            } else if (code === Code.UartOverrun) ++this.overruns
            else if (code !== Code.IecParity) throw error
            // What comes now does not belong to what came before.
            this.receiver.timeout()
        }
    }
}
