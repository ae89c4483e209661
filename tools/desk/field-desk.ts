import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { ensureBuilt } from "../build/build.ts"
import { type ChipBench, mucBench } from "../chips/bench.ts"
import { Rs485Wire } from "../chips/rs485-wire.ts"
import { Sc16is752 } from "../chips/sc16is752.ts"
import { Board } from "../vm/board.ts"
import { World } from "../vm/world.ts"
import { mucDeviceId } from "./desk.ts"

/** A MUC with field buses that is put on the desk. */
export interface FieldDeskOptions {
    /** Folder of the boards' folders: `muc-SERIAL` holds what this MUC's parts keep. */
    state: string
    serial?: number
    /** Row of devicescript.json; "vm" unless told. */
    variant?: string
    settings: Record<string, string>
    startMs: number
    /** Lines whose transceiver or converter gives back what is sent. */
    echo?: boolean[]
    onLog?(line: string): void
}

/** A MUC with field buses in a virtual world: the image `muc_field` on a board with two UART chips, and its four lines. */
export class FieldDesk {
    private constructor(
        readonly world: World,
        readonly wires: Rs485Wire[],
        readonly board: Board,
        readonly bench: ChipBench,
    ) {}

    /** Nothing has power yet. */
    static async open(options: FieldDeskOptions): Promise<FieldDesk> {
        const { serial = 1, variant = "vm", settings, startMs, echo = [], onLog } = options
        const { image } = await ensureBuilt("muc_field", variant)
        const world = new World({ clock: "virtual", startMs })
        const stateDir = join(options.state, `muc-${serial}`)
        mkdirSync(stateDir, { recursive: true, mode: 0o700 })
        const bench = mucBench({ clock: world, serial, stateDir })
        const second = new Sc16is752({ clock: world, a1: "VDD", a0: "VDD" })
        bench.bus.attach(second)
        const chips = [bench.uart, second]
        const wires = [0, 1, 2, 3].map(() => new Rs485Wire({ clock: world }))
        for (const [line, wire] of wires.entries())
            chips[line >> 1].channels[line & 1].connect(wire, { echo: echo[line] ?? false })
        const deviceId = mucDeviceId(serial)
        const parts = [bench, second]
        const board = new Board({ image, world, deviceId, bus: bench.bus, parts, settings, onLog })
        return new FieldDesk(world, wires, board, bench)
    }

    async close(): Promise<void> {
        await this.board.powerOff()
        this.bench.save()
        this.world.close()
    }
}
