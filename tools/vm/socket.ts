import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import type { World } from "./world.ts"

/** Socket events as the VM numbers them. */
export const SocketEvent = { open: 1, close: 2, error: 3, data: 4 } as const

/** A board's queue delivers at most this many octets at once, as an ESP32 does. */
const chunkLength = 1024

/** Received octets waiting for the program beyond which the peer is held back. */
const highWater = 16 * 1024

/**
 * The one TCP connection a board has, behind the stock `@devicescript/net`. Events wait in `take` until the
 * board can run them; `onEvent` says that there is one.
 */
export class BoardSocket {
    private socket: Socket | undefined
    private readonly events: { kind: number; data: Uint8Array }[] = []
    private waiting = 0

    constructor(
        private readonly world: World,
        private readonly onEvent: () => void,
    ) {}

    /** Starts connecting; a negative port asks for TLS. An earlier connection is dropped. 0, always. */
    open(host: string, port: number): number {
        this.drop()
        const socket = port < 0 ? connectTls({ host, port: -port }) : connectTcp({ host, port })
        this.socket = socket
        this.world.noteOutside(1)
        this.world.noteSent()
        socket.once("close", () => this.world.noteOutside(-1))
        socket.setNoDelay(true)
        socket.once("connect", () => this.event(socket, SocketEvent.open))
        socket.on("data", data => {
            for (let at = 0; at < data.length; at += chunkLength)
                this.event(socket, SocketEvent.data, data.subarray(at, at + chunkLength))
            this.waiting += data.length
            if (this.waiting > highWater) socket.pause()
        })
        socket.on("error", error => {
            this.event(socket, SocketEvent.error, Buffer.from(`${host}:${Math.abs(port)}: ${error.message}`))
            if (this.socket === socket) this.socket = undefined
        })
        socket.on("close", () => {
            this.event(socket, SocketEvent.close)
            if (this.socket === socket) this.socket = undefined
        })
        return 0
    }

    /** Sends; -10 where there is no connection. */
    write(octets: Uint8Array): number {
        if (!this.socket) return -10
        this.world.noteSent()
        this.socket.write(Buffer.from(octets))
        return 0
    }

    /** Ends the connection; -10 where there is none. */
    close(): number {
        const socket = this.socket
        if (!socket) return -10
        this.socket = undefined
        this.events.length = 0
        this.waiting = 0
        socket.end()
        return 0
    }

    /** Resets the connection, as a power cut would leave it to the peer's time-out: the peer sees it end at once here. */
    drop(): void {
        this.socket?.destroy()
        this.socket = undefined
        this.events.length = 0
        this.waiting = 0
    }

    /** The next event for the program. */
    take(): { kind: number; data: Uint8Array } | undefined {
        const event = this.events.shift()
        if (event?.kind === SocketEvent.data) {
            this.waiting -= event.data.length
            if (this.waiting <= highWater && this.socket?.isPaused()) this.socket.resume()
        }
        return event
    }

    private event(socket: Socket, kind: number, data: Uint8Array = new Uint8Array(0)): void {
        if (this.socket !== socket) return
        this.world.noteReceived()
        this.events.push({ kind, data })
        this.onEvent()
    }
}
