import { PlombError } from "../../../firmware/core/errors"
import { cut, join } from "../../../firmware/core/octets"
import { TlsClient } from "../../../firmware/tls/client"
import type { TlsConnection } from "../../../firmware/tls/connection"
import { Handshake } from "../../../firmware/tls/handshake"
import { TlsServer } from "../../../firmware/tls/server"
import { gcmSuite } from "../../../firmware/tls/suites"

class NoAgreement {
    begin(): Buffer {
        return Buffer.alloc(64)
    }
    agree(peer: Buffer): Buffer {
        return cut(peer, 0, 32)
    }
}

const config = { agreement: new NoAgreement(), suites: [gcmSuite], recordLimit: 1024, hostName: "" }

class NoTrust {
    check(): number {
        return 0
    }
    nowSeconds(): number {
        return 0
    }
}

class NoIdentity {
    chain: Buffer[] = []
    sign(digest: Buffer): Buffer {
        return join([digest, digest])
    }
}

/** A client that follows a recorded handshake: the engine's records, transcript, schedule and Finished, with hellos given. */
class Replay extends Handshake {
    constructor(
        private readonly shared: Buffer,
        hellos: Buffer[],
    ) {
        super(config, false)
        this.choose(gcmSuite.id)
        this.transcript.push(hellos[0])
        if (hellos[1].length > 0) {
            this.restartTranscript()
            this.transcript.push(hellos[1])
            this.transcript.push(hellos[2])
        }
    }

    take(message: Buffer): void {
        const type = message[0]
        if (type === 20) {
            this.takeFinished(message)
            this.startServerKeys()
            this.sayFinished()
            this.sendFlight()
            this.startClientKeys()
        } else if (type !== 4) {
            this.transcript.push(message)
            if (type === 2) this.startHandshakeKeys(this.shared)
        }
    }
}

function codeOf(connection: TlsConnection, record: Buffer): Buffer {
    let code = 0
    try {
        connection.feed(record)
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        code = error.code
    }
    return Buffer.from([code & 0xff, code >> 8, connection.alertSent & 0xff])
}

/**
 * The first octet says what is asked; the request is fields, each after its length U16 LE.
 * 0 Follow a handshake (TLS_AES_128_GCM_SHA256) as the client: shared secret; ClientHello; HelloRetryRequest and second ClientHello or
 *   nothing; the server's records; what to send. The reply is the client's records and then the data that came.
 * 1 Give a server this ClientHello's body: code U16 LE of the refusal or 0, and the alert
 * 2 Give a client this ServerHello's body: the same
 */
export function answer(request: Buffer): Buffer {
    const fields: Buffer[] = []
    for (let at = 1; at < request.length; ) {
        const length = request.getAt(at, "u16")
        fields.push(cut(request, at + 2, length))
        at += 2 + length
    }
    if (request[0] === 0) {
        const replay = new Replay(fields[0], [fields[1], fields[2], fields[3]])
        replay.feed(fields[4])
        if (fields[5].length > 0) replay.write(fields[5])
        replay.close()
        const sent = replay.output()
        for (let data = replay.read(); data; data = replay.read()) sent.push(data)
        return join(sent)
    }
    const body = fields[0]
    const size = body.length
    const head = [22, 3, 3, (size + 4) >> 8, (size + 4) & 0xff, request[0], 0, size >> 8, size & 0xff]
    const record = join([Buffer.from(head), body])
    if (request[0] === 1) return codeOf(new TlsServer({ ...config, identity: new NoIdentity() }), record)
    const client = new TlsClient({ ...config, trust: new NoTrust() })
    client.start()
    return codeOf(client, record)
}
