import "../node/platform.ts"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { initPki } from "../pki/init.ts"
import { type Outcome, randomFrom } from "./outcome.ts"
import { type Plug, PlugLane, plugs } from "./plug-lane.ts"

/** Worlds side by side: most of the time of a run is waiting. A few runs share one. */
const mostLanes = 4
const fewRuns = 10

/**
 * Pulls a plug at random during traffic, `count` times: lines are reset, go dark or stay half open, concentrator and head-end
 * are killed. After each, traffic must come back by itself, and every reading that somebody acknowledged must have
 * arrived in the head-end's store, whole and once. Run n of a seed always breaks the same thing at the same moment of its traffic.
 */
export async function run(count: number, seed: number, _where = "node", only?: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-plugs-"))
    const started = performance.now()
    const failures: string[] = []
    const counts = new Map<Plug, number>(plugs.map(plug => [plug, 0]))
    const runs = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [only]
    const total = runs.length
    let done = 0
    const pki = join(folder, "pki")
    try {
        await initPki(pki)
        const lanes: PlugLane[] = []
        for (let i = 0; i < Math.min(mostLanes, Math.ceil(total / fewRuns)); ++i)
            lanes.push(await PlugLane.open(folder, pki, i))
        const work = async (lane: PlugLane) => {
            for (let number = runs.shift(); number !== undefined; number = runs.shift()) {
                const { plug, failures: came } = await lane.pull(randomFrom(seed * 1_000_003 + number))
                counts.set(plug, counts.get(plug)! + 1)
                const named = came.map(each => `seed ${seed} run ${number}, ${plug}: ${each}`)
                failures.push(...named)
                // At once: the state in which it failed is worth seeing.
                for (const line of [...named.slice(0, 4), ...(named.length > 0 ? lane.lastWords() : [])])
                    console.error(line)
                if (++done % 10 === 0) console.error(`${done} of ${total}, ${failures.length} failures`)
            }
        }
        const sums = { signed: 0, acknowledged: 0, arrived: 0, lost: 0, twice: 0 }
        try {
            await Promise.all(lanes.map(work))
            for (const lane of lanes) {
                const { counts: mine, failures: came } = await lane.settle()
                for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += mine[key]
                failures.push(...came.map(each => `seed ${seed}, at the end: ${each}`))
            }
        } finally {
            for (const lane of lanes) await lane.close()
        }
        const seconds = Math.round((performance.now() - started) / 1000)
        const summary = [
            [...counts].map(([plug, n]) => `${plug} ${n}`).join(", "),
            `${sums.signed} readings signed, ${sums.acknowledged} acknowledged, ${sums.arrived} arrived in ${seconds} s`,
            `${sums.lost} lost, ${sums.twice} twice`,
        ]
        return { summary, failures }
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}
