import { randomBytes } from "node:crypto"
import { EventEmitter } from "node:events"
import type { TLSSocket } from "node:tls"
import { Role } from "../../firmware/core/x509-role.ts"
import type { Peer } from "../tls/peer.ts"
import { TlsListener } from "../tls/server.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import { type Answer, type ConnectionLimits, mucLimits, PeerConnection } from "./connection.ts"
import { metersBehind } from "./meters-behind.ts"
import { metersRequest } from "./requests.ts"
import { demandAnswer, ExchangeError, type Trouble, treeValues } from "./responses.ts"

/** How a hub works; times in milliseconds. */
export interface HubOptions {
    /** Mutual TLS 1.3. */
    tls: TlsSettings
    /** Who may connect: MUCs, concentrators. */
    roles: readonly Role[]
    /** Longest wait for one answer. */
    timeoutMs: number
    /** How often a question is put before it is given up, and the pause before the second time, doubled each time. */
    attempts: number
    pauseMs: number
    /** How often a MUC without meters is asked again, and one with meters whether it is still there. */
    refreshMs: number
    pingMs: number
    /** Most peers connected at once. */
    most: number
    /** Limits of a MUC's connection. */
    limits?: ConnectionLimits
}

/** A meter that a connected MUC can reach. */
export interface KnownMeter {
    serverId: string
    muc: string
    /** Through which concentrator, if through one. */
    concentrator?: string
}

interface Route {
    connection: PeerConnection
    /** Hex of the MUC's server id. */
    muc: string
}

const worthAnother: readonly Trouble[] = ["timeout", "hang-up", "damaged", "unreachable", "not now"]
const maxMeters = 250
const longestPauseMs = 30_000
const concentratorLimits: ConnectionLimits = { ...mucLimits, window: 64, waiting: 10_000 }

/**
 * Accepts MUCs and concentrators and knows which meters they reach; what is asked of a meter goes down the right
 * connection. A peer is who its certificate says. Head-end and concentrator are built on it.
 * Events: "muc" (KnownMeter[], a peer said what it has), "concentrator" (PeerConnection), "gone" (id), "log" (one line).
 */
export class Hub extends EventEmitter {
    private readonly listener: TlsListener
    private readonly connections = new Set<PeerConnection>()
    private readonly routes = new Map<string, Route>()
    /** MUCs that sign lists themselves, of telegrams of meters that cannot. */
    private readonly signing = new Set<string>()
    private readonly sleepers = new Map<NodeJS.Timeout, () => void>()
    closed = false

    constructor(private readonly options: HubOptions) {
        super()
        const { tls, roles } = options
        this.listener = new TlsListener({
            settings: tls,
            roles,
            onPeer: (socket, peer) => this.accept(socket, peer),
            log: line => this.log(line),
        })
        this.listener.server.maxConnections = options.most + 64
    }

    /** Listens; port 0 takes any. The answer is where. Rejects with the system's error. */
    listen(port: number, host = "127.0.0.1"): Promise<{ host: string; port: number }> {
        const { server } = this.listener
        return new Promise((resolve, reject) => {
            server.once("error", reject)
            server.listen(port, host, () => {
                server.off("error", reject)
                const address = server.address() as { address: string; port: number }
                this.log(`listening on ${address.address}:${address.port}`)
                resolve({ host: address.address, port: address.port })
            })
        })
    }

    /** The meters that connected peers have said they reach, and the MUCs that sign lists themselves. */
    meters(): KnownMeter[] {
        return this.everybody().filter(({ serverId, muc }) => serverId !== muc || this.signing.has(muc))
    }

    /** Meters, and MUCs that have some as reachable by themselves. */
    everybody(): KnownMeter[] {
        return [...this.routes].map(([serverId, { connection, muc }]) =>
            connection.id === muc ? { serverId, muc } : { serverId, muc, concentrator: connection.id },
        )
    }

    /** Ids of the connected MUCs and concentrators. */
    mucs(): string[] {
        return [...this.connections].map(({ id }) => id)
    }

    /** Resolves when a MUC reaches the meter (or any, without an id); "unreachable" otherwise. */
    async waitForMeter(serverId?: string, timeoutMs = 60_000): Promise<KnownMeter> {
        const wanted = serverId?.toLowerCase()
        const until = Date.now() + timeoutMs
        for (;;) {
            const meter = this.meters().find(each => !wanted || each.serverId === wanted)
            if (meter) return meter
            if (this.closed) throw new ExchangeError("closed", "the head-end is closed")
            if (Date.now() >= until)
                throw new ExchangeError("unreachable", `no MUC reaches ${wanted ? `meter ${wanted}` : "any meter"}`)
            await this.sleep(Math.min(100, this.options.pauseMs))
        }
    }

    /** The way to a meter, or to a MUC by its own id. Throws `ExchangeError` "unreachable". */
    routeTo(serverId: string): Route {
        const route = this.routes.get(serverId)
        if (!route) throw new ExchangeError("unreachable", `no MUC reaches ${serverId}`)
        return route
    }

    /** Puts a question until it is answered or all attempts are used. */
    async ask(
        serverId: string,
        tags: number[],
        build: (id: Buffer, meter: Buffer) => Buffer,
        source = "",
    ): Promise<Answer & { request: Buffer; muc: string }> {
        for (let attempt = 1; ; ++attempt) {
            try {
                const { connection, muc } = this.routeTo(serverId)
                const requestId = randomBytes(8)
                const request = build(requestId, Buffer.from(serverId, "hex"))
                const { timeoutMs } = this.options
                const { raw, response } = await connection.exchange(request, requestId, timeoutMs, source)
                demandAnswer(response, tags)
                if (response.serverId.toString("hex") !== serverId)
                    throw new ExchangeError("damaged", `meter ${response.serverId.toString("hex")} answered`)
                return { raw, request, response, muc }
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
                const again = worthAnother.includes(error.trouble) && attempt < this.options.attempts && !this.closed
                this.log(`meter ${serverId}: ${error.message}${again ? `, attempt ${attempt + 1} follows` : ""}`)
                if (!again) throw error
            }
            await this.sleep(Math.min(longestPauseMs, this.options.pauseMs * 2 ** (attempt - 1)))
            if (this.closed) throw new ExchangeError("closed", "the head-end is closed")
        }
    }

    /**
     * Sends somebody's request file as it is, once, and answers the response file as it came, whatever it says. A signed command
     * counts when it arrives: only who signed it can tell whether it may be sent again. Rejects with `ExchangeError`.
     */
    async relay(serverId: string, request: Buffer): Promise<{ raw: Buffer; muc: string }> {
        const own = [...this.connections].find(({ id }) => id === serverId)
        const { connection, muc } = own ? { connection: own, muc: serverId } : this.routeTo(serverId)
        const { payload, messages } = readSmlFile(request)
        const fields = messages[0]?.tag === 0x0100 ? messages[0].body.items : []
        if (fields.length !== 7) throw new ExchangeError("damaged", "what is to be relayed is no request file")
        const requestId = payload.subarray(fields[2].valueStart, fields[2].end)
        const { raw } = await connection.exchange(request, requestId, this.options.timeoutMs, "relay")
        return { raw, muc }
    }

    /** A pause that ends early when the hub is closed. */
    sleep(milliseconds: number): Promise<void> {
        if (this.closed) return Promise.resolve()
        return new Promise(resolve => {
            const timer = setTimeout(() => {
                this.sleepers.delete(timer)
                resolve()
            }, milliseconds)
            this.sleepers.set(timer, resolve)
        })
    }

    /** Is this connection still one of ours? */
    holds(connection: PeerConnection): boolean {
        return this.connections.has(connection) && !this.closed
    }

    /** Stops accepting and ends all connections. */
    close(): Promise<void> {
        this.closed = true
        for (const [timer, wake] of this.sleepers) {
            clearTimeout(timer)
            wake()
        }
        this.sleepers.clear()
        for (const connection of [...this.connections]) connection.end("the head-end is closing")
        return new Promise(resolve => this.listener.close(resolve))
    }

    log(line: string): void {
        this.emit("log", line)
    }

    private accept(socket: TLSSocket, peer: Peer): void {
        const again = [...this.connections].some(({ id }) => id === peer.commonName)
        if (this.connections.size >= this.options.most && !again) {
            this.log(`${socket.remoteAddress} turned away: ${this.options.most} MUCs are connected`)
            socket.destroy()
            return
        }
        const concentrator = peer.role === Role.concentrator
        const connection = new PeerConnection(
            socket,
            peer.commonName,
            reason => {
                this.connections.delete(connection)
                for (const [id, route] of this.routes) if (route.connection === connection) this.routes.delete(id)
                this.log(`MUC ${connection.id} at ${connection.peer} is gone: ${reason}`)
                this.emit("gone", connection.id)
            },
            concentrator ? concentratorLimits : this.options.limits,
        )
        this.connections.add(connection)
        this.log(`MUC ${connection.id} connected from ${connection.peer}`)
        // One that lost its line comes back before the old connection is seen to be dead.
        for (const other of [...this.connections])
            if (other !== connection && other.id === connection.id) other.end("the same MUC came again")
        // Whatever one peer brings about must not end the service for the others.
        this.attend(connection, concentrator).catch(error => {
            this.log(`MUC ${connection.id} at ${connection.peer}: ${error.message}`)
            connection.end("it cannot be served")
        })
        if (concentrator) this.emit("concentrator", connection)
    }

    /** Asks a peer again and again which meters it reaches, which also shows that it is still there. */
    private async attend(connection: PeerConnection, concentrator: boolean): Promise<void> {
        const { refreshMs, pingMs, attempts } = this.options
        let failures = 0
        while (this.holds(connection)) {
            let pause = refreshMs
            const asked = Date.now()
            try {
                const routes = concentrator ? await this.behind(connection) : await this.own(connection)
                failures = 0
                if (this.holds(connection)) this.enter(connection, routes)
                // Spread, so that those who came together are not asked together for ever.
                if (routes.length > 0) pause = pingMs * (0.75 + Math.random() / 2)
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
                this.log(`MUC ${connection.id} at ${connection.peer}: ${error.message}`)
                const dark = error.trouble === "timeout" && connection.heardAt < asked
                if (++failures >= attempts || (dark && this.reaches(connection))) connection.end("it does not answer")
            }
            await this.sleep(pause)
        }
    }

    private reaches(connection: PeerConnection): boolean {
        return [...this.routes.values()].some(route => route.connection === connection)
    }

    private enter(connection: PeerConnection, routes: [string, string][]): void {
        const before = [...this.routes].filter(([, route]) => route.connection === connection).map(([id]) => id)
        const now = new Set(routes.map(([id]) => id))
        for (const id of before) if (!now.has(id)) this.routes.delete(id)
        for (const [id, muc] of routes) this.routes.set(id, { connection, muc })
        const fresh = routes
            .filter(([id, muc]) => (id !== muc || this.signing.has(id)) && !before.includes(id))
            .map(([id]) => id)
        if (fresh.length === 0) return
        const named = fresh.length > 8 ? `${fresh.length} meters` : fresh.join(", ")
        this.log(`MUC ${connection.id} reaches ${named}`)
        this.emit("muc", this.meters())
    }

    private async own(connection: PeerConnection): Promise<[string, string][]> {
        const requestId = randomBytes(8)
        const { timeoutMs } = this.options
        const { response } = await connection.exchange(metersRequest(requestId), requestId, timeoutMs, "hub")
        const meters = treeValues(response, maxMeters).filter(({ length }) => length >= 5 && length <= 20)
        const id = response.serverId.toString("hex")
        if (connection.id !== id) {
            // Its certificate says who it is; the octets of the server id only repeat it.
            connection.end(`it claims to be ${id}`)
            return []
        }
        const ids = [...new Set(meters.map(value => value.toString("hex")))]
        if (ids.includes(id)) this.signing.add(id)
        else this.signing.delete(id)
        return ids.length > 0 ? [...new Set([id, ...ids])].map(each => [each, id]) : []
    }

    private behind(connection: PeerConnection): Promise<[string, string][]> {
        const { timeoutMs } = this.options
        return metersBehind(connection.id, (request, requestId) =>
            connection.exchange(request, requestId, timeoutMs, "hub"),
        )
    }
}
