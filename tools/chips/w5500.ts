/**
 * WIZnet W5500 by its data sheet (1.0.9): SPI frames, common and socket registers, buffers whose pointers go round, and
 * sockets as TCP servers. `LanBridge` joins it to a port of the host.
 *
 * What no two sources say, and what the model does:
 * - the time from supply or RSTn to the first answer: 1 ms, in which everything reads as 00;
 * - how long a command stays in Sn_CR: one look at it, whenever that is; a second command before is lost;
 * - where the pointers begin after OPEN: anywhere;
 * - a second SEND before SENDOK: lost.
 */
import type { ModelClock } from "./clock.ts"
import { type LanPeer, Sn, State, W5500Socket } from "./w5500-socket.ts"

const sockets = 8
const commonSize = 0x3a
const startMs = 1

const MR = 0x00
const SIR = 0x17
const SIMR = 0x18
const PHYCFGR = 0x2e
const VERSIONR = 0x39

/** Whoever lets others connect to the chip's listening ports. */
export interface LanNetwork {
    /** Somebody listens at `port` now; `connect` answers false where nobody does any more. Called again for the same port. */
    listen(port: number, connect: (peer: LanPeer) => boolean): void
    /** The chip has lost its supply or was reset. */
    down(): void
}

export interface W5500Options {
    clock: ModelClock
    network: LanNetwork
    /** First of the pointers that OPEN sets; each next is another. */
    seed?: number
}

export class W5500 {
    /** What a driver did that the data sheet forbids. */
    readonly violations: string[] = []
    private readonly common = new Uint8Array(commonSize)
    private readonly tx = new Uint8Array(0x4000)
    private readonly rx = new Uint8Array(0x4000)
    private readonly list: W5500Socket[]
    private powered = false
    private readyAt = 0
    private plugged = true
    private drawn: number

    constructor(private readonly options: W5500Options) {
        this.drawn = options.seed ?? 0xfa31
        const violation = (what: string) => this.violations.push(what)
        const draw = () => (this.drawn = (Math.imul(this.drawn, 0x9e35) + 0x3c6f) & 0xffff)
        this.list = Array.from(
            { length: sockets },
            (_, n) =>
                new W5500Socket(
                    this.tx,
                    this.rx,
                    register => this.list.slice(0, n).reduce((sum, socket) => sum + socket.regs[register] * 1024, 0),
                    violation,
                    draw,
                ),
        )
    }

    powerOn(): void {
        this.powered = true
        this.tx.fill(0xa5)
        this.rx.fill(0x5a)
        this.reset()
    }

    powerOff(): void {
        this.reset()
        this.powered = false
    }

    /** Network cable in or out. */
    set cable(plugged: boolean) {
        this.plugged = plugged
    }

    /** INTn is low. */
    get interrupt(): boolean {
        return (this.sir() & this.common[SIMR]) !== 0
    }

    /** One frame, while chip select is low: address, control, data. Answers `readLength` octets that come after them. */
    transfer(write: Uint8Array, readLength: number): Uint8Array {
        const reply = new Uint8Array(readLength)
        if (!this.powered) return reply.fill(0xff)
        if (write.length < 3 || this.options.clock.nowMs() < this.readyAt) return reply
        const control = write[2]
        const block = control >> 3
        const length = [Number.POSITIVE_INFINITY, 1, 2, 4][control & 3]
        let at = (write[0] << 8) | write[1]
        const end = at + length
        if ((control & 4) !== 0) for (let i = 3; i < write.length && at < end; ++i) this.write(block, at++, write[i])
        else for (let i = 0; i < readLength && at < end; ++i) reply[i] = this.read(block, at++)
        return reply
    }

    private read(block: number, at: number): number {
        const address = at & 0xffff
        if (block === 0) {
            if (address === SIR) return this.sir()
            if (address === PHYCFGR) return (this.common[PHYCFGR] & 0xf8) | (this.plugged ? 7 : 0)
            return address < commonSize ? this.common[address] : 0
        }
        const socket = this.list[block >> 2]
        switch (block & 3) {
            case 1: {
                const octet = socket.readAt(address)
                if (address === Sn.CR) socket.accepted()
                return octet
            }
            case 2:
            case 3: {
                const transmit = (block & 3) === 2
                const place = socket.place(transmit, address)
                return place < 0 ? 0 : (transmit ? this.tx : this.rx)[place]
            }
            default:
                return 0
        }
    }

    private write(block: number, at: number, octet: number): void {
        const address = at & 0xffff
        if (block === 0) {
            if (address === MR && (octet & 0x80) !== 0) this.reset()
            else if (address === 0x15) this.common[0x15] &= ~octet
            else if (address === SIR || address >= VERSIONR) this.violations.push("write to a read-only register")
            else this.common[address] = octet
            return
        }
        const socket = this.list[block >> 2]
        if ((block & 3) === 1) {
            socket.writeAt(address, octet)
            if (address === Sn.CR && socket.state === State.listen) this.listen(socket.port)
        } else if ((block & 3) === 2) {
            const place = socket.place(true, address)
            if (place >= 0) this.tx[place] = octet
        }
    }

    private listen(port: number): void {
        this.options.network.listen(port, peer => {
            const socket = this.plugged
                ? this.list.find(each => each.state === State.listen && each.port === port)
                : undefined
            socket?.establish(peer)
            return socket !== undefined
        })
    }

    private sir(): number {
        return this.list.reduce((bits, { regs }, n) => bits | ((regs[Sn.IR] & regs[Sn.IMR]) !== 0 ? 1 << n : 0), 0)
    }

    private reset(): void {
        this.options.network.down()
        const { common } = this
        common.fill(0)
        common[0x19] = 0x07
        common[0x1a] = 0xd0
        common[0x1b] = 8
        common[0x1c] = 0x28
        common[PHYCFGR] = 0xb8
        common[VERSIONR] = 4
        for (const socket of this.list) socket.reset()
        this.readyAt = this.options.clock.nowMs() + startMs
    }
}
