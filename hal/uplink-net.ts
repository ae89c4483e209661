import * as ds from "@devicescript/core"
import { Code, fail } from "../firmware/core/errors"
import type { Uplink } from "./ports"

const closed = 0
const opening = 1
const open = 2

/** Octets handed to the runtime at once: an ESP32 queues 50 such pieces, and a Pico W's lwIP has 4 KB in all. */
const pieceLength = 1024

/** Octets of heap that may wait to be received: whoever sends more unasked loses the connection, not the board its heap. */
const mostWaiting = 8192
/** What a piece takes beside its octets, which may be one. */
const pieceCost = 32

/** How long a full send queue may stay full. */
const stuckMs = 10000

/**
 * The stock runtime's one TCP socket. Built on its native calls and not on `@devicescript/net`, whose `send` throws
 * where it means to try again, and whose `recv` cannot tell the Pico W's way of reporting the peer's close from a fault.
 * A second connection ends the first. However a connection ends, `receive` first hands out what had arrived, then `null`.
 */
export class NetUplink implements Uplink {
    private state: number
    private reason: string
    private arrived: Buffer[]
    /** Heap that `arrived` takes, roughly. */
    private held: number
    private waiting: ds.Fiber

    /**
     * `pauseMs` after each piece sent: 0, or on a Pico W 100, since its runtime drops the connection instead of saying
     * that its 4 KB are full.
     */
    constructor(readonly pauseMs: number) {
        this.state = closed
        this.arrived = []
        this.held = 0
    }

    connect(host: string, port: number, timeoutMs: number): void {
        this.close()
        this.arrived = []
        this.held = 0
        this.reason = ""
        this.state = opening
        const dsx = ds as any
        const self = this
        dsx._socketOnEvent = (event: string, arg: any) => self.onEvent(event, arg)
        const result: number = dsx._socketOpen(host, port)
        if (result === 0 && this.state === opening) this.wait(timeoutMs)
        if (this.state === open) return
        const silent = this.state === opening && result === 0
        const reason = this.reason
        this.close()
        if (silent) fail(Code.LinkTimeout, -1, "a connection to " + host + ":" + port, timeoutMs + " ms of silence")
        fail(Code.LinkRefused, -1, "a connection to " + host + ":" + port, reason || "result " + result)
    }

    send(octets: Buffer): void {
        let at = 0
        while (at < octets.length) {
            const count = Math.min(pieceLength, octets.length - at)
            let piece = octets
            if (count < octets.length) {
                piece = Buffer.alloc(count)
                piece.blitAt(0, octets, at, count)
            }
            this.sendPiece(piece)
            at += count
            if (this.pauseMs > 0) this.pause(this.pauseMs)
        }
    }

    receive(timeoutMs: number): Buffer | undefined | null {
        if (this.arrived.length === 0 && this.state === open) this.wait(timeoutMs)
        if (this.arrived.length > 0) {
            const octets = this.arrived.shift()
            if (octets) this.held -= octets.length + pieceCost
            return octets
        }
        return this.state === open ? undefined : null
    }

    close(): void {
        if (this.state === closed) return
        this.state = closed
        const dsx = ds as any
        dsx._socketClose()
    }

    private sendPiece(piece: Buffer): void {
        const dsx = ds as any
        let waited = 0
        while (this.state === open) {
            const result: number = dsx._socketWrite(piece)
            if (result === 0) return
            if (result !== -1 || waited >= stuckMs) {
                this.close()
                fail(Code.LinkLost, -1, "octets taken", "result " + result)
            }
            this.pause(10)
            waited += 10
        }
        fail(Code.LinkLost, -1, "an open connection", this.reason || "closed")
    }

    /** Runs in a fiber of its own, and within a native call of this class at times. */
    private onEvent(event: string, arg: any): void {
        if (event === "open") this.state = open
        else if (event === "data") {
            this.held += arg.length + pieceCost
            if (this.held <= mostWaiting) this.arrived.push(arg)
            else this.close()
        } else {
            if (event === "error") this.reason = "" + arg
            this.state = closed
        }
        const fiber = this.waiting
        this.waiting = undefined
        if (fiber && fiber.suspended) fiber.resume(true)
    }

    private wait(timeoutMs: number): void {
        const suspend: any = ds.suspend
        this.waiting = ds.Fiber.self()
        suspend(timeoutMs)
        this.waiting = undefined
    }

    private pause(milliseconds: number): void {
        const sleep: any = ds.sleep
        sleep(milliseconds)
    }
}
