import { Code, fail } from "../firmware/core/errors"
import { platform } from "../firmware/core/platform"
import { codeOf, firstTransfer } from "./bus-register"
import type { I2cBus, UartPort } from "./ports"

// General register set; where two stand, the second is the one written.
const RHR = 0
const IER = 1
const IIR = 2
const FCR = 2
const LCR = 3
const MCR = 4
const LSR = 5
const SPR = 7
const TXLVL = 8
const RXLVL = 9
const IOCONTROL = 14
const EFCR = 15
/** While LCR bit 7 is set. */
const DLL = 0
const DLH = 1
/** While LCR is BF. */
const EFR = 2

const fifoSize = 64
/** LSR: octets were lost; the transmitter is empty to the last stop bit. */
const lsrOverrun = 0x02
const lsrIdle = 0x40
/** LSR: an octet in the FIFO came with a framing or parity error or a break. */
const lsrDamage = 0x80
/** EFCR: RTS drives the transceiver by itself, high while sending (DE active high). */
const autoDirection = 0x30
/** LCR of 8N1, 8E1 and 7E1. */
const formats = hex`031b1a`

/**
 * NXP SC16IS752, two UARTs with 64-octet FIFOs on I2C. The levels of the FIFOs are polled and all interrupts
 * stay off, so the interrupt line needs no wire and erratum 18.1.4 (a receive time-out with an empty FIFO that
 * never ends) can only stand from before the start; it is cleared then.
 *
 * At 9600 Bd the receive FIFO is full after 66 ms: whoever receives polls more often than that.
 */
export class Sc16is752 {
    /** `address` 0x48 to 0x57 by the pins A1 and A0; `crystalHz` of the part's own crystal. */
    constructor(
        readonly bus: I2cBus,
        readonly address: number,
        readonly crystalHz: number,
    ) {}

    /** Checks that the part is there and resets both channels: `PartAbsent`, `ReadBackMismatch`. */
    start(): void {
        firstTransfer(this.bus, "SC16IS752", this.address, Buffer.from([TXLVL << 3]), 1)
        try {
            this.write(0, IOCONTROL, 0x08)
        } catch (error) {
            // The part may be in reset before it acknowledges the octet that resets it.
            const code = codeOf(error)
            if (code !== Code.BusDataNack && code !== Code.BusAddressNack) throw error
        }
        platform().sleepMs(2)
        for (let channel = 0; channel < 2; ++channel) {
            this.set(channel, SPR, 0x5a)
            this.set(channel, SPR, 0xa5 + channel)
        }
    }

    /** Channel 0 (A) or 1 (B). */
    port(channel: number): Sc16is752Port {
        return new Sc16is752Port(this, channel)
    }

    /** One octet of a register. */
    read(channel: number, register: number): number {
        return this.readMany(channel, register, 1)[0]
    }

    /** `count` octets from one register: the address does not move on. */
    readMany(channel: number, register: number, count: number): Buffer {
        return this.bus.transfer(this.address, Buffer.from([(register << 3) | (channel << 1)]), count)
    }

    write(channel: number, register: number, value: number): void {
        this.bus.transfer(this.address, Buffer.from([(register << 3) | (channel << 1), value]), 0)
    }

    /** Writes and reads back. */
    set(channel: number, register: number, value: number): void {
        this.write(channel, register, value)
        const now = this.read(channel, register)
        if (now !== value) fail(Code.ReadBackMismatch, register, "" + value, "" + now)
    }
}

/** One channel. RTS turns the line round by itself: from the first start bit to the last stop bit. */
export class Sc16is752Port implements UartPort {
    /** Octets that came with a framing or parity error or a break, counted by polls that met some. */
    damaged: number
    private lineControl: number
    private msPerOctet: number
    private overrun: boolean
    private idle: number

    constructor(
        readonly part: Sc16is752,
        readonly channel: number,
    ) {
        this.damaged = 0
        this.lineControl = 0
        this.msPerOctet = 0
        this.overrun = false
        this.idle = 0
    }

    open(baud: number, parity: number): void {
        const divisor = Math.round(this.part.crystalHz / (16 * baud))
        const error = Math.abs(this.part.crystalHz / (16 * divisor) - baud) / baud
        // A receiver of ten bits tolerates about 4 % in all; half of it is the other side's.
        if (!(divisor >= 1 && divisor <= 0xffff && error < 0.02 && parity >= 0 && parity < formats.length))
            fail(Code.BadArgument, -1, "a rate the crystal divides to, parity 0 to 2", baud + ", " + parity)
        const format = formats[parity]
        this.lineControl = format
        this.msPerOctet = 11000 / baud

        this.write(LCR, 0xbf)
        // Enhanced functions, so that MCR is taken whole; no flow control.
        this.set(EFR, 0x10)
        this.write(LCR, 0x80)
        this.set(DLL, divisor & 0xff)
        this.set(DLH, divisor >> 8)
        this.set(LCR, format)
        this.set(MCR, 0)
        this.set(IER, 0)
        this.write(FCR, 0x06)
        this.write(FCR, 0x01)
        this.set(EFCR, autoDirection)
        const pending = this.read(IIR)
        if ((pending & 0xc0) !== 0xc0) fail(Code.ReadBackMismatch, FCR, "FIFOs on", "IIR " + pending)
        // Erratum 18.1.4: only reading an octet that is not there ends this state.
        if ((pending & 0x3f) === 0x0c && this.level(RXLVL) === 0) this.read(RHR)
        this.read(LSR)
        this.overrun = false
    }

    send(octets: Buffer): void {
        this.checkSettings()
        // Whatever is queued leaves within one FIFO's time; three times that and the part does not send.
        let patience = 0
        let done = 0
        while (done < octets.length) {
            const count = Math.min(this.level(TXLVL), octets.length - done)
            if (count === 0) {
                if (patience > 3 * fifoSize * this.msPerOctet + 100)
                    fail(Code.UartBlocked, done, "room in the FIFO", "none for " + Math.round(patience) + " ms")
                const wait = Math.ceil((fifoSize / 4) * this.msPerOctet)
                patience += wait
                platform().sleepMs(wait)
            } else {
                const burst = Buffer.alloc(count + 1)
                burst[0] = this.channel << 1
                burst.blitAt(1, octets, done, count)
                this.part.bus.transfer(this.part.address, burst, 0)
                done += count
                patience = 0
            }
        }
    }

    receive(): Buffer {
        const count = this.level(RXLVL)
        // A part that was reset hears nothing, so silence is no proof of a silent line.
        if (count === 0 && (++this.idle & 0xff) === 0) this.checkSettings()
        if (count > 0) this.readStatus()
        if (this.overrun) {
            // What is in the FIFO came before the loss; the next call gives it.
            this.overrun = false
            fail(Code.UartOverrun, -1, "octets read in time", "a loss after " + count)
        }
        return count > 0 ? this.part.readMany(this.channel, RHR, count) : Buffer.alloc(0)
    }

    sent(): boolean {
        return (this.readStatus() & lsrIdle) !== 0
    }

    /** LSR; reading clears its error flags, so they are kept. */
    private readStatus(): number {
        const status = this.read(LSR)
        if ((status & lsrDamage) !== 0) ++this.damaged
        if ((status & lsrOverrun) !== 0) this.overrun = true
        return status
    }

    /** A part that was reset has forgotten the direction control: what it sends would not reach the line. */
    private checkSettings(): void {
        const control = this.read(EFCR)
        const format = this.read(LCR)
        if (control !== autoDirection || format !== this.lineControl)
            fail(Code.UartReset, -1, "an open channel", "EFCR " + control + ", LCR " + format)
    }

    /** Level of a FIFO. The part cannot say more than 64: Linux once took 255 for free places (raspberrypi/linux#1903). */
    private level(register: number): number {
        const level = this.read(register)
        if (level > fifoSize) fail(Code.ImpossibleValue, register, "at most 64", "" + level)
        return level
    }

    private read(register: number): number {
        return this.part.read(this.channel, register)
    }

    private write(register: number, value: number): void {
        this.part.write(this.channel, register, value)
    }

    private set(register: number, value: number): void {
        this.part.set(this.channel, register, value)
    }
}
