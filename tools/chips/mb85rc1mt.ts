/**
 * Fujitsu MB85RC1MT: FRAM, 128 Ki x 8, I2C (data sheet of the part, and of its siblings MB85RC256V and
 * MB85RC64TA for the device identification and sleep).
 *
 * Facts not settled by two sources, and what this model does: current address after power up is 0; the
 * A16 bit of a read's device octet is ignored (the one given with the address write counts); under WP data
 * octets are acknowledged and dropped (`wpNacks` makes it refuse them); after sleep the first addressing
 * wakes the part and it does not acknowledge for 400 us; endurance is counted, never enforced.
 */
import type { I2cDevice } from "./bus"
import type { ModelClock } from "./clock"
import { PowerCut } from "./power-cut"

const size = 0x20000
const wakeMs = 0.4
/** Reserved addresses 0xF8/0xF9 (device identification) and 0x86 (sleep) in 7-bit form. */
const identification = 0x7c
const sleepCommand = 0x43

/** One part and its straps. */
export interface FramOptions {
    clock: ModelClock
    /** Pins A2, A1 as a number 0..3: 7-bit addresses 0x50 + 2 x pins and one above. Default 0. */
    pins?: number
    wpNacks?: boolean
}

/** The part as the bus sees it. */
export class Mb85rc1mt implements I2cDevice {
    /** The array itself, for tests and inspection. */
    readonly memory = new Uint8Array(size)
    /** Pin WP: high protects the whole array. */
    writeProtect = false
    /** Octets stored since this object was made. */
    writes = 0
    /** Transactions that stored at least one octet. */
    writeTransactions = 0
    private readonly base: number
    private powered = false
    private pointer = 0
    private identify = false
    private asleep = false
    private awakeAtMs = 0
    private cut?: { left: number; unit: "octet" | "transaction"; store: boolean }

    constructor(private readonly options: FramOptions) {
        this.base = 0x50 + 2 * (options.pins ?? 0)
    }

    /**
     * Throws `PowerCut` as soon as `n` more octets (or `n` more write transactions) are stored; with `n` = 0
     * at the next attempt, before anything is stored. Disarmed by firing and by `cutNever`.
     */
    cutAfterWrites(n: number, unit: "octet" | "transaction" = "octet"): void {
        this.cut = { left: n, unit, store: true }
    }

    /** Throws `PowerCut` at the attempt to store the `n`th octet from now (1 or more), which is not stored. */
    cutAtWrite(n: number): void {
        this.cut = { left: n, unit: "octet", store: false }
    }

    /** Takes back a `cutAfterWrites` or `cutAtWrite` that has not fired. */
    cutNever(): void {
        this.cut = undefined
    }

    addressed(address: number): void {
        if (this.asleep && (address & 0x7e) === this.base) {
            this.asleep = false
            this.awakeAtMs = this.options.clock.nowMs() + wakeMs
        }
    }

    answers(address: number): boolean {
        if (!this.powered || this.asleep || this.options.clock.nowMs() < this.awakeAtMs) return false
        if ((address & 0x7e) === this.base || address === identification) return true
        return address === sleepCommand && this.identify
    }

    write(address: number, data: Uint8Array): number {
        if (address === sleepCommand) {
            this.asleep = true
            this.identify = false
            return 0
        }
        if (address === identification) {
            this.identify = data.length > 0 && (data[0] & 0xfc) === this.base << 1
            return this.identify ? data.length : 0
        }
        this.identify = false
        const bank = (address & 1) << 16
        if (data.length > 0) this.pointer = bank | (data[0] << 8) | (this.pointer & 0xff)
        if (data.length > 1) this.pointer = bank | (data[0] << 8) | data[1]
        if (data.length <= 2) return data.length
        if (this.writeProtect) {
            if (this.options.wpNacks) return 2
            this.pointer = (this.pointer + data.length - 2) % size
            return data.length
        }
        for (let i = 2; i < data.length; i++) this.store(data[i])
        this.writeTransactions++
        if (this.cut?.unit === "transaction") this.countDown()
        return data.length
    }

    read(address: number, length: number): Uint8Array | undefined {
        if (address === identification) {
            if (!this.identify) return undefined
            this.identify = false
            return Uint8Array.from({ length }, (_, i) => [0x00, 0xa7, 0x58][i % 3])
        }
        this.identify = false
        const out = new Uint8Array(length)
        for (let i = 0; i < length; i++) {
            out[i] = this.memory[this.pointer]
            this.pointer = (this.pointer + 1) % size
        }
        return out
    }

    powerOff(): void {
        this.powered = false
        this.asleep = false
        this.identify = false
    }

    powerOn(): void {
        this.powered = true
        this.pointer = 0
        this.awakeAtMs = 0
    }

    save(): Uint8Array {
        return this.memory.slice()
    }

    load(state: Uint8Array): void {
        if (state.length !== size) throw new Error(`MB85RC1MT state: expected ${size} octets, came ${state.length}`)
        this.memory.set(state)
    }

    private store(octet: number): void {
        const cut = this.cut
        if (cut && (cut.left === 0 || (!cut.store && cut.left === 1))) this.fire()
        this.memory[this.pointer] = octet
        this.pointer = (this.pointer + 1) % size
        this.writes++
        if (cut?.unit === "octet") this.countDown()
    }

    private countDown(): void {
        const cut = this.cut!
        cut.left--
        if (cut.store && cut.left === 0) this.fire()
    }

    private fire(): never {
        this.cut = undefined
        throw new PowerCut(this.writes)
    }
}
