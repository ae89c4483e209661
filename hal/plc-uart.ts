import { Code } from "../firmware/core/errors"
import { platform } from "../firmware/core/platform"
import { PlcReceiver } from "../firmware/core/plc-frame"
import { codeOf } from "./bus-register"
import type { UartPort } from "./ports"

/**
 * A transparent PLC modem on a UART: the stock runtime has none of its own, so a channel of the SC16IS752. The line is one
 * for the house, and often for its neighbours: whoever sends waits until nothing has come for a while, of a length drawn
 * by chance, so that two that wait do not begin together. What collides all the same is damaged, and is seen to be.
 */

/** 8N1. What such modems carry on the CENELEC bands is less, so their memory takes a frame and the line takes its time. */
export const plcBaud = 2400
/** At 2400 Bd the UART's 64 octets fill in 266 ms. */
const pollMs = 40
/** Silence before sending, ms: this and up to as much again. */
const silenceMs = 120
/** A line on which noise never ends is talked on all the same after this, ms. */
const longestWaitMs = 3000

/** @devsWhenUsed */
export class PlcUart {
    /** Times octets were lost in the UART or it had lost its settings. */
    losses: number
    private readonly receiver: PlcReceiver
    private heardAt: number
    private open: boolean
    private waiting: Buffer[]

    constructor(readonly port: UartPort) {
        this.losses = 0
        this.receiver = new PlcReceiver()
        this.heardAt = 0
        this.open = false
        this.waiting = []
    }

    /** What has come: frames as they stood between delimiters (`PlcLink.open`). Waits a little where there is nothing. */
    receive(): Buffer[] {
        this.listen()
        if (this.waiting.length === 0) platform().sleepMs(pollMs)
        const frames = this.waiting
        this.waiting = []
        return frames
    }

    /** Sends what `PlcLink.seal` gave, once the line is silent. What comes meanwhile is kept for `receive`. */
    send(frame: Buffer): void {
        const from = platform().millis()
        const silence = silenceMs + (platform().randomOctets(1)[0] * silenceMs) / 256
        for (;;) {
            this.listen()
            const now = platform().millis()
            if (now - this.heardAt >= silence || now - from > longestWaitMs) break
            platform().sleepMs(pollMs / 4)
        }
        try {
            this.port.send(frame)
        } catch (error) {
            this.lost(error)
        }
    }

    private listen(): void {
        try {
            if (!this.open) this.port.open(plcBaud, 0)
            this.open = true
            const octets = this.port.receive()
            if (octets.length === 0) return
            this.heardAt = platform().millis()
            const frames = this.receiver.take(octets)
            for (let i = 0; i < frames.length; ++i) this.waiting.push(frames[i])
        } catch (error) {
            this.lost(error)
        }
    }

    /** A part that was reset is opened again; a frame of which octets are lost shows by its CRC. */
    private lost(error: any): void {
        const code = codeOf(error)
        if (code === 0) throw error
        ++this.losses
        if (code !== Code.UartOverrun) this.open = false
        this.heardAt = platform().millis()
    }
}
