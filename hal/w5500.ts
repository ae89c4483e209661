import { Code, fail } from "../firmware/core/errors"
import { cut, join, sameOctets, uintBE } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import type { ListeningPort, SpiPort } from "./ports"

// Registers of a socket (data sheet 4.2).
const commandAt = 1
const interruptAt = 2
const stateAt = 3
const portAt = 4
const freeAt = 0x20
const writeAt = 0x24
const receivedAt = 0x26
const readAt = 0x28

// Commands.
const open = 0x01
const listen = 0x02
const disconnect = 0x08
const close = 0x10
const send = 0x20
const receive = 0x40

// States.
const closed = 0x00
const init = 0x13
const listening = 0x14
const connecting = 0x16
const established = 0x17
const closeWait = 0x1c

/** Peers that can be connected at once: one is served, the others wait. A browser opens several connections. */
const sockets = 4
const pollMs = 10
/** A command is taken within microseconds. */
const mostLooks = 50
/** Reset of the part, and what an unknown board may add. */
const startMs = 20
/** A peer that acknowledges nothing for so long is gone. */
const stuckMs = 10000
/** Octets sent or received at once; the part's buffers hold 2,048 a socket. */
const pieceLength = 512

/**
 * WIZnet W5500 as a TCP server with a fixed address. A part that has lost its settings gets them again.
 *
 * @devsWhenUsed
 */
export class W5500 implements ListeningPort {
    /** Socket of the peer that is served, -1 for none. */
    private serving: number

    /**
     * `port`: where it listens; `addresses`: gateway 4 (0.0.0.0 for none), network mask 4, hardware address 6, own address 4, 18 octets.
     */
    constructor(
        readonly spi: SpiPort,
        readonly port: number,
        readonly addresses: Buffer,
    ) {
        this.serving = -1
    }

    /** Resets the part and gives it its addresses. Throws `PartAbsent` or `ReadBackMismatch`. */
    start(): void {
        this.serving = -1
        this.write(0, 0, hex`80`)
        platform().sleepMs(startMs)
        const version = this.read(0, 0x39, 1)[0]
        if (version !== 4) fail(Code.PartAbsent, -1, "version 4", "" + version)
        this.write(0, 1, this.addresses)
        if (!this.configured()) fail(Code.ReadBackMismatch, 1, "the addresses just written", "others")
    }

    accept(timeoutMs: number): boolean {
        const from = platform().millis()
        for (;;) {
            if (!this.configured()) this.start()
            for (let n = 0; n < sockets; ++n) {
                const state = this.state(n)
                if (state === established || (state === closeWait && this.size(n, receivedAt) > 0)) {
                    this.serving = n
                    return true
                }
                if (state === closeWait) this.command(n, disconnect)
                else if (state !== listening && state !== connecting) this.listen(n)
            }
            if (platform().millis() - from >= timeoutMs) return false
            platform().sleepMs(pollMs)
        }
    }

    send(octets: Buffer): void {
        let at = 0
        let from = platform().millis()
        while (at < octets.length) {
            const n = this.serving
            const room = this.connected() ? Math.min(pieceLength, this.size(n, freeAt)) : 0
            const count = Math.min(room, octets.length - at)
            if (count > 0) {
                const pointer = this.register(n, writeAt, 2)
                this.write(4 * n + 2, pointer, cut(octets, at, count))
                this.setPointer(n, writeAt, pointer + count)
                this.write(4 * n + 1, interruptAt, hex`18`)
                this.command(n, send)
                at += count
                from = platform().millis()
                // Nothing may be sent before that has left.
                while ((this.register(n, interruptAt, 1) & 0x10) === 0) this.wait(from)
            } else this.wait(from)
        }
    }

    receive(timeoutMs: number): Buffer | undefined | null {
        const from = platform().millis()
        for (;;) {
            const n = this.serving
            if (n < 0) return null
            const count = Math.min(pieceLength, this.size(n, receivedAt))
            if (count > 0) {
                const pointer = this.register(n, readAt, 2)
                const octets = this.read(4 * n + 3, pointer, count)
                this.setPointer(n, readAt, pointer + count)
                this.command(n, receive)
                return octets
            }
            if (this.state(n) !== established) return null
            if (platform().millis() - from >= timeoutMs) return undefined
            platform().sleepMs(pollMs)
        }
    }

    close(): void {
        const n = this.serving
        if (n < 0) return
        if (this.connected()) this.command(n, disconnect)
        // Until the peer has closed too, or is given up.
        for (let waited = 0; waited < 1000 && this.state(n) !== closed; waited += pollMs) platform().sleepMs(pollMs)
        this.listen(n)
        this.serving = -1
    }

    /** Throws where the peer is gone or has taken nothing since `from`. */
    private wait(from: number): void {
        if (!this.connected() || platform().millis() - from >= stuckMs)
            fail(Code.LinkLost, -1, "a peer that takes octets", "none")
        platform().sleepMs(pollMs)
    }

    private connected(): boolean {
        if (this.serving < 0) return false
        const state = this.state(this.serving)
        return state === established || state === closeWait
    }

    private configured(): boolean {
        return sameOctets(this.read(0, 1, this.addresses.length), this.addresses)
    }

    private listen(n: number): void {
        this.command(n, close)
        this.write(4 * n + 1, 0, hex`01`)
        this.setPointer(n, portAt, this.port)
        this.write(4 * n + 1, interruptAt, hex`1f`)
        this.command(n, open)
        if (this.state(n) === init) this.command(n, listen)
    }

    /** Gives a command and waits until it is taken. */
    private command(n: number, code: number): void {
        this.write(4 * n + 1, commandAt, Buffer.from([code]))
        for (let i = 0; i < mostLooks; ++i) if (this.register(n, commandAt, 1) === 0) return
        fail(Code.ImpossibleValue, commandAt, "a command taken", "" + code)
    }

    private state(n: number): number {
        return this.register(n, stateAt, 1)
    }

    /** A size that changes while it is read: good when it is the same twice. */
    private size(n: number, at: number): number {
        let last = -1
        for (let i = 0; i < mostLooks; ++i) {
            const size = this.register(n, at, 2)
            if (size === last) return size
            last = size
        }
        return 0
    }

    private setPointer(n: number, at: number, value: number): void {
        this.write(4 * n + 1, at, Buffer.from([(value >> 8) & 0xff, value & 0xff]))
    }

    private register(n: number, at: number, length: number): number {
        return uintBE(this.read(4 * n + 1, at, length), 0, length)
    }

    private read(block: number, at: number, length: number): Buffer {
        return this.spi.transfer(head(at, block << 3), length)
    }

    private write(block: number, at: number, octets: Buffer): void {
        this.spi.transfer(join([head(at, (block << 3) | 4), octets]), 0)
    }
}

function head(at: number, control: number): Buffer {
    return Buffer.from([(at >> 8) & 0xff, at & 0xff, control])
}
