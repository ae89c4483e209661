/** One of the eight sockets of a `W5500`: its registers, pointers and state (data sheet 4.2). TCP server only. */

export const Sn = {
    MR: 0x00,
    CR: 0x01,
    IR: 0x02,
    SR: 0x03,
    PORT: 0x04,
    DHAR: 0x06,
    DIPR: 0x0c,
    DPORT: 0x10,
    TTL: 0x16,
    RXBUF_SIZE: 0x1e,
    TXBUF_SIZE: 0x1f,
    TX_FSR: 0x20,
    TX_RD: 0x22,
    TX_WR: 0x24,
    RX_RSR: 0x26,
    RX_RD: 0x28,
    RX_WR: 0x2a,
    IMR: 0x2c,
    FRAG: 0x2d,
} as const

export const Command = { open: 0x01, listen: 0x02, connect: 0x04, discon: 0x08, close: 0x10, send: 0x20, recv: 0x40 }
export const State = {
    closed: 0x00,
    init: 0x13,
    listen: 0x14,
    synReceived: 0x16,
    established: 0x17,
    finWait: 0x18,
    closeWait: 0x1c,
    lastAck: 0x1d,
}
export const Interrupt = { con: 0x01, discon: 0x02, recv: 0x04, timeout: 0x08, sendOk: 0x10 }

const registers = 0x30

/** The other end of a TCP connection, as a socket of the chip has it. The handlers are the chip's. */
export interface LanPeer {
    /** IPv4 address, four octets, and port. */
    readonly address: Uint8Array
    readonly port: number
    /** Octets of the chip; `acknowledged` is called once the peer has them. */
    send(octets: Uint8Array, acknowledged: () => void): void
    /** FIN of the chip. */
    finish(): void
    /** The chip knows this connection no more. */
    abort(): void
    /** Whether the chip's window is open: while it is not, nothing is handed over. */
    window(open: boolean): void
    onOctets: (octets: Uint8Array) => void
    onFinish: () => void
    /** Both directions have ended, or a RST came. */
    onClosed: () => void
}

/** What a driver did that the part does not allow; a model counts what silicon punishes at random. */
export type Violation = (what: string) => void

export class W5500Socket {
    readonly regs = new Uint8Array(registers)
    /** Pointers of 16 bits. `read` is RX_RD as of the last RECV: what frees the buffer. */
    private read = 0
    private peer: LanPeer | undefined
    /** Came from the peer, and there is no room for it. */
    private waiting: Uint8Array[] = []
    private finished = false
    private sending = false
    /** What RX_RSR and TX_FSR showed last. */
    private readonly shown: Record<number, number> = { [Sn.TX_FSR]: 0, [Sn.RX_RSR]: 0 }

    constructor(
        private readonly tx: Uint8Array,
        private readonly rx: Uint8Array,
        /** Where this socket's buffers begin in `tx` and `rx`. */
        private readonly base: (size: number) => number,
        private readonly violation: Violation,
        private readonly draw: () => number,
    ) {
        this.reset()
    }

    get state(): number {
        return this.regs[Sn.SR]
    }

    get port(): number {
        return this.word(Sn.PORT)
    }

    /** Reset values of the data sheet. */
    reset(): void {
        this.drop()
        const { regs } = this
        regs.fill(0)
        regs.fill(0xff, Sn.DHAR, Sn.DHAR + 6)
        regs[Sn.TTL] = 0x80
        regs[Sn.RXBUF_SIZE] = 2
        regs[Sn.TXBUF_SIZE] = 2
        regs[Sn.IMR] = 0xff
        regs[Sn.FRAG] = 0x40
        this.shown[Sn.TX_FSR] = 0
        this.shown[Sn.RX_RSR] = 0
    }

    /** A socket in LISTEN takes a connection. */
    establish(peer: LanPeer): void {
        const { regs } = this
        this.peer = peer
        regs.set(peer.address, Sn.DIPR)
        this.setWord(Sn.DPORT, peer.port)
        regs[Sn.SR] = State.synReceived
        peer.onOctets = octets => {
            this.shaken()
            this.waiting.push(octets)
            this.fill()
        }
        peer.onFinish = () => {
            this.shaken()
            this.finished = true
            this.fill()
        }
        peer.onClosed = () => this.end()
    }

    /** One octet as it is read. */
    readAt(offset: number): number {
        const high = offset & ~1
        if (high === Sn.TX_FSR || high === Sn.RX_RSR) {
            const now = high === Sn.TX_FSR ? this.free() : this.received()
            // A size that has changed since it was read last comes out torn once: new high octet, old low one.
            const low = this.shown[high]
            if (offset === high) return now >> 8
            this.shown[high] = now
            return low & 0xff
        }
        const octet = offset < registers ? this.regs[offset] : 0
        if (offset === Sn.SR) this.shaken()
        return octet
    }

    /** The third segment of the handshake has come: after one look, or with the first octets. */
    private shaken(): void {
        if (this.state !== State.synReceived) return
        this.regs[Sn.SR] = State.established
        this.regs[Sn.IR] |= Interrupt.con
    }

    writeAt(offset: number, value: number): void {
        const { regs } = this
        if (offset === Sn.CR) this.command(value)
        else if (offset === Sn.IR) regs[Sn.IR] &= ~value
        else if (offset === Sn.SR || (offset >= Sn.TX_FSR && offset < Sn.TX_WR))
            this.violation("write to a read-only register")
        else if (offset === Sn.RX_RSR || offset === Sn.RX_RSR + 1 || offset === Sn.RX_WR || offset === Sn.RX_WR + 1)
            this.violation("write to a read-only register")
        else if (offset < registers) regs[offset] = value
    }

    /** The command that was being taken has been. */
    accepted(): void {
        this.regs[Sn.CR] = 0
    }

    /** Place of an address of the TX or RX block; the chip masks it by the buffer's size. */
    place(transmit: boolean, address: number): number {
        const size = this.size(transmit)
        return size === 0 ? -1 : (this.base(transmit ? Sn.TXBUF_SIZE : Sn.RXBUF_SIZE) + (address & (size - 1))) & 0x3fff
    }

    private command(code: number): void {
        const { regs } = this
        if (regs[Sn.CR] !== 0) {
            this.violation("command before the last was taken")
            return
        }
        regs[Sn.CR] = code
        const state = this.state
        switch (code) {
            case Command.open: {
                this.drop()
                if ((regs[Sn.MR] & 0x0f) !== 1) break
                regs[Sn.SR] = State.init
                // Nobody may take them for 0: they go round in 16 bits, and where they begin is the part's own affair.
                const at = this.draw() & 0xffff
                for (const pointer of [Sn.TX_RD, Sn.TX_WR]) this.setWord(pointer, at)
                for (const pointer of [Sn.RX_RD, Sn.RX_WR]) this.setWord(pointer, at ^ 0x8000)
                this.read = at ^ 0x8000
                break
            }
            case Command.listen:
                if (state === State.init) regs[Sn.SR] = State.listen
                break
            case Command.discon:
                if (!this.peer) this.end()
                else if (state === State.established || state === State.closeWait) {
                    regs[Sn.SR] = state === State.established ? State.finWait : State.lastAck
                    this.peer.finish()
                }
                break
            case Command.close:
                this.drop()
                break
            case Command.send:
                this.send()
                break
            case Command.recv:
                if (this.distance(this.read, this.word(Sn.RX_RD)) > this.received())
                    this.violation("RX_RD beyond what was received")
                this.read = this.word(Sn.RX_RD)
                this.fill()
                break
        }
    }

    private send(): void {
        const { peer, regs } = this
        if (!peer || (this.state !== State.established && this.state !== State.closeWait)) return
        if (this.sending) {
            this.violation("SEND before SENDOK")
            return
        }
        const from = this.word(Sn.TX_RD)
        const to = this.word(Sn.TX_WR)
        const length = this.distance(from, to)
        if (length > this.size(true)) {
            this.violation("more sent than the buffer holds")
            return
        }
        const octets = new Uint8Array(length)
        for (let i = 0; i < length; ++i) octets[i] = this.tx[this.place(true, from + i)]
        this.sending = true
        peer.send(octets, () => {
            if (this.peer !== peer) return
            this.sending = false
            this.setWord(Sn.TX_RD, to)
            regs[Sn.IR] |= Interrupt.sendOk
        })
    }

    /** Moves what waits into the buffer, as far as it goes; behind it the FIN. */
    private fill(): void {
        const { regs, peer } = this
        while (this.waiting.length > 0) {
            const octets = this.waiting[0]
            const room = this.size(false) - this.received()
            const count = Math.min(room, octets.length)
            if (count === 0) break
            const at = this.word(Sn.RX_WR)
            for (let i = 0; i < count; ++i) this.rx[this.place(false, at + i)] = octets[i]
            this.setWord(Sn.RX_WR, at + count)
            regs[Sn.IR] |= Interrupt.recv
            if (count === octets.length) this.waiting.shift()
            else this.waiting[0] = octets.subarray(count)
        }
        peer?.window(this.waiting.length === 0)
        if (this.finished && this.waiting.length === 0 && this.state === State.established) {
            regs[Sn.SR] = State.closeWait
            regs[Sn.IR] |= Interrupt.discon
        }
    }

    /** Both directions have ended. What was received can still be read. */
    private end(): void {
        this.drop(false)
        this.regs[Sn.IR] |= Interrupt.discon
    }

    private drop(abort = true): void {
        const { peer } = this
        this.peer = undefined
        this.waiting = []
        this.finished = false
        this.sending = false
        this.regs[Sn.SR] = State.closed
        if (peer && abort) peer.abort()
    }

    private size(transmit: boolean): number {
        return this.regs[transmit ? Sn.TXBUF_SIZE : Sn.RXBUF_SIZE] * 1024
    }

    private received(): number {
        return this.distance(this.read, this.word(Sn.RX_WR))
    }

    private free(): number {
        return Math.max(0, this.size(true) - this.distance(this.word(Sn.TX_RD), this.word(Sn.TX_WR)))
    }

    private distance(from: number, to: number): number {
        return (to - from) & 0xffff
    }

    private word(offset: number): number {
        return (this.regs[offset] << 8) | this.regs[offset + 1]
    }

    private setWord(offset: number, value: number): void {
        this.regs[offset] = (value >> 8) & 0xff
        this.regs[offset + 1] = value & 0xff
    }
}
