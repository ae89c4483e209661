import { setImmediate as turn } from "node:timers/promises"

/** Something that will happen; `cancel` is harmless once it has. */
export interface Timer {
    cancel(): void
}

interface Event {
    atMs: number
    order: number
    run(): void
    cancelled: boolean
}

export interface WorldOptions {
    /** "real" (default): time passes by itself. "virtual": time jumps to the next event, inside `runFor` and `runUntil` only. */
    clock?: "real" | "virtual"
    /** Virtual time at the start, milliseconds since 1970; 2026-01-01T00:00:00Z by default. */
    startMs?: number
    /** Real milliseconds a virtual clock waits for an answer to what went out by a socket; 10 by default. */
    patienceMs?: number
}

/** Real milliseconds that events may run in one go before Node gets its turn. */
const sliceMs = 8

/** Turns of Node's event loop without any activity after which socket traffic counts as settled. */
const quietTurns = 4

/**
 * The clock that boards, chips and wires share, and the queue of what is due. Times are milliseconds since
 * 1970, fractions allowed. In a virtual world the clock stands still while code runs, except for what
 * `spend` adds, and jumps to the next event once no socket has anything left to deliver.
 */
export class World {
    readonly virtual: boolean
    private readonly startMs: number
    /** Time since the start of a virtual world; small, so that microseconds are exact enough. */
    private virtualMs = 0
    private readonly originMs: number
    private order = 0
    private readonly queue: Event[] = []
    private wake: { cancel(): void } | undefined
    private wakeAtMs = Number.POSITIVE_INFINITY
    private driving = false
    private closed = false
    private holds = 0
    private activity = 0
    private patientUntil = 0
    private readonly patienceMs: number
    /** Open sockets and other links to code outside the world. */
    private outside = 0
    private readonly failures: Error[] = []

    constructor(options: WorldOptions = {}) {
        this.virtual = options.clock === "virtual"
        this.startMs = this.virtual
            ? (options.startMs ?? Date.UTC(2026, 0, 1))
            : performance.timeOrigin + performance.now()
        this.originMs = performance.now()
        this.patienceMs = options.patienceMs ?? 10
    }

    /** World time, milliseconds since 1970. */
    nowMs(): number {
        return this.startMs + this.elapsedMs()
    }

    /** Milliseconds since the world began. */
    elapsedMs(): number {
        return this.virtual ? this.virtualMs : performance.now() - this.originMs
    }

    /** Virtual worlds only: `milliseconds` of the present activity's own duration (a bus transfer, an instruction). */
    spend(milliseconds: number): void {
        this.virtualMs += milliseconds
    }

    /**
     * Carries out `work` beside what others do at the same time: what it spends is its own, and answered; then the clock of a virtual world
     * shows again when it began. Whoever works so must not begin anew before that time is over.
     */
    aside(work: () => void): number {
        const beganMs = this.elapsedMs()
        work()
        const tookMs = this.elapsedMs() - beganMs
        if (!this.virtual) return 0
        this.virtualMs = beganMs
        return tookMs
    }

    /** Calls `run` once the clock shows `atMs`; events of one moment run in the order they were registered. */
    at(atMs: number, run: () => void): Timer {
        return this.after(atMs - this.nowMs(), run)
    }

    /** Calls `run` after `milliseconds`. */
    after(milliseconds: number, run: () => void): Timer {
        const atMs = this.elapsedMs() + Math.max(0, milliseconds)
        const event: Event = { atMs, order: this.order++, run, cancelled: false }
        let low = 0
        let high = this.queue.length
        while (low < high) {
            const middle = (low + high) >> 1
            if (this.queue[middle].atMs <= atMs) low = middle + 1
            else high = middle
        }
        this.queue.splice(low, 0, event)
        this.arm()
        return {
            cancel: () => {
                if (event.cancelled) return
                event.cancelled = true
                const place = this.queue.indexOf(event)
                if (place >= 0) this.queue.splice(place, 1)
            },
        }
    }

    /** Waits in world time; in a virtual world somebody else must be running it. */
    sleep(milliseconds: number): Promise<void> {
        return new Promise(resolve => this.after(milliseconds, resolve))
    }

    /** Keeps a virtual clock from jumping until the answer is called: for work that Node does meanwhile. */
    hold(): () => void {
        let held = true
        this.holds++
        return () => {
            if (held) this.holds--
            held = false
        }
    }

    /** Runs the world for `milliseconds` of its time. */
    async runFor(milliseconds: number): Promise<void> {
        await this.drive(this.elapsedMs() + milliseconds, () => false)
    }

    /** Runs until `condition` holds; throws when it does not within `timeoutMs` of world time. */
    async runUntil(condition: () => boolean, timeoutMs: number): Promise<void> {
        if (!(await this.drive(this.elapsedMs() + timeoutMs, condition)))
            throw new Error(`the condition did not come true within ${timeoutMs} ms`)
    }

    /** Runs the world until `promise` settles and answers its value; throws after `timeoutMs` of world time. */
    async runWhile<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
        let settled = false
        const done = () => {
            settled = true
        }
        promise.then(done, done)
        await this.runUntil(() => settled, timeoutMs)
        return promise
    }

    /** Stops the clock for good; boards are powered off by their owners. */
    close(): void {
        this.closed = true
        this.queue.length = 0
        this.wake?.cancel()
        this.wake = undefined
    }

    /** A link to code outside the world (a socket) was opened (+1) or closed (-1). */
    noteOutside(change: 1 | -1): void {
        this.outside += change
    }

    /** Something went outside: a virtual clock gives the answer `patienceMs` of real time to come. */
    noteSent(): void {
        this.patientUntil = performance.now() + this.patienceMs
    }

    /** Something came from outside: a virtual clock stands until what follows from it is done. */
    noteReceived(): void {
        this.activity++
        this.patientUntil = 0
    }

    /** An error nobody has asked for yet; `runFor` and `runUntil` throw it. */
    noteFailure(error: Error): void {
        this.failures.push(error)
    }

    private async drive(untilMs: number, condition: () => boolean): Promise<boolean> {
        if (this.driving) throw new Error("this world is being run already")
        this.driving = true
        try {
            return this.virtual ? await this.driveVirtual(untilMs, condition) : await this.driveReal(untilMs, condition)
        } finally {
            this.driving = false
        }
    }

    private async driveReal(untilMs: number, condition: () => boolean): Promise<boolean> {
        while (!this.closed) {
            this.throwFailure()
            if (condition()) return true
            const left = untilMs - this.elapsedMs()
            if (left <= 0) break
            await new Promise(resolve => setTimeout(resolve, Math.min(left, 2)))
        }
        return false
    }

    private async driveVirtual(untilMs: number, condition: () => boolean): Promise<boolean> {
        let sliceEnd = performance.now() + sliceMs
        while (!this.closed) {
            this.throwFailure()
            if (condition()) return true
            const next = this.queue[0]
            if (!next || next.atMs > this.virtualMs) {
                if (await this.settle()) continue
                const jump = this.queue[0]?.atMs ?? Number.POSITIVE_INFINITY
                if (jump > untilMs || jump === Number.POSITIVE_INFINITY) {
                    // Nothing more to do here: what Node still has to do decides whether this is the end.
                    await turn()
                    if (condition() || this.queue[0]?.atMs <= Math.min(untilMs, this.virtualMs)) continue
                    if (untilMs === Number.POSITIVE_INFINITY) continue
                    this.virtualMs = Math.max(this.virtualMs, untilMs)
                    return condition()
                }
                this.virtualMs = Math.max(this.virtualMs, jump)
            } else {
                if (this.virtualMs >= untilMs && next.atMs > untilMs) return condition()
                this.queue.shift()
                next.cancelled = true
                next.run()
            }
            if (performance.now() > sliceEnd) {
                await turn()
                sliceEnd = performance.now() + sliceMs
            }
        }
        return false
    }

    /** Lets Node deliver what is under way; true when that made something due. */
    private async settle(): Promise<boolean> {
        if (this.holds === 0 && this.outside === 0) return false
        let seen = this.activity
        for (let quiet = 0; this.waits(quiet); quiet++) {
            await turn()
            if (this.queue[0]?.atMs <= this.virtualMs) return true
            if (this.activity !== seen) {
                seen = this.activity
                quiet = 0
            }
        }
        return false
    }

    private waits(quiet: number): boolean {
        return quiet < quietTurns || this.holds > 0 || performance.now() < this.patientUntil
    }

    private throwFailure(): void {
        const failure = this.failures.shift()
        if (failure) throw failure
    }

    /** Real worlds: makes Node wake us for the first event. */
    private arm(): void {
        if (this.virtual || this.closed || this.queue.length === 0) return
        const atMs = this.queue[0].atMs
        if (this.wake) {
            if (this.wakeAtMs <= atMs) return
            this.wake.cancel()
        }
        this.wakeAtMs = atMs
        const wait = atMs - this.elapsedMs()
        const pump = () => this.pump()
        if (wait <= 0) {
            const handle = setImmediate(pump)
            this.wake = { cancel: () => clearImmediate(handle) }
        } else {
            const handle = setTimeout(pump, wait)
            this.wake = { cancel: () => clearTimeout(handle) }
        }
    }

    private pump(): void {
        this.wake = undefined
        this.wakeAtMs = Number.POSITIVE_INFINITY
        const end = performance.now() + sliceMs
        try {
            while (this.queue.length > 0 && this.queue[0].atMs <= this.elapsedMs() && performance.now() < end) {
                const event = this.queue.shift()
                if (!event) break
                event.cancelled = true
                event.run()
            }
        } finally {
            this.arm()
        }
    }
}
