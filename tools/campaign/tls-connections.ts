import "../node/platform.ts"
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto"
import { readFileSync } from "node:fs"
import { Code } from "../../firmware/core/errors.ts"
import { alertOf } from "../../firmware/tls/alerts.ts"
import { ClientAdversary, type ClientOptions, type ClientSession } from "../adversary/client.ts"
import { echoing } from "../adversary/echo.ts"
import { ServerAdversary, type ServerOptions, type Sessions } from "../adversary/server.ts"
import type { TlsJob } from "../bench/tls-job.ts"
import { type BenchPki, openBenchPki } from "../bench/tls-pki.ts"
import { VmWithin } from "../bench/tls-within.ts"
import type { Outcome } from "./outcome.ts"

const chacha = 0x1303
/** Octets by which the free heap at the same point of two rounds may differ: signatures have 70 to 72 octets, blocks are whole words. */
const play = 64

/** One connection of a round: the side that is ours, and what must come of it. */
interface Connection {
    name: string
    side: "client" | "server"
    job?: Partial<TlsJob>
    server?: Partial<ServerOptions>
    client?: Partial<ClientOptions>
    /** The code that it must end with; without one it must go well. */
    code?: Code
    resumed?: boolean
}

const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey

function damaged(name: string): Partial<ServerOptions & ClientOptions> {
    return {
        change: (each: string, message: Buffer) => {
            if (each !== name) return message
            const copy = Buffer.from(message)
            copy[copy.length - 1] ^= 1
            return copy
        },
    }
}

const badSignature = { sign: (content: Buffer) => sign("sha256", content, foreign) }
const cut = { records: (record: Buffer, i: number) => (i < 3 ? [record] : i === 3 ? [record.subarray(0, 9)] : []) }
const twice = { records: (record: Buffer, i: number) => (i === 4 ? [record, record] : [record]) }

/** Connections in which all goes well, and others that end at every place of the handshake. */
const round: Connection[] = [
    { name: "full client", side: "client", job: { sessions: "fresh" } },
    { name: "resumed client", side: "client", resumed: true },
    { name: "full server", side: "server", job: { sessions: "fresh" } },
    { name: "resumed server", side: "server", resumed: true },
    { name: "server refused", side: "client", job: { role: 9, sessions: "fresh" }, code: Code.TlsRole },
    { name: "server's signature", side: "client", server: badSignature, code: Code.TlsSignature },
    { name: "server's Finished", side: "client", server: damaged("finished"), code: Code.TlsFinished },
    { name: "a server that stops", side: "client", server: cut, code: Code.TlsTruncated },
    { name: "a server that repeats", side: "client", server: twice, code: Code.TagMismatch },
    { name: "a server without TLS 1.3", side: "client", server: { helloExtensions: () => [] }, code: Code.TlsVersion },
    { name: "a server that wants a new hello", side: "client", server: { cookie: Buffer.from("c") } },
    { name: "client refused", side: "server", job: { nowSeconds: 1 }, code: Code.ChainNotYetValid },
    { name: "client's signature", side: "server", client: badSignature, code: Code.TlsSignature },
    { name: "client's Finished", side: "server", client: damaged("finished"), code: Code.TlsFinished },
    { name: "a client that stops", side: "server", client: cut, code: Code.TlsTruncated },
    { name: "a client of another host", side: "server", client: { serverName: "x" }, code: Code.TlsUnknownName },
    { name: "no group in common", side: "server", client: { groups: [29], share: false }, code: Code.TlsNoCommon },
    { name: "small records", side: "client", job: { recordLimit: 300, octets: 200 }, server: { fragment: 250 } },
    { name: "AES-128-GCM", side: "client", job: { suites: [0x1301] }, server: { suite: 0x1301 } },
]

/** Connections of the VM with adversaries, one after the other. */
class Connections {
    private readonly tickets: Sessions = new Map()
    private session: ClientSession | undefined

    constructor(
        private readonly pki: BenchPki,
        private readonly within: VmWithin,
    ) {}

    /** Makes one; answers what is wrong with it. */
    async make({ name, side, job, server, client, code, resumed }: Connection): Promise<string | undefined> {
        const { pki, within } = this
        // Tickets of sessions that are forgotten serve nobody.
        if (job?.sessions === "fresh") this.tickets.clear()
        const identity = (party: "server" | "client") => ({
            key: createPrivateKey(readFileSync(pki[party].keyFile)),
            chain: pki[party].chain,
        })
        const peer =
            side === "client"
                ? new ServerAdversary({
                      identity: identity("server"),
                      suite: chacha,
                      request: true,
                      sessions: this.tickets,
                      ...server,
                  })
                : new ClientAdversary({
                      identity: identity("client"),
                      suites: [chacha],
                      serverName: "localhost",
                      pskModes: [1],
                      session: resumed ? this.session : undefined,
                      ...client,
                  })
        if (peer instanceof ClientAdversary) peer.start()
        const outcome = await within.run(
            {
                side,
                suites: [chacha],
                key: pki[side].key,
                chain: pki[side].chain,
                mutual: true,
                anchors: [pki.root],
                nowSeconds: Math.floor(Date.now() / 1000),
                hostName: "localhost",
                octets: 64,
                recordLimit: 2048,
                ...job,
            },
            echoing(peer),
        )
        if (peer instanceof ClientAdversary && peer.sessions.length > 0) this.session = peer.sessions[0]
        if (outcome.code !== (code ?? 0)) return `${name}: ${Code[outcome.code] ?? "no error"}`
        if (code && code !== Code.TlsTruncated && outcome.alertSent !== alertOf(code))
            return `${name}: told as alert ${outcome.alertSent}`
        if (code) return outcome.received > 0 ? `${name}: data was believed` : undefined
        if (peer.failure) return `${name}: ${peer.failure}`
        if (resumed && !outcome.resumed) return `${name}: not resumed`
        return outcome.closed && !outcome.damaged ? undefined : `${name}: it did not end well`
    }
}

/** Connections in the VM, always: full, resumed and failing ones mixed. At the same point of each round as much heap is free. */
export async function run(count: number): Promise<Outcome> {
    const pki = await openBenchPki()
    const within = await VmWithin.open()
    const failures: string[] = []
    const free: number[] = []
    let made = 0
    try {
        const connections = new Connections(pki, within)
        while (made < count && failures.length < 20) {
            for (const each of round) {
                const wrong = await connections.make(each)
                if (wrong) failures.push(`round ${free.length}, ${wrong}`)
                ++made
            }
            free.push((await within.heap()).free)
        }
        // The first round makes what stays: buffers of the calls, the keys of the tickets.
        const lost = free.length > 1 ? free[1] - Math.min(...free.slice(1)) : 0
        if (lost > play) failures.push(`${lost} octets of heap less: ${free.join(" ")}`)
        const text = `${free.length} rounds of ${round.length}; free heap ${free[0]} after the first, ${free[1]} after the second, ${free[free.length - 1]} at the end`
        return { summary: [text], failures, cases: made }
    } finally {
        await within.close()
        pki.remove()
    }
}
