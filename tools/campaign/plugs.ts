import "../node/platform.ts"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layOutDesk } from "../desk/calibrated.ts"
import { initPki } from "../pki/init.ts"
import { boardMeter } from "./board-muc.ts"
import { type CaseOptions, type Outcome, randomFrom } from "./outcome.ts"
import { type Plug, PlugLane, plugs } from "./plug-lane.ts"

/** Worlds side by side: most of the time of a run is waiting. A few runs share one. */
const mostLanes = 4
const fewRuns = 10
/** One run in so many has a MUC and a meter in the VM among its MUCs. */
const boardEach = 5

/**
 * Pulls a plug at random during traffic, `count` times: lines are reset, go dark or stay half open, concentrator and head-end
 * are killed, the directory is gone when a MUC starts. After each, traffic must come back by itself, and every reading that somebody
 * acknowledged must have arrived in the head-end's store, whole and once. Run n of a seed always breaks the same thing
 * at the same moment of its traffic; `from` begins with that run.
 */
export async function run(count: number, seed: number, _where = "node", more: CaseOptions = {}): Promise<Outcome> {
    const { only, from = 1, each: everyBoard = boardEach, onCase } = more
    const folder = mkdtempSync(join(tmpdir(), "plomb-plugs-"))
    const started = performance.now()
    const failures: string[] = []
    const counts = new Map<Plug, number>(plugs.map(plug => [plug, 0]))
    const numbers = only === undefined ? Array.from({ length: count }, (_, i) => i + 1).slice(from - 1) : [only]
    const withBoard = (number: number) => everyBoard > 0 && number % everyBoard === 0
    const queues = { board: numbers.filter(withBoard), light: numbers.filter(number => !withBoard(number)) }
    const open = new Set(numbers)
    const sums = { signed: 0, acknowledged: 0, arrived: 0, lost: 0, twice: 0 }
    const lanes: [kind: "light" | "board", lane: PlugLane][] = []
    let boards: string[] = []
    try {
        if (queues.board.length > 0) await layOutDesk(folder, [boardMeter])
        else await initPki(join(folder, "pki"))
        const work = async ([kind, lane]: (typeof lanes)[number]) => {
            for (let number = queues[kind].shift(); number !== undefined; number = queues[kind].shift()) {
                const began = performance.now()
                const { plug, failures: came } = await lane.pull(randomFrom(seed * 1_000_003 + number))
                counts.set(plug, counts.get(plug)! + 1)
                const seconds = Math.round((performance.now() - began) / 100) / 10
                onCase?.({ run: number, plug, with: kind, seconds, failures: came })
                const named = came.map(what => `seed ${seed} run ${number}, ${plug}: ${what}`)
                failures.push(...named)
                // At once: the state in which it failed is worth seeing.
                for (const line of [...named.slice(0, 4), ...(named.length > 0 ? lane.lastWords() : [])])
                    console.error(line)
                open.delete(number)
                const done = numbers.length - open.size
                if (done % 10 === 0 && open.size > 0)
                    console.error(
                        `${done} of ${numbers.length}, ${failures.length} failures; ` +
                            `to go on: --seed ${seed} --count ${count} --from ${Math.min(...open)}`,
                    )
            }
        }
        const few = Math.min(mostLanes, Math.ceil(queues.light.length / fewRuns))
        const kinds: ("light" | "board")[] = Array.from({ length: few }, () => "light")
        if (queues.board.length > 0) kinds.unshift("board")
        // One after the other, since they share a PKI; who is ready begins.
        const working: Promise<void>[] = []
        for (const kind of kinds) {
            const lane = await PlugLane.open(folder, lanes.length, kind)
            lanes.push([kind, lane])
            const run = work([kind, lane])
            run.catch(() => {})
            working.push(run)
        }
        await Promise.all(working)
        for (const [, lane] of lanes) {
            const { counts: mine, failures: came } = await lane.settle()
            for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += mine[key]
            failures.push(...came.map(what => `seed ${seed}, at the end: ${what}`))
        }
        boards = lanes.flatMap(([, lane]) => lane.summary() ?? [])
    } finally {
        for (const [, lane] of lanes) await lane.close()
        rmSync(folder, { recursive: true, force: true })
    }
    const seconds = Math.round((performance.now() - started) / 1000)
    const summary = [
        [...counts].map(([plug, n]) => `${plug} ${n}`).join(", "),
        `${sums.signed} readings signed, ${sums.acknowledged} acknowledged, ${sums.arrived} arrived in ${seconds} s`,
        ...boards,
        `${sums.lost} lost, ${sums.twice} twice`,
    ]
    return { summary, failures, cases: numbers.length }
}
