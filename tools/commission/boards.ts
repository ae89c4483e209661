import { callOver, findBoard } from "../calibrate/link.ts"
import { openSerialBus } from "../calibrate/serial.ts"
import { UsageError } from "../cli/usage.ts"
import { Desk } from "../desk/desk.ts"
import { MucUnderInstallation, mucTarget } from "./muc.ts"

/** A MUC at hand: its installation service. */
export interface OpenMuc {
    muc: MucUnderInstallation
    /** Has the parts of a VM board keep what they hold, so that not even a killed tool loses it. */
    keep(): void
    close(): Promise<void>
}

/** Opens "vm", "vm:SERIAL" (chips kept in a folder under `state`) or "serial:PORT". Throws `LinkError` where nobody answers. */
export async function openMuc(board: string, state: string): Promise<OpenMuc> {
    if (board.startsWith("serial:")) return openSerial(board.slice("serial:".length))
    const desk = await Desk.open({ serials: [], state })
    const { bus, muc } = await desk
        .startInstallation(mucSerial(board))
        .then(() => desk.installationLink())
        .catch(async error => {
            await desk.close()
            throw error
        })
    return {
        muc,
        keep: () => desk.muc!.bench.save(),
        close: async () => {
            bus.dispose()
            await desk.close()
        },
    }
}

/** Is this what `--board` may say? */
export function isMucBoard(text: string): boolean {
    return /^(vm(:\d+)?|serial:.+)$/.test(text)
}

/** The serial number in "vm:SERIAL", 1 where there is none. */
function mucSerial(board: string): number {
    const serial = Number(board.split(":")[1] ?? 1)
    if (serial < 1 || serial > 0xffffffff) throw new UsageError(`--board ${board}: expected a serial number from 1`)
    return serial
}

async function openSerial(port: string): Promise<OpenMuc> {
    const bus = await openSerialBus(port)
    const close = async () => {
        await bus.disconnect()
        bus.dispose()
    }
    await findBoard(bus, 15_000, mucTarget).catch(async error => {
        await close()
        throw error
    })
    return { muc: new MucUnderInstallation(callOver(bus, mucTarget)), keep: () => {}, close }
}
