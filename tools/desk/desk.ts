import { join } from "node:path"
import type { JDBus } from "jacdac-ts"
import { ensureBuilt } from "../build/build.ts"
import type { Field } from "../calibrate/field.ts"
import { type Call, callOver, findBoard, LinkError, meterTarget, type Target } from "../calibrate/link.ts"
import { MeterUnderCalibration } from "../calibrate/meter.ts"
import { type ChipBench, type MeterBench, meterBench, mucBench } from "../chips/bench.ts"
import type { LoadSource } from "../chips/load-source.ts"
import type { PlcLine } from "../chips/plc-line.ts"
import { Rs485Wire } from "../chips/rs485-wire.ts"
import { type LanNetwork, W5500 } from "../chips/w5500.ts"
import { MucUnderInstallation, mucTarget } from "../commission/muc.ts"
import { Board } from "../vm/board.ts"
import type { Image } from "../vm/compile.ts"
import { openBoardBus } from "../vm/jacdac.ts"
import { World, type WorldOptions } from "../vm/world.ts"
import { roomDb } from "./display.ts"
import { LineProbe } from "./line-probe.ts"

/** A meter on the desk: the board in the VM and the parts on its bus. */
export interface DeskMeter {
    board: Board
    bench: MeterBench
    serial: number
}

/** A MUC that is put on the desk. */
export interface DeskMucOptions {
    /** Where its uplink goes, "host:port"; nowhere if empty. */
    uplink: string
    /** Serial number of the board, 1 by default. */
    serial?: number
    /** Further settings, as "directory". */
    settings?: Record<string, string>
    /** Image of the board, "muc" by default. */
    program?: string
    /** What the board's Ethernet part is plugged into, where it has one. */
    lan?: LanNetwork
    /** The power line that its modem is on, where it has one. */
    plc?: PlcLine
}

/** Images that a meter measures with, and all of them. */
export type FieldProgram = "meter" | "meter_master"
export type MeterProgram = FieldProgram | "meter_calibration"

/** The device identifier of the MUC board with this serial number, in the VM. */
export function mucDeviceId(serial: number): string {
    return `504c4d43${serial.toString(16).padStart(8, "0")}`
}

/** Server id of the MUC with this serial number, in the VM (firmware/muc/identity.ts). */
export function mucServerId(serial: number): string {
    return `05${mucDeviceId(serial).slice(4)}`
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
    /** All boards count bytecode steps. */
    countSteps?: boolean
    /** What the meters run; the image for calibration has the calibration service, the field image the line. */
    program?: MeterProgram
    /** Boards whose program ends begin again, as real ones do; otherwise that is an error. */
    restart?: boolean
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
        const { image } = await ensureBuilt(options.program ?? "meter", options.variant ?? "vm")
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
                    restart: options.restart,
                    onEnd: options.restart ? () => {} : undefined,
                }),
            })
        }
        return desk
    }

    /** Powers the meters. */
    async start(): Promise<void> {
        for (const { board } of this.meters) await board.powerOn()
    }

    /** Has a meter run another image, as flashing would: power off, program exchanged, power on. */
    async flash(program: MeterProgram, index = 0): Promise<void> {
        const { image } = await ensureBuilt(program, this.options.variant ?? "vm")
        await this.load(image, index)
    }

    private async load(image: Image, index: number): Promise<void> {
        const { board } = this.meters[index]
        await board.powerOff()
        board.program(image)
        await board.powerOn()
    }

    /** The field image for a meter, and its line; nobody else may be master of it then. */
    async field(index = 0, program: FieldProgram = "meter"): Promise<Field> {
        const { report, image } = await ensureBuilt(program, this.options.variant ?? "vm")
        const probe = new LineProbe(this.world, this.wire)
        const { board } = this.meters[index]
        return {
            software: { identification: report.identification, checksum: report.softwareChecksum },
            enter: () => this.load(image, index),
            ask: (request, timeoutMs) => probe.ask(request, timeoutMs, () => !board.powered),
        }
    }

    /** Puts a MUC on the line and powers it. */
    async startMuc({ uplink, serial = 1, settings, program = "muc", lan, plc }: DeskMucOptions): Promise<void> {
        await this.powerMuc(program, serial, { uplink, ...settings }, lan, plc)
    }

    /** Powers a MUC with the image for production and installation. */
    async startInstallation(serial = 1): Promise<void> {
        await this.powerMuc("muc_install", serial, {})
    }

    private async powerMuc(
        program: string,
        serial: number,
        settings: Record<string, string>,
        lan?: LanNetwork,
        plc?: PlcLine,
    ): Promise<void> {
        const { image } = await ensureBuilt(program, "vm")
        const stateDir = this.options.state && join(this.options.state, `muc-${serial}`)
        const bench = mucBench({
            clock: this.world,
            serial,
            stateDir,
            wire: this.wire,
            secondWire: plc?.join(roomDb).wire,
        })
        const spi = lan && new W5500({ clock: this.world, network: lan })
        const board = new Board({
            image,
            world: this.world,
            deviceId: mucDeviceId(serial),
            bus: bench.bus,
            spi,
            parts: spi ? [bench, spi] : [bench],
            settings,
            onLog: line => this.options.onLog?.("muc", line),
            countSteps: this.options.countSteps,
            restart: this.options.restart,
            onEnd: this.options.restart ? () => {} : undefined,
        })
        this.muc = { board, bench }
        await board.powerOn()
    }

    /** The Jacdac link of one meter that runs `meter_calibration`, and its calibration service. Real clock only. */
    async calibrationLink(index = 0): Promise<{ bus: JDBus; meter: MeterUnderCalibration }> {
        const { bus, call } = await this.link(this.meters[index].board, meterTarget)
        return { bus, meter: new MeterUnderCalibration(call) }
    }

    /** The Jacdac link of a MUC in installation, and its service. Real clock only. */
    async installationLink(): Promise<{ bus: JDBus; muc: MucUnderInstallation }> {
        const { bus, call } = await this.link(this.muc!.board, mucTarget)
        return { bus, muc: new MucUnderInstallation(call) }
    }

    private async link(board: Board, target: Target): Promise<{ bus: JDBus; call: Call }> {
        const stopped = board.exited.then(({ message }) => {
            const told = board.log.filter(line => /E\d{4}/.test(line)).pop() ?? ""
            throw new LinkError(`the ${target.board} stopped: ${message} ${told}`.trimEnd())
        })
        // It counts while something is asked of the board.
        stopped.catch(() => {})
        const bus = await openBoardBus(this.world, [board])
        await Promise.race([findBoard(bus, 10_000, target), stopped]).catch(error => {
            bus.dispose()
            throw error
        })
        const call = callOver(bus, target)
        return { bus, call: (...words) => Promise.race([call(...words), stopped]) }
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
