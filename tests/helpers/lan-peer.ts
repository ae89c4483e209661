import type { LanNetwork } from "../../tools/chips/w5500"
import type { LanPeer } from "../../tools/chips/w5500-socket"

/** A network without cables: a test connects to the ports that the chip listens at. */
export class TestLan implements LanNetwork {
    private readonly ports = new Map<number, (peer: LanPeer) => boolean>()

    listen(port: number, connect: (peer: LanPeer) => boolean): void {
        this.ports.set(port, connect)
    }

    down(): void {
        this.ports.clear()
    }

    /** A new peer, connected to `port` where that is listened at. */
    connect(port: number): TestPeer {
        const peer = new TestPeer()
        peer.connected = this.ports.get(port)?.(peer) ?? false
        return peer
    }
}

/** A client of the chip. `slow`: what the chip sends is acknowledged by `acknowledge` only. */
export class TestPeer implements LanPeer {
    readonly address = Uint8Array.of(192, 168, 7, 9)
    readonly port = 50_123
    connected = false
    came: Buffer = Buffer.alloc(0)
    finished = false
    aborted = false
    open = true
    slow = false
    acknowledge: () => void = () => {}
    onOctets: (octets: Uint8Array) => void = () => {}
    onFinish: () => void = () => {}
    onClosed: () => void = () => {}

    send(octets: Uint8Array, acknowledged: () => void): void {
        this.came = Buffer.concat([this.came, octets])
        if (this.slow) this.acknowledge = acknowledged
        else acknowledged()
    }

    finish(): void {
        this.finished = true
    }

    abort(): void {
        this.aborted = true
    }

    window(open: boolean): void {
        this.open = open
    }
}
