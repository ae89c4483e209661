/** A long test, with a summary and everything that should not have happened. */
export interface Outcome {
    /** Lines for people. */
    summary: string[]
    /** One line each; none = passed. */
    failures: string[]
    /** Cases that were run, where that is another number than was asked for. */
    cases?: number
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
