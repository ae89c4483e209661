/** A long test, with a summary and everything that should not have happened. */
export interface Outcome {
    /** Lines for people. */
    summary: string[]
    /** One line each; none = passed. */
    failures: string[]
    /** Cases that were run, where that is another number than was asked for. */
    cases?: number
}

/** What a campaign of long runs may be told besides. */
export interface CaseOptions {
    /** This case alone. */
    only?: number
    /** Begin with this case, 1 by default. */
    from?: number
    /** One case in so many is of the costly kind; 0 = none. */
    each?: number
    /** Gets each case as it ends. */
    onCase?(what: Record<string, unknown>): void
}

/** Pseudo-random whole numbers below n; the same for the same seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
    let state = seed | 0
    return below => {
        state = (state + 0x6d2b79f5) | 0
        let t = Math.imul(state ^ (state >>> 15), 1 | state)
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
        return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
    }
}
