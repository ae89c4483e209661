import { once } from "node:events"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import type { LanNetwork } from "./w5500.ts"
import type { LanPeer } from "./w5500-socket.ts"

interface Listener {
    server: Server
    connect: (peer: LanPeer) => boolean
    /** The host listens; rejected where it can not. */
    ready: Promise<unknown>
}

/** Lets clients of this host connect to the listening ports of a `W5500`: each is a port of 127.0.0.1. */
export class LanBridge implements LanNetwork {
    private readonly servers = new Map<number, Listener>()

    /** `hostPort`: which port of the host stands for one of the chip; 0 for any that is free. */
    constructor(private readonly hostPort: (port: number) => number = () => 0) {}

    listen(port: number, connect: (peer: LanPeer) => boolean): void {
        const held = this.servers.get(port)
        if (held) {
            held.connect = connect
            return
        }
        const server = createServer({ allowHalfOpen: true })
        const entry: Listener = { server, connect, ready: once(server, "listening") }
        // Who asks for the port hears of it.
        entry.ready.catch(() => {})
        this.servers.set(port, entry)
        entry.server.on("connection", socket => {
            if (!entry.connect(new SocketPeer(socket))) socket.resetAndDestroy()
        })
        entry.server.listen(this.hostPort(port), "127.0.0.1")
    }

    /** Connections are refused from now on; the host's ports stay, as the cable does. */
    down(): void {
        for (const entry of this.servers.values()) entry.connect = () => false
    }

    /** Has the chip listened at `port`? */
    listens(port: number): boolean {
        return this.servers.has(port)
    }

    /** Port of the host that stands for `port` of the chip, once the chip has listened there. Throws where the host's is taken. */
    async portOf(port: number): Promise<number> {
        const entry = this.servers.get(port)
        if (!entry) throw new Error(`the chip does not listen at ${port}`)
        await entry.ready
        return (entry.server.address() as AddressInfo).port
    }

    close(): void {
        for (const { server } of this.servers.values()) server.close()
        this.servers.clear()
    }
}

class SocketPeer implements LanPeer {
    readonly address: Uint8Array
    readonly port: number
    onOctets: (octets: Uint8Array) => void = () => {}
    onFinish: () => void = () => {}
    onClosed: () => void = () => {}

    constructor(private readonly socket: Socket) {
        this.address = Uint8Array.from((socket.remoteAddress ?? "127.0.0.1").split(".").map(Number))
        this.port = socket.remotePort ?? 0
        socket.setNoDelay(true)
        socket.on("data", octets => this.onOctets(octets))
        socket.on("end", () => this.onFinish())
        socket.on("close", () => this.onClosed())
        socket.on("error", () => {})
    }

    send(octets: Uint8Array, acknowledged: () => void): void {
        this.socket.write(octets, error => {
            if (!error) acknowledged()
        })
    }

    finish(): void {
        this.socket.end()
    }

    abort(): void {
        this.onClosed = () => {}
        this.socket.resetAndDestroy()
    }

    window(open: boolean): void {
        if (open) this.socket.resume()
        else this.socket.pause()
    }
}
