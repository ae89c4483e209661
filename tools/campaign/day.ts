import "../node/platform.ts"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverIdOf } from "../calibrate/station.ts"
import { household } from "../chips/household.ts"
import { energyBetween, type LoadSource, pointOf } from "../chips/load-source.ts"
import { layOutReadable } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { LineOperator } from "../desk/line-operator.ts"
import { LineProbe } from "../desk/line-probe.ts"
import { derOfPem, readCertificate } from "../verify/certificate.ts"
import { attentionsOf, type Entry, Ledger } from "./ledger.ts"
import type { Outcome } from "./outcome.ts"

const serial = 4712
const periodMs = 900_000
/** Watt-seconds in one unit of a register. */
const unit = 360
/** What calibration leaves of a meter's error. */
const accuracy = 0.001
/** Heap that may come and go with what is under way, in octets. */
const heapPlay = 512

/** Lets a load flow between two world times only, both set later. */
class Window implements LoadSource {
    from = Number.POSITIVE_INFINITY
    to = Number.POSITIVE_INFINITY

    constructor(private readonly source: LoadSource) {}

    at(second: number) {
        return second >= this.from && second < this.to ? this.source.at(second) : pointOf(0, 0, 230, 50)
    }

    nextChange(second: number): number {
        if (second < this.from) return this.from
        return second < this.to ? Math.min(this.to, this.source.nextChange(second)) : Number.POSITIVE_INFINITY
    }
}

/**
 * A meter's day in a virtual world, `hours` long: a household with photovoltaics flows through it, a list is asked
 * for every quarter of an hour, all rows of the load profile are fetched at the end. Energy must be the truth within
 * one unit of the register and the error of calibration, rows and seconds complete, the heap as at the beginning.
 */
export async function run(hours: number, seed: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-day-"))
    try {
        await layOutReadable(folder, [serial])
        return await measure(folder, hours, seed)
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

async function measure(folder: string, hours: number, seed: number): Promise<Outcome> {
    const failures: string[] = []
    const truth = household({ seed, pvPeakWatts: 4000 })
    const load = new Window(truth)
    const startMs = Math.ceil(Date.now() / periodMs) * periodMs + 20_000
    const started = performance.now()
    const onLog = (_: string, line: string) => {
        if (/^!|exception|panic/i.test(line)) failures.push(`the meter's log: ${line}`)
    }
    const desk = await Desk.open({
        serials: [serial],
        state: join(folder, "state"),
        load,
        clock: "virtual",
        startMs,
        onLog,
    })
    const { world } = desk
    const { board } = desk.meters[0]
    const probe = new LineProbe(world, desk.wire)
    const id = Buffer.from(serverIdOf(serial), "hex")
    const operator = new LineOperator(world, join(folder, "pki"), id)
    const certificate = readFileSync(join(folder, "pki", "meters", serverIdOf(serial), "cert.pem"), "utf8")
    const ledger = new Ledger(readCertificate(derOfPem(certificate, "CERTIFICATE")).key)
    let requests = 0
    const requestId = () => Buffer.from([0, ++requests >> 8, requests & 0xff])
    const list = async (): Promise<Entry> => {
        const raw = await probe.ask(operator.list(requestId()))
        if (!raw) throw new Error("the meter does not answer")
        return ledger.take(raw)[0]
    }
    const heaps: number[] = []
    try {
        await desk.start()
        await world.runFor(3000)
        const first = await list()
        load.from = world.nowMs() / 1000
        const endMs = startMs + hours * 3_600_000
        while (endMs - world.nowMs() > periodMs / 2) {
            await world.runFor(Math.min(endMs - world.nowMs(), periodMs))
            await list()
            heaps.push(board.heap()?.free ?? 0)
        }
        await world.runFor(Math.max(0, endMs - world.nowMs()) + 20_000)
        load.to = world.nowMs() / 1000
        await world.runFor(3000)
        const last = await list()

        const rows = await fetchRows(probe, ledger, operator, requestId, first.seconds, last.seconds)
        const { drawnWs, fedWs } = energyBetween(truth, load.from, load.to)
        const errors = [
            compare(failures, "1-0:1.8.0", (last.drawn - first.drawn) * unit, drawnWs),
            compare(failures, "1-0:2.8.0", (last.fedIn - first.fedIn) * unit, fedWs),
        ]
        const wanted = hours * 4
        const ends = rows.map(({ periodEnd }) => periodEnd ?? 0)
        const inOrder = ends.every((end, i) => end % 900 === 0 && (i === 0 || end === ends[i - 1] + 900))
        if (rows.length !== wanted || !inOrder) failures.push(`${rows.length} rows, ${wanted} periods ended: ${ends}`)
        for (const row of rows) judgeRow(failures, row, first, truth, load.from, startMs)
        const seconds = last.seconds - first.seconds
        const counted = last.secondsIndex - first.secondsIndex
        if (Math.abs(counted - seconds) > 1) failures.push(`${counted} seconds counted, ${seconds} went by`)
        failures.push(...ledger.judge())
        const heapLost = heaps[0] - heaps[heaps.length - 1]
        if (heapLost > heapPlay) failures.push(`${heapLost} octets of heap less at the end`)

        const realSeconds = (performance.now() - started) / 1000
        const summary = [
            `${hours} h in ${realSeconds.toFixed(1)} s of real time, ${Math.round((hours * 3600) / realSeconds)} times as fast`,
            `drawn ${(drawnWs / 3600).toFixed(1)} Wh, error ${errors[0]}; fed in ${(fedWs / 3600).toFixed(1)} Wh, error ${errors[1]}`,
            `${rows.length} rows, ${ledger.entries.size} paginations, ${counted} seconds counted in ${seconds}`,
            `free heap ${heaps[0]} octets after a quarter of an hour, ${heaps[heaps.length - 1]} at the end, least ${Math.min(...heaps)}`,
        ]
        return { summary, failures }
    } finally {
        world.close()
    }
}

function compare(failures: string[], name: string, came: number, truth: number): string {
    const error = came - truth
    if (Math.abs(error) > unit + accuracy * truth)
        failures.push(`${name}: ${Math.round(came)} Ws counted, ${Math.round(truth)} Ws flowed`)
    return truth > 0 ? `${((100 * error) / truth).toFixed(4)} %` : `${Math.round(error)} Ws`
}

/** A row shows what was durable in the second its period ended; the clock runs within two seconds of the world. */
function judgeRow(
    failures: string[],
    row: Entry,
    first: Entry,
    truth: LoadSource,
    from: number,
    startMs: number,
): void {
    const end = row.periodEnd ?? 0
    if (end * 1000 < startMs) return
    const came = (row.drawn - first.drawn) * unit
    const least = energyBetween(truth, from, Math.max(from, end - 4)).drawnWs
    const most = energyBetween(truth, from, end + 4).drawnWs
    if (came < least * (1 - accuracy) - unit || came > most * (1 + accuracy) + unit)
        failures.push(`row ${end}: ${came} Ws, between ${Math.round(least)} and ${Math.round(most)} flowed`)
}

/** The rows whose periods ended between two times, as a head-end fetches them: some an answer, then on from the last. */
async function fetchRows(
    probe: LineProbe,
    ledger: Ledger,
    operator: LineOperator,
    requestId: () => Buffer,
    from: number,
    to: number,
): Promise<Entry[]> {
    const rows: Entry[] = []
    for (let begin = from; begin <= to; ) {
        const raw = await probe.ask(operator.profile(requestId(), begin, to), 15_000)
        if (!raw) throw new Error("the meter does not answer for its load profile")
        if (attentionsOf(raw).length > 0) break
        rows.push(...ledger.take(raw))
        begin = (rows[rows.length - 1].periodEnd ?? to) + 1
    }
    return rows
}
