/** The sending half of a UART: a queue of octets and the times at which they get onto the line. */
import { characterMs, type Format } from "./uart-frame"

/** A character that is or was on the line. */
export interface Started {
    octet: number
    format: Format
    startMs: number
    endMs: number
}

/** The queue of one sender. */
export class UartTransmitter {
    private waiting: { octet: number; fromMs: number }[] = []
    /** End of the last stop bit sent or being sent. */
    private idleMs = Number.NEGATIVE_INFINITY

    /** Octets that have not started yet. */
    get queued(): number {
        return this.waiting.length
    }

    /** A character is on the line at `nowMs`. */
    sending(nowMs: number): boolean {
        return nowMs < this.idleMs
    }

    queue(octets: Iterable<number>, fromMs: number): void {
        for (const octet of octets) this.waiting.push({ octet, fromMs })
    }

    /** Drops what has not started. */
    clear(): void {
        this.waiting = []
    }

    /** Nothing may start before `ms`, for a sender that was held. */
    notBefore(ms: number): void {
        for (const w of this.waiting) w.fromMs = Math.max(w.fromMs, ms)
    }

    /** Takes the next octet off the queue if it starts by `untilMs`. */
    next(untilMs: number, format: Format, ideal: boolean): Started | undefined {
        if (this.waiting.length === 0) return undefined
        const { octet, fromMs } = this.waiting[0]
        const startMs = Math.max(fromMs, this.idleMs)
        if (startMs > untilMs) return undefined
        this.waiting.shift()
        this.idleMs = startMs + (ideal ? 0 : characterMs(format))
        return { octet, format, startMs, endMs: this.idleMs }
    }
}
