import { once } from "node:events"
import { type AddressInfo, connect as connectTcp } from "node:net"
import { createServer, type TlsOptions } from "node:tls"
import { beforeAll, describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { TlsClient, type TlsClientConfig } from "../../firmware/tls/client"
import { SessionMemory } from "../../firmware/tls/sessions"
import { chachaSuite, gcmSuite } from "../../firmware/tls/suites"
import { carry, clientConfig, type TlsWorld, tlsWorld } from "../helpers/tls"

let world: TlsWorld

beforeAll(async () => {
    world = await tlsWorld()
})

const options = (more: TlsOptions = {}): TlsOptions => ({
    key: world.server.keyPem,
    cert: world.server.chainPem,
    ca: world.root.certificate.toString("pem"),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
    ecdhCurve: "prime256v1",
    ...more,
})

/** An echo server of node:tls; its errors and what it saw of its peers. */
async function listen(more: TlsOptions = {}) {
    const errors: string[] = []
    const peers: { der: Buffer; reused: boolean }[] = []
    const server = createServer(options(more), socket => {
        peers.push({ der: socket.getPeerCertificate().raw, reused: socket.isSessionReused() })
        socket.on("error", error => errors.push(error.message))
        socket.on("data", data => socket.write(data))
        socket.on("end", () => socket.end())
    })
    server.on("tlsClientError", error => errors.push(error.message))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return { errors, peers, server, port: (server.address() as AddressInfo).port }
}

/** One connection that sends `sent` and closes when as much has come back. */
async function talk(port: number, sent: Buffer, more: Partial<TlsClientConfig> = {}) {
    const client = new TlsClient(clientConfig(world, more))
    client.start()
    let begun = false
    const carried = await carry(client, connectTcp(port, "127.0.0.1"), received => {
        if (client.isOpen() && !begun) {
            begun = true
            client.write(sent)
        }
        if (received.length === sent.length) client.close()
    })
    return { client, ...carried }
}

const codeOf = (error: unknown) => (error instanceof PlombError ? Code[error.code] : error)

describe("TLS client and node:tls", () => {
    for (const suite of [chachaSuite, gcmSuite])
        it(`completes a mutual handshake and carries 20 KB each way, suite ${suite.id.toString(16)}`, async () => {
            const { server, errors, peers, port } = await listen()
            const sent = Buffer.from(Array.from({ length: 20_000 }, (_, i) => i & 0xff))
            const { client, received, error } = await talk(port, sent, { suites: [suite] })
            server.close()
            expect(error).toBeUndefined()
            expect(errors).toEqual([])
            expect(received.equals(sent)).toBe(true)
            expect(client.suite).toBe(suite.id)
            expect(client.peer!.der.equals(world.server.chain[0].der)).toBe(true)
            expect(peers[0].der.equals(world.client.chain[0].der)).toBe(true)
            expect([client.alertSent, client.alertReceived, client.isClosed(), client.isOpen()]).toEqual([
                0,
                0,
                true,
                false,
            ])
        })

    it("resumes a session as often as the server takes it, and falls back to a full handshake where it does not", async () => {
        const { server, peers, port, errors } = await listen()
        const sessions = new SessionMemory()
        const sent = Buffer.from("again")
        const resumed: boolean[] = []
        for (let i = 0; i < 3; ++i) {
            const { client, received, error } = await talk(port, sent, { sessions })
            expect(codeOf(error)).toBeUndefined()
            expect(received.toString()).toBe("again")
            expect(client.peer!.der.equals(world.server.chain[0].der)).toBe(true)
            resumed.push(client.resumed)
        }
        expect(resumed).toEqual([false, true, true])
        expect(peers.map(each => each.reused)).toEqual([false, true, true])
        server.setTicketKeys(Buffer.alloc(48, 1))
        const { client, received } = await talk(port, sent, { sessions })
        expect([client.resumed, received.toString()]).toEqual([false, "again"])
        server.close()
        expect(errors).toEqual([])
    })
})
