import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fieldMetersPath } from "../../firmware/core/sml-parameter"
import { ensureBuilt } from "../build/build.ts"
import { crlsOf } from "../calibrate/issuance.ts"
import { layOutDesk } from "../desk/calibrated.ts"
import { mucServerId } from "../desk/desk.ts"
import { FieldDesk } from "../desk/field-desk.ts"
import { partyTls } from "../desk/parties.ts"
import { HeadEnd } from "../headend/headend.ts"
import type { StoredReading } from "../headend/store.ts"
import { judgeSeries } from "../verify/linkage.ts"
import type { ListedTelegram } from "../verify/telegram-list.ts"
import { type Disturbance, mbusMeters, mbusRates, Street, streetMeters } from "./field-street.ts"
import { type Cell, expected, type Matrix, type Report, unexpected } from "./report.ts"

const day = 24
/** Hours from which on the goal counts under disturbance: dead meters cost most while they are not known as such. */
const settled = 12
/** Share of what a line's rate allows that is the goal. */
const goal = 0.85
/** World time between two questions of the head-end for lists. */
const pullMs = 300_000
/** World time that finding all meters takes at most; the one at 300 Bd takes longest. */
const searchMs = 3_600_000
/** How late a turn may be, with repeats of a disturbed line (30, 60 and 120 s after each other), in seconds. */
const lateSeconds = 300

const still: Disturbance = { damaged: 0, dead: 0, pairs: 0 }
export const disturbed: Disturbance = { damaged: 0.05, dead: 0.03, pairs: 1 }

/** What a run showed. */
export interface Shown {
    title: string
    rows: { names: string[]; cells: Cell[] }[]
    notes: string[]
}

const hoursText = (hours: number) => `${hours} hour${hours === 1 ? "" : "s"}`

function shareText(least: number, busy: number): string {
    return `${Math.round(least / 1000)} s of ${Math.round(busy / 1000)} s, ${((100 * least) / busy).toFixed(1)} %`
}

/** Times at which each meter was read, by its address. */
function byMeter(telegrams: ListedTelegram[]): Map<string, ListedTelegram[]> {
    const found = new Map<string, ListedTelegram[]>()
    for (const each of telegrams) found.set(each.meter, [...(found.get(each.meter) ?? []), each])
    return found
}

/** What a telegram must be: what this meter said, in its frame. */
function isHis(telegram: ListedTelegram, said: Set<string>): boolean {
    const { kind, octets } = telegram
    return said.has((kind === "mbus" ? octets.subarray(6, -2) : octets).toString("hex"))
}

export async function playStreet(title: string, disturbance: Disturbance, hours: number): Promise<Shown> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-field-"))
    await layOutDesk(folder, [])
    const pki = join(folder, "pki")
    const settings = { uplink: "", ...Object.fromEntries(mbusRates.map((baud, line) => [`baud${line}`, `${baud}`])) }
    const tls = partyTls(pki, "operator")
    const log: string[] = []
    const heaps: number[] = []
    let desk: FieldDesk | undefined
    const headEnd = new HeadEnd({
        store: join(folder, "evidence"),
        tls,
        anchors: [readFileSync(join(pki, "ca-root", "cert.pem"), "utf8")],
        crls: () => crlsOf(pki, ["ca-root", "manufacturer"]),
        nowSeconds: () => (desk ? desk.world.nowMs() / 1000 : Date.now() / 1000),
        pingMs: 600_000,
        timeoutMs: 120_000,
    })
    try {
        const { port } = await headEnd.listen(0)
        settings.uplink = `127.0.0.1:${port}`
        const startMs = Date.now()
        desk = await FieldDesk.open({
            state: join(folder, "state"),
            settings,
            startMs,
            echo: [false, true],
            onLog: line => log.push(line),
        })
        const { world, board } = desk
        const street = new Street(world, desk.wires, disturbance, 6)
        const id = mucServerId(1)
        const lists = new Map<number, StoredReading>()
        headEnd.on("reading", (stored: StoredReading) => {
            if (stored.pagination !== undefined) lists.set(stored.pagination, stored)
        })
        await board.powerOn()
        const found = () => log.filter(line => / has \d+ meters$/.test(line)).length
        await world.runUntil(() => found() === mbusRates.length || !board.powered, searchMs)
        const searchedMs = world.elapsedMs()
        await world.runWhile(headEnd.waitForMeter(id, 600_000), Number.MAX_SAFE_INTEGER)
        street.disturb()
        const before = await world.runWhile(stateOf(headEnd, id), Number.MAX_SAFE_INTEGER)
        const leastBefore = street.leastMs()
        const from = world.nowMs()
        const until = world.elapsedMs() + hours * 3_600_000 + 2 * pullMs
        const realFrom = Date.now()
        while (world.elapsedMs() < until && board.powered) {
            await world.runFor(pullMs)
            heaps.push(board.heap()?.free ?? 0)
            const asked = headEnd.pull(id).catch((error: Error) => log.push(`head-end: ${error.message}`))
            await world.runWhile(asked, Number.MAX_SAFE_INTEGER)
        }
        const realSeconds = (Date.now() - realFrom) / 1000
        const after = await world.runWhile(stateOf(headEnd, id), Number.MAX_SAFE_INTEGER)
        const leastAfter = street.leastMs()

        const stored = [...lists.values()].sort((a, b) => (a.pagination ?? 0) - (b.pagination ?? 0))
        const verdicts = stored.flatMap(each => each.verdicts)
        const telegrams = byMeter(verdicts.flatMap(each => each.telegrams ?? []))
        const rows = street.lines.map((_, line) => {
            const own = street.meters.filter(meter => meter.line === line)
            const busy = after.busyMs[line] - before.busyMs[line]
            const least = leastAfter[line] - leastBefore[line]
            const names = [`M-Bus ${mbusRates[line]} Bd`, `${mbusMeters[line]}`]
            const share = least / busy
            const text = shareText(least, busy)
            return {
                names,
                cells: [
                    readCell(own, telegrams, from, hours),
                    share >= goal || (disturbance.dead > 0 && hours < settled)
                        ? expected(text)
                        : unexpected(text, `${goal * 100} %`),
                ],
            }
        })
        const pushing = street.meters.filter(meter => meter.line === mbusRates.length)
        rows.push({
            names: ["SML push 9600 Bd", "1"],
            cells: [readCell(pushing, telegrams, from, hours), expected("listens only")],
        })
        const proved = verdicts.filter(({ name }) => name === "proof").length
        const [series] = judgeSeries(verdicts)
        const evidence = `${proved} of ${verdicts.length} lists are proof, ${series?.complete ? "an unbroken series" : `broken: ${series?.statement}`}`
        const whole = proved === verdicts.length && series?.complete
        rows.push({
            names: ["signed lists", ""],
            cells: [whole ? expected(evidence) : unexpected(evidence, "all, unbroken"), expected("")],
        })
        const strange = [...telegrams.entries()].flatMap(([address, all]) => {
            const meter = street.meters.find(each => each.address === address)
            return all.filter(each => !meter || !isHis(each, meter.said))
        })
        const count = [...telegrams.values()].reduce((sum, all) => sum + all.length, 0)
        const right = `${count - strange.length} of ${count} telegrams are what their meters said`
        rows.push({
            names: ["telegrams", ""],
            cells: [strange.length === 0 ? expected(right) : unexpected(right, "all"), expected("")],
        })
        return {
            title: `${title}: ${streetMeters} meters, read hourly for ${hoursText(hours)}`,
            rows,
            notes: [
                `${title}: search for meters ${Math.round(searchedMs / 1000)} s; ${hoursText(hours)} of the world took ${realSeconds.toFixed(0)} s here; least free heap of the MUC between questions ${(Math.min(...heaps) / 1024).toFixed(1)} KB; refused: ${refusedText(before.refused, after.refused)}`,
            ],
        }
    } finally {
        await desk?.close()
        await headEnd.close()
        rmSync(folder, { recursive: true, force: true })
    }
}

/** How many of the readings that are due are there: one each hour of each living meter, the first within an hour. */
function readCell(
    meters: Street["meters"],
    telegrams: Map<string, ListedTelegram[]>,
    fromMs: number,
    hours: number,
): Cell {
    const missing: string[] = []
    let readings = 0
    let expectedReadings = 0
    for (const meter of meters) {
        if (meter.dead) continue
        const times = (telegrams.get(meter.address) ?? [])
            .map(({ atSeconds }) => (atSeconds ?? 0) - fromMs / 1000)
            .filter(at => at >= 0 && at < hours * 3600 + 120)
        const first = Math.min(...times)
        const turns = new Set(times.map(at => Math.round((at - first) / 3600)))
        const due = Math.max(1, hours - (first > 3600 ? 1 : 0))
        // One more turn may begin within the minutes that are waited for the last.
        const had = Math.max(0, Math.min(turns.size, due) - (first > 3600 + lateSeconds ? 1 : 0))
        readings += had
        expectedReadings += due
        if (had < due) missing.push(`${meter.address} ${had} of ${due}`)
    }
    const dead = meters.filter(({ dead }) => dead).length
    const text = `${readings} of ${expectedReadings} readings${dead > 0 ? `, ${dead} dead` : ""}`
    return missing.length === 0 ? expected(text) : unexpected(text, `missing: ${missing.slice(0, 8).join(", ")}`)
}

const refusals = [
    "silent",
    "garbled",
    "another meter",
    "no key",
    "wrong key",
    "damaged",
    "replayed",
    "unsupported",
    "other",
]

/** What the MUC says of its lines: how long each was in use, and how often each refusal came. */
async function stateOf(headEnd: HeadEnd, id: string): Promise<{ busyMs: number[]; refused: number[] }> {
    const [counted] = await headEnd.parameter(id, fieldMetersPath)
    const number = (i: number) => counted.readUInt32BE(4 * i)
    return { busyMs: [11, 12, 13, 14].map(number), refused: refusals.map((_, i) => number(2 + i)) }
}

/** What was refused from `before` to `after`, and how often. */
function refusedText(before: number[], after: number[]): string {
    const came = refusals.map((name, i) => ({ name, count: after[i] - before[i] })).filter(({ count }) => count > 0)
    return came.map(({ name, count }) => `${name} ${count}`).join(", ") || "nothing"
}

/** A street of 250 meters behind one MUC, undisturbed and disturbed. */
export async function run({ hours = day }: { hours?: number }): Promise<Report> {
    const { variant, report } = await ensureBuilt("muc_field", "vm")
    const shown = [await playStreet("undisturbed", still, hours)]
    shown.push(await playStreet("5 % damaged, 3 % dead, two meters at one address", disturbed, hours))
    const head = ["bus", "meters", "collected, signed, forwarded", "line time needed / used (goal 85 %)"]
    return {
        matrices: shown.map(({ title, rows }): Matrix => ({ title, head, rows })),
        notes: [
            `muc_field for vm: ${(variant.buses ?? []).join(", ")}; ${report.sizes.code} octets of code`,
            ...shown.flatMap(({ notes }) => notes),
            ...(hours < settled
                ? [
                      `the goal counts for disturbed lines from ${settled} hours on: dead meters cost most while they are not known as such`,
                  ]
                : []),
        ],
    }
}
