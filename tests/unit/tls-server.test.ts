import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { type ConnectionOptions, connect } from "node:tls"
import { beforeAll, describe, expect, it } from "vitest"
import { TlsServer, type TlsServerConfig } from "../../firmware/tls/server"
import { chachaSuite, gcmSuite } from "../../firmware/tls/suites"
import { TicketKeys } from "../../firmware/tls/tickets"
import { carry, serverConfig, type TlsWorld, tlsWorld } from "../helpers/tls"

let world: TlsWorld

beforeAll(async () => {
    world = await tlsWorld()
})

/** A server of ours that sends back what comes; the connections it had. */
async function listen(more: Partial<TlsServerConfig> = {}) {
    const connections: TlsServer[] = []
    const errors: unknown[] = []
    const server = createServer(async socket => {
        const connection = new TlsServer(serverConfig(world, more))
        connections.push(connection)
        let echoed = 0
        const { error } = await carry(connection, socket, received => {
            if (received.length > echoed) connection.write(received.subarray(echoed))
            echoed = received.length
            if (connection.isClosed()) connection.close()
        })
        if (error) errors.push(error)
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return { server, connections, errors, port: (server.address() as AddressInfo).port }
}

/** One connection of node:tls that sends `sent` and closes when as much has come back. */
async function talk(port: number, sent: Buffer, more: ConnectionOptions = {}, fragment = 0) {
    const socket = connect({
        host: "127.0.0.1",
        port,
        servername: "localhost",
        key: world.client.keyPem,
        cert: world.client.chainPem,
        ca: world.root.certificate.toString("pem"),
        minVersion: "TLSv1.3",
        ...more,
    })
    let received: Buffer = Buffer.alloc(0)
    let session: Buffer | undefined
    let error: Error | undefined
    let reused = false
    socket.on("session", each => {
        session = each
    })
    socket.on("error", each => {
        error = each
    })
    socket.on("secureConnect", () => {
        if (fragment > 0) socket.setMaxSendFragment(fragment)
        reused = socket.isSessionReused()
        socket.write(sent)
    })
    socket.on("data", data => {
        received = Buffer.concat([received, data])
        if (received.length === sent.length) socket.end()
    })
    await new Promise(done => socket.once("close", done))
    return { received, session, error, reused }
}

describe("TLS server and node:tls", () => {
    const suites = { TLS_CHACHA20_POLY1305_SHA256: chachaSuite, TLS_AES_128_GCM_SHA256: gcmSuite }
    for (const [ciphers, suite] of Object.entries(suites))
        it(`completes a mutual handshake and carries 20 KB each way, ${ciphers}`, async () => {
            const { server, connections, errors, port } = await listen({ recordLimit: 1025 })
            const sent = Buffer.from(Array.from({ length: 20_000 }, (_, i) => i & 0xff))
            const { received, error } = await talk(port, sent, { ciphers, ecdhCurve: "prime256v1" }, 1024)
            server.close()
            expect([error, errors]).toEqual([undefined, []])
            expect(received.equals(sent)).toBe(true)
            expect(connections[0].suite).toBe(suite.id)
            expect(connections[0].peer!.der.equals(world.client.chain[0].der)).toBe(true)
        })

    it("asks again for a share of secp256r1 where the first hello has none", async () => {
        const { server, connections, port } = await listen()
        const { received, error } = await talk(port, Buffer.from("retried"), { ecdhCurve: "X25519:prime256v1" })
        server.close()
        expect(error).toBeUndefined()
        expect(received.toString()).toBe("retried")
        expect((connections[0] as any).retried).toBe(true)
    })

    it("resumes a session with the client's certificate known, also after asking again, until its tickets are dropped", async () => {
        const tickets = new TicketKeys()
        const { server, connections, errors, port } = await listen({ tickets })
        const first = await talk(port, Buffer.from("one"), { ecdhCurve: "prime256v1" })
        const second = await talk(port, Buffer.from("two"), { ecdhCurve: "prime256v1", session: first.session })
        const third = await talk(port, Buffer.from("three"), {
            ecdhCurve: "X25519:prime256v1",
            session: second.session,
        })
        tickets.drop()
        const fourth = await talk(port, Buffer.from("four"), { ecdhCurve: "prime256v1", session: third.session })
        server.close()
        expect([first, second, third, fourth].map(({ received }) => received.toString())).toEqual([
            "one",
            "two",
            "three",
            "four",
        ])
        expect([first, second, third, fourth].map(({ reused }) => reused)).toEqual([false, true, true, false])
        expect(connections.map(({ resumed }) => resumed)).toEqual([false, true, true, false])
        for (const { peer } of connections) expect(peer!.der.equals(world.client.chain[0].der)).toBe(true)
        expect(errors).toEqual([])
    })

    it("refuses a record above its limit with record_overflow", async () => {
        const { server, connections, port } = await listen()
        const { error } = await talk(port, Buffer.alloc(1024), {}, 1024)
        server.close()
        expect(connections[0].alertSent).toBe(22)
        expect(error!.message).toMatch(/record overflow/)
    })

    it("refuses a client of TLS 1.2 with protocol_version, and one without a certificate with certificate_required", async () => {
        const { server, connections, port } = await listen()
        const old = await talk(port, Buffer.from("x"), { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" })
        const bare = await talk(port, Buffer.from("x"), { key: undefined, cert: undefined })
        server.close()
        expect(connections.map(({ alertSent }) => alertSent)).toEqual([70, 116])
        expect(old.error!.message).toMatch(/protocol version/)
        expect(bare.error!.message).toMatch(/certificate required/)
    })
})
