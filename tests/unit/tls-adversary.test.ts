import { KeyObject } from "node:crypto"
import { type AddressInfo, connect } from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { beforeAll, describe, expect, test } from "vitest"
import type { AdversaryIdentity } from "../../tools/adversary/adversary"
import { ClientAdversary, type ClientSession } from "../../tools/adversary/client"
import { pump } from "../../tools/adversary/pump"
import { chacha, gcm } from "../../tools/adversary/schedule"
import { ServerAdversary, type ServerOptions, type Sessions } from "../../tools/adversary/server"
import { party, type TestParty } from "../helpers/certificates"

// The tests of firmware/tls rest on these peers, so they themselves are tested against OpenSSL (in node:tls) first.

let root: TestParty
let leaf: TestParty
let identity: AdversaryIdentity

beforeAll(async () => {
    root = await party({ name: "Root" })
    leaf = await party({ name: "localhost", issuer: root })
    identity = { key: KeyObject.from(leaf.keys.privateKey), chain: [leaf.der] }
})

const pem = () => ({
    key: identity.key.export({ type: "pkcs8", format: "pem" }),
    cert: leaf.certificate.toString("pem"),
    ca: root.certificate.toString("pem"),
})

/** A stream whose other end is an adversary. */
function wire(side: { feed(octets: Buffer): void; take(): Buffer[] }): Duplex {
    const stream: Duplex = new Duplex({
        read() {},
        write(chunk, _encoding, done) {
            setImmediate(() => {
                side.feed(chunk)
                for (const octets of side.take()) stream.push(octets)
                done()
            })
        },
    })
    return stream
}

/** Talks to a server in node:tls that sends back what it gets, until the client has its answer. */
async function withNodeServer(client: ClientAdversary, server: tls.Server): Promise<void> {
    const { port } = server.address() as AddressInfo
    const socket = connect(port, "127.0.0.1")
    const flush = () => {
        for (const octets of client.take()) socket.write(octets)
    }
    client.start()
    flush()
    await new Promise<void>(resolve => {
        let said = false
        socket.on("data", data => {
            client.feed(data)
            if (client.complete && !said) client.say(Buffer.from("hello"))
            said ||= client.complete
            flush()
            if (client.failure || client.data.length >= 5) resolve()
        })
        socket.on("close", () => resolve())
    })
    socket.destroy()
}

describe("the adversaries keep to RFC 8446 unless told otherwise", () => {
    test.each([
        ["ChaCha20-Poly1305", chacha],
        ["AES-128-GCM", gcm],
    ])("client and server of our own, %s, full and resumed", (_, suite) => {
        const sessions: Sessions = new Map()
        const options: ServerOptions = { identity, suite, request: true, sessions }
        const [server, client] = [new ServerAdversary(options), new ClientAdversary({ identity, suites: [suite] })]
        client.start()
        pump(client, server)
        expect([client.failure, server.failure, client.complete, server.complete]).toEqual([
            undefined,
            undefined,
            true,
            true,
        ])
        const again = new ServerAdversary({ ...options, cookie: Buffer.from("c") })
        const second = new ClientAdversary({ identity, suites: [suite], session: client.sessions[0] })
        second.start()
        pump(second, again)
        expect([second.failure ?? "", again.failure]).toEqual(["HelloRetryRequest without the group", undefined])
        const third = new ClientAdversary({ identity, suites: [suite], session: client.sessions[0] })
        const last = new ServerAdversary(options)
        third.start()
        pump(third, last)
        expect([third.failure, last.failure, third.resumed, last.complete]).toEqual([undefined, undefined, true, true])
        third.keyUpdate(true)
        third.say(Buffer.from("x"))
        pump(third, last)
        last.say(Buffer.from("yy"))
        pump(third, last)
        expect([last.data.toString(), third.data.toString(), last.updates, third.updates]).toEqual(["x", "yy", 1, 1])
    })

    test("node:tls serves the client, full and resumed", async () => {
        const server = tls.createServer(
            { ...pem(), minVersion: "TLSv1.3", requestCert: true, ticketKeys: Buffer.alloc(48, 9) },
            socket => socket.pipe(socket),
        )
        await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
        let session: ClientSession | undefined
        for (const resumed of [false, true]) {
            const client = new ClientAdversary({ identity, session, suites: [gcm] })
            await withNodeServer(client, server)
            expect([client.failure, client.complete, client.data.toString()]).toEqual([undefined, true, "hello"])
            session = client.sessions[0]
            expect([client.resumed, client.asked]).toEqual([resumed, !resumed])
        }
        server.close()
    })

    test("node:tls is served by the server, full and resumed", async () => {
        const sessions: Sessions = new Map()
        let session: Buffer | undefined
        for (const resumed of [false, true]) {
            const server = new ServerAdversary({ identity, suite: chacha, request: true, sessions })
            const socket = tls.connect({
                socket: wire(server),
                servername: "localhost",
                ...pem(),
                ciphers: "TLS_CHACHA20_POLY1305_SHA256",
                ecdhCurve: "prime256v1",
                checkServerIdentity: () => undefined,
                session,
            } as tls.ConnectionOptions)
            socket.on("session", each => {
                session = each
            })
            await new Promise<void>((resolve, reject) => {
                socket.once("secureConnect", () => {
                    socket.write("hello")
                    setTimeout(resolve, 50)
                })
                socket.once("error", reject)
            })
            expect([server.failure, server.complete, server.resumed]).toEqual([undefined, true, resumed])
            expect(server.data.toString()).toBe("hello")
            expect(socket.isSessionReused()).toBe(resumed)
            socket.destroy()
        }
    })
})
