import "../node/platform.ts"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverIdOf } from "../calibrate/station.ts"
import { layOutReadable } from "../desk/calibrated.ts"
import { Desk, type DeskMeter } from "../desk/desk.ts"
import { LineOperator } from "../desk/line-operator.ts"
import { LineProbe } from "../desk/line-probe.ts"
import { chainRequest } from "../headend/requests.ts"
import { readResponse, treeValues } from "../headend/responses.ts"
import { derOfPem, readCertificate } from "../verify/certificate.ts"
import { GatedLoad } from "./gated-load.ts"
import { attentionsOf, type Entry, Ledger } from "./ledger.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

const serial = 4711
const meterId = Buffer.from(serverIdOf(serial), "hex")
const periodMs = 900_000
/** One unit of a register in watt-seconds. */
const unit = 360
/** A calibrated meter is better than this. */
const accuracy = 0.001
/**
 * Between two commits lies one second. The next one may be late by what it waits for: reading the front end, its own
 * 64 octets on the bus, and a signature that another fiber has begun (about 150 ms, and another for a row).
 */
const lossBoundMs = 1200
/** A front end that is reset on its own loses the second it is in, the wait above, and 130 ms for its start. */
const resetBoundMs = 1400
/** Bit of the status word. */
const frontEndFault = 4
/** Octets a meter stores in the seconds that one cycle lasts. */
const reach = 2600
/** Longest for the first list: about 2,000 octets to and fro at 9600 Bd, and two signatures. */
const firstMs = 3500
/**
 * A meter keeps a list until the ninth pagination behind it. Of these a cycle that ends before it fetches anything uses three
 * (a row and two lists), and so does the one in which all is fetched: before both the oldest unseen one is at most this far back.
 */
const mostBehind = 3

const regions: [number, string][] = [
    [0xa00, "identity and time"],
    [0x1000, "access table and signers"],
    [0x2000, "energy registers"],
    [0x4000, "certificates"],
    [0x4400, "hash chain"],
    [0x6000, "signed lists"],
    [0xe000, "load profile"],
    [0x20000, "elsewhere"],
]

/**
 * Cuts the power of a metering board at `count` different FRAM write octets, always the same board: it starts where
 * the cut left it, is asked for lists, stored lists and profile rows on its line, signs the row of a period that ends
 * meanwhile, and is cut again. Runs in a virtual world; the meter runs in the stock VM.
 *
 * The load is off until the first list of a cycle has come, so that its registers are exactly what the cut left;
 * what the load gave from then to the next cut is known, and what is missing of it in the next first list is lost.
 */
export async function run(count: number, seed: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-cuts-"))
    try {
        await layOutReadable(folder, [serial])
        const load = new GatedLoad(seed)
        const desk = await Desk.open({
            serials: [serial],
            state: join(folder, "state"),
            load,
            clock: "virtual",
            startMs: Math.ceil(Date.now() / periodMs) * periodMs,
        })
        const certificate = readFileSync(join(folder, "pki", "meters", serverIdOf(serial), "cert.pem"), "utf8")
        const operator = new LineOperator(desk.world, join(folder, "pki"), meterId)
        const cutter = new Cutter(desk, load, certificate, operator, randomFrom(seed))
        try {
            await cutter.run(count)
        } finally {
            desk.world.close()
        }
        return cutter.outcome()
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

class Cutter {
    private readonly meter: DeskMeter
    private readonly probe: LineProbe
    private readonly ledger: Ledger
    private readonly failures: string[] = []
    private readonly cutsIn = new Map<string, number>()
    private chain: string | undefined
    private cuts = 0
    private boots = 0
    private lastWriteAt = 0
    private writesPerList = 0
    private writesPerSecond = 0
    private requests = 0
    /** Rows and lists that may have been signed since the newest one seen. */
    private unseen = 0
    private resets = 0
    /** Registers of the last list that stood at rest, and what flowed since in watt-seconds. */
    private rest: number | undefined
    private flowed = 0
    private allowed = 0
    private wasReset = false
    private worstMs = 0
    private lost = 0
    private flowedInAll = 0
    private onMs = 0
    /** When the load flowed since then. */
    private spans: [number, number][] = []

    constructor(
        private readonly desk: Desk,
        private readonly load: GatedLoad,
        certificate: string,
        private readonly operator: LineOperator,
        private readonly random: (below: number) => number,
    ) {
        this.meter = desk.meters[0]
        this.probe = new LineProbe(desk.world, desk.wire)
        this.ledger = new Ledger(readCertificate(derOfPem(certificate, "CERTIFICATE")).key)
        const { fram } = this.meter.bench
        const write = fram.write.bind(fram)
        fram.write = (address, data) => {
            if (address >> 1 === 0x28 && data.length > 2)
                this.lastWriteAt = ((address & 1) << 16) | (data[0] << 8) | data[1]
            return write(address, data)
        }
    }

    async run(count: number): Promise<void> {
        await this.cycle(undefined)
        await this.countWrites()
        await this.powerOff()
        const points = Array.from(
            { length: count },
            (_, i) => Math.floor((i * reach) / count) + this.random(Math.max(1, Math.floor(reach / count))),
        )
        for (let i = points.length - 1; i > 0; --i) {
            const j = this.random(i + 1)
            ;[points[i], points[j]] = [points[j], points[i]]
        }
        for (const point of points) {
            if (this.behind() > mostBehind) await this.whole()
            await this.cycle(point)
        }
        await this.whole()
    }

    outcome(): Outcome {
        const { ledger } = this
        const rows = [...ledger.entries.values()].filter(({ kind }) => kind === "profile row").length
        const where = [...this.cutsIn].map(([name, n]) => `${name} ${n}`).join(", ")
        const summary = [
            `${this.cuts} cuts, ${this.boots} starts, ${this.resets} resets of the front end alone, ${this.requests} requests`,
            `cut while writing: ${where}`,
            `octets written: ${this.writesPerSecond} a second, ${this.writesPerList} more a list`,
            `${ledger.entries.size} paginations seen, ${rows} of them profile rows`,
            `of ${Math.round(this.flowedInAll / 3600)} Wh, ${Math.round(this.lost / 3600)} Wh lost; of one cut at most what flowed in its last ${Math.round(this.worstMs)} ms`,
        ]
        return { summary, failures: [...this.failures, ...ledger.judge()] }
    }

    /** One cycle without a cut, in which everything still missing is fetched. */
    private async whole(): Promise<void> {
        await this.cycle(undefined)
        await this.powerOff()
        const missing = this.ledger.missing()
        if (missing.length > 0) this.failures.push(`paginations ${missing} can not be had`)
    }

    /** How far the meter may be beyond the oldest pagination that nobody has seen. */
    private behind(): number {
        const { newest } = this.ledger
        return newest + this.unseen - (this.ledger.missing()[0] ?? newest + 1)
    }

    /** From power-on to the cut after `point` stored octets, or to the end of what there is to do. */
    private async cycle(point: number | undefined): Promise<void> {
        const { world } = this.desk
        const { bench, board } = this.meter
        this.load.off()
        const toBoundary = periodMs - (world.nowMs() % periodMs)
        const lead = 500 + this.random(5000)
        await world.runFor(toBoundary > lead ? toBoundary - lead : toBoundary + periodMs - lead)
        await board.powerOn()
        ++this.boots
        ++this.unseen
        if (point !== undefined) bench.fram.cutAfterWrites(point)
        void board.exited
        try {
            await this.work()
            if (point === undefined) return
            // What is left of the octets goes by with the seconds.
            while (board.powered) await this.askList()
        } finally {
            bench.fram.cutNever()
        }
        if (!this.ended()) return
        ++this.cuts
        const name = regions.find(([end]) => this.lastWriteAt < end)![1]
        this.cutsIn.set(name, (this.cutsIn.get(name) ?? 0) + 1)
        this.settleLoad()
        const end = await board.exited
        if (end.reason !== "cut") this.failures.push(`cut ${point}: the board ended by ${end.reason}, ${end.message}`)
    }

    private async powerOff(): Promise<void> {
        await this.meter.board.powerOff()
        this.settleLoad()
    }

    /** What is asked of the meter in one cycle; ends early when the power goes. */
    private async work(): Promise<void> {
        const { world } = this.desk
        const first = await this.firstList()
        if (!first) return
        this.settleRegisters(first)
        this.load.on(world.nowMs(), this.random(4) === 0 ? -1 : 1)
        this.onMs = world.nowMs()
        for (const pagination of this.ledger.missing().slice(-9)) await this.fetch(pagination)
        if (this.ended()) return
        if (this.boots % 3 === 0) this.resetFrontEnd()
        if (this.boots % 16 === 1) await this.checkChain()
        await this.askList()
        const now = Math.floor(world.nowMs() / 1000)
        await this.ask(this.operator.profile(this.requestId(), now - 2 * 900, now + 900))
        await this.ask(this.operator.list(this.requestId(), this.ledger.newest))
        await this.askList()
        // A row signed since its profile was asked for shows as a gap only now.
        for (const pagination of this.ledger.missing().slice(-9)) await this.fetch(pagination)
    }

    /** The first list after a start; the meter must answer unless it is cut. */
    private async firstList(): Promise<Entry | undefined> {
        for (let i = 0; i < 4 && !this.ended(); ++i) {
            const [entry] = await this.askList(firstMs)
            // Until the front end runs, nothing that flows is counted.
            if (entry && (entry.status & frontEndFault) === 0) return entry
        }
        if (!this.ended())
            this.failures.push(
                `start ${this.boots}: the meter does not answer: ${this.meter.board.log.slice(-6).join(" | ")}`,
            )
        return undefined
    }

    /** A list that was signed and never seen, or a row likewise. */
    private async fetch(pagination: number): Promise<void> {
        await this.ask(this.operator.list(this.requestId(), pagination))
        if (this.ledger.entries.has(pagination) || this.ended()) return
        // A row between its neighbours, from the end of the period in which the first of them was signed or the one before. An
        // answer holds a few rows only; the next begins behind its last.
        const [begin, end] = this.ledger.around(pagination)
        for (let from = begin - 900; from <= end && !this.ledger.entries.has(pagination) && !this.ended(); ) {
            const last = (await this.ask(this.operator.profile(this.requestId(), from, end))).at(-1)
            if (!last?.periodEnd) return
            from = last.periodEnd + 1
        }
    }

    private async checkChain(): Promise<void> {
        const raw = await this.exchange(chainRequest(this.requestId(), meterId))
        if (!raw) return
        const chain = treeValues(readResponse(raw), 8).join()
        this.chain ??= chain
        if (chain !== this.chain) this.failures.push(`start ${this.boots}: the certificate chain is another`)
    }

    private resetFrontEnd(): void {
        const { frontEnd } = this.meter.bench
        frontEnd.powerOff()
        frontEnd.powerOn()
        ++this.resets
        const now = this.desk.world.nowMs()
        this.wasReset = true
        this.allowed += this.load.energy(Math.max(this.onMs, now - resetBoundMs), now + resetBoundMs)
    }

    /** The load ends with the board; what may be lost of it is what flowed at the end. */
    private settleLoad(): void {
        if (this.onMs > 0) {
            const now = this.desk.world.nowMs()
            const flowed = this.load.energy(this.onMs, now)
            this.flowed += flowed
            this.flowedInAll += flowed
            this.allowed += this.load.energy(Math.max(this.onMs, now - lossBoundMs), now) + flowed * accuracy + unit
            this.spans.push([this.onMs, now])
        }
        this.onMs = 0
        this.load.off()
    }

    /** The first list after a start says what the cuts before it have left. */
    private settleRegisters(first: Entry): void {
        const registers = first.drawn + first.fedIn
        if (this.rest !== undefined) {
            const gained = (registers - this.rest) * unit
            const lost = this.flowed - gained
            if (lost > this.allowed)
                this.failures.push(
                    `start ${this.boots}: ${Math.round(lost)} Ws lost, at most ${Math.round(this.allowed)} may be`,
                )
            if (lost < -unit - this.flowed * accuracy)
                this.failures.push(`start ${this.boots}: ${Math.round(-lost)} Ws more than flowed`)
            this.lost += Math.max(0, lost)
            this.noteWorst(lost)
        }
        this.rest = registers
        this.flowed = 0
        this.allowed = 0
        this.spans = []
        this.wasReset = false
    }

    /** How long before the cut had flowed what is lost; where one cut alone explains it. */
    private noteWorst(lost: number): void {
        if (this.spans.length !== 1 || this.wasReset) return
        const [from, to] = this.spans[0]
        let ms = 0
        while (ms < to - from && this.load.energy(to - ms, to) < lost - unit) ms += 10
        this.worstMs = Math.max(this.worstMs, ms)
    }

    private async countWrites(): Promise<void> {
        const { fram } = this.meter.bench
        let before = fram.writes
        await this.desk.world.runFor(10_000)
        this.writesPerSecond = Math.round((fram.writes - before) / 10)
        before = fram.writes
        const from = this.desk.world.elapsedMs()
        for (let i = 0; i < 10; ++i) await this.askList()
        const seconds = (this.desk.world.elapsedMs() - from) / 1000
        this.writesPerList = Math.round((fram.writes - before - seconds * this.writesPerSecond) / 10)
    }

    /** A list of the present. */
    private async askList(timeoutMs?: number): Promise<Entry[]> {
        ++this.unseen
        return this.ask(this.operator.list(this.requestId()), timeoutMs)
    }

    private async ask(request: Buffer, timeoutMs = 6000): Promise<Entry[]> {
        const raw = await this.exchange(request, timeoutMs)
        if (!raw || attentionsOf(raw).length > 0) return []
        const { newest } = this.ledger
        const entries = this.ledger.take(raw)
        if (this.ledger.newest > newest) this.unseen = 0
        return entries
    }

    private async exchange(request: Buffer, timeoutMs = 6000): Promise<Buffer | undefined> {
        if (this.ended()) return undefined
        ++this.requests
        return this.probe.ask(request, timeoutMs, () => this.ended())
    }

    private requestId(): Buffer {
        const id = Buffer.alloc(4)
        id.writeUInt32BE(this.requests)
        return id
    }

    private ended(): boolean {
        return !this.meter.board.powered
    }
}
