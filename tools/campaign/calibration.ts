import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ModelSource } from "../calibrate/boards.ts"
import { type Call, callOver, findBoard, LinkError } from "../calibrate/link.ts"
import { MeterUnderCalibration } from "../calibrate/meter.ts"
import type { CalibrationProtocol } from "../calibrate/protocol.ts"
import { calibrateMeter } from "../calibrate/station.ts"
import { PowerCut } from "../chips/power-cut.ts"
import { quietJob } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { initPki } from "../pki/init.ts"
import { openBoardBus } from "../vm/jacdac.ts"
import type { Outcome } from "./outcome.ts"

/** What befalls a calibration, and at which of its kind. */
export interface Mishap {
    kind:
        | "link broken before a request"
        | "link broken before an answer"
        | "power cut at an answer"
        | "power cut at a FRAM write"
        | "power cut at the element"
    at: number
}

const elementAddress = 0x60
/** Meters calibrated at the same time: most of a calibration is waiting for parts. */
const atOnce = 6

/** How many commands, FRAM writes and element transactions a whole calibration has. */
interface Extent {
    calls: number
    writes: number
    transactions: number
}

/**
 * Calibrates the real meter image in the VM with one mishap each, and then once more as a person would:
 * the second run must end with a calibrated meter, one certificate, and a test reading that is proved with it.
 * Mishaps are spread evenly over all there are; `seed` moves them.
 */
export async function run(count: number, seed: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-calibration-"))
    try {
        const pki = join(folder, "pki")
        await initPki(pki)
        const extent = await calibrateDespite(pki, 1, undefined)
        const all = mishapsOf(extent)
        const chosen = Array.from({ length: Math.min(count, all.length) }, (_, i) => {
            return all[(Math.floor((i * all.length) / Math.min(count, all.length)) + seed - 1) % all.length]
        })
        const failures: string[] = []
        let next = 0
        const work = async () => {
            while (next < chosen.length) {
                const index = next++
                await calibrateDespite(pki, index + 2, chosen[index]).catch(error => {
                    failures.push(`${chosen[index].kind} ${chosen[index].at}: ${error.message}`)
                })
            }
        }
        await Promise.all(Array.from({ length: atOnce }, work))
        const { calls, writes, transactions } = extent
        return {
            summary: [
                `one calibration: ${calls} commands, ${writes} FRAM writes, ${transactions} transactions with the element`,
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

/** Throws where the second run does not end as it must. */
async function calibrateDespite(pki: string, serial: number, planned: Mishap | undefined): Promise<Extent> {
    let mishap = planned
    const source = new ModelSource()
    const desk = await Desk.open({ serials: [serial], load: source })
    const [{ board, bench }] = desk.meters
    const extent: Extent = { calls: 0, writes: 0, transactions: 0 }
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
    await board.powerOn()
    const bus = await openBoardBus(desk.world, [board])
    let ended = board.exited
    const call = callOver(bus)
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
        if (!answer) throw new LinkError("the meter lost its power")
        if (struck === "link broken before an answer") throw broken()
        if (struck === "power cut at an answer") {
            await board.powerOff()
            throw new LinkError("power lost")
        }
        return answer
    }
    let earlier: Partial<CalibrationProtocol> | undefined
    const station = () =>
        calibrateMeter({
            ...quietJob(new MeterUnderCalibration(faulty), serial, source, pki),
            earlier,
            remember: async partial => {
                earlier = JSON.parse(JSON.stringify(partial))
            },
        })
    try {
        let protocol: CalibrationProtocol
        try {
            protocol = await station()
        } catch (error) {
            if (!mishap || !(error instanceof LinkError)) throw error
            if (!board.powered) await board.powerOn()
            await findBoard(bus, 30_000)
            ended = board.exited
            linked = true
            mishap = undefined
            protocol = await station()
        }
        const state = await new MeterUnderCalibration(call).identify()
        if (state.step !== 5 || !state.sealed) throw new Error(`step ${state.step}, sealed ${state.sealed}`)
        const { issued } = JSON.parse(readFileSync(join(pki, "calibration-authority", "index.json"), "utf8"))
        const mine = issued.filter((each: { subject: string }) => each.subject.includes(protocol.serverId))
        if (mine.length !== 1) throw new Error(`${mine.length} certificates`)
        return extent
    } finally {
        bus.dispose()
        await desk.close()
    }
}
