/**
 * The parts of one board on one bus, at the addresses of the project's boards: meter (secure element 0x60, front end
 * 0x38, clock 0x68, FRAM 0x50/0x51, dual UART 0x4D) and MUC (the same without front end). Boards of one world share
 * its clock and their RS-485 line.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Ade7953 } from "./ade7953"
import { Atecc608b, type AteccOptions } from "./atecc608b"
import { type BoardError, boardErrorOf } from "./board-error"
import { I2cBusModel, type I2cDevice } from "./bus"
import type { ModelClock } from "./clock"
import { Ds3231 } from "./ds3231"
import { household } from "./household"
import type { LoadSource } from "./load-source"
import { Mb85rc1mt } from "./mb85rc1mt"
import type { Rs485Wire } from "./rs485-wire"
import { Sc16is752 } from "./sc16is752"

/** One board. */
export interface BenchOptions {
    clock: ModelClock
    /** The board's serial number, 0 to 2^32 - 1. */
    serial: number
    /** Folder that keeps what non-volatile memory holds; read when the bench is made if it exists, written by `save`. */
    stateDir?: string
    /** Line at UART channel A. */
    wire?: Rs485Wire
    /** Line at UART channel B. */
    secondWire?: Rs485Wire
    /** SCL rate, default 100 000. */
    busHz?: number
    /** Error of the clock's oscillator in parts per million, default 0. */
    driftPpm?: number
    /** Random numbers and keys of the secure element, default the machine's own. */
    random?: AteccOptions["random"]
}

/** One meter board. */
export interface MeterBenchOptions extends BenchOptions {
    /** What flows through the meter; default a household by the serial. */
    load?: LoadSource
    /** Tolerances of the board; default by the serial. */
    board?: BoardError
}

/** One board's parts, unpowered until `powerOn`. */
export class ChipBench {
    readonly bus: I2cBusModel
    readonly secureElement: Atecc608b
    readonly rtc: Ds3231
    readonly fram: Mb85rc1mt
    readonly uart: Sc16is752
    protected readonly devices: I2cDevice[]

    /** `chipSerial`: serial number of the secure element. */
    constructor(
        protected readonly options: BenchOptions,
        chipSerial: number,
    ) {
        const { clock } = options
        this.bus = new I2cBusModel(clock, options.busHz)
        this.secureElement = new Atecc608b({ clock, serial: chipSerial, random: options.random })
        this.rtc = new Ds3231({ clock, driftPpm: options.driftPpm })
        this.fram = new Mb85rc1mt({ clock })
        this.uart = new Sc16is752({ clock })
        this.devices = [this.secureElement, this.rtc, this.fram, this.uart]
        for (const device of this.devices) this.bus.attach(device)
        if (options.wire) this.uart.channels[0].connect(options.wire)
        if (options.secondWire) this.uart.channels[1].connect(options.secondWire)
        this.load()
    }

    powerOn(): void {
        for (const device of this.devices) device.powerOn()
    }

    /** Also what to call after a `PowerCut`. A part that held SDA lets go of it. */
    powerOff(): void {
        this.bus.nineClocks()
        for (const device of this.devices) device.powerOff()
    }

    /** Writes the state folder; each file replaces its predecessor in one step. Nothing without `stateDir`. */
    save(): void {
        const dir = this.options.stateDir
        if (dir === undefined) return
        mkdirSync(dir, { recursive: true, mode: 0o700 })
        for (const [file, device] of this.files()) {
            const path = join(dir, file)
            // Private keys are in there: nobody else may read any of it, not even for a moment.
            writeFileSync(`${path}.new`, device.save!(), { mode: 0o600 })
            chmodSync(`${path}.new`, 0o600)
            renameSync(`${path}.new`, path)
        }
    }

    private load(): void {
        const dir = this.options.stateDir
        if (dir === undefined) return
        for (const [file, device] of this.files()) {
            const path = join(dir, file)
            if (existsSync(path)) device.load!(readFileSync(path))
        }
    }

    private files(): [string, I2cDevice][] {
        return [
            ["atecc608b.json", this.secureElement],
            ["ds3231.json", this.rtc],
            ["mb85rc1mt.bin", this.fram],
        ]
    }
}

/** A MUC board. */
export type MucBench = ChipBench

/** A meter board: `ChipBench` and the front end with what flows through it. */
export class MeterBench extends ChipBench {
    readonly source: LoadSource
    readonly frontEnd: Ade7953

    constructor(options: MeterBenchOptions) {
        super(options, options.serial)
        this.source = options.load ?? household({ seed: options.serial })
        const board = options.board ?? boardErrorOf(options.serial)
        this.frontEnd = new Ade7953({ clock: options.clock, load: this.source, board })
        this.devices.push(this.frontEnd)
        this.bus.attach(this.frontEnd)
    }
}

/** Parts of a meter board. Throws an Error naming the part when the state folder holds something else. */
export function meterBench(options: MeterBenchOptions): MeterBench {
    return new MeterBench(options)
}

/** Parts of a MUC board; its secure element's serial numbers are apart from those of meters. */
export function mucBench(options: BenchOptions): MucBench {
    return new ChipBench(options, 0x800000000000 + options.serial)
}
