import type { RealTimeClock } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { type Identity, Step } from "./identity"

/**
 * The MUC's UTC. It is to be believed once certification has set it and while its oscillator has not stopped since; a
 * wrong time would let expired certificates through.
 *
 * @devsWhenUsed
 */
export class MucClock {
    constructor(
        private readonly rtc: RealTimeClock,
        private readonly identity: Identity,
    ) {}

    /** Seconds since 1970. Throws `TimeNotTrusted`, or what the part throws. */
    nowSeconds(): number {
        if (this.identity.step() < Step.Certified) fail(Code.TimeNotTrusted, -1, "a clock that was set", "none")
        const reading = this.rtc.read()
        if (!reading.running) fail(Code.TimeNotTrusted, -1, "a clock that went on", "one that stopped")
        return reading.utcSeconds
    }

    /** An authorised set of the time. */
    set(utcSeconds: number): void {
        this.rtc.set(utcSeconds)
    }
}
