import "../node/platform.ts"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Role } from "../../firmware/core/x509-role.ts"
import { Concentrator } from "../concentrator/concentrator.ts"
import { acknowledge, readCollected } from "../headend/collected.ts"
import type { PeerConnection } from "../headend/connection.ts"
import { Hub } from "../headend/hub.ts"
import { ExchangeError } from "../headend/responses.ts"
import { Authority } from "../pki/authority.ts"
import { initPki } from "../pki/init.ts"
import { issueWithKey } from "../pki/issue.ts"
import { newKey } from "../pki/keys.ts"
import { roles } from "../pki/parties.ts"
import { pem } from "../pki/pem.ts"
import { publicKeyOf } from "../pki/x509.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { LightMeter } from "./light-meter.ts"
import { LightMuc } from "./light-muc.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

/** How quick a world is, in ms: a meter's answer takes from `least` to `most`, the standing order says `everyMs`. */
export interface Pace {
    least: number
    most: number
    everyMs: number
}

/** A meter at 9600 Bd signs and sends in this time. */
const realPace: Pace = { least: 700, most: 2500, everyMs: 20_000 }
/** One MUC in so many never answers. */
const dumbEach = 50
const lists = ["ca-root", "manufacturer", "security-management"]
const patienceMs = 240_000

/**
 * `count` MUCs, each with one meter, behind one concentrator with a standing order, all in this process; answers
 * take as long as on a real line and some MUCs never answer. Two periods, then all connections break at once, then two
 * more. Prints what it took; everything kept must have been delivered, each MUC must be back, nobody may have been
 * held up by those who are dumb.
 */
export function run(count: number, seed: number): Promise<Outcome> {
    return runAt(realPace, count, seed)
}

/** The same at another pace. */
export async function runAt(pace: Pace, count: number, seed: number): Promise<Outcome> {
    const { everyMs } = pace
    const folder = mkdtempSync(join(tmpdir(), "plomb-mucs-"))
    const random = randomFrom(seed)
    const failures: string[] = []
    const summary: string[] = []
    const pki = join(folder, "pki")
    let close = async () => {}
    try {
        await initPki(pki)
        const id = "05c000000000c1"
        await issueWithKey(pki, "concentrator", id, { hosts: ["127.0.0.1"] })
        const read = (...words: string[]) => readFileSync(join(pki, ...words), "utf8")
        const crls = lists.map(each => read(each, "crl.pem"))
        const settings = (party: string): TlsSettings => ({
            key: read(party, "key.pem"),
            chain: read(party, "chain.pem"),
            ca: read("ca-root", "cert.pem"),
            crls: () => crls,
        })
        const provider = new Provider(settings("operator"))
        const { port: at } = await provider.hub.listen(0)
        const concentrator = new Concentrator({
            tls: settings(join("concentrators", id)),
            store: join(folder, "journal"),
            providers: [{ host: "127.0.0.1", port: at }],
            everyMs,
            sign: settings("data-collection"),
            timeoutMs: 6000,
            attempts: 2,
        })
        const kept = new Map<string, number>()
        concentrator.on("kept", ({ serverId }) => kept.set(serverId, (kept.get(serverId) ?? 0) + 1))
        const { port } = await concentrator.listen(0)
        const mucs = await makeMucs(pki, count, port, settings("operator").ca, pace, random)
        close = async () => {
            for (const { muc } of mucs) muc.stop()
            await concentrator.close()
            await provider.hub.close()
        }
        const good = mucs.filter(({ dumb }) => !dumb)
        const all = (what: string, done: () => boolean) => until(what, done, failures)

        for (const { muc } of mucs) muc.start()
        const first = await all(`${count} MUCs connected`, () => concentrator.mucs().length === count)
        const started = performance.now()
        await all("two readings of every meter", () => good.every(({ meter }) => (kept.get(meter.serverId) ?? 0) >= 2))
        const cycle = (performance.now() - started) / 1000
        for (const { muc } of mucs) muc.socket?.destroy()
        await sleep(50)
        const storm = await all("all back after all broke", () => concentrator.mucs().length === count)
        const mark = new Map(kept)
        await all("one more reading of every meter", () =>
            good.every(({ meter: { serverId } }) => (kept.get(serverId) ?? 0) > (mark.get(serverId) ?? 0)),
        )
        for (const { muc } of mucs) muc.stop()
        const name = `127.0.0.1:${at}`
        await all("everything delivered", () => concentrator.journal.pending(name) === 0)
        const sum = [...kept.values()].reduce((a, b) => a + b, 0)
        if (provider.lists !== sum) failures.push(`${sum} readings kept, ${provider.lists} delivered`)
        if (provider.again > 0) failures.push(`${provider.again} entries came twice without a break`)
        const resumed = mucs.reduce((n, { muc }) => n + muc.resumed, 0)
        const handshakes = mucs.reduce((n, { muc }) => n + muc.connections, 0)
        summary.push(
            `${count} MUCs (${count - good.length} of them never answer) connected at once in ${first.toFixed(1)} s`,
            `two readings of all the others in ${cycle.toFixed(1)} s with a standing order of ${everyMs / 1000} s`,
            `after all connections broke at once all were back in ${storm.toFixed(1)} s`,
            `${handshakes} connections, ${resumed} of them resumed; ${sum} readings kept, ${provider.lists} delivered`,
            `memory of the whole process ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
        )
        return { summary, failures }
    } finally {
        await close()
        rmSync(folder, { recursive: true, force: true })
    }
}

/** Takes what was collected and judges nothing. */
class Provider {
    readonly hub: Hub
    lists = 0
    again = 0
    private newest = 0n

    constructor(tls: TlsSettings) {
        this.hub = new Hub({
            tls,
            roles: [Role.concentrator],
            timeoutMs: 10_000,
            attempts: 3,
            pauseMs: 500,
            refreshMs: 500,
            pingMs: 5000,
            most: 4,
        })
        this.hub.on("concentrator", connection => void this.drain(connection))
    }

    private async drain(connection: PeerConnection): Promise<void> {
        const exchange = (request: Buffer, requestId: Buffer) => connection.exchange(request, requestId, 10_000)
        while (this.hub.holds(connection)) {
            try {
                const { journal, entries } = await readCollected(connection.id, exchange)
                for (const { seq, response } of entries) {
                    if (seq <= this.newest) ++this.again
                    // A chain has no signed list's identifier in it.
                    else if (response.includes("PLOMB-SL/2")) ++this.lists
                    this.newest = seq
                }
                if (entries.length > 0) {
                    await acknowledge(connection.id, journal, this.newest, exchange)
                    continue
                }
            } catch (error) {
                if (!(error instanceof ExchangeError)) throw error
            }
            await this.hub.sleep(500)
        }
    }
}

async function makeMucs(
    pki: string,
    count: number,
    port: number,
    ca: string,
    { least, most }: Pace,
    random: (below: number) => number,
) {
    const authority = Authority.open(join(pki, "manufacturer"))
    const { key, file } = newKey()
    const { chain } = await LightMeter.make(pki, "0a01504c420100ffffff")
    const mucs: { muc: LightMuc; meter: LightMeter; dumb: boolean }[] = []
    for (let i = 0; i < count; ++i) {
        const id = `05${(i + 1).toString(16).padStart(12, "0")}`
        const certificate = await authority.certify({
            party: roles.muc,
            commonName: id,
            publicKey: publicKeyOf(key),
            now: new Date(),
        })
        const ders = [certificate, ...authority.chain].map(each => Buffer.from(each.rawData))
        const tls = { key: file, chain: ders.map(der => pem("CERTIFICATE", der)).join(""), ca, crls: () => [] }
        const meter = new LightMeter(`0a01504c4201${(i + 1).toString(16).padStart(8, "0")}`, key, chain)
        const dumb = i % dumbEach === dumbEach - 1
        const slow = () => least + random(most - least)
        const muc = new LightMuc({
            id,
            tls,
            meters: [meter],
            port,
            answerMs: dumb ? undefined : slow,
            dumb,
            pauseMs: 1000,
            longestPauseMs: 60_000,
            silenceMs: 180_000,
        })
        mucs.push({ muc, meter, dumb })
    }
    return mucs
}

/** Seconds until it is so; a failure where it takes too long. */
async function until(what: string, done: () => boolean, failures: string[]): Promise<number> {
    const started = performance.now()
    while (!done()) {
        if (performance.now() - started > patienceMs) {
            failures.push(`not within ${patienceMs / 1000} s: ${what}`)
            break
        }
        await sleep(50)
    }
    return (performance.now() - started) / 1000
}
