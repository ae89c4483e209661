import { type JDBus, type JDService, Packet } from "jacdac-ts"
import { meaningOf } from "./meaning.ts"

/** A service to talk to, and what to call the board that has it. */
export interface Target {
    /** Identifier of the service in services/. */
    serviceClass: number
    board: string
    service: string
}

/** services/calibration.md */
export const meterTarget: Target = { serviceClass: 0x1c5ca1b7, board: "meter", service: "calibration" }

/** Sends one command of the service and answers the octets of its report. Throws `LinkError`. */
export type Call = (command: number, payload: Uint8Array, timeoutMs: number) => Promise<Buffer>

/** The board did not answer, or the link broke; running the same command again resumes. */
export class LinkError extends Error {}

/** The board refused a command: the code of firmware/core/errors.ts. */
export class RefusedError extends Error {
    constructor(
        board: string,
        readonly command: string,
        readonly code: number,
    ) {
        super(`the ${board} refused "${command}": ${meaningOf(command, code)}`)
    }
}

/** Waits until one board offers the service on the bus. */
export async function findBoard(bus: JDBus, timeoutMs: number, target = meterTarget): Promise<JDService> {
    const { serviceClass, board, service } = target
    const deadline = Date.now() + timeoutMs
    for (;;) {
        const found = bus.services({ serviceClass })
        if (found.length > 1) {
            const ids = found.map(service => service.device.deviceId).join(", ")
            throw new LinkError(`${found.length} ${board}s on this link (${ids}): connect one at a time`)
        }
        if (found.length === 1) return found[0]
        if (Date.now() > deadline)
            throw new LinkError(`no ${board} with the ${service} service after ${Math.round(timeoutMs / 1000)} s`)
        await new Promise(resolve => setTimeout(resolve, 50))
    }
}

/**
 * Asks the one board with the service on this bus. jacdac-ts forgets a device that was silent for 3 s or has restarted,
 * and an answer then reaches only a service looked up anew; so it is looked up for each command.
 */
export function callOver(bus: JDBus, target = meterTarget): Call {
    return async (command, payload, timeoutMs) => {
        const service = await findBoard(bus, timeoutMs, target)
        try {
            const report = await service.sendCmdAwaitResponseAsync(Packet.from(command, payload), timeoutMs)
            return Buffer.from(report.data)
        } catch (error) {
            throw new LinkError(`no answer from the ${target.board} (${(error as Error).message})`)
        }
    }
}
