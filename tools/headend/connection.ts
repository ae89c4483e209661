import type { Socket } from "node:net"
import { Code } from "../../firmware/core/errors.ts"
import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import { ExchangeError, type Response, readResponse } from "./responses.ts"

/** Largest response file taken, in octets. */
export const maxResponseOctets = 64 * 1024
/** A peer that sends this much without one good file is no MUC. */
const maxJunkOctets = 256 * 1024

/** A response file and what was read of it. */
export interface Answer {
    raw: Buffer
    response: Response
}

interface Waiting {
    request: Buffer
    requestId: Buffer
    timeoutMs: number
    source: string
    timer?: NodeJS.Timeout
    resolve(answer: Answer): void
    reject(error: Error): void
}

/** What a connection may take. */
export interface ConnectionLimits {
    /** Requests on the way at once: 1 for a MUC, whose line knows no more. */
    window: number
    /** Requests that wait, of one source; beyond it, "not now". */
    waiting: number
    /** Largest response file, in octets. */
    longest: number
}

export const mucLimits: ConnectionLimits = { window: 1, waiting: 64, longest: maxResponseOctets }

/**
 * The octets' end of one MUC or concentrator: each request gets its own answer or an `ExchangeError`. Sources that
 * ask through one connection take turns.
 */
export class PeerConnection {
    /** "address:port" of the peer. */
    readonly peer: string
    /** Octets received last, `Date.now()`. */
    heardAt = Date.now()
    private readonly receiver: SmlReceiver
    private readonly queue: Waiting[] = []
    private readonly underway = new Set<Waiting>()
    private readonly turns = new Map<string, number>()
    private served = 0
    private received = 0
    private ended = false

    constructor(
        private readonly socket: Socket,
        /** Hex of the peer's server id. */
        readonly id: string,
        private readonly onEnd: (reason: string) => void,
        private readonly limits = mucLimits,
    ) {
        this.peer = `${socket.remoteAddress}:${socket.remotePort}`
        socket.setNoDelay(true)
        socket.setKeepAlive(true, 30_000)
        this.receiver = new SmlReceiver(
            limits.longest,
            false,
            raw => this.onFile(raw),
            code => this.onProblem(code),
        )
        socket.on("data", octets => {
            this.heardAt = Date.now()
            this.received += octets.length
            this.receiver.feed(octets)
            if (this.received > maxJunkOctets) this.end("it sends without end and nothing whole")
        })
        socket.on("error", error => this.end(error.message))
        socket.on("close", () => this.end("it hung up"))
    }

    /** Nothing waits and nothing is on the way. */
    get idle(): boolean {
        return this.underway.size === 0 && this.queue.length === 0
    }

    /** Sends a request file and answers the response file that carries its id. The time counts from the sending. */
    exchange(request: Buffer, requestId: Buffer, timeoutMs: number, source = ""): Promise<Answer> {
        return new Promise((resolve, reject) => {
            if (this.ended) {
                reject(new ExchangeError("hang-up", `${this.name} is gone`))
                return
            }
            if (this.queue.filter(each => each.source === source).length >= this.limits.waiting) {
                reject(new ExchangeError("not now", `${this.limits.waiting} requests wait for ${this.name}`))
                return
            }
            this.queue.push({ request, requestId, timeoutMs, source, resolve, reject })
            this.next()
        })
    }

    /** Ends the connection; everything that waits fails as "hang-up". */
    end(reason: string): void {
        if (this.ended) return
        this.ended = true
        this.socket.destroy()
        const waiting = [...this.underway, ...this.queue.splice(0)]
        this.underway.clear()
        for (const each of waiting) {
            clearTimeout(each.timer)
            each.reject(new ExchangeError("hang-up", `${this.name}: ${reason}`))
        }
        this.onEnd(reason)
    }

    private get name(): string {
        return `MUC ${this.id}`
    }

    private next(): void {
        if (this.ended) return
        while (this.underway.size < this.limits.window && this.queue.length > 0) {
            const waiting = this.takeTurn()
            const { request, timeoutMs } = waiting
            waiting.timer = setTimeout(
                () => this.settle(waiting, new ExchangeError("timeout", `no answer within ${timeoutMs} ms`)),
                timeoutMs,
            )
            // What is left of an answer to an earlier question must not hide the start of this one's.
            if (this.underway.size === 0) this.receiver.timeout()
            this.underway.add(waiting)
            this.received = 0
            this.socket.write(request)
        }
    }

    /** The oldest request of the source that was served longest ago. */
    private takeTurn(): Waiting {
        const turn = ({ source }: Waiting) => this.turns.get(source) ?? 0
        const chosen = this.queue.reduce((best, each) => (turn(each) < turn(best) ? each : best))
        this.queue.splice(this.queue.indexOf(chosen), 1)
        // Nobody is left who remembers an earlier turn.
        if (this.queue.length === 0) this.turns.clear()
        this.turns.set(chosen.source, ++this.served)
        return chosen
    }

    private settle(waiting: Waiting, outcome: Error | Answer): void {
        clearTimeout(waiting.timer)
        if (!this.underway.delete(waiting)) return
        if (outcome instanceof Error) waiting.reject(outcome)
        else waiting.resolve(outcome)
        // Not from here: the receiver is still at work on the octets that brought this answer.
        setImmediate(() => this.next())
    }

    private onFile(raw: Buffer): void {
        this.received = 0
        try {
            const response = readResponse(raw)
            for (const each of this.underway)
                if (response.reqFileId.equals(each.requestId)) {
                    this.settle(each, { raw, response })
                    return
                }
            // A late answer to a question given up: nobody's.
        } catch (error) {
            this.fail(error as Error)
        }
    }

    private onProblem(code: number): void {
        if (this.received > 0) this.fail(new ExchangeError("damaged", `the answer is damaged (${Code[code] ?? code})`))
    }

    /** A damaged answer names no question: it may be the answer to any. */
    private fail(error: Error): void {
        for (const each of [...this.underway]) this.settle(each, error)
    }
}
