import { UsageError } from "../cli/usage.ts"
import { Desk, type FieldProgram } from "../desk/desk.ts"
import { deploy, imageFor } from "./deploy.ts"
import type { Field } from "./field.ts"
import { callOver, findBoard, LinkError } from "./link.ts"
import { MeterUnderCalibration } from "./meter.ts"
import type { ReferencePoint, ReferenceSource } from "./reference.ts"
import { openRs485 } from "./rs485.ts"
import { openSerialBus } from "./serial.ts"

/** A meter on the station: its calibration service and what feeds it. */
export interface OpenBoard {
    /** Absent where a meter that is sealed runs the field image already. */
    meter?: MeterUnderCalibration
    field: Field
    reference: ReferenceSource
    /** Has the parts of a VM board keep what they hold, so that not even a killed station loses it. */
    keep(): void
    close(): Promise<void>
}

/** What `--board` may say. */
export interface BoardChoice {
    serial: number
    /** Folder that holds a folder for each VM board's parts. */
    state: string
    /** Readings of a reference standard; a VM board can do without. */
    reference?: ReferenceSource
    /** Serial port of an RS-485 adapter on the line of a real meter. */
    line?: string
    /** Image that the meter gets once it is sealed; "meter" by default. */
    image?: FieldProgram
    /** An earlier session has sealed the meter. */
    sealed?: boolean
}

/** Opens "vm" (or a variant of it) or "serial:PORT". Throws `LinkError` where nobody answers. */
export async function openBoard(board: string, choice: BoardChoice): Promise<OpenBoard> {
    if (!board.startsWith("serial:")) return openVm(board, choice)
    if (!choice.reference) throw new UsageError("a real meter needs --reference FILE")
    const line = choice.line === undefined ? undefined : await openRs485(choice.line)
    const bus = await openSerialBus(board.slice("serial:".length)).catch(async error => {
        await line?.close()
        throw error
    })
    const close = async () => {
        await line?.close()
        await bus.disconnect()
        bus.dispose()
    }
    try {
        const { image, report } = await imageFor(bus, choice.image ?? "meter", 15_000)
        const found = await findBoard(bus, 5000).catch((error: Error): undefined => {
            if (!choice.sealed)
                throw new LinkError(`${error.message}: plomb flash meter_calibration --board ${report.board}`)
        })
        return {
            meter: found && new MeterUnderCalibration(callOver(bus)),
            field: {
                software: { identification: report.identification, checksum: report.softwareChecksum },
                enter: () => deploy(bus, image.bytecode),
                ask: async (request, timeoutMs) => line?.ask(request, timeoutMs),
            },
            reference: choice.reference,
            keep: () => {},
            close,
        }
    } catch (error) {
        await close()
        throw error
    }
}

async function openVm(variant: string, choice: BoardChoice): Promise<OpenBoard> {
    const source = new ModelSource()
    const program = "meter_calibration"
    const desk = await Desk.open({ serials: [choice.serial], state: choice.state, load: source, variant, program })
    await desk.start()
    const { bus, meter } = await desk.calibrationLink().catch(async error => {
        await desk.close()
        throw error
    })
    return {
        meter,
        field: await desk.field(0, choice.image),
        reference: choice.reference ?? source,
        keep: () => desk.meters[0].bench.save(),
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
        return point
    }
}
