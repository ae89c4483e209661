import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { readEvidence } from "../evidence/format.ts"
import { issueWithKey } from "../pki/issue.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { BadLine, type Break } from "./bad-line.ts"
import { BoardMuc } from "./board-muc.ts"
import { itemsOf } from "./ledger.ts"
import { LightMeter } from "./light-meter.ts"
import { LightMuc } from "./light-muc.ts"
import { Service } from "./service.ts"

/** What is pulled. */
export const plugs = [
    "TCP reset",
    "silent drop",
    "half-open",
    "concentrator killed",
    "head-end killed",
    "both killed",
    "directory down",
    "MUC without power",
] as const
export type Plug = (typeof plugs)[number]

/** How often each comes, of 20: with light MUCs only, and with a board. */
const shares: Record<"light" | "board", [Plug, number][]> = {
    light: [
        ["TCP reset", 6],
        ["silent drop", 4],
        ["half-open", 4],
        ["concentrator killed", 3],
        ["head-end killed", 2],
        ["both killed", 1],
    ],
    board: [
        ["TCP reset", 3],
        ["silent drop", 2],
        ["half-open", 2],
        ["concentrator killed", 2],
        ["head-end killed", 1],
        ["both killed", 1],
        ["directory down", 6],
        ["MUC without power", 3],
    ],
}
/** Light MUCs behind the concentrator; one more calls the head-end itself. */
const behind = 3
/** Acknowledged readings on their way beyond which meters take their time: what a busy machine can not judge it is not sent. */
const mostUnderWay = 40
/** How often the store is looked at. */
const lookMs = 100
/** Longest that nothing at all arrives while traffic is to come back, in ms. A board waits for a silence, and for a directory that is dark. */
const patienceMs = { light: 90_000, board: 240_000 }

/** A meter as it is seen here: its newest list, and all that it has signed. */
interface Source {
    serverId: string
    pagination: number
    signed: Map<number, string>
}

type Random = (below: number) => number

/**
 * A head-end and a concentrator in processes of their own, MUCs with meters that sign, and lines between them that can be broken.
 * What was acknowledged is noted here, outside of them all.
 */
export class PlugLane {
    private readonly meters: Source[] = []
    private board: BoardMuc | undefined
    private readonly mucs: LightMuc[] = []
    /** "SERVERID PAGINATION" that the concentrator or the head-end said is on its disk. */
    private readonly acknowledged = new Set<string>()
    /** Those of them that are not in the store yet. */
    private readonly underWay = new Set<string>()
    /** The same by what is in the store. */
    private readonly arrived = new Set<string>()
    /** Its newest list of each meter. */
    private readonly newest = new Map<string, number>()
    private readonly seen = new Set<string>()
    /** Acknowledged and not come in time: told once. */
    private readonly late = new Set<string>()
    private readonly reported: string[] = []
    private twice = 0
    private headEnd!: Service
    private concentrator!: Service
    /** From MUCs to the concentrator, from it to the head-end, from a MUC to the head-end. */
    private readonly lines: BadLine[]
    private readonly store: string

    private constructor(
        folder: string,
        private readonly kind: "light" | "board",
    ) {
        this.store = join(folder, "evidence")
        this.lines = [
            new BadLine(() => this.concentrator.port),
            new BadLine(() => this.headEnd.port),
            new BadLine(() => this.headEnd.port),
        ]
    }

    /** Lane `number` with a folder of its own below `folder`, which holds the PKI of all; with a board, its desk too. */
    static async open(folder: string, number: number, kind: "light" | "board"): Promise<PlugLane> {
        const pki = join(folder, "pki")
        const own = join(folder, `lane-${number}`)
        mkdirSync(own)
        const lane = new PlugLane(own, kind)
        for (const line of lane.lines) await line.listen()
        const at = (...words: string[]) => join(pki, ...words)
        const id = `05c0000000${hex(number, 4)}`
        await issueWithKey(pki, "concentrator", id, { hosts: ["127.0.0.1"] })
        // A list takes a meter on a board up to two seconds and its line may be taken by a search; beside much else a VM is slower yet.
        const answer = kind === "board" ? "30" : "3"
        const words = (party: string) => {
            const lists = issuers.flatMap(each => ["--crl", at(each, "crl.pem")])
            const keys = [
                "--key",
                at(party, "key.pem"),
                "--chain",
                at(party, "chain.pem"),
                "--ca",
                at("ca-root", "cert.pem"),
            ]
            return [...keys, ...lists, "--json", "--listen", "0", "--answer", answer, "--ping", "2"]
        }
        const institute = [
            "--anchor",
            at("institute-root", "cert.pem"),
            "--crl",
            at("calibration-authority", "crl.pem"),
        ]
        lane.headEnd = new Service(
            ["headend", ...words("operator"), ...institute, "--store", lane.store, "--every", "2"],
            line => lane.note(line),
        )
        const provider = ["--provider", `127.0.0.1:${lane.lines[1].port}`]
        const reader = (file: string) => at("data-collection", file)
        const sign = ["--sign-key", reader("key.pem"), "--sign-chain", reader("chain.pem")]
        const journal = ["--store", join(own, "journal"), "--every", "2", ...sign]
        lane.concentrator = new Service(
            ["concentrator", ...words(join("concentrators", id)), ...provider, ...journal],
            line => lane.note(line),
        )
        await Promise.all([lane.headEnd.start(), lane.concentrator.start()])
        for (let i = 0; i <= behind; ++i) {
            const muc = `05${hex(number, 4)}${hex(i, 8)}`
            await issueWithKey(pki, "muc", muc)
            const meter = await LightMeter.make(pki, `0a01504c4201${hex(number * 16 + i + 1, 8)}`)
            lane.meters.push(meter)
            const tls: TlsSettings = {
                key: readFileSync(at("mucs", muc, "key.pem"), "utf8"),
                chain: readFileSync(at("mucs", muc, "chain.pem"), "utf8"),
                ca: readFileSync(at("ca-root", "cert.pem"), "utf8"),
                crls: () => [],
            }
            const { port } = lane.lines[i < behind ? 0 : 2]
            const pauses = { pauseMs: 200, longestPauseMs: 1500, silenceMs: 5000 }
            lane.mucs.push(
                new LightMuc({ id: muc, tls, meters: [meter], port, answerMs: () => lane.paceMs(), ...pauses }),
            )
        }
        for (const muc of lane.mucs) muc.start()
        if (kind === "board") {
            lane.board = await BoardMuc.open(folder, lane.lines[0].port)
            lane.meters.push(lane.board)
        }
        const failures = await lane.back()
        if (failures.length > 0)
            throw new Error(`no traffic from the start: ${[...failures, ...lane.lastWords()].join("\n")}`)
        return lane
    }

    /** What the board's MUC did and did not, for people. */
    summary(): string | undefined {
        const { board } = this
        return (
            board &&
            `MUC and meter in the VM: ${board.pagination} lists heard on their line, ${board.starts} starts, ` +
                `${board.without} of them without a whole answer of the directory`
        )
    }

    /** Pulls one plug and waits until all is well again. */
    async pull(random: Random): Promise<{ plug: Plug; failures: string[] }> {
        let share = random(20)
        const plug = shares[this.kind].find(([, each]) => (share -= each) < 0)![0]
        await sleep(random(400))
        const failures: string[] = []
        if (plug.endsWith("killed")) await this.killSome(plug, random)
        else if (plug === "MUC without power") await this.board!.restart(random)
        else if (plug === "directory down")
            failures.push(...(await this.board!.directoryDown(random, () => this.back())))
        else await this.breakLine(plug, random)
        failures.push(...(await this.back()))
        return { plug, failures: [...failures, ...this.judge()] }
    }

    /** Stops the meters and waits until everything acknowledged is in the store. */
    async settle() {
        const failures: string[] = []
        for (const muc of this.mucs) muc.stop()
        await this.board?.close()
        let until = 0
        for (let least = Number.POSITIVE_INFINITY; this.underWay.size > 0; ) {
            if (this.underWay.size < least) {
                least = this.underWay.size
                until = Date.now() + patienceMs[this.kind]
            }
            if (Date.now() > until) break
            await sleep(200)
            this.look()
        }
        failures.push(...this.judge(), ...[...this.underWay].map(each => `${each} was acknowledged and never arrived`))
        const signed = this.meters.reduce((sum, { pagination }) => sum + pagination, 0)
        const counts = {
            signed,
            acknowledged: this.acknowledged.size,
            arrived: this.arrived.size,
            lost: this.underWay.size,
            twice: this.twice,
        }
        return { counts, failures }
    }

    /** The ends of both logs. */
    lastWords(): string[] {
        return [
            ...this.concentrator.log.slice(-6),
            ...this.headEnd.log.slice(-6),
            ...(this.board?.log.slice(-20) ?? []),
        ]
    }

    async close(): Promise<void> {
        for (const muc of this.mucs) muc.stop()
        await this.board?.close()
        await Promise.all([this.concentrator.kill(), this.headEnd.kill()])
        for (const line of this.lines) line.close()
    }

    private async killSome(plug: Plug, random: Random): Promise<void> {
        const victims = [
            ...(plug === "head-end killed" ? [] : [this.concentrator]),
            ...(plug === "concentrator killed" ? [] : [this.headEnd]),
        ]
        // Not one after the other in the same breath: the second dies in whatever state the first left it.
        for (const each of victims) {
            await each.kill()
            await sleep(random(100))
        }
        await sleep(random(300))
        await Promise.all(victims.map(each => each.start()))
    }

    private async breakLine(plug: Plug, random: Random): Promise<void> {
        const line = this.lines[random(this.lines.length)]
        let how: Break = "reset"
        if (plug === "silent drop") how = "dark"
        if (plug === "half-open") how = random(2) === 0 ? "half-open to the caller" : "half-open to the called"
        await line.breakAfter(1 + random(4000), 1500, how)
        await sleep(random(800))
        line.heal()
    }

    /** A line of a service: a reading is on its disk. */
    private note(text: string): void {
        const line = JSON.parse(text) as { serverId: string; pagination?: number; reading?: { pagination?: string } }
        const pagination = line.pagination ?? line.reading?.pagination
        if (pagination === undefined) return
        const key = `${line.serverId} ${pagination}`
        this.acknowledged.add(key)
        if (!this.arrived.has(key)) this.underWay.add(key)
    }

    /** How long a meter takes to answer. */
    private paceMs(): number {
        return this.underWay.size > mostUnderWay ? 2000 : 5
    }

    /** New readings of every meter must come into the store, with all that were acknowledged; what did not. */
    private async back(): Promise<string[]> {
        const before = new Map(this.meters.map(({ serverId, pagination }) => [serverId, pagination]))
        const wanted = [...this.underWay].filter(each => !this.late.has(each))
        let until = 0
        let least = Number.POSITIVE_INFINITY
        for (;;) {
            this.look()
            const lacks = ({ serverId }: Source) => before.get(serverId)! + 1 - (this.newest.get(serverId) ?? 0)
            const quiet = this.meters.filter(each => lacks(each) > 0)
            const missing = wanted.filter(each => !this.arrived.has(each))
            // As long as what is waited for becomes less it is under way.
            const owed = quiet.reduce((sum, each) => sum + lacks(each), missing.length)
            if (owed < least) {
                least = owed
                until = Date.now() + patienceMs[this.kind]
            }
            if (quiet.length + missing.length === 0) return []
            if (Date.now() > until) {
                for (const each of missing) this.late.add(each)
                return [
                    ...quiet.map(
                        ({ serverId }) => `nothing new of meter ${serverId} within ${patienceMs[this.kind]} ms`,
                    ),
                    ...missing.map(each => `${each} was acknowledged and did not arrive`),
                ]
            }
            await sleep(lookMs)
        }
    }

    /** Reads what has come into the store since the last look. */
    private look(): void {
        this.reported.push(...(this.board?.look() ?? []))
        for (const { serverId, signed } of this.meters) {
            const folder = join(this.store, serverId)
            if (!existsSync(folder)) continue
            for (const name of readdirSync(folder)) {
                const path = `${folder}/${name}`
                if (this.seen.has(path)) continue
                if (name === "refused") this.reported.push(`meter ${serverId} has refused readings`)
                if (!name.endsWith(".evidence.json")) {
                    if (name === "refused") this.seen.add(path)
                    continue
                }
                this.seen.add(path)
                const pagination = Number(name.slice(0, 10))
                const key = `${serverId} ${pagination}`
                if (this.arrived.has(key)) {
                    ++this.twice
                    this.reported.push(`${key} is there twice`)
                }
                this.arrived.add(key)
                this.underWay.delete(key)
                this.newest.set(serverId, Math.max(pagination, this.newest.get(serverId) ?? 0))
                const [found] = itemsOf(readEvidence(path).sml)
                const hash = createHash("sha256").update(found.item.signed).digest("hex")
                if (hash !== signed.get(pagination)) this.reported.push(`${key} is not as it was signed`)
            }
        }
    }

    /** What was noticed since the last time, each thing once. */
    private judge(): string[] {
        return [...new Set(this.reported.splice(0))]
    }
}

const issuers = ["ca-root", "manufacturer", "security-management", "institute-root"]

function hex(value: number, digits: number): string {
    return value.toString(16).padStart(digits, "0")
}
