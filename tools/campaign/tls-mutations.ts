import { NodeWithin, type TlsWithin, VmWithin } from "../bench/tls-within.ts"
import "../node/platform.ts"
import { createPrivateKey } from "node:crypto"
import { readFileSync } from "node:fs"
import { Code } from "../../firmware/core/errors.ts"
import { installPlatform } from "../../firmware/core/platform.ts"
import { alertOf } from "../../firmware/tls/alerts.ts"
import type { Adversary, Misdeeds } from "../adversary/adversary.ts"
import { ClientAdversary, type ClientSession } from "../adversary/client.ts"
import { echoing } from "../adversary/echo.ts"
import { ServerAdversary, type Sessions } from "../adversary/server.ts"
import type { TlsJob, TlsOutcome } from "../bench/tls-job.ts"
import { type BenchParty, type BenchPki, openBenchPki } from "../bench/tls-pki.ts"
import { nodePlatform } from "../node/platform.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

const chacha = 0x1303

/** One change of one handshake message on its way to our side. */
interface Mutation {
    /** Our side. */
    side: "client" | "server"
    resumed: boolean
    message: string
    /** flip: a bit; cut: fewer octets, said so in its header; short: fewer octets than its header says. */
    kind: "flip" | "cut" | "short"
    at: number
}

function identityOf(party: BenchParty) {
    return { key: createPrivateKey(readFileSync(party.keyFile)), chain: party.chain }
}

function applied({ kind, at }: Mutation, message: Buffer): Buffer {
    if (kind === "flip") {
        const copy = Buffer.from(message)
        copy[(at >> 3) % copy.length] ^= 1 << (at & 7)
        return copy
    }
    const copy = Buffer.from(message.subarray(0, Math.min(at, message.length - 1)))
    if (kind === "cut") copy.writeUIntBE(copy.length - 4, 1, 3)
    return copy
}

/** Both sides of the connections of this campaign; our side runs in Node or in the VM. */
class Handshakes {
    private readonly server
    private readonly client
    private readonly tickets: Sessions = new Map()
    private session: ClientSession | undefined

    constructor(
        private readonly pki: BenchPki,
        private readonly within: TlsWithin,
    ) {
        this.server = identityOf(pki.server)
        this.client = identityOf(pki.client)
    }

    private job(side: "client" | "server", sessions: "keep" | "fresh"): TlsJob {
        const { key, chain } = this.pki[side]
        return {
            side,
            suites: [chacha],
            key,
            chain,
            mutual: true,
            anchors: [this.pki.root],
            nowSeconds: Math.floor(Date.now() / 1000),
            hostName: "localhost",
            octets: 64,
            recordLimit: 2048,
            sessions,
        }
    }

    private adversary(side: "client" | "server", misdeeds: Misdeeds, resumed: boolean): Adversary {
        if (side === "client") {
            const peer = new ServerAdversary({
                ...misdeeds,
                identity: this.server,
                suite: chacha,
                request: true,
                sessions: this.tickets,
                after: ["ticket", each => each.keyUpdate(true)],
            })
            return echoing(peer)
        }
        const peer = new ClientAdversary({
            ...misdeeds,
            identity: this.client,
            suites: [chacha],
            serverName: "localhost",
            pskModes: [1],
            session: resumed ? this.session : undefined,
            after: [each => each.keyUpdate(true)],
        })
        peer.start()
        return echoing(peer)
    }

    /** A connection in which `change` is done; for a resumed one the session is made first. */
    async run(
        side: "client" | "server",
        resumed: boolean,
        change: Misdeeds["change"],
    ): Promise<[TlsOutcome, Adversary]> {
        if (resumed) await this.prepare(side)
        else if (side === "client") this.tickets.clear()
        const peer = this.adversary(side, { change, transcript: "meant" }, resumed)
        return [await this.within.run(this.job(side, resumed ? "keep" : "fresh"), peer), peer]
    }

    private async prepare(side: "client" | "server"): Promise<void> {
        if (side === "server" && this.session) return
        const peer = this.adversary(side, {}, false)
        const outcome = await this.within.run(this.job(side, "fresh"), peer)
        if (!outcome.opened || peer.failure) throw new Error(`no session to resume: E${outcome.code} ${peer.failure}`)
        if (peer instanceof ClientAdversary) this.session = peer.sessions[0]
    }

    /** After a full handshake of a server under test the session kept here is worthless: its keys were dropped. */
    forget(): void {
        this.session = undefined
    }
}

/** All changes of all messages that our side gets, by their lengths in an undisturbed handshake. */
async function mutations(handshakes: Handshakes): Promise<Mutation[]> {
    const all: Mutation[] = []
    for (const side of ["client", "server"] as const)
        for (const resumed of [false, true]) {
            const lengths = new Map<string, number>()
            const [outcome, peer] = await handshakes.run(side, resumed, (name, message) => {
                lengths.set(name, message.length)
                return message
            })
            if (!outcome.closed || outcome.resumed !== resumed || peer.failure)
                throw new Error(`an undisturbed handshake failed: E${outcome.code} ${peer.failure}`)
            for (const [message, length] of lengths) {
                for (let at = 0; at < 8 * length; ++at) all.push({ side, resumed, message, kind: "flip", at })
                for (let at = 0; at < length; ++at) {
                    if (at >= 4) all.push({ side, resumed, message, kind: "cut", at })
                    all.push({ side, resumed, message, kind: "short", at })
                }
            }
        }
    return all
}

/** Messages after the handshake are in no transcript: what they say is judged by itself. */
const later = ["newSessionTicket", "keyUpdate"]

/** What is wrong with how our side took it; undefined where nothing is. */
function complaint({ message }: Mutation, outcome: TlsOutcome): string | undefined {
    if (outcome.code === Code.Unexpected) return "an error that is none of ours"
    if (outcome.code === 0 && !outcome.closed) return "neither error nor end"
    const quiet = [Code.TlsTruncated, Code.TlsAlert, 0]
    const told = quiet.includes(outcome.code) ? [-1, 0] : [alertOf(outcome.code)]
    if (!told.includes(outcome.alertSent)) return `E${outcome.code} told as alert ${outcome.alertSent}`
    if (outcome.alertSent === 80) return "internal_error"
    if (later.includes(message)) return outcome.damaged ? "damaged data" : undefined
    if (outcome.opened) return "the handshake was completed"
    if (outcome.received > 0) return "data was believed"
    return undefined
}

/** Of the same certificates the same signatures are judged over and over: once is enough. */
function installMemory(): void {
    const known = new Map<string, boolean>()
    installPlatform({
        ...nodePlatform,
        verifyP256: (publicKey, digest, signature) => {
            const name = Buffer.concat([publicKey, digest, signature]).toString("latin1")
            let holds = known.get(name)
            if (holds === undefined) {
                holds = nodePlatform.verifyP256(publicKey, digest, signature)
                if (known.size < 100) known.set(name, holds)
            }
            return holds
        },
    })
}

/**
 * Handshakes in which one message is changed on its way to our side, after decryption and before encryption again, so that every
 * change reaches the parser: none may be completed, each error must be told by its alert, and nothing may panic or hang.
 */
export async function run(count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const pki = await openBenchPki()
    const within = where === "vm" ? await VmWithin.open() : new NodeWithin()
    installMemory()
    try {
        const handshakes = new Handshakes(pki, within)
        const all = await mutations(handshakes)
        const chosen = sample(all, count, seed)
        const codes = new Map<string, number>()
        const failures: string[] = []
        for (const mutation of chosen) {
            const text = JSON.stringify(mutation)
            try {
                const { side, resumed, message } = mutation
                if (side === "server" && !resumed) handshakes.forget()
                const [outcome] = await handshakes.run(side, resumed, (name, octets) =>
                    name === message ? applied(mutation, octets) : octets,
                )
                const name = outcome.code === 0 ? "closed" : Code[outcome.code]
                codes.set(name, (codes.get(name) ?? 0) + 1)
                const wrong = complaint(mutation, outcome)
                if (wrong) failures.push(`${text}: ${wrong}`)
            } catch (error) {
                failures.push(`${text}: ${error instanceof Error ? error.message : error}`)
            }
        }
        const sorted = [...codes].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`)
        return { summary: [`${chosen.length} of ${all.length}: ${sorted.join(", ")}`], failures, cases: chosen.length }
    } finally {
        installPlatform(nodePlatform)
        await within.close()
        pki.remove()
    }
}

/** `count` of them, those of full and of resumed handshakes apart, so that keys are dropped once. */
function sample(all: Mutation[], count: number, seed: number): Mutation[] {
    const below = randomFrom(seed)
    const left = [...all]
    const chosen: Mutation[] = []
    while (chosen.length < count && left.length > 0) {
        const at = below(left.length)
        chosen.push(left[at])
        left[at] = left[left.length - 1]
        left.pop()
    }
    return chosen.sort((a, b) => Number(a.resumed) - Number(b.resumed))
}
