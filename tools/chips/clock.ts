/** World time, virtual or real. All parts of all boards of a bench share one. */
export interface ModelClock {
    /** Milliseconds, never decreasing; fractions allowed. The zero point is the world's own. */
    nowMs(): number
}

/** A clock a test moves by hand. */
export class ManualClock implements ModelClock {
    constructor(private ms = 0) {}

    nowMs(): number {
        return this.ms
    }

    /** Moves time on by `ms` milliseconds (0 or more). */
    advance(ms: number): void {
        if (!(ms >= 0)) throw new RangeError(`time moves forward only, came ${ms} ms`)
        this.ms += ms
    }
}

/** The machine's own clock: Unix time. */
export const realClock: ModelClock = { nowMs: () => Date.now() }
