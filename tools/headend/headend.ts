import { EventEmitter } from "node:events"
import { rmSync } from "node:fs"
import { Role } from "../../firmware/core/x509-role.ts"
import type { Evidence } from "../evidence/format.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { crlsOf } from "./crls.ts"
import { Hub, type KnownMeter } from "./hub.ts"
import { chainRequest, listRequest, profileRequest } from "./requests.ts"
import { ExchangeError, treeValues } from "./responses.ts"
import { EvidenceStore, type StoredReading } from "./store.ts"

/** How a head-end works; times in milliseconds. */
export interface HeadEndOptions {
    /** Folder of the evidence. */
    store: string
    /** Mutual TLS 1.3 towards MUCs and concentrators. */
    tls?: TlsSettings
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
    /** Most MUCs and concentrators connected at once. */
    most?: number
}

const maxCertificates = 8
/** Most readings missed by a lost answer that are fetched after one reading. */
const maxRecovered = 16

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
 * Accepts MUCs and concentrators, asks their meters for signed readings, judges and stores them.
 * Events: "muc" (KnownMeter[], a MUC said what it has), "gone" (id of a MUC), "reading" (StoredReading), "log" (one line).
 */
export class HeadEnd extends EventEmitter {
    private readonly hub: Hub
    private readonly store: EvidenceStore
    private readonly options: Required<Omit<HeadEndOptions, "tls">>

    constructor({ tls, ...options }: HeadEndOptions) {
        super()
        this.options = {
            anchors: [],
            crls: () => [],
            name: "plomb",
            timeoutMs: 30_000,
            attempts: 4,
            pauseMs: 500,
            refreshMs: 2000,
            pingMs: 60_000,
            most: 1000,
            ...options,
        }
        this.store = new EvidenceStore(this.options.store, this.options.anchors)
        this.hub = new Hub({ ...this.options, tls, roles: [Role.muc, Role.concentrator] })
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

    /** Ids of the connected MUCs that have answered. */
    mucs(): string[] {
        return this.hub.mucs()
    }

    /** Resolves when a MUC reaches the meter (or any, without an id); "unreachable" otherwise. */
    waitForMeter(serverId?: string, timeoutMs = 60_000): Promise<KnownMeter> {
        return this.hub.waitForMeter(serverId, timeoutMs)
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
        return this.hub.close()
    }

    private log(line: string): void {
        this.emit("log", line)
    }

    private async fetchChain(serverId: string): Promise<string[]> {
        const { response } = await this.hub.ask(serverId, [0x0501], chainRequest)
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
        const { raw, request, muc } = await this.hub.ask(serverId, tags, build)
        const receivedAt = new Date().toISOString()
        const evidence: Evidence = {
            sml: raw,
            request,
            chain,
            crls: crlsOf(this.options.crls(), [...chain, ...this.options.anchors]),
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
