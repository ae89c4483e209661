import { X509Certificate } from "node:crypto"
import { EventEmitter } from "node:events"
import { Attention } from "../../firmware/core/sml-attention.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { Commander, signerIn } from "../headend/commander.ts"
import { type ConnectionLimits, mucLimits } from "../headend/connection.ts"
import { Hub, type KnownMeter } from "../headend/hub.ts"
import { ExchangeError } from "../headend/responses.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { answerSelf, type Request, refuse } from "./answers.ts"
import { Collector } from "./collector.ts"
import { Journal } from "./journal.ts"
import { ProviderLink } from "./provider-link.ts"

/** How a concentrator works; times in milliseconds. */
export interface ConcentratorOptions {
    /** The certificate's common name is the concentrator's server id. */
    tls: TlsSettings
    /** Folder of what was collected. */
    store: string
    providers: readonly { host: string; port: number }[]
    /** Standing order: a reading of every meter this often; absent = none. */
    everyMs?: number
    /** PEM of whoever reads by the standing order: a provider has given it the right to collect data. Needed for that, and for nothing else. */
    sign?: { key: string; chain: string }
    /** Most octets in the store. */
    limit?: number
    /** Longest wait for a MUC's answer. */
    timeoutMs?: number
    attempts?: number
    pauseMs?: number
    refreshMs?: number
    pingMs?: number
    /** Most MUCs. */
    most?: number
    /** Silence of a provider after which its connection counts as dead. */
    silenceMs?: number
}

const software = "plomb-concentrator 0.1.0"
const defaultLimit = 256 * 1024 * 1024
/** A MUC's answers are below 4 KB; and no source fills a MUC's queue. */
const limits: ConnectionLimits = { ...mucLimits, waiting: 8, longest: 16 * 1024 }

/**
 * Stands between MUCs and providers: both ends are mutual TLS of its own certificate. Requests of a provider go to the MUC
 * that has the meter and its answer goes back, both octet for octet. By standing order it collects readings itself
 * and keeps them until the providers hold them.
 * Events: "log" (one line), "kept" (KeptReading: on disk), "muc" and "gone" as `Hub`.
 */
export class Concentrator extends EventEmitter {
    /** Server id, hex. */
    readonly id: string
    readonly journal: Journal
    private readonly hub: Hub
    private readonly links: ProviderLink[]
    private readonly collector: Collector | undefined

    constructor(private readonly options: ConcentratorOptions) {
        super()
        const { tls, providers, everyMs } = options
        this.id = /^CN=([0-9a-fA-F]+)$/m.exec(new X509Certificate(tls.chain).subject)?.[1].toLowerCase() ?? ""
        const log = (line: string) => this.emit("log", line)
        const names = providers.map(({ host, port }) => `${host}:${port}`)
        this.journal = new Journal({
            folder: options.store,
            providers: names,
            limit: options.limit ?? defaultLimit,
            log,
        })
        this.hub = new Hub({
            tls,
            roles: [Role.muc],
            timeoutMs: options.timeoutMs ?? 20_000,
            attempts: options.attempts ?? 4,
            pauseMs: options.pauseMs ?? 500,
            refreshMs: options.refreshMs ?? 2000,
            pingMs: options.pingMs ?? 60_000,
            most: options.most ?? 1000,
            limits,
        })
        for (const event of ["log", "muc", "gone"]) this.hub.on(event, what => this.emit(event, what))
        if (everyMs !== undefined) {
            const { sign } = options
            if (!sign) throw new TypeError("a standing order is signed: by whom?")
            const commander = new Commander(this.hub, signerIn(options.store, sign))
            this.collector = new Collector({ hub: this.hub, commander, journal: this.journal, everyMs, log })
            this.collector.on("kept", what => this.emit("kept", what))
        }
        this.links = providers.map(
            ({ host, port }, i) =>
                new ProviderLink({
                    tls,
                    host,
                    port,
                    answer: request => this.answer(request, names[i]),
                    log,
                    silenceMs: options.silenceMs,
                }),
        )
    }

    /** Listens for MUCs; port 0 takes any. */
    listen(port: number, host = "127.0.0.1"): Promise<{ host: string; port: number }> {
        return this.hub.listen(port, host)
    }

    /** Meters of the connected MUCs. */
    meters(): KnownMeter[] {
        return this.hub.meters()
    }

    mucs(): string[] {
        return this.hub.mucs()
    }

    /** Ends all connections; what was kept is on disk. */
    async close(): Promise<void> {
        await Promise.all([this.hub.close(), this.collector?.close(), ...this.links.map(link => link.close())])
        await this.journal.close()
    }

    private async answer(request: Request, provider: string): Promise<Buffer> {
        const { target, raw, reqFileId } = request
        if (target === "" || target === this.id)
            return answerSelf(
                request,
                {
                    id: this.id,
                    software,
                    everySeconds: Math.ceil((this.options.everyMs ?? 0) / 1000),
                    journal: this.journal,
                    behind: () => this.hub.everybody(),
                },
                provider,
            )
        try {
            const { connection } = this.hub.routeTo(target)
            const answer = await connection.exchange(raw, reqFileId, this.options.timeoutMs ?? 20_000, provider)
            return answer.raw
        } catch (error) {
            if (!(error instanceof ExchangeError)) throw error
            const busy = error.trouble === "not now"
            return refuse(request, busy ? Attention.Busy : Attention.ServerNotReachable, error.message)
        }
    }
}
