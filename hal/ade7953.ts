import { Code, fail } from "../firmware/core/errors"
import { uintBE } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { firstTransfer } from "./bus-register"
import type { Calibration, EnergyFrontEnd, I2cBus, Measurement } from "./ports"

const address = 0x38

// Registers; the second digit of the address is the width: 0xx 8 bit, 1xx 16, 2xx 24, 3xx the same as 32.
const DISNOLOAD = 0x001
const WRITE_PROTECT = 0x040
const UNLOCK = 0x0fe
const CONFIG = 0x102
const PHCALA = 0x108
const PERIOD = 0x10e
const RESERVED = 0x120
const LAST_RWDATA24 = 0x2ff
const ACCMODE = 0x301
const AP_NOLOAD = 0x303
const AWATT = 0x312
const IRMSA = 0x31a
const VRMS = 0x31c
const AENERGYA = 0x21e
const IRQSTATA = 0x32d
const RSTIRQSTATA = 0x32e
const AIGAIN = 0x380
const AVGAIN = 0x381
const AWGAIN = 0x382

/** Default no-load threshold of active power. */
const noLoadThreshold = 0xe419
const resetFlag = 0x100000
const noLoadFlag = 0x10000
/** What the reserved register 0x120 must hold; a reset clears it. */
const unlocked = 0x0030
/** Below this PERIOD the line would be above 111 Hz: there is no line. */
const shortestPeriod = 2000

/**
 * Registers that are zero for this use, whatever ran before on the part: LCYCMODE (free accumulation, not
 * reset by reading), PGA_V, PGA_IA, EX_REF; AIRMSOS, VRMSOS, AWATTOS. Four digits each.
 */
const zeroed = hex`0004 0007 0008 0800 0386 0388 0389`

/** Longest time between two calls of `takeEnergy`, in ms: the register wraps after 40.5 s at full scale. */
const longestGap = 40000

function widthOf(register: number): number {
    return ((register >> 8) & 3) + 1
}

function where(register: number): Buffer {
    return Buffer.from([register >> 8, register & 0xff])
}

function checkRange(name: string, value: number, low: number, high: number): void {
    if (!(value >= low && value <= high && Math.floor(value) === value))
        fail(Code.BadArgument, -1, name + " an integer from " + low + " to " + high, "" + value)
}

/**
 * Analog Devices ADE7953, channel A.
 *
 * Energy: the part's 24-bit register runs freely and is never reset by reading (RSTREAD = 0), so an answer lost
 * on the bus loses no energy. Each call takes the difference to the reading before, modulo 2^24 and signed.
 * That is exact while less than 2^23 LSB lie between two calls: full scale is 206,900 LSB a second, so 40.5 s;
 * calls more than 40 s apart throw `FrontEndOverdue`. The product with `microwattSecondsPerLsb`
 * (an integer up to 2^29) stays below 2^52, so the answer is an exact integer.
 *
 * I2C has no checksum: the energy register is believed only when LAST_RWDATA repeats it.
 */
export class Ade7953 implements EnergyFrontEnd {
    /** Set while the part runs as started. */
    private calibration: Calibration | undefined
    /** The energy register goes on from `energy`. */
    private counting: boolean
    private energy: number
    private takenAt: number

    constructor(readonly bus: I2cBus) {
        this.counting = false
        this.energy = 0
        this.takenAt = 0
    }

    /** On a part that still counts, a new start changes the constants and loses no energy. */
    start(calibration: Calibration): void {
        this.calibration = undefined
        checkRange("voltageGain", calibration.voltageGain, 0x200000, 0x600000)
        checkRange("currentGain", calibration.currentGain, 0x200000, 0x600000)
        checkRange("activePowerGain", calibration.activePowerGain, 0x200000, 0x600000)
        // Sign in bit 9, magnitude up to 383 steps.
        checkRange("phase", calibration.phase & ~0x200, 0, 383)
        checkRange("microwattSecondsPerLsb", calibration.microwattSecondsPerLsb, 1, 0x20000000)
        // Power-up takes the part about 100 ms; after a dip of the supply this may be a power-up.
        platform().sleepMs(110)
        firstTransfer(this.bus, "ADE7953", address, where(IRQSTATA), 4)
        this.counting = this.counting && this.runs()

        this.set(WRITE_PROTECT, 0)
        // The unlock serves only the very next access.
        this.write(UNLOCK, 0xad)
        this.set(RESERVED, unlocked)
        // High pass on; the interface stays I2C from here on (COMM_LOCK).
        this.set(CONFIG, 0x0004)
        for (let i = 0; i < zeroed.length; i += 2) this.set(uintBE(zeroed, i, 2), 0)
        // Its upper bits are state.
        this.write(ACCMODE, 0)
        if ((this.read(ACCMODE) & 0x3ff) !== 0) fail(Code.ReadBackMismatch, ACCMODE, "0", "another mode")
        // Thresholds are not taken while the detection they serve is on.
        this.set(DISNOLOAD, 7)
        this.set(AP_NOLOAD, noLoadThreshold)
        this.set(DISNOLOAD, 0)
        this.set(AVGAIN, calibration.voltageGain)
        this.set(AIGAIN, calibration.currentGain)
        this.set(AWGAIN, calibration.activePowerGain)
        this.set(PHCALA, calibration.phase)
        this.set(WRITE_PROTECT, 7)

        if ((this.read(RSTIRQSTATA) & resetFlag) !== 0) this.counting = false
        if (!this.counting) {
            this.energy = this.readEnergy()
            this.takenAt = platform().millis()
        }
        this.counting = true
        this.calibration = calibration
        this.checkRunning()
    }

    measure(): Measurement {
        const calibration = this.checkRunning()
        const period = this.read(PERIOD)
        // 206,900 energy LSB a second and 4,862,401 power LSB belong to the same full scale.
        const milliwattsPerLsb = ((206900 / 4862401) * calibration.microwattSecondsPerLsb) / 1000
        return {
            millivolts: Math.round((this.readUnsigned(VRMS) * calibration.nanovoltsPerLsb) / 1000000),
            milliamperes: Math.round((this.readUnsigned(IRMSA) * calibration.nanoamperesPerLsb) / 1000000),
            milliwatts: Math.round(this.readSigned(AWATT) * milliwattsPerLsb),
            millihertz: period < shortestPeriod ? 0 : Math.round(223750000 / (period + 1)),
            noLoad: (this.read(ACCMODE) & noLoadFlag) !== 0,
        }
    }

    takeEnergy(): number {
        const now = this.readEnergy()
        const at = platform().millis()
        // After the reading: a reset before it has cleared the register.
        const calibration = this.checkRunning()
        const gap = at - this.takenAt
        const difference = ((now - this.energy) << 8) >> 8
        this.energy = now
        this.takenAt = at
        if (gap > longestGap) fail(Code.FrontEndOverdue, -1, "at most " + longestGap + " ms between calls", "" + gap)
        return difference * calibration.microwattSecondsPerLsb
    }

    /** The constants the part runs with; throws `FrontEndReset` unless it still runs as started. */
    private checkRunning(): Calibration {
        const calibration = this.calibration
        if (calibration && this.runs()) return calibration
        this.calibration = undefined
        this.counting = false
        return fail(Code.FrontEndReset, -1, "a front end that runs as started", calibration ? "a reset" : "none")
    }

    private runs(): boolean {
        // A reset clears the unlock word at once; the interrupt flag comes when the part is ready again. Both stay, so
        // what only the bus made of them is gone when they are read again.
        for (let i = 0; i < 3; ++i)
            if (this.read(RESERVED) === unlocked && (this.read(IRQSTATA) & resetFlag) === 0) return true
        return false
    }

    /** The energy register, 0 to 2^24 - 1. */
    private readEnergy(): number {
        let first = 0
        let second = 0
        for (let i = 0; i < 3; ++i) {
            first = this.read(AENERGYA)
            second = this.read(LAST_RWDATA24)
            if (first === second) return first
        }
        return fail(Code.ReadBackMismatch, AENERGYA, "LAST_RWDATA " + second, "" + first)
    }

    private readSigned(register: number): number {
        const value = this.read(register) | 0
        if (value < -0x800000 || value > 0x7fffff) fail(Code.ImpossibleValue, register, "24 bits, signed", "" + value)
        return value
    }

    private readUnsigned(register: number): number {
        const value = this.read(register)
        if (value > 0xffffff) fail(Code.ImpossibleValue, register, "24 bits", "" + value)
        return value
    }

    private read(register: number): number {
        const width = widthOf(register)
        return uintBE(this.bus.transfer(address, where(register), width), 0, width)
    }

    private write(register: number, value: number): void {
        const width = widthOf(register)
        const octets = Buffer.alloc(2 + width)
        octets.blitAt(0, where(register), 0, 2)
        for (let i = 0; i < width; ++i) octets[1 + width - i] = (value >> (8 * i)) & 0xff
        this.bus.transfer(address, octets, 0)
    }

    /** Writes and reads back. */
    private set(register: number, value: number): void {
        this.write(register, value)
        const now = this.read(register)
        if (now !== value) fail(Code.ReadBackMismatch, register, "" + value, "" + now)
    }
}
