/**
 * The measuring half of the ADE7953 model: line values to registers, and the energy accumulators.
 * Everything is computed from the load source when somebody looks, exactly, whatever time has passed.
 */
import { Reg } from "./ade7953-registers"
import { type BoardError, boardScale } from "./board-error"
import type { LoadPoint, LoadSource } from "./load-source"

/** VRMS and IRMS at full-scale input; WATT, VAR, VA with both at full scale; energy LSB per second then. */
const rmsFullScale = 9_032_007
const powerFullScale = 4_862_401
const energyRate = 206_900
const energyPerPower = energyRate / powerFullScale
/** Waveform and peak registers at full-scale input. */
const waveFullScale = 6_500_000
const phcalSeconds = 1.117e-6
const angleSeconds = 4.47e-6
const gains = [1, 2, 4, 8, 16, 22]

/** One of six energy accumulators. */
class Accumulator {
    /** Energy LSB not yet taken, with fraction. */
    sum = 0
    /** Result of the last line-cycle period. */
    latched = 0
}

/** Instantaneous results of one channel in register LSB (before rounding). */
export interface Channel {
    irms: number
    watt: number
    var: number
    va: number
    /** Lag of the measured current, radians. */
    angle: number
}

/** What the measuring half is made for. */
export interface MeterOptions {
    load: LoadSource
    board: BoardError
    positivePhcalDelaysCurrent: boolean
}

/** Both channels' quantities and accumulators, up to date after `sync`. */
export class EnergyMeter {
    private readonly energies = Array.from({ length: 6 }, () => new Accumulator())
    private synced: number
    private cyclesDone = 0
    private cyclesWanted = 0
    /** Interrupt bits that came up since the last `takeInterrupts`, channel A and B. */
    private raised = [0, 0]
    private noLoad = 0
    private signs = 0
    private peaks = [0, 0, 0]

    /** `get`: a register's present value, unsigned. */
    constructor(
        private readonly options: MeterOptions,
        private readonly get: (address: number) => number,
        second: number,
    ) {
        this.synced = second
    }

    /** Accumulates up to `now` (world seconds). */
    sync(now: number): void {
        while (this.synced < now) {
            const from = this.synced
            const load = this.options.load
            const point = load.at(from)
            let to = Math.min(now, load.nextChange(from))
            const halfCycles = point.volts > 1 ? point.hertz * 2 : 0
            const counting = (this.get(Reg.LCYCMODE) & 0x3f) !== 0 && this.cyclesWanted > 0 && halfCycles > 0
            if (counting) to = Math.min(to, from + (this.cyclesWanted - this.cyclesDone) / halfCycles)
            to = Math.min(to, this.zeroCrossing(from, to))
            // Rounding may leave a step too small to move the clock: never stand still.
            to = Math.max(to, from + 1e-6)
            this.accumulate(load.at((from + to) / 2), to - from)
            if (counting) {
                this.cyclesDone += halfCycles * (to - from)
                if (this.cyclesDone >= this.cyclesWanted - 1e-3) this.endOfCycles()
            }
            this.synced = to
        }
    }

    /** LCYCMODE or LINECYC was written. A running period keeps its length; an idle counter starts anew. */
    lineCyclesChanged(): void {
        if ((this.get(Reg.LCYCMODE) & 0x3f) !== 0 && this.cyclesWanted > 0) return
        this.cyclesWanted = (this.get(Reg.LCYCMODE) & 0x3f) !== 0 ? this.get(Reg.LINECYC) : 0
        this.cyclesDone = 0
    }

    /** LCYCMODE went from `before` to its present value: an accumulator that changes mode starts at zero. */
    lineModeChanged(before: number): void {
        if ((this.get(Reg.LCYCMODE) & 0x3f) === 0) this.cyclesWanted = 0
        this.lineCyclesChanged()
        const changed = before ^ this.get(Reg.LCYCMODE)
        for (let n = 0; n < 6; n++) {
            if ((changed >> n) & 1) {
                this.energies[n].sum = 0
                this.energies[n].latched = 0
            }
        }
    }

    /** Energy register `n` (0, 1 active A, B; 2, 3 reactive; 4, 5 apparent), signed 24 bits; `reset` as RSTREAD. */
    energy(n: number, reset: boolean): number {
        const e = this.energies[n]
        const lineMode = (this.get(Reg.LCYCMODE) >> n) & 1
        const value = lineMode ? e.latched : Math.trunc(e.sum)
        if (reset && lineMode) e.latched = 0
        else if (reset) e.sum -= value
        return value
    }

    takeInterrupts(): number[] {
        const raised = this.raised
        this.raised = [0, 0]
        return raised
    }

    /** Read-only bits of ACCMODE. */
    get flags(): number {
        return (this.signs << 10) | (this.noLoad << 16)
    }

    /** Peak register 0 V, 1 IA, 2 IB since the last reset. */
    peak(n: number, reset: boolean): number {
        const value = Math.round(this.peaks[n])
        if (reset) this.peaks[n] = 0
        return value
    }

    now(): LoadPoint {
        return this.options.load.at(this.synced)
    }

    /** Period register: line frequency = 223 750 / (PERIOD + 1). */
    get period(): number {
        return Math.min(0xffff, Math.round(223_750 / this.now().hertz - 1))
    }

    vrms(point: LoadPoint): number {
        return this.offset(this.voltage(point) * rmsFullScale * this.gain(Reg.AIGAIN + 1), Reg.VRMSOS)
    }

    /** Instantaneous waveform: 0 V, 1 IA, 2 IB. */
    wave(n: number): number {
        const point = this.now()
        const phase = 2 * Math.PI * ((point.hertz * this.synced) % 1)
        if (n === 0) return Math.round(this.voltage(point) * waveFullScale * Math.sin(phase))
        const angle = this.channel(point, n - 1).angle
        return Math.round(this.current(point, n - 1) * waveFullScale * Math.sin(phase - angle))
    }

    /** ANGLE_A/B: delay from voltage to current in 4.47 us steps. */
    angleSteps(n: number): number {
        const point = this.now()
        return Math.round(this.channel(point, n).angle / (2 * Math.PI * point.hertz * angleSeconds))
    }

    /** All quantities of channel 0 (A) or 1 (B) at a point. */
    channel(point: LoadPoint, n: number): Channel {
        const base = n === 0 ? Reg.AIGAIN : Reg.BIGAIN
        const offsets = n === 0 ? [Reg.AIRMSOS, 0x289, 0x28a, 0x28b] : [0x292, 0x295, 0x296, 0x297]
        const phcal = this.get(Reg.PHCALA + n)
        const sign = ((phcal & 0x200) !== 0) === this.options.positivePhcalDelaysCurrent ? -1 : 1
        const delay = sign * (phcal & 0x1ff) * phcalSeconds * 2 * Math.PI * point.hertz
        const lead = n === 0 ? this.options.board.leadA : this.options.board.leadB
        const angle = point.angle - lead + delay
        const current = this.current(point, n) * this.gain(base)
        const both = this.voltage(point) * this.gain(base + 1) * current * powerFullScale
        // Out of specification until the reserved register is set: the part then measures wrong, a little.
        const spec = this.get(Reg.RESERVED) === 0x30 ? 1 : 0.985
        return {
            irms: this.offset(current * rmsFullScale, offsets[0]),
            watt: both * Math.cos(angle) * this.gain(base + 2) * spec + this.signed(offsets[1]),
            var: both * Math.sin(angle) * this.gain(base + 3) * spec + this.signed(offsets[2]),
            va: both * this.gain(base + 4) * spec + this.signed(offsets[3]),
            angle: Math.atan2(Math.sin(angle), Math.cos(angle)),
        }
    }

    private voltage(point: LoadPoint): number {
        const gain = gains[this.get(Reg.PGA_V) & 7] ?? 1
        return Math.min(1, (point.volts * (1 + this.options.board.voltage) * gain) / boardScale.volts)
    }

    private current(point: LoadPoint, n: number): number {
        const gain = gains[this.get(Reg.PGA_IA + n) & 7] ?? 1
        const error = n === 0 ? this.options.board.currentA : this.options.board.currentB
        return Math.min(1, (point.amperes * (1 + error) * gain) / boardScale.amperes)
    }

    private gain(address: number): number {
        return this.get(address) / 0x400000
    }

    private signed(address: number): number {
        return (this.get(address) << 8) >> 8
    }

    private offset(rms: number, address: number): number {
        return Math.sqrt(Math.max(0, rms * rms + 4096 * this.signed(address)))
    }

    /** Where channel A changes sign; only modes that treat signs differently need to know. */
    private zeroCrossing(from: number, to: number): number {
        if ((this.get(Reg.ACCMODE) & 0xff) === 0) return to
        const at = (second: number) => this.channel(this.options.load.at(second), 0).watt
        const first = at(from)
        const last = 2 * at((from + to) / 2) - first
        if (!(first * last < 0)) return to
        return Math.max(from + ((to - from) * first) / (first - last), from + 1e-4)
    }

    private accumulate(point: LoadPoint, seconds: number): void {
        this.peakOf(0, this.voltage(point))
        const mode = this.get(Reg.ACCMODE)
        for (let n = 0; n < 2; n++) {
            this.peakOf(n + 1, this.current(point, n))
            const c = this.channel(point, n)
            const idle = this.idle(c, n)
            this.sign(0 + n, c.watt < 0, n, 9)
            this.sign(2 + n, c.var < 0, n, 10)
            const active = [c.watt, Math.max(0, c.watt), Math.abs(c.watt)][(mode >> (2 * n)) & 3] ?? c.watt
            const tamper = c.watt < 0 ? -c.var : c.var
            const reactive = [c.var, tamper, Math.abs(c.var)][(mode >> (4 + 2 * n)) & 3] ?? c.var
            const apparent = (mode >> (8 + n)) & 1 ? (c.irms / rmsFullScale) * powerFullScale : c.va
            for (const [kind, power] of [active, reactive, apparent].entries()) {
                if (!((idle >> kind) & 1)) this.add(kind * 2 + n, power * energyPerPower * seconds, n, kind)
            }
        }
    }

    private peakOf(n: number, share: number): void {
        this.peaks[n] = Math.max(this.peaks[n], share * waveFullScale)
        const limit = this.get(n === 0 ? Reg.OVLVL : Reg.OILVL)
        if (share * waveFullScale > limit) this.raised[n === 2 ? 1 : 0] |= n === 0 ? 1 << 16 : 1 << 13
        if (n === 0 && share * boardScale.volts < 1) this.raised[0] |= 1 << 14
        if (n === 0 && share * boardScale.volts >= 1) this.raised[0] |= 1 << 15
        if (n === 0 && this.get(Reg.SAGCYC) > 0 && share * waveFullScale < this.get(Reg.SAGLVL)) {
            this.raised[0] |= 1 << 19
        }
    }

    /** Bits 0 active, 1 reactive, 2 apparent: below the no-load threshold. */
    private idle(c: Channel, n: number): number {
        const off = this.get(Reg.DISNOLOAD)
        let idle = 0
        for (const [kind, power] of [c.watt, c.var, c.va].entries()) {
            const level = this.get(Reg.AP_NOLOAD + kind)
            // Data sheet: AP_NOLOAD = 65 536 - Y / 1.4, VA_NOLOAD = Y; Y = full scale over threshold.
            const ratio = kind === 2 ? level : (65_536 - level) * 1.4
            const below = ratio > 0 && Math.abs(power) < powerFullScale / ratio
            if (below && !((off >> kind) & 1)) idle |= 1 << kind
        }
        const before = (this.noLoad >> (3 * n)) & 7
        this.raised[n] |= (before ^ idle) << 6
        this.noLoad = (this.noLoad & ~(7 << (3 * n))) | (idle << (3 * n))
        return idle
    }

    private sign(bit: number, negative: boolean, n: number, interrupt: number): void {
        if (((this.signs >> bit) & 1) === (negative ? 1 : 0)) return
        this.signs ^= 1 << bit
        this.raised[n] |= 1 << interrupt
    }

    private add(index: number, lsb: number, n: number, kind: number): void {
        const e = this.energies[index]
        const half = Math.abs(e.sum) < 0x400000
        e.sum += lsb
        if (half && Math.abs(e.sum) >= 0x400000) this.raised[n] |= 1 << kind
        while (e.sum >= 0x800000 || e.sum < -0x800000) {
            e.sum += e.sum < 0 ? 0x1000000 : -0x1000000
            this.raised[n] |= 1 << (3 + kind)
        }
    }

    private endOfCycles(): void {
        const mode = this.get(Reg.LCYCMODE)
        for (let n = 0; n < 6; n++) {
            if (!((mode >> n) & 1)) continue
            const e = this.energies[n]
            e.latched = Math.trunc(e.sum)
            e.sum -= e.latched
        }
        this.cyclesDone = 0
        this.cyclesWanted = this.get(Reg.LINECYC)
        this.raised[0] |= 1 << 18
    }
}
