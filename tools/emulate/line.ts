import { randomFrom } from "../campaign/outcome.ts"
import type { Port } from "./port.ts"

/** What an emulated meter is on: says its frames, some of them damaged, and hears what a reader says. */
export class MeterLine {
    /** Frames that were sent, and how many of them damaged. */
    sent = 0
    damaged = 0
    private readonly random: (below: number) => number

    /** `errors`: share of damaged frames, 0 to 1; `startedMs`: of the clock that makes registers grow; `log` gets each frame. */
    constructor(
        private readonly port: Port,
        private readonly errors: number,
        seed: number,
        private readonly log: (line: string) => void,
        private readonly startedMs = Date.now(),
    ) {
        this.random = randomFrom(seed)
    }

    elapsedMs(): number {
        return Date.now() - this.startedMs
    }

    setBaud(baud: number): void {
        this.port.setBaud(baud)
    }

    /** What came in, for the log. */
    heard(octets: Buffer): void {
        this.log(`< ${octets.toString("hex")}`)
    }

    send(frame: Buffer): void {
        ++this.sent
        const bad = this.random(1_000_000) < this.errors * 1_000_000
        const octets = bad ? this.harmed(frame) : frame
        if (bad) ++this.damaged
        this.log(`> ${octets.toString("hex")}${bad ? "  (damaged)" : ""}`)
        if (octets.length > 0) this.port.write(octets)
    }

    /** A bit turned, an octet lost, the end lost, or nothing at all. */
    private harmed(frame: Buffer): Buffer {
        const at = this.random(frame.length)
        const which = this.random(8)
        if (which === 0) return Buffer.alloc(0)
        if (which === 1) return frame.subarray(0, at)
        if (which === 2) return Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1)])
        const copy = Buffer.from(frame)
        copy[at] ^= 1 << this.random(8)
        return copy
    }
}

/** An emulated meter. */
export interface Emulated {
    /** What a reader has sent. */
    take(octets: Buffer): void
    /** Ends its timers. */
    stop(): void
}
