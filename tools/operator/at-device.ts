import { LinkError, RefusedError } from "../calibrate/link.ts"
import { UsageError } from "../cli/usage.ts"
import { isMucBoard, openMuc } from "../commission/boards.ts"
import { ExchangeError } from "../headend/responses.ts"
import type { Reach } from "./reach.ts"

/**
 * A MUC on the bench or on its wall, with the image for installation: "vm", "vm:SERIAL" (its chips in a folder under `state`) or "serial:PORT".
 * Its cable carries what its uplink would, and what is done at the device only (firmware/muc/README.md). Throws `LinkError`.
 */
export async function atDevice(board: string, state: string): Promise<Reach> {
    if (!isMucBoard(board)) throw new UsageError(`--at ${board}: expected vm, vm:SERIAL or serial:PORT`)
    const open = await openMuc(board, state)
    try {
        const { serverId } = await open.muc.identify()
        return {
            devices: async () => ({ mucs: [serverId], meters: [] }),
            send: async (target, file) => {
                if (target !== serverId)
                    throw new ExchangeError("unreachable", `there is MUC ${serverId} at ${board}, not ${target}`)
                try {
                    return await open.muc.order(file)
                } catch (error) {
                    if (error instanceof RefusedError) throw new ExchangeError("refused", error.message)
                    if (error instanceof LinkError) throw new ExchangeError("timeout", error.message)
                    throw error
                } finally {
                    open.keep()
                }
            },
            close: () => open.close(),
        }
    } catch (error) {
        await open.close()
        throw error
    }
}
