import type { Socket } from "node:net"
import { Code } from "../../firmware/core/errors.ts"
import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import { ExchangeError, type Response, readResponse } from "./responses.ts"

/** Largest response file taken, in octets. */
export const maxResponseOctets = 64 * 1024
/** A peer that sends this much without one good file is no MUC. */
const maxJunkOctets = 256 * 1024

interface Waiting {
    request: Buffer
    requestId: Buffer
    timeoutMs: number
    resolve(answer: { raw: Buffer; response: Response }): void
    reject(error: Error): void
}

/** The octets' end of one MUC: requests go down one after the other, each gets its own answer or an `ExchangeError`. */
export class MucConnection {
    /** "address:port" of the peer. */
    readonly peer: string
    /** Hex of the MUC's server id, once it has said it. */
    id = ""
    private readonly receiver: SmlReceiver
    private readonly queue: Waiting[] = []
    private current: Waiting | undefined
    private timer: NodeJS.Timeout | undefined
    private received = 0
    private ended = false

    constructor(
        private readonly socket: Socket,
        private readonly onEnd: (reason: string) => void,
    ) {
        this.peer = `${socket.remoteAddress}:${socket.remotePort}`
        socket.setNoDelay(true)
        socket.setKeepAlive(true, 30_000)
        this.receiver = new SmlReceiver(
            maxResponseOctets,
            false,
            raw => this.onFile(raw),
            code => this.onProblem(code),
        )
        socket.on("data", octets => {
            this.received += octets.length
            this.receiver.feed(octets)
            if (this.received > maxJunkOctets) this.end("it sends without end and nothing whole")
        })
        socket.on("error", error => this.end(error.message))
        socket.on("close", () => this.end("it hung up"))
    }

    /** Sends a request file and answers the response file that carries its id. */
    exchange(request: Buffer, requestId: Buffer, timeoutMs: number): Promise<{ raw: Buffer; response: Response }> {
        return new Promise((resolve, reject) => {
            if (this.ended) {
                reject(new ExchangeError("hang-up", `MUC ${this.id || this.peer} is gone`))
                return
            }
            this.queue.push({ request, requestId, timeoutMs, resolve, reject })
            this.next()
        })
    }

    /** Ends the connection; everything that waits fails as "hang-up". */
    end(reason: string): void {
        if (this.ended) return
        this.ended = true
        clearTimeout(this.timer)
        this.socket.destroy()
        const waiting = this.current ? [this.current, ...this.queue] : this.queue
        this.current = undefined
        for (const each of waiting.splice(0))
            each.reject(new ExchangeError("hang-up", `MUC ${this.id || this.peer}: ${reason}`))
        this.onEnd(reason)
    }

    private next(): void {
        if (this.current || this.ended) return
        this.current = this.queue.shift()
        if (!this.current) return
        const { request, timeoutMs } = this.current
        this.timer = setTimeout(
            () => this.settle(new ExchangeError("timeout", `no answer within ${timeoutMs} ms`)),
            timeoutMs,
        )
        // What is left of an answer to an earlier question must not hide the start of this one's.
        this.receiver.timeout()
        this.received = 0
        this.socket.write(request)
    }

    private settle(outcome: Error | { raw: Buffer; response: Response }): void {
        const { current } = this
        clearTimeout(this.timer)
        this.current = undefined
        if (outcome instanceof Error) current?.reject(outcome)
        else current?.resolve(outcome)
        // Not from here: the receiver is still at work on the octets that brought this answer.
        setImmediate(() => this.next())
    }

    private onFile(raw: Buffer): void {
        this.received = 0
        try {
            const response = readResponse(raw)
            // A late answer to a question given up: not this one's.
            if (!this.current || !response.reqFileId.equals(this.current.requestId)) return
            this.settle({ raw, response })
        } catch (error) {
            this.settle(error as Error)
        }
    }

    private onProblem(code: number): void {
        if (this.current && this.received > 0)
            this.settle(new ExchangeError("damaged", `the answer is damaged (${Code[code] ?? code})`))
    }
}
