/**
 * Maxim DS3231: real-time clock with battery (data sheet: timekeeping, alarms, control, status, temperature).
 *
 * Facts not settled by two sources, and what this model does: aging is 0.1 ppm a step, positive slows, effective
 * at once (the part takes it over at the next conversion); registers after a loss of both supplies are
 * 00:00:00, day 1, 1 January 00; a conversion takes 200 ms with BSY set from its start (the part: BSY after up to
 * 2 ms, 125 to 200 ms); dates that do not exist run to the end of the month and on; a time octet that is not BCD
 * stays as written until its field is next counted. Not modelled: the square wave output, the 32 kHz output,
 * BBSQW (no one watches the pin while the board is off).
 */
import type { I2cDevice } from "./bus"
import type { ModelClock } from "./clock"
import { advanceCalendar, defaultTime } from "./ds3231-calendar"

const conversionMs = 200
const autoConversionMs = 64_000
const control = 0x0e
const status = 0x0f
const registerCount = 0x13

/** One part and its surroundings. */
export interface Ds3231Options {
    clock: ModelClock
    /** Error of the oscillator at aging 0, parts per million; positive runs fast. Default 0. */
    driftPpm?: number
    /** A battery is fitted. Default true. */
    battery?: boolean
    /** Temperature of the part in degrees Celsius. Default 25. */
    celsius?: number
}

/** The part as the bus sees it. */
export class Ds3231 implements I2cDevice {
    /** Temperature of the part in degrees Celsius; shows after the next conversion. */
    celsius: number
    private readonly registers = new Uint8Array(registerCount)
    private latch = new Uint8Array(7)
    private pointer = 0
    private supply = false
    private battery: boolean
    /** A battery alone never starts the oscillator: the supply must have been there once. */
    private everPowered = false
    private syncedMs: number
    /** Milliseconds of oscillator time into the running second. */
    private fraction = 0
    private conversionEndsMs = Number.NEGATIVE_INFINITY
    private nextConversionMs = 0
    private asked = false

    constructor(private readonly options: Ds3231Options) {
        this.battery = options.battery ?? true
        this.celsius = options.celsius ?? 25
        this.syncedMs = options.clock.nowMs()
        this.forget()
    }

    /** Pin INT/SQW is low: an enabled alarm has struck. */
    get interruptLow(): boolean {
        this.sync()
        const c = this.registers[control]
        return this.supply && (c & 4) !== 0 && (c & this.registers[status] & 3) !== 0
    }

    /** Takes the battery out or puts one in. Without supply and battery the time is lost and OSF set. */
    setBattery(fitted: boolean): void {
        this.sync()
        this.battery = fitted
        if (!this.supply && !fitted) this.forget()
    }

    answers(address: number): boolean {
        return address === 0x68 && (this.supply || (this.battery && this.everPowered))
    }

    write(_address: number, data: Uint8Array): number {
        this.start()
        if (data.length > 0) this.pointer = data[0] % registerCount
        for (const octet of data.subarray(1)) {
            this.put(this.pointer, octet)
            this.step()
        }
        return data.length
    }

    read(_address: number, length: number): Uint8Array {
        this.start()
        const out = new Uint8Array(length)
        for (let i = 0; i < length; i++) {
            out[i] = this.pointer < 7 ? this.latch[this.pointer] : this.get(this.pointer)
            this.step()
        }
        return out
    }

    powerOff(): void {
        this.sync()
        this.supply = false
        if (!this.battery) this.forget()
        else if (this.registers[control] & 0x80) this.registers[status] |= 0x80
    }

    powerOn(): void {
        this.sync()
        this.supply = true
        this.everPowered = true
        this.pointer = 0
        this.convert(this.options.clock.nowMs())
    }

    /** Registers, battery and the world time they belong to: a clock on battery runs on between sessions. */
    save(): Uint8Array {
        this.sync()
        const state = {
            registers: Buffer.from(this.registers).toString("hex"),
            fraction: this.fraction,
            atMs: this.syncedMs,
            battery: this.battery,
            everPowered: this.everPowered,
        }
        return new Uint8Array(Buffer.from(JSON.stringify(state)))
    }

    load(state: Uint8Array): void {
        const s = JSON.parse(Buffer.from(state).toString())
        const octets = Buffer.from(String(s.registers), "hex")
        if (octets.length !== registerCount) throw new Error(`DS3231 state: expected ${registerCount} registers`)
        this.registers.set(octets)
        this.fraction = s.fraction
        this.battery = s.battery
        this.everPowered = s.everPowered
        // A virtual world that starts at zero again is no reason to run backwards.
        this.syncedMs = Math.min(s.atMs, this.options.clock.nowMs())
    }

    private start(): void {
        this.sync()
        this.latch = this.registers.slice(0, 7)
    }

    private step(): void {
        this.pointer = (this.pointer + 1) % registerCount
        if (this.pointer === 0) this.start()
    }

    private get(register: number): number {
        if (register === status) return (this.registers[status] & 0x8b) | (this.busy() ? 4 : 0)
        if (register === control) return this.registers[control] | (this.asked && this.busy() ? 0x20 : 0)
        return this.registers[register]
    }

    private busy(): boolean {
        return this.options.clock.nowMs() < this.conversionEndsMs
    }

    private put(register: number, octet: number): void {
        const r = this.registers
        if (register === 0) this.fraction = 0
        if (register <= 6) r[register] = octet & [0x7f, 0x7f, 0x7f, 0x07, 0x3f, 0x9f, 0xff][register]
        else if (register < control) r[register] = octet
        else if (register === control) {
            r[control] = octet & 0xdf
            if (octet & 0x20 && !this.busy()) {
                this.convert(this.options.clock.nowMs())
                this.asked = true
            }
        } else if (register === status) {
            // A flag is cleared by writing 0; writing 1 leaves it as it is.
            r[status] = (octet & 0x08) | (r[status] & octet & 0x83)
        } else if (register === 0x10) r[0x10] = octet
    }

    private oscillating(): boolean {
        if (this.supply) return true
        return this.battery && this.everPowered && (this.registers[control] & 0x80) === 0
    }

    private sync(): void {
        const now = this.options.clock.nowMs()
        const worldMs = now - this.syncedMs
        this.syncedMs = now
        if (worldMs <= 0 || !this.oscillating()) return
        const aging = (this.registers[0x10] << 24) >> 24
        const ppm = (this.options.driftPpm ?? 0) - aging * 0.1
        this.fraction += worldMs * (1 + ppm / 1e6)
        const seconds = Math.floor(this.fraction / 1000)
        this.fraction -= seconds * 1000
        this.registers[status] |= advanceCalendar(this.registers, seconds)
        if (now >= this.nextConversionMs && this.supply) {
            const last = now - ((now - this.nextConversionMs) % autoConversionMs)
            this.convert(last)
        }
    }

    private convert(atMs: number): void {
        this.asked = false
        this.conversionEndsMs = atMs + conversionMs
        this.nextConversionMs = atMs + autoConversionMs
        const quarters = Math.max(-512, Math.min(511, Math.round(this.celsius * 4)))
        this.registers[0x11] = (quarters >> 2) & 0xff
        this.registers[0x12] = (quarters & 3) << 6
    }

    private forget(): void {
        this.registers.fill(0)
        this.registers.set(defaultTime)
        this.registers[control] = 0x1c
        this.registers[status] = 0x88
        this.fraction = 0
        this.everPowered = false
    }
}
