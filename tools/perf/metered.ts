import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { instituteCrls } from "../calibrate/certifier.ts"
import { serverIdOf } from "../calibrate/station.ts"
import type { Transaction } from "../chips/bus.ts"
import { layOutReadable } from "../desk/calibrated.ts"
import { Desk, type DeskMeter } from "../desk/desk.ts"
import { LineOperator } from "../desk/line-operator.ts"
import { LineProbe } from "../desk/line-probe.ts"
import type { Evidence } from "../evidence/format.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import { elementTimeMs } from "./element.ts"
import { cpuMs } from "./row.ts"

const serial = 4711
const periodMs = 900_000
const attempts = 4
const answerMs = 2500

/** What a stretch of a meter's life came to. */
export interface Cost {
    steps: number
    /** World time: bus, element, line and waiting; bytecode takes none. */
    worldMs: number
    busMs: number
    /** Execution times of the element's commands, each at its longest in clock mode M0. */
    elementMs: number
    framOctets: number
    framTransactions: number
}

/** What `a` cost more than `b`. */
export function less(a: Cost, b: Cost): Cost {
    return scaled(a, (value, name) => value - b[name])
}

/** A share of a cost. */
export function share(cost: Cost, factor: number): Cost {
    return scaled(cost, value => value * factor)
}

function scaled(cost: Cost, change: (value: number, name: keyof Cost) => number): Cost {
    const changed = { ...cost }
    for (const name of Object.keys(cost) as (keyof Cost)[]) changed[name] = change(cost[name], name)
    return changed
}

/** A calibrated meter in a virtual world whose line ends at the host. */
export class Metered {
    readonly meter: DeskMeter
    readonly probe: LineProbe
    private readonly operator: LineOperator
    private elementMs = 0
    private requests = 0
    /** Requests that had to be put again. */
    unanswered = 0
    /** CPU milliseconds spent in judging. */
    judgingMs = 0

    private constructor(
        readonly desk: Desk,
        readonly folder: string,
    ) {
        this.meter = desk.meters[0]
        this.probe = new LineProbe(desk.world, desk.wire)
        this.operator = new LineOperator(desk.world, join(folder, "pki"), Buffer.from(serverIdOf(serial), "hex"))
        this.meter.bench.bus.onTransaction = (transaction: Transaction) => {
            this.elementMs += elementTimeMs(transaction)
        }
    }

    /** Runs `use` with such a meter, without power yet; its world begins at a full quarter of an hour. */
    static async with<T>(countSteps: boolean, use: (metered: Metered) => Promise<T>, variant = "vm"): Promise<T> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-perf-"))
        try {
            await layOutReadable(folder, [serial], variant)
            const startMs = Math.ceil(Date.now() / periodMs) * periodMs
            const state = join(folder, "state")
            const desk = await Desk.open({ serials: [serial], state, clock: "virtual", startMs, variant, countSteps })
            try {
                return await use(new Metered(desk, folder))
            } finally {
                await desk.close()
            }
        } finally {
            rmSync(folder, { recursive: true, force: true })
        }
    }

    /** Power, and the world until the meter says on its log that it is up. */
    async boot(): Promise<void> {
        const { board } = this.meter
        await board.powerOn()
        await this.desk.world.runUntil(() => board.log.some(line => / step /.test(line)), 30_000)
    }

    /** A signed list as it came over the line; asked for again where nothing comes. Throws where the meter keeps silent. */
    async list(): Promise<{ request: Buffer; raw: Buffer }> {
        for (let attempt = 0; attempt < attempts; ++attempt) {
            const request = this.operator.list(Buffer.of(++this.requests))
            const raw = await this.probe.ask(request, answerMs)
            if (raw) return { request, raw }
            ++this.unanswered
        }
        throw new Error(`the meter does not answer: ${this.meter.board.log.slice(-4).join(" | ")}`)
    }

    /** A signed list that plomb verify takes for proof: the first ones after power may say that the meter is not ready. */
    async proof(): Promise<{ raw: Buffer; evidence: Evidence; lists: number }> {
        let doubt = ""
        for (let lists = 1; lists <= attempts; ++lists) {
            const answer = await this.list()
            const start = cpuMs()
            const evidence = this.evidence(answer)
            const [verdict] = judgeEvidence("reading", evidence, { anchors: [this.anchor()] })
            this.judgingMs += cpuMs() - start
            if (verdict.name === "proof") return { raw: answer.raw, evidence, lists }
            doubt = verdict.findings.find(({ result }) => result === "failed")?.came ?? verdict.name
        }
        throw new Error(`the meter's readings are no proof: ${doubt}`)
    }

    /** The list as the evidence a head-end would store. */
    private evidence({ request, raw }: { request: Buffer; raw: Buffer }): Evidence {
        const pki = join(this.folder, "pki")
        const chain = readFileSync(join(pki, "meters", serverIdOf(serial), "chain.pem"), "utf8")
        return {
            sml: raw,
            request,
            chain: chain.split(/(?<=-----END CERTIFICATE-----\n)/).filter(pem => pem.trim()),
            crls: instituteCrls(pki),
            receivedAt: new Date(this.desk.world.nowMs()).toISOString(),
            source: { muc: "", headend: "plomb perf" },
        }
    }

    /** The institute's root certificate, PEM. */
    anchor(): string {
        return readFileSync(join(this.folder, "pki", "institute-root", "cert.pem"), "utf8")
    }

    /** What `work` costs; everything the meter does meanwhile is in it. */
    async cost(work: () => Promise<unknown>): Promise<Cost> {
        const before = this.sums()
        await work()
        return less(this.sums(), before)
    }

    /** What everything came to so far. */
    sums(): Cost {
        const { board, bench } = this.meter
        return {
            steps: board.powered ? board.steps : 0,
            worldMs: this.desk.world.elapsedMs(),
            busMs: bench.bus.busyMs,
            elementMs: this.elementMs,
            framOctets: bench.fram.writes,
            framTransactions: bench.fram.writeTransactions,
        }
    }
}
