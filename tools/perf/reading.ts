import { ensureBuilt } from "../build/build.ts"
import { elementCosts, operations } from "./element.ts"
import { marks } from "./marks.ts"
import { type Cost, less, Metered, share } from "./metered.ts"
import { cpuMs, type Grid, median, type Row, type Section } from "./row.ts"

/** Milliseconds a bytecode step on a Pico. */
const picoStepMs = 0.0025
/** From reset to the first line of the program on a Pico, milliseconds: fixed, and for each octet of the image. */
const picoStart = { ms: 1160, msPerOctet: 0.0013 }
const lineBaud = 9600
const bitsPerCharacter = 10
const idleMs = 10_000
const listsInWindow = 4
const rounds = 5
const periodMs = 900_000

/** The group "reading" of `plomb perf`. */
export async function readingSection(): Promise<Section> {
    const counted = await Metered.with(true, countSteps)
    const cpu = await bootTimes()
    const { report } = await ensureBuilt("meter", "vm")
    const { up, first, second, list, row, octets, element } = counted
    const startMs = picoStart.ms + picoStart.msPerOctet * report.sizes.image
    const rows: Row[] = [
        { what: "power to the meter's first line", unit: "steps", ours: up.steps },
        { what: "power to the first proof", unit: "steps", ours: first.steps },
        { what: "power to the first proof, VM and host", unit: "ms", ours: cpu },
        { what: "power to the first proof, Pico modelled", unit: "ms", ours: startMs + boardMs(first) },
        { what: "a signed reading", unit: "steps", ours: list.steps },
        { what: "a signed reading: FRAM written", unit: "octets", ours: list.framOctets },
        { what: "a signed reading: FRAM writes", unit: "transactions", ours: list.framTransactions },
        { what: "a signed reading: on the line", unit: "octets", ours: octets },
        { what: "ditto at 9600 Bd", unit: "ms", ours: (octets * bitsPerCharacter * 1000) / lineBaud },
        {
            what: "signature: element and its bus",
            unit: "ms",
            ours: element[0].elementMs + element[0].busMs,
            mark: marks.elementMs,
        },
        { what: "a second of metering", unit: "steps", ours: second.steps },
        { what: "a second of metering: bus", unit: "ms", ours: second.busMs },
        { what: "a second of metering: FRAM written", unit: "octets", ours: second.framOctets },
        { what: "a second of metering: FRAM writes", unit: "transactions", ours: second.framTransactions },
    ]
    const grid: Grid = {
        title: "modelled element times: a Pico with the element, ms",
        head: ["", "steps", "bytecode", "bus", "element", "in all", "world"],
        lines: [
            ...operations.map((name, i) => gridLine(name, element[i])),
            gridLine("a whole signed reading", list),
            gridLine("a profile row", row),
        ],
    }
    return {
        group: "reading",
        title: "One signed reading, calibrated meter in a virtual world",
        rows,
        grid,
        notes: [
            `proof: a reading that plomb verify judges so; asked for at once after power, it was number ${counted.lists}. Requests without an answer: ${counted.unanswered}.`,
            "bytecode: 2.5 us a step (emulated RP2040); bus: I2C at 100 kHz; element: ATECC608B execution times at their longest in clock mode M0. Polling overlaps execution, so the sum is an upper bound.",
            "world: what passes in the virtual world, where bytecode takes no time, waits and (of a reading) the line at 9600 Bd included; a whole reading and a row without what the meter does anyway in that time.",
            `A Pico needs ${Math.round(startMs)} ms from reset to the program's first line (modelled from the image's size); metering takes ${((100 * second.steps * picoStepMs) / 1000).toFixed(0)} % of its steps.`,
        ],
    }
}

function boardMs({ steps, busMs, elementMs }: Cost): number {
    return steps * picoStepMs + busMs + elementMs
}

function gridLine(name: string, cost: Cost): (string | number)[] {
    return [
        name,
        Math.round(cost.steps),
        cost.steps * picoStepMs,
        cost.busMs,
        cost.elementMs,
        boardMs(cost),
        cost.worldMs < 1 ? "" : cost.worldMs,
    ]
}

async function countSteps(metered: Metered) {
    const { desk, meter } = metered
    const { world } = desk
    let up: Cost | undefined
    let proof: Awaited<ReturnType<Metered["proof"]>> | undefined
    const first = await metered.cost(async () => {
        up = await metered.cost(() => metered.boot())
        proof = await metered.proof()
    })
    if (!up || !proof) throw new Error("no reading")
    // Windows begin and end between two seconds' work.
    const toHalf = () => world.runFor(1500 - (world.nowMs() % 1000))
    await world.runFor(idleMs)
    await toHalf()
    const second = share(await metered.cost(() => world.runFor(idleMs)), 1000 / idleMs)
    let listMs = 0
    const window = await metered.cost(async () => {
        const before = world.elapsedMs()
        for (let i = 0; i < listsInWindow; ++i) await metered.list()
        listMs = (world.elapsedMs() - before) / listsInWindow
        await toHalf()
    })
    const list = share(less(window, share(second, window.worldMs / 1000)), 1 / listsInWindow)
    list.worldMs = listMs

    await world.runFor(periodMs - (world.nowMs() % periodMs) - idleMs / 2)
    const over = await metered.cost(() => world.runFor(idleMs))
    const row = less(over, share(second, idleMs / 1000))
    await meter.board.powerOff()
    const element = await elementCosts(metered)
    return {
        up,
        first,
        second,
        list,
        row,
        octets: proof.raw.length,
        element,
        lists: proof.lists,
        unanswered: metered.unanswered,
    }
}

/** CPU milliseconds from power to the first signed reading, without those in chip models; median. */
async function bootTimes(): Promise<number> {
    return Metered.with(false, async metered => {
        const { bus } = metered.meter.bench
        const transfer = bus.transfer.bind(bus)
        let inModels = 0
        bus.transfer = (address, write, readLength) => {
            const before = cpuMs()
            try {
                return transfer(address, write, readLength)
            } finally {
                inModels += cpuMs() - before
            }
        }
        const taken: number[] = []
        for (let round = 0; round <= rounds; ++round) {
            inModels = 0
            metered.judgingMs = 0
            const before = cpuMs()
            await metered.boot()
            await metered.proof()
            if (round > 0) taken.push(cpuMs() - before - inModels - metered.judgingMs)
            await metered.meter.board.powerOff()
        }
        return median(taken)
    })
}
