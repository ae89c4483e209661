import { Code } from "../../firmware/core/errors"
import { type Call, LinkError, RefusedError } from "./link.ts"

/** Octets of a certificate or answer in one packet (services/calibration.md). */
const partSize = 192

/** Commands in which keys are made or used; in software that takes its time on a board. */
const slow = ["make_key", "certify", "seal", "test_reading"]
const attempts = 3

/** What `identify` says. */
export interface Identification {
    serial: number
    step: number
    keyProtection: number
    configured: boolean
    keyPresent: boolean
    sealed: boolean
    hardware: string
}

/** What `measure` says. */
export interface Measured {
    volts: number
    amperes: number
    watts: number
    hertz: number
}

/** The calibration service of one meter, a method a command. Throws `RefusedError` or `LinkError`. */
export class MeterUnderCalibration {
    constructor(private readonly call: Call) {}

    async identify(): Promise<Identification> {
        const report = await this.command("identify", 0x80)
        return {
            serial: report.readUInt32LE(0),
            step: report[4],
            keyProtection: report[5],
            configured: (report[6] & 1) !== 0,
            keyPresent: (report[6] & 2) !== 0,
            sealed: (report[6] & 4) !== 0,
            hardware: report.subarray(7).toString("utf8"),
        }
    }

    async produce(serial: number, hardware: string): Promise<void> {
        const payload = Buffer.alloc(4)
        payload.writeUInt32LE(serial)
        await this.command("produce", 0x81, Buffer.concat([payload, Buffer.from(hardware)]))
    }

    /** Writes a whole certificate into a slot of the trust store. */
    async putCertificate(slot: number, der: Uint8Array): Promise<void> {
        for (let offset = 0; offset < der.length; offset += partSize) {
            const head = Buffer.from([offset & 0xff, offset >> 8, slot])
            await this.command("put", 0x82, Buffer.concat([head, der.subarray(offset, offset + partSize)]))
        }
        await this.command("close", 0x83, Buffer.from([der.length & 0xff, der.length >> 8, slot]))
    }

    async measure(): Promise<Measured> {
        const report = await this.command("measure", 0x84)
        return {
            volts: report.readUInt32LE(0) / 1000,
            amperes: report.readUInt32LE(4) / 1000,
            watts: report.readInt32LE(8) / 1000,
            hertz: report.readUInt32LE(12) / 1000,
        }
    }

    async adjust(voltageGain: number, currentGain: number, powerGain: number, phase: number): Promise<void> {
        const payload = Buffer.alloc(16)
        payload.writeUInt32LE(voltageGain, 0)
        payload.writeUInt32LE(currentGain, 4)
        payload.writeUInt32LE(powerGain, 8)
        payload.writeInt32LE(phase, 12)
        await this.command("adjust", 0x85, payload)
    }

    /** Configures the key's holder, makes the key, and answers the PKCS#10 request. */
    async makeKey(): Promise<Buffer> {
        return this.fetch((await this.command("make_key", 0x86)).readUInt32LE(0))
    }

    async certify(at: Date): Promise<void> {
        const payload = Buffer.alloc(4)
        payload.writeUInt32LE(Math.floor(at.getTime() / 1000))
        await this.command("certify", 0x88, payload)
    }

    async seal(): Promise<void> {
        try {
            await this.command("seal", 0x89)
        } catch (error) {
            // Sealed by a command whose answer was lost.
            if (!(error instanceof RefusedError) || error.code !== Code.AlreadyCalibrated) throw error
        }
    }

    /** A signed reading: an SML file as it would stand on RS-485. */
    async testReading(): Promise<Buffer> {
        return this.fetch((await this.command("test_reading", 0x8a)).readUInt32LE(0))
    }

    private async fetch(length: number): Promise<Buffer> {
        const parts: Buffer[] = []
        for (let offset = 0; offset < length; ) {
            const part = await this.command("fetch", 0x87, Buffer.from([offset & 0xff, offset >> 8]))
            if (part.length === 0) throw new LinkError(`the meter's answer ended at ${offset} of ${length} octets`)
            parts.push(part)
            offset += part.length
        }
        return Buffer.concat(parts)
    }

    /** Jacdac promises no delivery: what is not answered in time is asked again, and no command minds being repeated. */
    private async command(name: string, code: number, payload: Uint8Array = Buffer.alloc(0)): Promise<Buffer> {
        const report = await this.ask(code, payload, slow.includes(name) ? 20_000 : 4000)
        if (report.length < 4)
            throw new LinkError(`the answer to "${name}" has ${report.length} octets, expected 4 or more`)
        const result = report.readUInt32LE(0)
        if (result !== 0) throw new RefusedError(name, result)
        return report.subarray(4)
    }

    private async ask(code: number, payload: Uint8Array, timeoutMs: number): Promise<Buffer> {
        for (let attempt = 1; ; ++attempt)
            try {
                const report = await this.call(code, payload, timeoutMs)
                // An answer to the first time of asking may still be under way.
                if (attempt > 1) await new Promise(resolve => setTimeout(resolve, 300))
                return report
            } catch (error) {
                if (attempt === attempts || !(error instanceof LinkError)) throw error
            }
    }
}
