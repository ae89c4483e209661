import { entryOf } from "../chips/atecc608b-commands.ts"
import type { Transaction } from "../chips/bus.ts"
import { Board } from "../vm/board.ts"
import { compile } from "../vm/compile.ts"
import { type Cost, less, type Metered } from "./metered.ts"

const elementAddress = 0x60
const wordCommand = 0x03
const mark = 20

/** Names of the operations of `device/element.ts`, in its order. */
export const operations = ["sign", "verify", "genkey", "counter"]

/** Milliseconds that the element takes for the command in this transaction, at its longest in clock mode M0; else 0. */
export function elementTimeMs({ address, write, status }: Transaction): number {
    if (address !== elementAddress || status !== 0 || write[0] !== wordCommand) return 0
    return entryOf(write[2])?.ms[0] ?? 0
}

/** What each of `operations` costs by the driver, on the parts of this meter; its key is another afterwards. */
export async function elementCosts(metered: Metered): Promise<Cost[]> {
    const { bench } = metered.meter
    const costs: Cost[] = []
    let before: Cost | undefined
    const board: Board = new Board({
        image: await compile("tools/perf/device/element.ts"),
        world: metered.desk.world,
        bus: bench.bus,
        parts: [bench],
        countSteps: true,
        onHostCall: op => {
            if (op !== mark) return undefined
            const now = { ...metered.sums(), steps: board.steps }
            if (before) costs.push(less(now, before))
            before = now
            return new Uint8Array(0)
        },
    })
    await board.powerOn()
    try {
        await metered.desk.world.runUntil(() => costs.length === operations.length, 30_000)
    } finally {
        await board.powerOff()
    }
    return costs
}
