import * as ds from "@devicescript/core"
import { connect } from "@devicescript/net"
import { hostCall, VmBus } from "../../../hal/bus-vm"
import { VmSettings } from "../../../hal/settings-vm"

const bus = new VmBus()

/** Reads `count` octets, with a bus transaction between any two pieces: both use the one native socket. */
async function receive(socket: any, count: number): Promise<Buffer> {
    const all = Buffer.alloc(count)
    let have = 0
    while (have < count) {
        const piece = await socket.recv(5000)
        if (!piece) throw new Error("connection ended after " + have)
        all.blitAt(have, piece, 0, piece.length)
        have += piece.length
        bus.transfer(0x50, hex`00`, 1)
    }
    return all
}

async function run() {
    const port = parseInt(new VmSettings().get("port"))
    bus.transfer(0x50, hex`00`, 1)
    const socket = await connect({ proto: "tcp", host: "127.0.0.1", port })
    for (let length = 1; length <= 4096; length *= 4) {
        const request = Buffer.alloc(length)
        request.fillAt(0, length, length & 0xff)
        await socket.send(request)
        const reply = await receive(socket, length)
        hostCall(16, reply[length - 1] === (length & 0xff) ? 1 : 0, reply, 0)
    }
    await socket.close()
    // The native socket is closed now; the bus must not mind.
    console.log("after", bus.transfer(0x50, hex`00`, 1))
    ds.restart()
}

await run()
