/**
 * Analog Devices ADE7953: single-phase energy metering front end, I2C address 0x38 (data sheet Rev B/C).
 *
 * Facts not settled by two sources, and what this model does: no answer for 100 ms after power up and after a
 * software reset; a positive PHCAL value delays the current channel (`positivePhcalDelaysCurrent: false` turns it
 * round: calibration has to find out by measuring); no-load threshold by the data sheet's formula (its default gives
 * exactly 1 : 10 000); an offset register counts whole LSB of its power register; PF has the sign of the active power;
 * gain code 5 works on every channel; the LAST_ registers do not record their own reading; the CRC is not the part's
 * value (eight unpublished octets go into it) but changes whenever the configuration changes; octets beyond a
 * register's width are acknowledged and lost, reading beyond gives FF. While register 0x120 is not 0x0030 powers are
 * 1.5 % low. Not modelled: CF pulse outputs, REVP, waveform sampling interrupt, integrators, SPI and UART.
 */
import { type Channel, EnergyMeter } from "./ade7953-meter"
import { configuration, isSigned, isWritable, powerUpRegisters, Reg, widthOf } from "./ade7953-registers"
import { type BoardError, perfectBoard } from "./board-error"
import type { I2cDevice } from "./bus"
import type { ModelClock } from "./clock"
import type { LoadSource } from "./load-source"

const startUpMs = 100
const resetBit = 1 << 20
const crcBit = 1 << 21

/** What the part is connected to. */
export interface Ade7953Options {
    clock: ModelClock
    load: LoadSource
    /** Tolerances of the board around the part; default none. */
    board?: BoardError
    positivePhcalDelaysCurrent?: boolean
}

/** The part as the bus sees it. */
export class Ade7953 implements I2cDevice {
    private registers = powerUpRegisters()
    private meter!: EnergyMeter
    private powered = false
    /** Glitches on the pins while the interface was not locked: another one was selected. */
    private lost = false
    private readyMs = Number.POSITIVE_INFINITY
    private pointer = 0
    private unlocked = false
    private lastCrc = 0

    constructor(private readonly options: Ade7953Options) {}

    /** Register 0x120 holds 0x0030: what is measured is within specification. */
    get inSpecification(): boolean {
        return this.get(Reg.RESERVED) === 0x30
    }

    /** Pin IRQ is low. RESET is always enabled. */
    get interruptLow(): boolean {
        this.sync()
        return (this.get(Reg.IRQSTATA) & (this.get(Reg.IRQENA) | resetBit)) !== 0
    }

    /** Lines toggle as a restarting controller does: with COMM_LOCK still 1 the part may leave I2C until a power cycle. */
    glitch(): void {
        if (this.get(Reg.CONFIG) & 0x8000) this.lost = true
    }

    answers(address: number): boolean {
        return address === 0x38 && this.powered && !this.lost && this.options.clock.nowMs() >= this.readyMs
    }

    write(_address: number, data: Uint8Array): number {
        if (data.length < 2) return data.length
        this.sync()
        this.pointer = (data[0] << 8) | data[1]
        if (data.length === 2) return 2
        const unlocked = this.unlocked
        this.unlocked = false
        const width = widthOf(this.pointer)
        if (data.length - 2 < width) return data.length
        let value = 0
        for (let i = 0; i < width; i++) value = value * 256 + data[2 + i]
        this.note(0xca, value)
        if (this.put(this.pointer, value, unlocked) === "reset") {
            this.reset()
            return data.length - 1
        }
        return data.length
    }

    read(_address: number, length: number): Uint8Array {
        this.sync()
        this.unlocked = false
        const width = widthOf(this.pointer)
        const value = this.take(this.pointer)
        if (!this.isLast(this.pointer)) this.note(0x35, value)
        const out = new Uint8Array(length).fill(0xff)
        for (let i = 0; i < Math.min(length, width); i++) out[i] = (value / 2 ** (8 * (width - 1 - i))) & 0xff
        return out
    }

    powerOff(): void {
        this.powered = false
    }

    powerOn(): void {
        this.powered = true
        this.lost = false
        this.reset()
    }

    private reset(): void {
        this.registers = powerUpRegisters()
        this.registers.set(Reg.IRQSTATA, resetBit)
        this.unlocked = false
        this.readyMs = this.options.clock.nowMs() + startUpMs
        this.meter = new EnergyMeter(
            {
                load: this.options.load,
                board: this.options.board ?? perfectBoard,
                positivePhcalDelaysCurrent: this.options.positivePhcalDelaysCurrent ?? true,
            },
            address => this.get(address),
            this.readyMs / 1000,
        )
        this.lastCrc = this.crc()
    }

    private get(address: number): number {
        return this.registers.get(address) ?? 0
    }

    private sync(): void {
        if (!this.powered) return
        this.meter.sync(this.options.clock.nowMs() / 1000)
        const [a, b] = this.meter.takeInterrupts()
        this.registers.set(Reg.IRQSTATA, this.get(Reg.IRQSTATA) | a)
        this.registers.set(Reg.IRQSTATB, this.get(Reg.IRQSTATB) | b)
    }

    /** 32-bit address to the 24-bit one that names the same register. */
    private base(address: number): number {
        return address >> 8 === 3 && address !== Reg.CRC ? address - 0x100 : address
    }

    private isLast(address: number): boolean {
        return address === Reg.LAST_OP || address === Reg.LAST_ADD || (address < 0x400 && (address & 0xff) === 0xff)
    }

    private note(operation: number, value: number): void {
        this.registers.set(Reg.LAST_OP, operation)
        this.registers.set(Reg.LAST_ADD, this.pointer)
        this.registers.set([0x0ff, 0x1ff, 0x2ff, 0x3ff][widthOf(this.pointer) - 1], value)
    }

    private put(address32: number, value: number, unlocked: boolean): "reset" | undefined {
        const address = this.base(address32)
        if (address === Reg.UNLOCK) {
            this.unlocked = value === 0xad
            return
        }
        const protect = this.get(Reg.WRITE_PROTECT)
        const width = widthOf(address)
        const group = width === 1 ? 1 : width === 2 ? 2 : 4
        if (!isWritable(address) || (protect & group && address !== Reg.WRITE_PROTECT)) return
        if (address === Reg.RESERVED && !unlocked) return
        // Thresholds are taken over only while the detection they belong to is off.
        const level = address - Reg.AP_NOLOAD
        if (level >= 0 && level <= 2 && !((this.get(Reg.DISNOLOAD) >> level) & 1)) return
        if (address === Reg.CONFIG && value & 0x80) return "reset"
        const before = this.get(address)
        this.registers.set(address, width === 3 ? value % 0x1000000 : value)
        if (address === Reg.ACCMODE) this.registers.set(address, value & 0x3ff)
        if (address === Reg.LCYCMODE) this.meter.lineModeChanged(before)
        if (address === Reg.LINECYC) this.meter.lineCyclesChanged()
        this.watchConfiguration()
    }

    private take(address32: number): number {
        const address = this.base(address32)
        if (address === Reg.CRC) return this.get(Reg.CONFIG) & 0x100 ? this.crc() : 0xffffffff
        // 0x3FF is a register of its own, not another form of 0x2FF.
        if (this.isLast(address32)) return this.get(address32)
        let value = this.get(address)
        if (address >= Reg.AENERGYA && address <= Reg.AENERGYA + 5) {
            value = this.meter.energy(address - Reg.AENERGYA, (this.get(Reg.LCYCMODE) & 0x40) !== 0)
        } else value = this.measured(address) ?? value
        if (address === Reg.RSTIRQSTATA || address === Reg.RSTIRQSTATB) {
            value = this.get(address - 1)
            this.registers.set(address - 1, 0)
        }
        if (widthOf(address) !== 3) return value & 0xffff
        if (address32 === address || !isSigned(address)) return value & 0xffffff
        return ((value << 8) >> 8) >>> 0
    }

    private measured(address: number): number | undefined {
        const meter = this.meter
        const point = meter.now()
        const n = address & 1
        const channel = (): Channel => meter.channel(point, n)
        switch (address) {
            case Reg.AVA:
            case Reg.AVA + 1:
                return Math.round(channel().va)
            case Reg.AWATT:
            case Reg.AWATT + 1:
                return Math.round(channel().watt)
            case Reg.AVAR:
            case Reg.AVAR + 1:
                return Math.round(channel().var)
            case Reg.IRMSA:
            case Reg.IRMSB:
                return Math.round(channel().irms)
            case Reg.VRMS:
                return Math.round(meter.vrms(point))
            case Reg.IA:
            case Reg.IB:
                return meter.wave(n + 1)
            case Reg.V:
                return meter.wave(0)
            case Reg.PFA:
            case Reg.PFB:
                return Math.round(Math.cos(channel().angle) * 0x7fff)
            case Reg.ANGLE_A:
            case Reg.ANGLE_B:
                return meter.angleSteps(n)
            case Reg.PERIOD:
                return meter.period
            case Reg.ACCMODE:
                return this.get(address) | meter.flags
        }
        const peak = address - Reg.VPEAK
        return peak >= 0 && peak <= 5 ? meter.peak(peak >> 1, (peak & 1) !== 0) : undefined
    }

    private watchConfiguration(): void {
        const crc = this.crc()
        if (crc !== this.lastCrc && this.get(Reg.CONFIG) & 0x100) {
            this.registers.set(Reg.IRQSTATA, this.get(Reg.IRQSTATA) | crcBit)
        }
        this.lastCrc = crc
    }

    /** IEEE 802.3 polynomial over the registers that configure the part. */
    private crc(): number {
        let crc = 0xffffffff
        for (const address of configuration) {
            let value = this.get(address)
            for (let i = 0; i < widthOf(address); i++) {
                crc ^= value & 0xff
                value = Math.floor(value / 256)
                for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
            }
        }
        return crc >>> 0
    }
}
