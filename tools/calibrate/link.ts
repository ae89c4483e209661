import { type JDBus, type JDService, Packet } from "jacdac-ts"
import { meaningOf } from "./meaning.ts"

/** The identifier of services/calibration.md. */
export const calibrationServiceClass = 0x1c5ca1b7

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

/** One request to the meter; answers the report's octets. */
export async function request(
    service: JDService,
    command: number,
    payload: Uint8Array,
    timeoutMs: number,
): Promise<Buffer> {
    try {
        const report = await service.sendCmdAwaitResponseAsync(Packet.from(command, payload), timeoutMs)
        return Buffer.from(report.data)
    } catch (error) {
        throw new LinkError(`no answer from the meter (${(error as Error).message})`)
    }
}
