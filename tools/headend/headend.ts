import { EventEmitter } from "node:events"
import { rmSync } from "node:fs"
import { Held, type HeldItem, HeldState, readItem } from "../../firmware/core/inventory.ts"
import { getProcParameterReq } from "../../firmware/core/sml-messages.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import type { Evidence } from "../evidence/format.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { acknowledge, type CollectedEntry, readCollected } from "./collected.ts"
import { Commander, signerIn } from "./commander.ts"
import type { PeerConnection } from "./connection.ts"
import { crlsOf } from "./crls.ts"
import { Hub, type KnownMeter } from "./hub.ts"
import { chainRequest, inventoryRequest, listMessage, profileMessage } from "./requests.ts"
import { ExchangeError, type Response, readResponse, treeValues } from "./responses.ts"
import { EvidenceStore, type StoredReading } from "./store.ts"

/** How a head-end works; times in milliseconds. */
export interface HeadEndOptions {
    /** Folder of the evidence. */
    store: string
    /** Mutual TLS 1.3 towards MUCs and concentrators. The same key signs the commands. */
    tls: TlsSettings
    /** File of the key's command counter; in the folder of the evidence unless told. */
    counter?: string
    /** The devices' time, UTC seconds; the system's unless told. */
    nowSeconds?: () => number
    /** PEM certificates of the institute. */
    anchors?: string[]
    /** The revocation lists of the day, PEM; asked for each reading, which gets those of its chain's issuers. */
    crls?: () => string[]
    name?: string
    /** Longest wait for one answer. */
    timeoutMs?: number
    /** How often a question is put before it is given up, and the pause before the second time, doubled each time. */
    attempts?: number
    pauseMs?: number
    /** How often a MUC without meters is asked again, and one with meters whether it is still there. */
    refreshMs?: number
    pingMs?: number
    /** How often a concentrator is asked whether it has collected more. */
    drainMs?: number
    /** Most MUCs and concentrators connected at once. */
    most?: number
}

const maxCertificates = 8
const maxHeld = 64
/** Most readings missed by a lost answer that are fetched after one reading. */
const maxRecovered = 16
/** Work on collected entries between two acknowledgements. */
const mostUntoldMs = 500

function hasBadSignature({ verdicts }: StoredReading): boolean {
    return verdicts.some(({ findings }) =>
        findings.some(({ check, result }) => check === "signature" && result === "failed"),
    )
}

/** A meter that cannot be reached has no chain to show now: the reading is stored without. */
function nothing(error: unknown): string[] {
    if (!(error instanceof ExchangeError)) throw error
    return []
}

function pemOf(der: Buffer): string {
    const lines = der.toString("base64").match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

/**
 * Accepts MUCs and concentrators, asks their meters for signed readings, judges and stores them.
 * Events: "muc" (KnownMeter[], a MUC said what it has), "gone" (id of a MUC), "reading" (StoredReading), "log" (one line).
 */
export class HeadEnd extends EventEmitter {
    private readonly hub: Hub
    private readonly commander: Commander
    private readonly store: EvidenceStore
    private readonly options: Required<Omit<HeadEndOptions, "tls" | "counter" | "nowSeconds">>
    private readonly standing = new Set<string>()
    private readonly recovering = new Set<string>()

    private readonly nowSeconds?: () => number

    constructor({ tls, counter, nowSeconds, ...options }: HeadEndOptions) {
        super()
        this.nowSeconds = nowSeconds
        this.options = {
            anchors: [],
            crls: () => [],
            name: "plomb",
            timeoutMs: 30_000,
            attempts: 4,
            pauseMs: 500,
            refreshMs: 2000,
            pingMs: 60_000,
            drainMs: 2000,
            most: 1000,
            ...options,
        }
        this.store = new EvidenceStore(this.options.store, this.options.anchors, nowSeconds)
        this.hub = new Hub({ ...this.options, tls, roles: [Role.muc, Role.concentrator] })
        const signer = signerIn(this.options.store, tls, counter, nowSeconds)
        this.commander = new Commander(this.hub, signer)
        this.hub.on("concentrator", connection => void this.drain(connection))
        for (const event of ["muc", "gone", "log"]) this.hub.on(event, what => this.emit(event, what))
    }

    /** Listens; port 0 takes any. The answer is where. Rejects with the system's error. */
    listen(port: number, host = "127.0.0.1"): Promise<{ host: string; port: number }> {
        return this.hub.listen(port, host)
    }

    /** The meters that connected MUCs have said they reach. */
    meters(): KnownMeter[] {
        return this.hub.meters()
    }

    /** Ids of the connected MUCs and concentrators. */
    mucs(): string[] {
        return this.hub.mucs()
    }

    /** Resolves when a MUC reaches the meter (or any, without an id); "unreachable" otherwise. */
    waitForMeter(serverId?: string, timeoutMs = 60_000): Promise<KnownMeter> {
        return this.hub.waitForMeter(serverId, timeoutMs)
    }

    /** Asks the meter for a signed list made now, judges and stores it. Rejects with `ExchangeError` after the last attempt. */
    async pull(serverId: string): Promise<StoredReading> {
        const stored = await this.collect(serverId, [0x0701], listMessage)
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
                files.push(await this.collect(serverId, [0x0401], (id, meter) => profileMessage(id, meter, start, to)))
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

    /** Concentrators that collect by standing order: their meters need not be pulled. */
    collecting(): string[] {
        return [...this.standing]
    }

    /** What a meter says it holds, or a MUC by its own id. Rejects with `ExchangeError` after the last attempt. */
    async inventory(serverId: string): Promise<HeldItem[]> {
        const { response } = await this.hub.ask(serverId.toLowerCase(), [0x0501], inventoryRequest)
        return treeValues(response, maxHeld).map(readItem)
    }

    /** The octet strings under a parameter's path that only who has the right may read. Rejects with `ExchangeError`. */
    async parameter(serverId: string, path: Buffer): Promise<Buffer[]> {
        const question = (id: Buffer, server: Buffer) => getProcParameterReq(id, server, [path])
        const { response } = await this.commander.ask(serverId.toLowerCase(), [0x0501], question)
        return treeValues(response, maxHeld)
    }

    /** `Hub.relay`: carries what others have signed, and signs nothing. */
    relay(serverId: string, request: Buffer): Promise<{ raw: Buffer; muc: string }> {
        return this.hub.relay(serverId, request)
    }

    /** Resolves when a meter holds a provider's certificate, and so can know who may read it; "not now" where it does not within the time. */
    async waitForProvider(serverId: string, timeoutMs: number): Promise<void> {
        const until = Date.now() + timeoutMs
        for (;;) {
            const held = await this.inventory(serverId)
            if (held.some(({ kind, state }) => kind === Held.SecurityManagement && state === HeldState.InForce)) return
            if (Date.now() >= until)
                throw new ExchangeError("not now", `meter ${serverId} holds no provider's certificate`)
            await this.hub.sleep(this.options.pauseMs)
        }
    }

    /** Stops accepting, ends all connections; what was answered is on disk. */
    close(): Promise<void> {
        return this.hub.close()
    }

    private log(line: string): void {
        this.emit("log", line)
    }

    private async fetchChain(serverId: string): Promise<string[]> {
        const { response } = await this.hub.ask(serverId, [0x0501], chainRequest)
        return this.keepChain(serverId, response)
    }

    private keepChain(serverId: string, response: Response): string[] {
        const chain = treeValues(response, maxCertificates).map(pemOf)
        if (chain.length > 0) this.store.keepChain(serverId, chain)
        return chain
    }

    private async collect(
        id: string,
        tags: number[],
        question: (id: Buffer, meter: Buffer) => Buffer,
    ): Promise<StoredReading> {
        const serverId = id.toLowerCase()
        // Before the reading, so that nothing stands between its arrival and the disk.
        const chain = this.store.chain(serverId) ?? (await this.fetchChain(serverId))
        const { raw, request, muc } = await this.commander.ask(serverId, tags, question)
        return this.keep(serverId, chain, raw, request, muc)
    }

    /** Judges and stores an answer that came with these octets. */
    private async keep(
        serverId: string,
        chain: string[],
        sml: Buffer,
        request: Buffer,
        muc: string,
    ): Promise<StoredReading> {
        const evidence: Evidence = {
            sml,
            request,
            chain,
            crls: crlsOf(this.options.crls(), [...chain, ...this.options.anchors]),
            receivedAt: new Date(this.nowSeconds ? this.nowSeconds() * 1000 : Date.now()).toISOString(),
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

    /**
     * Takes over what a concentrator has collected, oldest first, for as long as it is connected: each entry is stored
     * before the stretch is acknowledged, so a break anywhere only makes entries come twice, which the store sees.
     */
    private async drain(connection: PeerConnection): Promise<void> {
        const { timeoutMs, drainMs } = this.options
        const { id } = connection
        const exchange = (request: Buffer, requestId: Buffer) =>
            connection.exchange(request, requestId, timeoutMs, "collected")
        const touched = new Map<string, StoredReading>()
        while (this.hub.holds(connection)) {
            try {
                const { journal, everySeconds, entries } = await readCollected(id, exchange)
                if (everySeconds > 0) this.standing.add(id)
                else this.standing.delete(id)
                let told = Date.now()
                for (const [i, entry] of entries.entries()) {
                    const stored = await this.takeOver(id, entry)
                    if (stored) touched.set(stored.serverId, stored)
                    // Early and often: while much is judged the concentrator hears from us, and a break costs little.
                    if (i < entries.length - 1 && Date.now() - told < mostUntoldMs) continue
                    await acknowledge(id, journal, entry.seq, exchange)
                    told = Date.now()
                }
                if (entries.length > 0) continue
                // All is here that was collected: what is missing now was never collected.
                for (const stored of touched.values()) this.recoverAside(stored)
                touched.clear()
            } catch (error) {
                // The disk may be full: what is not stored is not acknowledged, and comes again.
                this.log(`concentrator ${id}: ${(error as Error).message}`)
            }
            await this.hub.sleep(drainMs)
        }
        this.standing.delete(id)
    }

    /** Without holding up what was collected from other meters. */
    private recoverAside(stored: StoredReading): void {
        const { serverId } = stored
        if (this.recovering.has(serverId)) return
        this.recovering.add(serverId)
        this.recover(stored)
            .catch(error => this.log(`meter ${serverId}: ${error.message}`))
            .finally(() => this.recovering.delete(serverId))
    }

    private async takeOver(concentrator: string, entry: CollectedEntry): Promise<StoredReading | undefined> {
        const { response: raw, request, muc } = entry
        let serverId = concentrator
        try {
            const response = readResponse(raw)
            serverId = response.serverId.toString("hex")
            const tags = response.file.messages.map(({ tag }) => tag)
            if (tags.includes(0x0501) && !tags.includes(0x0701)) {
                this.keepChain(serverId, response)
                return undefined
            }
        } catch (error) {
            if (!(error instanceof ExchangeError)) throw error
            // No reading: it is kept among the refused ones of who sent it.
            this.log(`concentrator ${concentrator}: entry ${entry.seq}: ${error.message}`)
        }
        const chain = this.store.chain(serverId) ?? (await this.fetchChain(serverId).catch(nothing))
        // Judging takes its time, and others wait too.
        await new Promise(resolve => setImmediate(resolve))
        return this.keep(serverId, chain, raw, request, muc)
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
                await this.collect(serverId, [0x0701], (id, meter) => listMessage(id, meter, number))
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
                this.log(`meter ${serverId} reading ${missing} cannot be fetched again: ${error.message}`)
                if (error.trouble !== "refused") return
            }
        }
    }
}
