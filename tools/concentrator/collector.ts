import { EventEmitter } from "node:events"
import type { Commander } from "../headend/commander.ts"
import type { Answer } from "../headend/connection.ts"
import type { Hub } from "../headend/hub.ts"
import { chainRequest, listMessage } from "../headend/requests.ts"
import { ExchangeError, type Response, readResponse } from "../headend/responses.ts"
import { numberOf, obis, readSignedItem } from "../verify/signed-list.ts"
import { SmlDamage } from "../verify/sml-tlv.ts"
import { type Journal, JournalError } from "./journal.ts"

/** A reading that is on disk, to be delivered. */
export interface KeptReading {
    /** Number in the journal. */
    seq: number
    /** Hex. */
    serverId: string
    muc: string
    /** Of the signed list; undefined where none can be read. */
    pagination?: number
}

export interface CollectorOptions {
    hub: Hub
    /** Signs what is asked, with the right to collect data. */
    commander: Commander
    journal: Journal
    everyMs: number
    log(line: string): void
}

/** Meters asked at once, all MUCs together. */
const mostAtOnce = 64
/** Most readings missed by a lost answer that are fetched after one reading. */
const mostMissed = 16
const fullPauseMs = 5000
/** Of all that is asked here: those who ask through the concentrator take turns with it. */
const source = "standing order"

/**
 * Carries out the standing order: each meter is asked once in every period, at a moment of its own, so that MUCs and
 * disk have even work. What a MUC loses on the way the meter still has: it is asked for by its number.
 * Events: "kept" (KeptReading).
 */
export class Collector extends EventEmitter {
    private readonly due = new Map<string, number>()
    private readonly busy = new Set<string>()
    private readonly chains = new Set<string>()
    private readonly last = new Map<string, number>()
    private readonly timer: NodeJS.Timeout
    private readonly running = new Set<Promise<void>>()
    private saidFull = false
    private closed = false

    constructor(private readonly options: CollectorOptions) {
        super()
        for (const { serverId, response } of options.journal.newest()) {
            const pagination = paginationOf(readResponse(response))
            const known = this.last.get(serverId) ?? 0
            if (pagination !== undefined && pagination > known) this.last.set(serverId, pagination)
        }
        this.timer = setInterval(() => this.look(), Math.max(10, Math.min(500, options.everyMs / 20)))
    }

    /** No more is asked; resolves when what was under way has ended. */
    async close(): Promise<void> {
        this.closed = true
        clearInterval(this.timer)
        await Promise.all(this.running)
    }

    private look(): void {
        const { hub, journal, everyMs, log } = this.options
        if (journal.full) {
            if (!this.saidFull)
                log(`the store is full (${journal.octets} octets): nothing is collected until it is delivered`)
            this.saidFull = true
            return
        }
        if (this.saidFull) log("the store has room again")
        this.saidFull = false
        const now = Date.now()
        const meters = hub.meters()
        for (const { serverId } of meters) {
            // Spread over the period from the start.
            const due = this.due.get(serverId) ?? now + Math.random() * everyMs
            this.due.set(serverId, due)
            if (due > now || this.busy.has(serverId) || this.busy.size >= mostAtOnce) continue
            this.due.set(serverId, Math.max(due + everyMs, now))
            this.busy.add(serverId)
            const work = this.collect(serverId).finally(() => {
                this.busy.delete(serverId)
                this.running.delete(work)
            })
            this.running.add(work)
        }
        if (this.due.size > 2 * meters.length + 1000) this.due.clear()
    }

    private async collect(serverId: string): Promise<void> {
        const { log } = this.options
        try {
            if (!this.chains.has(serverId)) {
                await this.keep(serverId, await this.options.hub.ask(serverId, [0x0501], chainRequest, source))
                this.chains.add(serverId)
            }
            const before = this.last.get(serverId)
            const came = await this.list(serverId)
            if (came === undefined) return
            this.last.set(serverId, came)
            if (before === undefined) return
            for (let missing = Math.max(before + 1, came - mostMissed); missing < came && !this.closed; ++missing) {
                await this.list(serverId, missing)
            }
        } catch (error) {
            if (error instanceof JournalError) {
                log(`meter ${serverId}: ${error.message}`)
                this.due.set(serverId, Date.now() + fullPauseMs)
            } else if (!(error instanceof ExchangeError)) throw error
        }
    }

    /** Asks for a list, and keeps it; its pagination. */
    private async list(serverId: string, pagination?: number): Promise<number | undefined> {
        const question = (id: Buffer, meter: Buffer) => listMessage(id, meter, pagination)
        return this.keep(serverId, await this.options.commander.ask(serverId, [0x0701], question, source))
    }

    private async keep(
        serverId: string,
        { raw, request, response, muc }: Answer & { request: Buffer; muc: string },
    ): Promise<number | undefined> {
        const { journal } = this.options
        const seq = await journal.append({ receivedAtMs: Date.now(), serverId, muc, request, response: raw })
        const pagination = paginationOf(response)
        if (pagination !== undefined) {
            const kept: KeptReading = { seq, serverId, muc, pagination }
            this.emit("kept", kept)
        }
        return pagination
    }
}

/** Number of the first signed list of a response; undefined where there is none. */
export function paginationOf({ file }: Response): number | undefined {
    try {
        for (let i = 0; i < file.messages.length; ++i) {
            const item = readSignedItem(file, i)
            if (item) return Number(numberOf(file.payload, item, obis.pagination))
        }
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
    }
    return undefined
}
