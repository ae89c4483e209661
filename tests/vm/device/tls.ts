import { restart } from "@devicescript/core"
import { verifyChain } from "../../../firmware/core/chain"
import { join } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { type Certificate, parseCertificate } from "../../../firmware/core/x509"
import { TlsClient } from "../../../firmware/tls/client"
import type { TlsConnection } from "../../../firmware/tls/connection"
import { TlsServer } from "../../../firmware/tls/server"
import { SessionMemory } from "../../../firmware/tls/sessions"
import { chachaSuite, gcmSuite } from "../../../firmware/tls/suites"
import { TicketKeys } from "../../../firmware/tls/tickets"
import { TrustCache } from "../../../firmware/tls/trust-cache"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"

// One connection after the other, as the host says (call 32: 1 client, 2 server, then the suite; nothing ends the program), each to a peer
// in the host (call 33: octets there and back, until nothing comes) and echoing what it is sent. What a secure
// element computes the host computes: 34 verifies, 35 signs, 36 and 37 agree. 38 gives root, authority and own certificate, 39 tells of a yield,
// 40 of the end: the error's code, the alert sent, resumed, cipher suite.

const none = Buffer.alloc(0)
function verify(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
    return hostCall(34, 0, join([publicKey, digest, signature]), 1)[0] === 1
}
installDevicePlatform(verify)
const machine = platform() as any
const plain = machine.yieldNow
machine.yieldNow = () => {
    hostCall(39, 0, none, 0)
    plain()
}

const certificates = [0, 1, 2].map(which => hostCall(38, which, none, 1024))
const root = parseCertificate(certificates[0])

class Trust {
    check(chain: Certificate[]): number {
        verifyChain({ chain, anchors: [root], atSeconds: this.nowSeconds(), keyUsage: 1 })
        return this.nowSeconds() + 86400
    }
    nowSeconds(): number {
        return 1907712000
    }
}
class Identity {
    chain = [certificates[2], certificates[1]]
    sign(digest: Buffer): Buffer {
        return hostCall(35, 0, digest, 64)
    }
}
class Agreement {
    begin(): Buffer {
        return hostCall(36, 0, none, 64)
    }
    agree(peer: Buffer): Buffer {
        return hostCall(37, 0, peer, 32)
    }
}

const common = {
    identity: new Identity(),
    agreement: new Agreement(),
    trust: new TrustCache(new Trust()),
    recordLimit: 1024,
    hostName: "localhost",
    sessions: new SessionMemory(),
    tickets: new TicketKeys(),
}

function connection(wish: Buffer): TlsConnection {
    const suites = [wish[1] === 1 ? gcmSuite : chachaSuite]
    const config = { ...common, suites }
    if (wish[0] === 2) return new TlsServer(config)
    const client = new TlsClient(config)
    client.start()
    return client
}

function run(wish: Buffer): void {
    const it = connection(wish)
    let code = 0
    try {
        for (;;) {
            const came = hostCall(33, 0, join(it.output()), 512)
            if (came.length === 0) break
            it.feed(came)
            for (let data = it.read(); data; data = it.read()) it.write(data)
        }
    } catch (error: any) {
        code = error.code
        hostCall(33, 0, join(it.output()), 512)
    }
    hostCall(40, 0, Buffer.from([code & 0xff, code >> 8, it.alertSent & 0xff, it.resumed ? 1 : 0, it.suite & 0xff]), 0)
}

for (;;) {
    const wish = hostCall(32, 0, none, 2)
    if (wish.length === 0) break
    run(wish)
}
restart()
