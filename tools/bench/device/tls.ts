import * as ds from "@devicescript/core"
import { verifyP256 } from "../../../firmware/core/ecdsa"
import { PlombError } from "../../../firmware/core/errors"
import { SoftwareAgreement } from "../../../hal/agreement-software"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"
import { NetUplink } from "../../../hal/uplink-net"
import { bySocket, Endpoint, Sessions } from "./tls-endpoint"

// Hypercalls: 20 next job (none: the end, one octet: not yet), 21 octets for the peer, 22 octets from the peer behind one that says 0 nothing
// yet, 1 here they are, 2 no more will come; 23 the result.

const none = Buffer.alloc(0)
const pieceLength = 1500
const patienceMs = 20000

function pause(milliseconds: number): void {
    ;(ds as any).sleep(milliseconds)
}

function overSocket(endpoint: Endpoint): void {
    const up = new NetUplink(0)
    try {
        up.connect("127.0.0.1", endpoint.port, patienceMs)
        for (;;) {
            for (const octets of endpoint.take()) up.send(octets)
            if (endpoint.done()) break
            const octets = up.receive(patienceMs)
            if (octets === null) endpoint.ended()
            if (!octets) break
            endpoint.feed(octets)
        }
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log("link: E" + e.code)
    }
    up.close()
}

function overCalls(endpoint: Endpoint): void {
    for (;;) {
        for (const octets of endpoint.take()) hostCall(21, 0, octets, 0)
        if (endpoint.done()) return
        const reply = hostCall(22, 0, none, pieceLength)
        if (reply[0] === 2) {
            endpoint.ended()
            return
        }
        if (reply[0] === 0) pause(1)
        else {
            const octets = Buffer.alloc(reply.length - 1)
            octets.blitAt(0, reply, 1, octets.length)
            endpoint.feed(octets)
        }
    }
}

function run(job: Buffer, sessions: Sessions): void {
    const endpoint = new Endpoint(job, new SoftwareAgreement(), sessions)
    if (endpoint.flags & bySocket) overSocket(endpoint)
    else overCalls(endpoint)
    hostCall(23, 0, endpoint.result(), 0)
}

installDevicePlatform(verifyP256)
const sessions = new Sessions()
for (;;) {
    const job = hostCall(20, 0, none, 6000)
    if (job.length === 0) break
    if (job.length > 1) run(job, sessions)
    pause(1)
}
ds.restart()
