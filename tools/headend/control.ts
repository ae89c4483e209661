import { chmodSync, rmSync } from "node:fs"
import { createConnection, createServer, type Socket } from "node:net"
import { createInterface } from "node:readline"
import type { KnownMeter } from "./hub.ts"
import { ExchangeError, type Trouble } from "./responses.ts"

/** Who carries files to devices: a head-end, or a hub. */
export interface Carrier {
    meters(): KnownMeter[]
    mucs(): string[]
    relay(serverId: string, request: Buffer): Promise<{ raw: Buffer; muc: string }>
}

/** What is asked over a control socket, one JSON text a line. */
interface Question {
    op: "devices" | "relay"
    target?: string
    file?: string
}

interface Reply {
    meters?: KnownMeter[]
    mucs?: string[]
    muc?: string
    /** Hex. */
    answer?: string
    trouble?: Trouble
    error?: string
}

const mostCharacters = 256 * 1024

async function replyTo(carrier: Carrier, line: string): Promise<Reply> {
    try {
        const { op, target = "", file = "" } = JSON.parse(line) as Question
        if (op === "devices") return { meters: carrier.meters(), mucs: carrier.mucs() }
        if (op !== "relay" || !/^([0-9a-f]{2})+$/.test(target) || !/^([0-9a-f]{2})+$/.test(file))
            return { error: 'expected {"op":"devices"} or {"op":"relay","target":HEX,"file":HEX}' }
        const { raw, muc } = await carrier.relay(target, Buffer.from(file, "hex"))
        return { answer: raw.toString("hex"), muc }
    } catch (error) {
        return { trouble: error instanceof ExchangeError ? error.trouble : undefined, error: (error as Error).message }
    }
}

/** Serves a local socket, which its owner alone may use, until it is closed. Rejects with the system's error. */
export async function serveControl(path: string, carrier: Carrier): Promise<{ close(): Promise<void> }> {
    if (!(await isServed(path))) rmSync(path, { force: true })
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
        sockets.add(socket)
        let length = 0
        socket.on("data", octets => {
            length += octets.length
            if (length > mostCharacters) socket.destroy()
        })
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        createInterface({ input: socket }).on("line", async line => {
            length = 0
            socket.write(`${JSON.stringify(await replyTo(carrier, line))}\n`)
        })
    })
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject)
        const before = process.umask(0o177)
        server.listen(path, resolve)
        process.umask(before)
    })
    chmodSync(path, 0o600)
    return {
        close: () =>
            new Promise(resolve => {
                for (const socket of sockets) socket.destroy()
                server.close(() => resolve())
            }),
    }
}

function isServed(path: string): Promise<boolean> {
    return new Promise(resolve => {
        const socket = createConnection(path, () => {
            socket.destroy()
            resolve(true)
        })
        socket.on("error", () => resolve(false))
    })
}

/** The carrier at the other end of a control socket. */
export class ControlClient {
    private constructor(private readonly socket: Socket) {}
    private readonly waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = []

    /** Rejects with `ExchangeError` "unreachable". */
    static open(path: string): Promise<ControlClient> {
        return new Promise((resolve, reject) => {
            const socket = createConnection(path, () => {
                createInterface({ input: socket }).on("line", line => client.waiting.shift()?.resolve(JSON.parse(line)))
                resolve(client)
            })
            const client = new ControlClient(socket)
            socket.on("error", error => reject(new ExchangeError("unreachable", `${path}: ${error.message}`)))
            socket.on("close", () => {
                const gone = new ExchangeError("hang-up", `${path}: the head-end hung up`)
                for (const each of client.waiting.splice(0)) each.reject(gone)
            })
        })
    }

    /** Meters and MUCs that are reached at present. */
    async devices(): Promise<{ meters: KnownMeter[]; mucs: string[] }> {
        const { meters = [], mucs = [] } = await this.ask({ op: "devices" })
        return { meters, mucs }
    }

    /** `Hub.relay` at the other end. */
    async relay(target: string, request: Buffer): Promise<Buffer> {
        const { answer } = await this.ask({ op: "relay", target, file: request.toString("hex") })
        return Buffer.from(answer ?? "", "hex")
    }

    close(): void {
        this.socket.destroy()
    }

    private async ask(question: Question): Promise<Reply> {
        const reply = await new Promise<Reply>((resolve, reject) => {
            this.waiting.push({ resolve, reject })
            this.socket.write(`${JSON.stringify(question)}\n`)
        })
        if (reply.error !== undefined) throw new ExchangeError(reply.trouble ?? "refused", reply.error)
        return reply
    }
}
