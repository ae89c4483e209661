import { join } from "node:path"
import type { JDBus } from "jacdac-ts"
import { ensureBuilt } from "../build/build.ts"
import { callOver, findBoard, LinkError } from "../calibrate/link.ts"
import { MeterUnderCalibration } from "../calibrate/meter.ts"
import { type ChipBench, type MeterBench, meterBench, mucBench } from "../chips/bench.ts"
import type { LoadSource } from "../chips/load-source.ts"
import { Rs485Wire } from "../chips/rs485-wire.ts"
import { Board } from "../vm/board.ts"
import { openBoardBus } from "../vm/jacdac.ts"
import { World, type WorldOptions } from "../vm/world.ts"

/** A meter on the desk: the board in the VM and the parts on its bus. */
export interface DeskMeter {
    board: Board
    bench: MeterBench
    serial: number
}

/** What stands on the desk; everything else is at its default. */
export interface DeskOptions extends WorldOptions {
    /** Serial numbers of the boards, which fix their tolerances and element serials; one meter each. */
    serials: number[]
    /** Folder that keeps the parts' state; they forget it all without. */
    state?: string
    load?: LoadSource
    /** Board of devicescript.json; "vm" has the secure element, "vm_software" does without. */
    variant?: string
    onLog?(board: string, line: string): void
    /** The meters count bytecode steps. */
    countSteps?: boolean
}

/**
 * Meters and a MUC on one desk: the stock VM with the images of this checkout, chip models on their buses, one
 * RS-485 line. Everything that demo, tests and campaigns do begins here.
 */
export class Desk {
    readonly meters: DeskMeter[] = []
    muc: { board: Board; bench: ChipBench } | undefined

    private constructor(
        readonly world: World,
        readonly wire: Rs485Wire,
        private readonly options: DeskOptions,
    ) {}

    /** Sets up the meters; nothing has power yet. */
    static async open(options: DeskOptions): Promise<Desk> {
        const world = new World(options)
        const wire = new Rs485Wire({ clock: world })
        const desk = new Desk(world, wire, options)
        const { image } = await ensureBuilt("meter", options.variant ?? "vm")
        for (const serial of options.serials) {
            const stateDir = options.state && join(options.state, `meter-${serial}`)
            const bench = meterBench({ clock: world, serial, stateDir, load: options.load, wire })
            const onLog = (line: string) => options.onLog?.(`meter ${serial}`, line)
            desk.meters.push({
                serial,
                bench,
                board: new Board({
                    image,
                    world,
                    bus: bench.bus,
                    parts: [bench],
                    onLog,
                    countSteps: options.countSteps,
                }),
            })
        }
        return desk
    }

    /** Powers the meters. */
    async start(): Promise<void> {
        for (const { board } of this.meters) await board.powerOn()
    }

    /** Puts a MUC on the line whose uplink goes to `host:port`, and powers it. */
    async startMuc(uplink: string): Promise<void> {
        const { image } = await ensureBuilt("muc", "vm")
        const stateDir = this.options.state && join(this.options.state, "muc")
        const bench = mucBench({ clock: this.world, serial: 1, stateDir, wire: this.wire })
        const onLog = (line: string) => this.options.onLog?.("muc", line)
        const settings = { uplink }
        const board = new Board({ image, world: this.world, bus: bench.bus, parts: [bench], settings, onLog })
        this.muc = { board, bench }
        await board.powerOn()
    }

    /** The Jacdac link of one meter, and its calibration service. Real clock only. */
    async calibrationLink(index = 0): Promise<{ bus: JDBus; meter: MeterUnderCalibration }> {
        const { board } = this.meters[index]
        const stopped = board.exited.then(({ message }) => {
            const told = board.log.filter(line => /E\d{4}/.test(line)).pop() ?? ""
            throw new LinkError(`the meter stopped: ${message} ${told}`.trimEnd())
        })
        // It counts while something is asked of the meter.
        stopped.catch(() => {})
        const bus = await openBoardBus(this.world, [board])
        await Promise.race([findBoard(bus, 10_000), stopped]).catch(error => {
            bus.dispose()
            throw error
        })
        const call = callOver(bus)
        const meter = new MeterUnderCalibration((...words) => Promise.race([call(...words), stopped]))
        return { bus, meter }
    }

    /** Takes the power away and keeps what the parts keep. */
    async close(): Promise<void> {
        for (const { board, bench } of [...this.meters, ...(this.muc ? [this.muc] : [])]) {
            await board.powerOff()
            bench.save()
        }
        this.world.close()
    }
}
