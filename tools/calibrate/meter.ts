import { Code } from "../../firmware/core/errors"
import { Conversation, utcOf } from "./conversation.ts"
import { type Call, RefusedError } from "./link.ts"

/** Commands in which keys are made or used; in software that takes its time on a board. */
const slow = ["make_key", "certify", "seal", "test_reading"]

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
    private readonly meter: Conversation

    constructor(call: Call) {
        this.meter = new Conversation(call, "meter", slow)
    }

    async identify(): Promise<Identification> {
        const report = await this.meter.command("identify", 0x80)
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
        await this.meter.command("produce", 0x81, Buffer.concat([payload, Buffer.from(hardware)]))
    }

    /** Writes a whole certificate into a slot of the trust store. */
    async putCertificate(slot: number, der: Uint8Array): Promise<void> {
        await this.meter.putCertificate(0x82, 0x83, slot, der)
    }

    async measure(): Promise<Measured> {
        const report = await this.meter.command("measure", 0x84)
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
        await this.meter.command("adjust", 0x85, payload)
    }

    /** Configures the key's holder, makes the key, and answers the PKCS#10 request. */
    async makeKey(): Promise<Buffer> {
        return this.meter.fetch(0x87, (await this.meter.command("make_key", 0x86)).readUInt32LE(0))
    }

    async certify(at: Date): Promise<void> {
        await this.meter.command("certify", 0x88, utcOf(at))
    }

    async seal(): Promise<void> {
        try {
            await this.meter.command("seal", 0x89)
        } catch (error) {
            // Sealed by a command whose answer was lost.
            if (!(error instanceof RefusedError) || error.code !== Code.AlreadyCalibrated) throw error
        }
    }

    /** A signed reading: an SML file as it would stand on RS-485. */
    async testReading(): Promise<Buffer> {
        return this.meter.fetch(0x87, (await this.meter.command("test_reading", 0x8a)).readUInt32LE(0))
    }
}
