import * as ds from "@devicescript/core"

/**
 * A module of the MUC, without metrological meaning: which meter is asked when. Each gets its turn once a period, spread over it;
 * one that does not answer is asked again after 10 s, then 20, 40 and so on up to the period, so that it does not hold up the others.
 */

/** What the MUC offers (firmware/sandbox/polling-calls.ts). */
interface Host {
    onNext(f: (seconds: number) => number): void
    onAnswer(f: (index: number, seconds: number, ok: number) => number): void
    onSelfTest(f: () => number): void
    meters(): number
    medium(index: number): number
    period(): number
    silent(index: number, failures: number): void
}

class Turn {
    failures = 0
    constructor(public due: number) {}

    /** Seconds until it is asked again. */
    pause(period: number): number {
        if (this.failures === 0) return period
        let wait = 10
        for (let i = 1; i < this.failures && wait < period; ++i) wait = wait * 2
        return Math.min(wait, period)
    }
}

const host: Host = (ds as any).host
const electricity = 1
const turns: Turn[] = []

/** Meters run on batteries unless they are of electricity: those are asked a quarter as often. */
function periodOf(index: number): number {
    return host.medium(index) === electricity ? host.period() : host.period() * 4
}

function next(seconds: number): number {
    const count = host.meters()
    while (turns.length < count) turns.push(new Turn(seconds + Math.floor((turns.length * host.period()) / count)))
    let best = -1
    for (let i = 0; i < count; ++i)
        if (turns[i].due <= seconds && (best < 0 || turns[i].due < turns[best].due)) best = i
    return best
}

function answered(index: number, seconds: number, ok: number): number {
    const turn = turns[index]
    if (!turn) return -1
    turn.failures = ok ? 0 : turn.failures + 1
    if (turn.failures === 5) host.silent(index, turn.failures)
    turn.due = seconds + turn.pause(periodOf(index))
    return turn.due
}

function selfTest(): number {
    const turn = new Turn(0)
    if (turn.pause(900) !== 900) return 1
    turn.failures = 3
    return turn.pause(900) === 40 && turn.pause(30) === 30 ? 0 : 2
}

host.onNext(next)
host.onAnswer(answered)
host.onSelfTest(selfTest)
