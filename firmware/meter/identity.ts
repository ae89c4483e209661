import type { Calibration } from "../../hal/ports"
import { SwitchedRecord } from "../core/journal"
import { cut } from "../core/octets"
import type { Store } from "../core/store"
import { identityAt, identitySize } from "./layout"

/** How far the calibration of this meter has come; each step is reached once, in this order. */
export enum Step {
    /** Nothing is known: a bare board. */
    Bare = 0,
    /** Serial number, hardware model and anchors written. */
    Produced = 1,
    /** Front end constants from a reference measurement. */
    Adjusted = 2,
    /** The key holder is configured and has made the key. */
    KeyMade = 3,
    /** Certificate chain installed and checked. */
    Certified = 4,
    /** Sealed; calibration is closed. */
    Calibrated = 5,
    /** An order to erase it was given: nothing else is done until that is over. */
    Erasing = 6,
}

const stepAt = 0
export const serialAt = 4
const constantsAt = 8
export const constantsSize = 28
/** Length, then the text. */
export const hardwareAt = 64
const hardwareLength = 32

/** Who this meter is, how it is adjusted, and how far its calibration has come. */
export class Identity {
    private readonly record: SwitchedRecord
    /** What the next `reach` records; only production (`calibration.ts`) writes here from outside. */
    readonly data: Buffer

    constructor(store: Store) {
        this.record = new SwitchedRecord(store, identityAt, identitySize)
        this.data = Buffer.alloc(identitySize)
        const saved = this.record.load()
        if (saved) this.data.blitAt(0, saved, 0, identitySize)
        else this.put(nominalCalibration())
    }

    step(): Step {
        return this.data[stepAt]
    }

    /** Serial number, 0 on a bare board. */
    serial(): number {
        return this.data.getAt(serialAt, "u32")
    }

    /** Server id: DIN 43863-5:2012, maker PLB, medium electricity, 10 octets. */
    serverId(): Buffer {
        const id = Buffer.alloc(10)
        id.blitAt(0, hex`0a01504c4201`, 0, 6)
        const serial = this.serial()
        for (let i = 0; i < 4; ++i) id[6 + i] = (serial >> (24 - 8 * i)) & 0xff
        return id
    }

    /** Hardware model, as the manufacturer wrote it. */
    hardware(): string {
        const length = this.data[hardwareAt]
        return cut(this.data, hardwareAt + 1, length < hardwareLength ? length : 0).toString("utf8")
    }

    calibration(): Calibration {
        return calibrationOf(this.constants())
    }

    /** The constants as a command carries them: seven numbers of 32 bits, little endian, in the order of `Calibration`. */
    constants(): Buffer {
        return cut(this.data, constantsAt, constantsSize)
    }

    /** Replaces the constants of a calibrated meter. */
    setConstants(constants: Buffer): void {
        this.data.blitAt(constantsAt, constants, 0, constantsSize)
        this.reach(this.step())
    }

    /** Back to a bare board. */
    forget(): void {
        this.data.fillAt(0, identitySize, 0)
        this.put(nominalCalibration())
        this.reach(Step.Bare)
        this.record.settle()
    }

    /** Records that `step` is done; the one write that makes it so. */
    reach(step: Step): void {
        const before = this.data[stepAt]
        this.data[stepAt] = step
        try {
            this.record.save(this.data)
        } catch (e: any) {
            this.data[stepAt] = before
            throw e
        }
    }

    /** Takes constants that the next `reach` records. */
    put(calibration: Calibration): void {
        const at = constantsAt
        this.data.setAt(at, "u32", calibration.voltageGain)
        this.data.setAt(at + 4, "u32", calibration.currentGain)
        this.data.setAt(at + 8, "u32", calibration.activePowerGain)
        this.data.setAt(at + 12, "i32", calibration.phase)
        this.data.setAt(at + 16, "u32", calibration.nanovoltsPerLsb)
        this.data.setAt(at + 20, "u32", calibration.nanoamperesPerLsb)
        this.data.setAt(at + 24, "u32", calibration.microwattSecondsPerLsb)
    }
}

/** Constants of 28 octets, as `Identity.constants` gives them. */
export function calibrationOf(octets: Buffer): Calibration {
    return {
        voltageGain: octets.getAt(0, "u32"),
        currentGain: octets.getAt(4, "u32"),
        activePowerGain: octets.getAt(8, "u32"),
        phase: octets.getAt(12, "i32"),
        nanovoltsPerLsb: octets.getAt(16, "u32"),
        nanoamperesPerLsb: octets.getAt(20, "u32"),
        microwattSecondsPerLsb: octets.getAt(24, "u32"),
    }
}

/**
 * Hardware model 1 with every part at its nominal value: 1 MOhm / 1 kOhm divider (353.9 V rms full scale),
 * 2000:1 transformer on 7.07 Ohm (100 A rms full scale). Scaling as in the ADE7953 data sheet: 9,032,007 LSB
 * rms and 206,900 energy LSB a second at full scale.
 */
export function nominalCalibration(): Calibration {
    return {
        voltageGain: 0x400000,
        currentGain: 0x400000,
        activePowerGain: 0x400000,
        phase: 0,
        nanovoltsPerLsb: 39184,
        nanoamperesPerLsb: 11072,
        microwattSecondsPerLsb: 171052,
    }
}
