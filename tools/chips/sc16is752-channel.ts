/**
 * One UART channel of the SC16IS752 model: registers 0..9 and EFCR, FIFOs, interrupts, RS-485 direction.
 * The part's header comment (sc16is752.ts) lists what is chosen where the sources are silent.
 */
import type { ModelClock } from "./clock"
import type { Rs485Wire, Station, StationOptions, WireCharacter } from "./rs485-wire"
import { characterMs, type Format, type Received, receiveAs } from "./uart-frame"
import { UartTransmitter } from "./uart-transmitter"

const depth = 64
const rxTriggers = [8, 16, 56, 60]
const txTriggers = [8, 16, 32, 56]

/** IIR codes by source, without the FIFO bits. */
export const Interrupt = { none: 0x01, line: 0x06, timeout: 0x0c, rx: 0x04, thr: 0x02, io: 0x30 } as const

/** Channel A or B. */
export class Sc16Channel implements Station {
    private wire?: Rs485Wire
    /** Transceiver's driver enable is the RTS pin; true where it is wired active low. */
    driverEnableLow = false
    /** Without supply neither driver nor receiver is there. */
    powered = false
    /** DLL, DLH, SPR, XON1, XON2, XOFF1, XOFF2: no reset touches them, after power up they are anything. */
    private dll = 0x5a
    private dlh = 0xc3
    private spr = 0xa7
    private flow = [0x11, 0xee, 0x13, 0xdd]
    private ier = 0
    private fcr = 0
    private lcr = 0x1d
    private mcr = 0
    private efr = 0
    private efcr = 0
    private tcr = 0
    private tlr = 0
    private rx: Received[] = []
    private overrun = false
    private thrPending = false
    private lastRxMs = 0
    private phantom = false
    private looped: { received: Received; atMs: number }[] = []
    /** What the line has brought, and when: whoever looks at the line may be ahead of this board. */
    private arriving: { received: Received; atMs: number }[] = []
    private readonly tx = new UartTransmitter()

    constructor(
        private readonly clock: ModelClock,
        private readonly crystalHz: number,
        private readonly ioPending: () => boolean,
    ) {}

    /** Connects this channel's transceiver to a line; returns a function that takes it off again. */
    connect(wire: Rs485Wire, options?: StationOptions): () => void {
        this.wire = wire
        const detach = wire.attach(this, options)
        return () => {
            detach()
            this.wire = undefined
        }
    }

    /** Erratum: the next IIR shows an RX time-out with an empty FIFO until RHR is read. */
    phantomTimeout(): void {
        this.phantom = true
    }

    reset(): void {
        this.advance()
        this.ier = this.fcr = this.mcr = this.efr = this.efcr = this.tcr = this.tlr = 0
        this.lcr = 0x1d
        this.rx = []
        this.looped = []
        this.arriving = []
        this.tx.clear()
        this.overrun = this.thrPending = this.phantom = false
    }

    /** Contents after power up are whatever they are: `seed` decides. */
    scramble(seed: number): void {
        this.dll = (seed * 73 + 0x5a) & 0xff
        this.dlh = (seed * 151 + 0xc3) & 0xff
        this.spr = (seed * 29 + 0xa7) & 0xff
    }

    /** Carries out what happened on the line until now. */
    advance(): void {
        if (this.wire) this.wire.advance()
        else while (this.pump(this.clock.nowMs(), false)) {}
        const now = this.clock.nowMs()
        while (this.arriving.length > 0 && this.arriving[0].atMs <= now) {
            const { received, atMs } = this.arriving.shift()!
            this.take(received, atMs)
        }
    }

    get interrupting(): boolean {
        this.advance()
        return this.cause() !== Interrupt.none
    }

    read(register: number): number {
        this.advance()
        const special = this.lcr === 0xbf
        const divisor = !special && (this.lcr & 0x80) !== 0
        const trigger = (this.mcr & 4) !== 0 && (this.efr & 0x10) !== 0
        switch (register) {
            case 0:
                return special ? 0 : divisor ? this.dll : this.takeOctet()
            case 1:
                return divisor ? this.dlh : this.ier
            case 2:
                return special ? this.efr : this.readIir()
            case 3:
                return this.lcr
            case 4:
                return special ? this.flow[0] : this.mcr
            case 5:
                return special ? this.flow[1] : this.readLsr()
            case 6:
                return special ? this.flow[2] : trigger ? this.tcr : 0
            case 7:
                return special ? this.flow[3] : trigger ? this.tlr : this.spr
            case 8:
                return depth - this.tx.queued
            case 9:
                return this.rx.length
            case 0x0f:
                return this.efcr
        }
        return 0
    }

    write(register: number, value: number): void {
        this.advance()
        const special = this.lcr === 0xbf
        const divisor = !special && (this.lcr & 0x80) !== 0
        const enhanced = (this.efr & 0x10) !== 0
        const trigger = (this.mcr & 4) !== 0 && enhanced
        const gated = (old: number, bits: number) => (enhanced ? value : (value & ~bits) | (old & bits))
        if (register === 0 && !special) {
            if (!divisor) this.send(value)
            else if (!(this.ier & 0x10)) this.dll = value
        } else if (register === 1 && !special) {
            if (!divisor) this.setIer(gated(this.ier, 0xf0))
            else if (!(this.ier & 0x10)) this.dlh = value
        } else if (register === 2) {
            if (special) this.efr = value
            else this.setFcr(gated(this.fcr, 0x30))
        } else if (register === 3) this.lcr = value
        else if (register === 0x0f) this.setEfcr(value)
        else if (special && register >= 4 && register <= 7) this.flow[register - 4] = value
        else if (register === 4) this.mcr = gated(this.mcr, 0xe4)
        else if (register === 6 && trigger) this.tcr = value
        else if (register === 7 && trigger) this.tlr = value
        else if (register === 7) this.spr = value
    }

    pump(untilMs: number, ideal: boolean): WireCharacter | undefined {
        while (this.looped.length > 0 && this.looped[0].atMs <= untilMs) {
            const { received, atMs } = this.looped.shift()!
            this.take(received, atMs)
        }
        const format = this.format()
        if (!format || !this.powered || this.efcr & 4) return undefined
        const started = this.tx.next(untilMs, format, ideal)
        if (!started) return undefined
        const free = depth - this.tx.queued
        if (free === depth || free === this.txTrigger()) this.thrPending = true
        const looping = (this.mcr & 0x10) !== 0
        if (looping) {
            const received = receiveAs(started.octet, format, format)
            this.looped.push({ received, atMs: started.endMs })
        }
        return { ...started, driven: !looping && this.enabled(true) }
    }

    holdsLine(): boolean {
        return this.powered && this.enabled(false)
    }

    receiverFormat(): Format | undefined {
        return this.powered && !(this.efcr & 2) && !(this.mcr & 0x10) ? this.format() : undefined
    }

    receive(received: Received, atMs: number): void {
        this.arriving.push({ received, atMs })
    }

    private take(received: Received, atMs: number): void {
        if (this.efcr & 2) return
        // The octet that does not fit is lost, the FIFO keeps what it has.
        if (this.rx.length >= (this.fcr & 1 ? depth : 1)) this.overrun = true
        else this.rx.push(received)
        this.lastRxMs = atMs
    }

    /** Line format as programmed; undefined while the divisor is 0. */
    format(): Format | undefined {
        const divisor = this.dlh * 256 + this.dll
        if (divisor === 0) return undefined
        const forced = this.lcr & 0x20
        const even = this.lcr & 0x10
        const parity = !(this.lcr & 8) ? "none" : forced ? (even ? "space" : "mark") : even ? "even" : "odd"
        return {
            baud: this.crystalHz / (this.mcr & 0x80 ? 4 : 1) / 16 / divisor,
            dataBits: 5 + (this.lcr & 3),
            parity,
            stopBits: this.lcr & 4 ? 2 : 1,
        }
    }

    /** Driver enable of the transceiver, while `sending` or while idle. */
    private enabled(sending: boolean): boolean {
        // RTS pin: in automatic mode low while sending (high with b5); else the inverse of MCR bit 1.
        const high = this.efcr & 0x10 ? sending === ((this.efcr & 0x20) !== 0) : (this.mcr & 2) === 0
        return high !== this.driverEnableLow
    }

    private send(value: number): void {
        if (this.tx.queued >= (this.fcr & 1 ? depth : 1)) return
        this.tx.queue([value], this.clock.nowMs())
        this.thrPending = false
        this.advance()
    }

    private takeOctet(): number {
        this.phantom = false
        this.lastRxMs = this.clock.nowMs()
        return this.rx.shift()?.octet ?? 0
    }

    private setIer(value: number): void {
        if (value & 2 && !(this.ier & 2) && this.tx.queued === 0) this.thrPending = true
        this.ier = value
    }

    private setFcr(value: number): void {
        const toggled = (value ^ this.fcr) & 1
        if (value & 2 || toggled) this.rx = []
        if (value & 4 || toggled) this.tx.clear()
        this.fcr = value & 0xf9
    }

    private setEfcr(value: number): void {
        if (this.efcr & 4 && !(value & 4)) this.tx.notBefore(this.clock.nowMs())
        this.efcr = value
        this.advance()
    }

    private readLsr(): number {
        const head = this.rx[0]
        const idle = !this.tx.sending(this.clock.nowMs())
        let lsr = this.rx.length > 0 ? 0x01 : 0
        if (this.overrun) lsr |= 0x02
        if (head?.parityError) lsr |= 0x04
        if (head?.framingError) lsr |= 0x08
        if (head?.lineBreak) lsr |= 0x10
        if (this.tx.queued === 0) lsr |= idle ? 0x60 : 0x20
        if (this.rx.some(r => r.parityError || r.framingError)) lsr |= 0x80
        this.overrun = false
        return lsr
    }

    private readIir(): number {
        const cause = this.cause()
        if (cause === Interrupt.thr) this.thrPending = false
        return cause | (this.fcr & 1 ? 0xc0 : 0)
    }

    private cause(): number {
        const head = this.rx[0]
        const bad = this.overrun || (head !== undefined && (head.parityError || head.framingError))
        if (this.ier & 4 && bad) return Interrupt.line
        if (this.ier & 1) {
            const format = this.format()
            const quiet = format ? this.clock.nowMs() - this.lastRxMs >= 4 * characterMs(format) : false
            if (this.phantom || (this.rx.length > 0 && quiet && this.fcr & 1)) return Interrupt.timeout
            if (this.rx.length >= this.rxTrigger()) return Interrupt.rx
        }
        if (this.ier & 2 && this.thrPending) return Interrupt.thr
        return this.ioPending() ? Interrupt.io : Interrupt.none
    }

    private rxTrigger(): number {
        if (!(this.fcr & 1)) return 1
        return (this.tlr >> 4) * 4 || rxTriggers[this.fcr >> 6]
    }

    private txTrigger(): number {
        return (this.tlr & 0x0f) * 4 || txTriggers[(this.fcr >> 4) & 3]
    }
}
