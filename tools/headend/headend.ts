import { randomBytes } from "node:crypto"
import { EventEmitter } from "node:events"
import { rmSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import type { Evidence } from "../evidence/format.ts"
import { MucConnection } from "./connection.ts"
import { chainRequest, listRequest, metersRequest, profileRequest } from "./requests.ts"
import { demandAnswer, ExchangeError, type Trouble, treeValues } from "./responses.ts"
import { EvidenceStore, type StoredReading } from "./store.ts"

/** How a head-end works; times in milliseconds. */
export interface HeadEndOptions {
    /** Folder of the evidence. */
    store: string
    /** PEM certificates of the institute. */
    anchors?: string[]
    /** The revocation lists of the day, PEM; asked for each reading. */
    crls?: () => string[]
    name?: string
    /** Longest wait for one answer. */
    timeoutMs?: number
    /** How often a question is put before it is given up, and the pause before the second time, doubled each time. */
    attempts?: number
    pauseMs?: number
    /** How often a MUC without meters is asked again. */
    refreshMs?: number
    /** Most MUCs connected at once. */
    most?: number
}

/** A meter that a connected MUC can reach. */
export interface KnownMeter {
    serverId: string
    muc: string
}

const worthAnother: readonly Trouble[] = ["timeout", "hang-up", "damaged", "unreachable", "not now"]
const maxMeters = 250
const maxCertificates = 8
/** Most readings missed by a lost answer that are fetched after one reading. */
const maxRecovered = 16
const longestPauseMs = 30_000

function hasBadSignature({ verdicts }: StoredReading): boolean {
    return verdicts.some(({ findings }) =>
        findings.some(({ check, result }) => check === "signature" && result === "failed"),
    )
}

function pemOf(der: Buffer): string {
    const lines = der.toString("base64").match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

/**
 * Accepts MUCs, asks their meters for signed readings, judges and stores them.
 * Events: "muc" (KnownMeter[], a MUC said what it has), "gone" (id of a MUC), "reading" (StoredReading), "log" (one line).
 */
export class HeadEnd extends EventEmitter {
    private readonly server: Server
    private readonly store: EvidenceStore
    private readonly connections = new Map<MucConnection, string[]>()
    private readonly options: Required<HeadEndOptions>
    private readonly sleepers = new Map<NodeJS.Timeout, () => void>()
    private closed = false

    constructor(options: HeadEndOptions) {
        super()
        this.options = {
            anchors: [],
            crls: () => [],
            name: "plomb",
            timeoutMs: 30_000,
            attempts: 4,
            pauseMs: 500,
            refreshMs: 2000,
            most: 64,
            ...options,
        }
        this.store = new EvidenceStore(this.options.store, this.options.anchors)
        this.server = createServer(socket => this.accept(socket))
    }

    /** Listens; port 0 takes any. The answer is where. Rejects with the system's error. */
    listen(port: number, host = "127.0.0.1"): Promise<{ host: string; port: number }> {
        return new Promise((resolve, reject) => {
            this.server.once("error", reject)
            this.server.listen(port, host, () => {
                this.server.off("error", reject)
                const address = this.server.address() as { address: string; port: number }
                this.log(`listening on ${address.address}:${address.port}`)
                resolve({ host: address.address, port: address.port })
            })
        })
    }

    /** The meters that connected MUCs have said they reach. */
    meters(): KnownMeter[] {
        return [...this.connections].flatMap(([{ id }, ids]) => ids.map(serverId => ({ serverId, muc: id })))
    }

    /** Ids of the connected MUCs that have answered. */
    mucs(): string[] {
        return [...this.connections.keys()].filter(({ id }) => id).map(({ id }) => id)
    }

    /** Resolves when a MUC reaches the meter (or any, without an id); "timeout" otherwise. */
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

    /** Asks the meter for a signed list made now, judges and stores it. Rejects with `ExchangeError` after the last attempt. */
    async pull(serverId: string): Promise<StoredReading> {
        const stored = await this.collect(serverId, [0x0701], (id, meter) => listRequest(id, meter))
        await this.recover(stored)
        return stored
    }

    /** Fetches the signed load profile rows of a range (UTC seconds), one evidence file an answer. */
    async profile(serverId: string, from: number, to: number): Promise<StoredReading[]> {
        const files: StoredReading[] = []
        let begin = from
        while (begin <= to) {
            try {
                const start = begin
                files.push(await this.collect(serverId, [0x0401], (id, meter) => profileRequest(id, meter, start, to)))
            } catch (error) {
                // The range is used up: FE13 no entry in the range, FE11 no entry at all.
                if (error instanceof ExchangeError && /fe1[13]/.test(error.message)) break
                throw error
            }
            const ends = files[files.length - 1].verdicts.map(({ link }) => link?.atSeconds ?? 0)
            const last = Math.max(...ends)
            if (last < begin) break
            begin = last + 1
        }
        return files
    }

    /** Stops accepting, ends all connections; what was answered is on disk. */
    close(): Promise<void> {
        this.closed = true
        for (const [timer, wake] of this.sleepers) {
            clearTimeout(timer)
            wake()
        }
        this.sleepers.clear()
        for (const connection of [...this.connections.keys()]) connection.end("the head-end is closing")
        return new Promise(resolve => {
            this.server.close(() => resolve())
        })
    }

    private log(line: string): void {
        this.emit("log", line)
    }

    private sleep(milliseconds: number): Promise<void> {
        return new Promise(resolve => {
            const timer = setTimeout(() => {
                this.sleepers.delete(timer)
                resolve()
            }, milliseconds)
            this.sleepers.set(timer, resolve)
        })
    }

    private accept(socket: Socket): void {
        if (this.connections.size >= this.options.most) {
            this.log(`${socket.remoteAddress} turned away: ${this.options.most} MUCs are connected`)
            socket.destroy()
            return
        }
        const connection = new MucConnection(socket, reason => {
            this.connections.delete(connection)
            this.log(`MUC ${connection.id || "unknown"} at ${connection.peer} is gone: ${reason}`)
            this.emit("gone", connection.id)
        })
        this.connections.set(connection, [])
        // Whatever one peer brings about must not end the service for the others.
        this.refresh(connection).catch(error => {
            this.log(`MUC at ${connection.peer}: ${error.message}`)
            connection.end("it cannot be served")
        })
    }

    /** Asks a MUC who it is and which meters it has, again while it has none. */
    private async refresh(connection: MucConnection): Promise<void> {
        let failures = 0
        while (this.connections.has(connection) && !this.closed) {
            try {
                const requestId = randomBytes(8)
                const { response } = await connection.exchange(
                    metersRequest(requestId),
                    requestId,
                    this.options.timeoutMs,
                )
                const meters = treeValues(response, maxMeters)
                    .filter(({ length }) => length >= 5 && length <= 20)
                    .map(value => value.toString("hex"))
                failures = 0
                if (!connection.id) this.introduce(connection, response.serverId.toString("hex"))
                if (meters.length > 0) {
                    this.connections.set(connection, [...new Set(meters)])
                    this.log(`MUC ${connection.id} reaches ${meters.join(", ")}`)
                    this.emit("muc", this.meters())
                    return
                }
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
                this.log(`MUC at ${connection.peer}: ${error.message}`)
                if (++failures >= this.options.attempts) connection.end("it does not answer")
            }
            await this.sleep(this.options.refreshMs)
        }
    }

    private introduce(connection: MucConnection, id: string): void {
        connection.id = id
        this.log(`MUC ${id} connected from ${connection.peer}`)
        // A MUC that lost its line comes back before the old connection is seen to be dead.
        for (const other of [...this.connections.keys()])
            if (other !== connection && other.id === id) other.end("the same MUC came again")
    }

    private connectionTo(serverId: string): MucConnection {
        for (const [connection, meters] of this.connections) if (meters.includes(serverId)) return connection
        throw new ExchangeError("unreachable", `no MUC reaches meter ${serverId}`)
    }

    /** Puts a question until it is answered or all attempts are used. */
    private async ask(serverId: string, tags: number[], build: (id: Buffer, meter: Buffer) => Buffer) {
        for (let attempt = 1; ; ++attempt) {
            try {
                const connection = this.connectionTo(serverId)
                const requestId = randomBytes(8)
                const request = build(requestId, Buffer.from(serverId, "hex"))
                const { raw, response } = await connection.exchange(request, requestId, this.options.timeoutMs)
                demandAnswer(response, tags)
                if (response.serverId.toString("hex") !== serverId)
                    throw new ExchangeError("damaged", `meter ${response.serverId.toString("hex")} answered`)
                return { raw, request, response, muc: connection.id }
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

    private async fetchChain(serverId: string): Promise<string[]> {
        const { response } = await this.ask(serverId, [0x0501], chainRequest)
        const chain = treeValues(response, maxCertificates).map(pemOf)
        if (chain.length > 0) this.store.keepChain(serverId, chain)
        return chain
    }

    private async collect(
        id: string,
        tags: number[],
        build: (id: Buffer, meter: Buffer) => Buffer,
    ): Promise<StoredReading> {
        const serverId = id.toLowerCase()
        // Before the reading, so that nothing stands between its arrival and the disk.
        const chain = this.store.chain(serverId) ?? (await this.fetchChain(serverId))
        const { raw, request, muc } = await this.ask(serverId, tags, build)
        const receivedAt = new Date().toISOString()
        const evidence: Evidence = {
            sml: raw,
            request,
            chain,
            crls: this.options.crls(),
            receivedAt,
            source: { muc, headend: this.options.name },
        }
        let stored = this.store.put(serverId, evidence)
        if (hasBadSignature(stored)) stored = await this.withFreshChain(stored)
        for (const { name, statement, reading } of stored.verdicts)
            this.log(`meter ${serverId} reading ${reading.pagination ?? "?"}: ${name.toUpperCase()}. ${statement}`)
        this.log(`${stored.duplicate ? "there already" : "stored"}: ${stored.path}`)
        this.emit("reading", stored)
        return stored
    }

    /** The meter may have a new key since its chain was kept: asks for the chain again. */
    private async withFreshChain(stored: StoredReading): Promise<StoredReading> {
        const { serverId, evidence } = stored
        try {
            const chain = await this.fetchChain(serverId)
            if (chain.join() === evidence.chain.join()) return stored
            const again = this.store.put(serverId, { ...evidence, chain })
            if (!hasBadSignature(again)) rmSync(stored.path, { force: true })
            return again
        } catch (error) {
            if (!(error instanceof ExchangeError)) throw error
            return stored
        }
    }

    /** Readings that the meter signed and whose answers were lost on the way: it keeps the last of them. */
    private async recover({ serverId, pagination }: StoredReading): Promise<void> {
        if (pagination === undefined) return
        const there = this.store.paginations(serverId).filter(each => each < pagination)
        const last = there[there.length - 1]
        if (last === undefined) return
        const from = Math.max(last + 1, pagination - maxRecovered)
        for (let missing = from; missing < pagination; ++missing) {
            try {
                const number = missing
                await this.collect(serverId, [0x0701], (id, meter) => listRequest(id, meter, number))
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
                this.log(`meter ${serverId} reading ${missing} cannot be fetched again: ${error.message}`)
                if (error.trouble !== "refused") return
            }
        }
    }
}
