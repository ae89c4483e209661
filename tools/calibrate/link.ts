import { type JDBus, type JDService, Packet } from "jacdac-ts"
import { meaningOf } from "./meaning.ts"

/** The identifier of services/calibration.md. */
export const calibrationServiceClass = 0x1c5ca1b7

/** Sends one command of the calibration service and answers the octets of its report. Throws `LinkError`. */
export type Call = (command: number, payload: Uint8Array, timeoutMs: number) => Promise<Buffer>

/** The meter did not answer, or the link broke; running the same command again resumes. */
export class LinkError extends Error {}

/** The meter refused a command: the code of firmware/core/errors.ts. */
export class RefusedError extends Error {
    constructor(
        readonly command: string,
        readonly code: number,
    ) {
        super(`the meter refused "${command}": ${meaningOf(command, code)}`)
    }
}

/** Waits until `meter` (a Jacdac device id, or any) offers the calibration service on the bus. */
export async function findMeter(bus: JDBus, timeoutMs: number, deviceId?: string): Promise<JDService> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
        const found = bus
            .services({ serviceClass: calibrationServiceClass })
            .filter(service => !deviceId || service.device.deviceId === deviceId)
        if (found.length > 1) {
            const ids = found.map(service => service.device.deviceId).join(", ")
            throw new LinkError(`${found.length} meters on this link (${ids}): connect one at a time`)
        }
        if (found.length === 1) return found[0]
        if (Date.now() > deadline)
            throw new LinkError(`no meter with the calibration service after ${Math.round(timeoutMs / 1000)} s`)
        await new Promise(resolve => setTimeout(resolve, 50))
    }
}

/**
 * Asks the one meter on this bus. jacdac-ts forgets a device that was silent for 3 s or has restarted, and an
 * answer then reaches only a service looked up anew; so it is looked up for each command.
 */
export function callOver(bus: JDBus): Call {
    return async (command, payload, timeoutMs) => {
        const service = await findMeter(bus, timeoutMs)
        try {
            const report = await service.sendCmdAwaitResponseAsync(Packet.from(command, payload), timeoutMs)
            return Buffer.from(report.data)
        } catch (error) {
            throw new LinkError(`no answer from the meter (${(error as Error).message})`)
        }
    }
}
