import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Call, callOver, findBoard, LinkError, type Target } from "../calibrate/link.ts"
import type { ChipBench } from "../chips/bench.ts"
import { PowerCut } from "../chips/power-cut.ts"
import type { Desk } from "../desk/desk.ts"
import { initPki } from "../pki/init.ts"
import type { Board } from "../vm/board.ts"
import { openBoardBus } from "../vm/jacdac.ts"
import type { Outcome } from "./outcome.ts"

/** What befalls a station's work on a board, and at which of its kind. */
export interface Mishap {
    kind:
        | "link broken before a request"
        | "link broken before an answer"
        | "power cut at an answer"
        | "power cut at a FRAM write"
        | "power cut at the element"
    at: number
}

/** How many commands, FRAM writes and element transactions the whole work has. */
export interface Extent {
    calls: number
    writes: number
    transactions: number
}

/** The work: ends, or throws `LinkError` where the mishap struck; then it is done once more with the same `call`. */
export type Work = (call: Call) => Promise<void>

const elementAddress = 0x60
/** Boards worked on at the same time: most of it is waiting for parts. */
const atOnce = 6

/**
 * Has `once` done with no mishap to learn its extent, and then with one mishap each, spread evenly over all there
 * are; `seed` moves them. `once` throws where the board does not end as it must.
 */
export async function strike(
    count: number,
    seed: number,
    name: string,
    once: (pki: string, serial: number, mishap?: Mishap) => Promise<Extent>,
): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-mishaps-"))
    try {
        const pki = join(folder, "pki")
        await initPki(pki)
        const extent = await once(pki, 1)
        const all = mishapsOf(extent)
        const chosen = Array.from({ length: Math.min(count, all.length) }, (_, i) => {
            return all[(Math.floor((i * all.length) / Math.min(count, all.length)) + seed - 1) % all.length]
        })
        const failures: string[] = []
        let next = 0
        const work = async () => {
            while (next < chosen.length) {
                const index = next++
                await once(pki, index + 2, chosen[index]).catch(error => {
                    failures.push(`${chosen[index].kind} ${chosen[index].at}: ${error.message}`)
                })
            }
        }
        await Promise.all(Array.from({ length: atOnce }, work))
        const { calls, writes, transactions } = extent
        return {
            summary: [
                `one ${name}: ${calls} commands, ${writes} FRAM writes, ${transactions} transactions with the element`,
                `${chosen.length} of ${all.length} mishaps, each resumed by running the station again`,
            ],
            failures,
        }
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

function mishapsOf({ calls, writes, transactions }: Extent): Mishap[] {
    const each = (kind: Mishap["kind"], most: number) => Array.from({ length: most }, (_, i) => ({ kind, at: i + 1 }))
    return [
        ...each("link broken before a request", calls),
        ...each("link broken before an answer", calls),
        ...each("power cut at an answer", calls),
        ...each("power cut at a FRAM write", writes),
        ...each("power cut at the element", transactions),
    ]
}

/**
 * Does `work` on a board of the desk, which has power, with a mishap on the way, and after it once more; before that `again` has the
 * board ready for it.
 */
export async function workDespite(
    { world }: Desk,
    { board, bench }: { board: Board; bench: ChipBench },
    target: Target,
    planned: Mishap | undefined,
    work: Work,
    again = async () => {
        if (!board.powered) await board.powerOn()
    },
): Promise<Extent> {
    let mishap = planned
    const extent: Extent = { calls: 0, writes: 0, transactions: 0 }
    const bus = await openBoardBus(world, [board])
    await findBoard(bus, 30_000, target)
    // The FRAM's own count of what it stored would count octets.
    bench.bus.onTransaction = ({ address, write }) => {
        if (address >= 0x50 && address <= 0x51 && write.length > 2) extent.writes++
        if (address === elementAddress) {
            extent.transactions++
            if (mishap?.kind === "power cut at the element" && extent.transactions === mishap.at) throw new PowerCut(0)
        }
        if (mishap?.kind === "power cut at a FRAM write" && extent.writes === mishap.at) {
            extent.writes++
            throw new PowerCut(0)
        }
    }
    let ended = board.exited
    const call = callOver(bus, target)
    let linked = true
    const broken = () => {
        linked = false
        return new LinkError("the link broke")
    }
    const faulty: Call = async (command, payload, ms) => {
        if (!linked) throw broken()
        const number = ++extent.calls
        const struck = mishap && number === mishap.at ? mishap.kind : undefined
        if (struck === "link broken before a request") throw broken()
        const answer = await Promise.race([call(command, payload, ms), ended.then(() => undefined)])
        if (!answer) throw new LinkError(`the ${target.board} lost its power`)
        if (struck === "link broken before an answer") throw broken()
        if (struck === "power cut at an answer") {
            await board.powerOff()
            throw new LinkError("power lost")
        }
        return answer
    }
    try {
        try {
            await work(faulty)
        } catch (error) {
            if (!mishap || !(error instanceof LinkError)) throw error
            await again()
            await findBoard(bus, 30_000, target)
            ended = board.exited
            linked = true
            mishap = undefined
            await work(faulty)
        }
        return extent
    } finally {
        bench.bus.onTransaction = undefined
        bus.dispose()
    }
}

/** Certificates that the register of an issuer names for this server id. */
export function certificatesFor(pki: string, issuer: string, serverId: string): number {
    const { issued } = JSON.parse(readFileSync(join(pki, issuer, "index.json"), "utf8"))
    return issued.filter((each: { subject: string }) => each.subject.includes(serverId)).length
}
