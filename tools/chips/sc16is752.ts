/**
 * NXP SC16IS752: two UARTs with 64-octet FIFOs and RS-485 direction control on I2C (data sheet Rev 9).
 *
 * Facts not settled by two sources, and what this model does: reset values as remembered in the community (IER 00,
 * FCR 00, LCR 1D, MCR 00, LSR 60, EFR 00, EFCR 00); DLL, DLH and SPR come up with anything; the write that resets is
 * not acknowledged; RX time-out ranks before RX trigger; an empty RHR reads 00; with the FIFO off TXLVL still counts
 * from 64; the auto-direction RTS edge is exactly at the end of the last stop bit. RTS is wired to an active-high
 * driver enable, so before EFCR is set the idle RTS pin (high) holds the line. Not modelled: 9-bit multidrop,
 * hardware and software flow control, modem pins, IrDA, sleep, sending a break.
 */
import type { I2cDevice } from "./bus"
import type { ModelClock } from "./clock"
import { Sc16Channel } from "./sc16is752-channel"

const pinsAddress = ["VDD", "VSS", "SCL", "SDA"]

/** Where the address pins A1, A0 are tied to. */
export type Strap = "VDD" | "VSS" | "SCL" | "SDA"

/** One part, its crystal and its straps. */
export interface Sc16is752Options {
    clock: ModelClock
    /** Default 14 745 600. */
    crystalHz?: number
    a1?: Strap
    a0?: Strap
}

/** The part as the bus sees it. */
export class Sc16is752 implements I2cDevice {
    readonly channels: readonly [Sc16Channel, Sc16Channel]
    readonly address: number
    private powered = false
    private subAddress = 0
    private upsetUntilReset = false
    private powerUps = 0
    private direction = 0
    private latch = 0
    private inputs = 0xff
    private interruptEnable = 0
    private changed = false
    private control = 0

    constructor(options: Sc16is752Options) {
        const crystal = options.crystalHz ?? 14_745_600
        const a1 = pinsAddress.indexOf(options.a1 ?? "VSS")
        this.address = 0x48 + 4 * a1 + pinsAddress.indexOf(options.a0 ?? "VSS")
        const pending = () => this.changed && this.interruptEnable !== 0
        this.channels = [
            new Sc16Channel(options.clock, crystal, pending),
            new Sc16Channel(options.clock, crystal, pending),
        ]
    }

    /** Pin IRQ is low. */
    get interruptLow(): boolean {
        for (const channel of this.channels) channel.advance()
        return this.channels.some(c => c.interrupting)
    }

    /** Sets the level at a GPIO pin 0..7. */
    setInput(pin: number, high: boolean): void {
        const before = this.inputs
        this.inputs = high ? before | (1 << pin) : before & ~(1 << pin)
        if ((before ^ this.inputs) & this.interruptEnable & ~this.direction) this.changed = true
    }

    /** Level of the GPIO pins, outputs as driven. */
    get pins(): number {
        return (this.latch & this.direction) | (this.inputs & ~this.direction & 0xff)
    }

    /** A supply dip: every register reads FF and writes are lost until a reset. */
    upset(): void {
        this.upsetUntilReset = true
    }

    answers(address: number): boolean {
        return this.powered && address === this.address
    }

    write(_address: number, data: Uint8Array): number {
        if (data.length === 0) return 0
        this.subAddress = data[0]
        const register = (this.subAddress >> 3) & 0x0f
        for (const octet of data.subarray(1)) {
            if (register === 0x0e && octet & 8) {
                this.reset()
                return 1
            }
            if (!this.upsetUntilReset) this.put(register, octet)
        }
        return data.length
    }

    read(_address: number, length: number): Uint8Array {
        const register = (this.subAddress >> 3) & 0x0f
        const out = new Uint8Array(length)
        for (let i = 0; i < length; i++) out[i] = this.upsetUntilReset ? 0xff : this.get(register)
        return out
    }

    powerOff(): void {
        for (const channel of this.channels) channel.advance()
        this.powered = false
        this.reset()
        for (const channel of this.channels) channel.powered = false
    }

    powerOn(): void {
        this.powered = true
        this.powerUps++
        this.reset()
        for (const channel of this.channels) {
            channel.powered = true
            channel.scramble(this.powerUps)
        }
    }

    private reset(): void {
        this.upsetUntilReset = false
        for (const channel of this.channels) channel.reset()
        this.direction = this.latch = this.interruptEnable = this.control = 0
        this.changed = false
    }

    private put(register: number, octet: number): void {
        if (register === 0x0a) this.direction = octet
        else if (register === 0x0b) this.latch = octet
        else if (register === 0x0c) this.interruptEnable = octet
        else if (register === 0x0e) this.control = octet & 0x07
        else this.channels[(this.subAddress >> 1) & 1].write(register, octet)
    }

    private get(register: number): number {
        if (register === 0x0a) return this.direction
        if (register === 0x0b) {
            this.changed = false
            return this.pins
        }
        if (register === 0x0c) return this.interruptEnable
        if (register === 0x0e) return this.control
        return this.channels[(this.subAddress >> 1) & 1].read(register)
    }
}
