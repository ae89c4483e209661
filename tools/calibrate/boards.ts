import { UsageError } from "../cli/usage.ts"
import { Desk } from "../desk/desk.ts"
import { findMeter, request } from "./link.ts"
import { MeterUnderCalibration } from "./meter.ts"
import type { ReferencePoint, ReferenceSource } from "./reference.ts"
import { openSerialBus } from "./serial.ts"

/** A meter on the station: its calibration service and what feeds it. */
export interface OpenBoard {
    meter: MeterUnderCalibration
    reference: ReferenceSource
    close(): Promise<void>
}

/** What `--board` may say. */
export interface BoardChoice {
    serial: number
    /** Folder that holds a folder for each VM board's parts. */
    state: string
    /** Readings of a reference standard; a VM board can do without. */
    reference?: ReferenceSource
}

/** Opens "vm" or "serial:PORT". Throws `UsageError` for other words and `LinkError` where nobody answers. */
export async function openBoard(board: string, choice: BoardChoice): Promise<OpenBoard> {
    if (board === "vm" || board.startsWith("vm_")) return openVm(board, choice)
    const [kind, port] = [board.slice(0, board.indexOf(":")), board.slice(board.indexOf(":") + 1)]
    if (kind !== "serial" || port === "") throw new UsageError(`--board: expected vm or serial:PORT, came "${board}"`)
    if (!choice.reference)
        throw new UsageError(
            "a real meter is measured against a reference standard: name its readings with --reference FILE",
        )
    const bus = await openSerialBus(port)
    const service = await findMeter(bus, 15_000).catch(async error => {
        await bus.disconnect()
        bus.dispose()
        throw error
    })
    return {
        meter: new MeterUnderCalibration((command, payload, ms) => request(service, command, payload, ms)),
        reference: choice.reference,
        close: async () => {
            await bus.disconnect()
            bus.dispose()
        },
    }
}

async function openVm(variant: string, choice: BoardChoice): Promise<OpenBoard> {
    const source = new ModelSource()
    const desk = await Desk.open({ serials: [choice.serial], state: choice.state, load: source, variant })
    await desk.start()
    const { bus, meter } = await desk.calibrationLink()
    return {
        meter,
        reference: choice.reference ?? source,
        close: async () => {
            bus.dispose()
            await desk.close()
        },
    }
}

/** The bench's source: the model's true values stand for the reference standard. */
export class ModelSource implements ReferenceSource {
    readonly description = "true values of the chip model's source"
    private point = { volts: 230, amperes: 0.5, angle: 0, hertz: 50 }

    at() {
        return this.point
    }

    nextChange(): number {
        return Number.POSITIVE_INFINITY
    }

    async apply(point: ReferencePoint): Promise<ReferencePoint> {
        this.point = {
            volts: point.volts,
            amperes: point.amperes,
            angle: (point.lagDegrees * Math.PI) / 180,
            hertz: point.hertz,
        }
        // The part's filters settle within a second.
        await new Promise(resolve => setTimeout(resolve, 250))
        return point
    }
}
