import { createServer, type Socket } from "node:net"
import { type Cell, expected, type Matrix, notRun, type Report, unexpected } from "./report.ts"
import { gnutls } from "./tls-gnutls.ts"
import type { TlsJob, TlsOutcome } from "./tls-job.ts"
import { nodeTls } from "./tls-node.ts"
import { openssl } from "./tls-openssl.ts"
import type { PeerClient, PeerServer, PeerSettings, TlsPeer } from "./tls-peers.ts"
import { type BenchPki, openBenchPki } from "./tls-pki.ts"
import { NodeRunner, type TlsRunner, VmRunner } from "./tls-runner.ts"

/** Which part of the matrix to run; all of it by default. */
export interface InteropChoice {
    peers?: string[]
    sides?: ("client" | "server")[]
    where?: ("VM" | "Node")[]
    suites?: number[]
    /** Names of columns. */
    trials?: string[]
}

const suiteNames: Record<number, string> = { 4867: "ChaCha20", 4865: "AES-GCM" }
const peers: TlsPeer[] = [openssl, gnutls, nodeTls]
const octets = 20_480
const lines = octets / 64
const operatorRole = 4
const mucRole = 17

/** One column: what is asked of the peer and of us, and which peers can do it. */
interface Trial {
    name: string
    peer?: Partial<PeerSettings>
    job?: Partial<TlsJob>
    /** Names of the peers that can; all of them unless told. */
    only?: string[]
}

const ourClient: Trial[] = [
    { name: "full" },
    { name: "resumed" },
    { name: "retry", peer: { cookie: true }, only: ["OpenSSL"] },
    { name: "512 octets", job: { recordLimit: 513 } },
    { name: "our updates", job: { updateAfter: 5 } },
    { name: "its updates", peer: { updateAfterLines: lines / 2 }, only: ["OpenSSL"] },
    { name: "it ends", peer: { endAfterLines: lines }, job: { peerCloses: true }, only: ["node:tls"] },
]

const ourServer: Trial[] = [
    { name: "full" },
    { name: "resumed" },
    { name: "retry", peer: { otherGroupFirst: true } },
    { name: "512 octets", peer: { recordLimit: 512 }, job: { octets: 4096 }, only: ["OpenSSL", "GnuTLS"] },
    { name: "our updates", job: { updateAfter: 5 } },
    { name: "its updates", peer: { updateAfterLines: lines / 2 }, only: ["OpenSSL", "GnuTLS"] },
    { name: "it ends", peer: { endAfterLines: lines }, job: { peerCloses: true } },
]

const none: Cell = expected("-")

class Bench {
    constructor(
        readonly pki: BenchPki,
        readonly choice: InteropChoice,
    ) {}

    private chosen(trials: Trial[]): Trial[] {
        return trials.filter(each => this.choice.trials?.includes(each.name) ?? true)
    }

    async matrix(side: "client" | "server", runners: TlsRunner[]): Promise<Matrix> {
        const trials = this.chosen(side === "client" ? ourClient : ourServer)
        const title = side === "client" ? "our client, their server" : "our server, their client"
        const rows: Matrix["rows"] = []
        for (const peer of peers.filter(each => this.choice.peers?.includes(each.name) ?? true))
            for (const suite of this.choice.suites ?? [0x1303, 0x1301])
                for (const runner of runners) {
                    const cells: Cell[] = []
                    for (const trial of trials) {
                        if (peer.version === undefined) cells.push(notRun(`${peer.name} (${peer.howToGet})`))
                        else if (trial.only && !trial.only.includes(peer.name)) cells.push(none)
                        else cells.push(await this.trial(side, peer, suite, runner, trial))
                    }
                    rows.push({ names: [peer.name, suiteNames[suite], runner.where], cells })
                }
        return { title, head: ["", "suite", "in", ...trials.map(each => each.name)], rows }
    }

    private job(side: "client" | "server", suite: number, trial: Trial): TlsJob {
        const { pki } = this
        const { key, chain } = side === "client" ? pki.client : pki.server
        return {
            side,
            suites: [suite],
            key,
            chain,
            mutual: true,
            anchors: [pki.root],
            crls: pki.crls,
            crlRequired: true,
            nowSeconds: Math.floor(Date.now() / 1000),
            role: side === "client" ? operatorRole : mucRole,
            hostName: "localhost",
            octets,
            // A client that knows of no limit may send what it likes.
            recordLimit: side === "client" ? 1025 : 4096,
            ...trial.job,
        }
    }

    private async trial(
        side: "client" | "server",
        peer: TlsPeer,
        suite: number,
        runner: TlsRunner,
        trial: Trial,
    ): Promise<Cell> {
        const settings: PeerSettings = { pki: this.pki, suite, ...trial.peer }
        const job = this.job(side, suite, trial)
        const resumed = trial.name === "resumed"
        let said = () => ""
        try {
            const outcomes =
                side === "client"
                    ? await asClient(peer, settings, job, runner, resumed, each => {
                          said = each
                      })
                    : await asServer(peer, settings, job, runner, resumed, each => {
                          said = each
                      })
            const wrong = outcomes.flatMap((outcome, i) => complaints(outcome, job, i > 0))
            return wrong.length === 0
                ? expected("ok")
                : unexpected(wrong[0], `${wrong.join(", ")}; it said: ${tail(said())}`)
        } catch (error) {
            return unexpected("error", `${error instanceof Error ? error.message : error}; it said: ${tail(said())}`)
        }
    }
}

function tail(text: string): string {
    return text.slice(-300).replaceAll("\n", " | ")
}

async function asClient(
    peer: TlsPeer,
    settings: PeerSettings,
    job: TlsJob,
    runner: TlsRunner,
    resumed: boolean,
    onSaid: (said: () => string) => void,
): Promise<TlsOutcome[]> {
    const server: PeerServer = await peer.serve(settings)
    onSaid(server.said)
    try {
        const outcomes = [await runner.run({ ...job, port: server.port, sessions: "fresh" })]
        if (resumed) outcomes.push(await runner.run({ ...job, port: server.port }))
        return outcomes
    } finally {
        await server.stop()
    }
}

async function asServer(
    peer: TlsPeer,
    settings: PeerSettings,
    job: TlsJob,
    runner: TlsRunner,
    resumed: boolean,
    onSaid: (said: () => string) => void,
): Promise<TlsOutcome[]> {
    const sockets: Socket[] = []
    let arrived = () => {}
    const listener = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
        sockets.push(socket)
        arrived()
    })
    await new Promise<void>(resolve => listener.listen(0, "127.0.0.1", resolve))
    const next = async () => {
        const end = setTimeout(() => arrived(), 60_000)
        if (sockets.length === 0)
            await new Promise<void>(resolve => {
                arrived = resolve
            })
        clearTimeout(end)
        const socket = sockets.shift()
        if (!socket) throw new Error("no connection came")
        socket.resume()
        return socket
    }
    // A client that does not answer close_notify must end by itself.
    const ends = !peer.clientAnswersEnd
    const chosen = { ...settings, resumes: resumed, ...(ends ? { endAfterLines: job.octets! / 64 } : {}) }
    const { port } = listener.address() as { port: number }
    const client: PeerClient = await peer.call(port, chosen)
    onSaid(client.said)
    try {
        const outcomes: TlsOutcome[] = []
        for (let i = 0; i < (resumed ? 2 : 1); ++i) {
            const sessions = i === 0 ? "fresh" : "keep"
            const connection = client.connect()
            outcomes.push(await runner.run({ ...job, sessions, peerCloses: job.peerCloses || ends }, await next()))
            await connection
        }
        return outcomes
    } finally {
        await client.stop()
        await new Promise(resolve => listener.close(resolve))
        for (const socket of sockets) socket.destroy()
    }
}

/** What is not as it must be after a connection in which all went well. */
function complaints(outcome: TlsOutcome, job: TlsJob, resumed: boolean): string[] {
    const wrong: string[] = []
    if (outcome.code) wrong.push(`E${outcome.code}`)
    if (outcome.alertReceived > 0) wrong.push(`alert ${outcome.alertReceived} came`)
    if (outcome.alertSent > 0) wrong.push(`alert ${outcome.alertSent} sent`)
    if (!outcome.opened) wrong.push("no handshake")
    if (outcome.suite !== job.suites[0]) wrong.push(`suite ${outcome.suite.toString(16)}`)
    if (outcome.resumed !== resumed) wrong.push(resumed ? "not resumed" : "resumed")
    if (!outcome.peer) wrong.push("no certificate")
    if (outcome.received !== job.octets) wrong.push(`${outcome.received} octets`)
    if (outcome.damaged) wrong.push("damaged octets")
    if (!outcome.closed) wrong.push("no close_notify came")
    return wrong
}

/** The scenario, or a part of it. */
export async function interop(choice: InteropChoice = {}): Promise<Report> {
    const pki = await openBenchPki()
    const runners: TlsRunner[] = []
    try {
        for (const where of choice.where ?? ["VM", "Node"])
            runners.push(where === "VM" ? await VmRunner.open() : new NodeRunner())
        const bench = new Bench(pki, choice)
        const matrices: Matrix[] = []
        for (const side of choice.sides ?? ["client", "server"]) matrices.push(await bench.matrix(side, runners))
        const versions = peers.map(({ name, version }) => `${name}: ${version ?? "not installed"}`)
        return {
            matrices,
            notes: [
                ...versions,
                "Each trial: certificates on both sides, judged with revocation lists and roles; server name; 20 KB each way in blocks of",
                "1 KB; close_notify both ways. retry: HelloRetryRequest. 512 octets: we, or it as a client, take no longer records.",
                "our/its updates: new keys in the midst of the data. -: nothing it can be made to do from its command line.",
            ],
        }
    } finally {
        for (const runner of runners) await runner.close()
        pki.remove()
    }
}

export function run(): Promise<Report> {
    return interop()
}
