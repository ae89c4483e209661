import { createServer as plainServer } from "node:net"
import { connect, createServer, type TLSSocket } from "node:tls"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Role } from "../../firmware/core/x509-role.ts"
import { TlsCaller } from "../../tools/tls/client.ts"
import type { Peer } from "../../tools/tls/peer.ts"
import { TlsListener, type TlsListenOptions, tlsProfile } from "../../tools/tls/server.ts"
import type { TlsSettings } from "../../tools/tls/settings.ts"
import { TlsWorld } from "../helpers/tls-world.ts"

const muc = "05aabbccddeeff"
const other = "05000000000002"
let world: TlsWorld
let listener: TlsListener
let port: number
let came: Peer[]
let log: string[]

beforeAll(async () => {
    world = await TlsWorld.make()
    for (const id of [muc, other]) await world.issue("muc", id)
    await world.issue("concentrator", "05c000000000c1", ["127.0.0.1"])
})

afterAll(() => world.remove())

async function start(options: Partial<TlsListenOptions> = {}): Promise<void> {
    came = []
    log = []
    listener = new TlsListener({
        settings: world.party("operator"),
        roles: [Role.muc, Role.concentrator],
        onPeer: (socket, peer) => {
            came.push(peer)
            socket.on("data", octets => socket.write(octets))
        },
        log: line => log.push(line),
        recheckMs: 30,
        ...options,
    })
    await new Promise<void>(resolve => listener.server.listen(0, "127.0.0.1", resolve))
    port = (listener.server.address() as { port: number }).port
}

afterEach(() => new Promise<void>(resolve => listener.close(resolve)))

interface Client {
    socket: TLSSocket
    session: Buffer | undefined
    /** Does a line come back? */
    served: boolean
    resumed: boolean
}

/** Connects, sends a line, and waits for its echo or the end. */
function visit(settings: Partial<TlsSettings>, session?: Buffer, more: object = {}): Promise<Client> {
    return new Promise(resolve => {
        const { key, chain: cert, ca } = settings
        const socket = connect({ ...tlsProfile, port, host: "127.0.0.1", key, cert, ca, session, ...more })
        const client: Client = { socket, session: undefined, served: false, resumed: false }
        socket.on("session", each => {
            client.session = each
        })
        socket.on("secureConnect", () => {
            client.resumed = socket.isSessionReused()
            socket.write("hello")
        })
        socket.on("data", () => {
            client.served = true
            resolve(client)
        })
        socket.on("error", () => {})
        socket.on("close", () => resolve(client))
    })
}

describe("a host's TLS server", () => {
    it("serves a MUC and a concentrator, and says who they are", async () => {
        await start()
        for (const folder of [`mucs/${muc}`, "concentrators/05c000000000c1"]) {
            const { served, socket } = await visit(world.party(folder))
            expect(served).toBe(true)
            expect(socket.getProtocol()).toBe("TLSv1.3")
            socket.destroy()
        }
        expect(came.map(({ role, commonName }) => [role, commonName])).toEqual([
            [Role.muc, muc],
            [Role.concentrator, "05c000000000c1"],
        ])
    })

    it("turns away another role, another anchor, no certificate, TLS 1.2 and other suites", async () => {
        await start()
        const stranger = await TlsWorld.make()
        await stranger.issue("muc", muc)
        const foreign = { ...stranger.party(`mucs/${muc}`), ca: world.party("operator").ca }
        const own = world.party(`mucs/${muc}`)
        const wrong: [Partial<TlsSettings>, object][] = [
            [world.party("operator"), {}],
            [world.party("manufacturer"), {}],
            [foreign, {}],
            [{ ca: own.ca }, {}],
            [own, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ciphers: undefined }],
            [own, { ciphers: "TLS_AES_256_GCM_SHA384" }],
            [own, { ecdhCurve: "X25519" }],
        ]
        for (const [settings, more] of wrong) {
            const { served } = await visit(settings, undefined, more)
            expect(served).toBe(false)
        }
        expect(came).toEqual([])
        stranger.remove()
    })

    it("judges a resumed session anew: its owner may have been revoked", async () => {
        const crls = world.party("operator").crls()
        let lists = crls
        await start({ settings: { ...world.party("operator"), crls: () => lists } })
        const first = await visit(world.party(`mucs/${other}`))
        first.socket.destroy()
        const second = await visit(world.party(`mucs/${other}`), first.session)
        expect([second.served, second.resumed]).toEqual([true, true])
        expect(came[1]).toEqual(came[0])
        second.socket.destroy()
        await world.revoke(`mucs/${other}`)
        lists = world.party("operator").crls()
        const third = await visit(world.party(`mucs/${other}`), first.session)
        expect([third.served, third.resumed]).toEqual([false, true])
        expect(log.some(line => line.includes("turned away") && line.includes("E3211"))).toBe(true)
        lists = crls
        const fourth = await visit(world.party(`mucs/${other}`), first.session)
        expect([fourth.served, fourth.resumed]).toEqual([true, true])
        fourth.socket.destroy()
    })

    it("cuts off who is revoked while connected, and nobody else", async () => {
        const id = "05000000000003"
        await world.issue("muc", id)
        await start()
        const good = await visit(world.party(`mucs/${muc}`))
        const bad = await visit(world.party(`mucs/${id}`))
        const gone = new Promise(resolve => bad.socket.on("close", resolve))
        await world.revoke(`mucs/${id}`)
        await gone
        expect(good.socket.closed).toBe(false)
        good.socket.destroy()
    })

    it("serves nobody without the lists of all issuers, or with lists that are past", async () => {
        const settings = world.party("operator")
        await start({ settings: { ...settings, crls: () => settings.crls().slice(1) } })
        expect((await visit(world.party(`mucs/${muc}`))).served).toBe(false)
        await new Promise<void>(resolve => listener.close(resolve))
        await start({ nowSeconds: () => Math.floor(Date.now() / 1000) + 100 * 86_400 })
        expect((await visit(world.party(`mucs/${muc}`))).served).toBe(false)
        expect(log.some(line => line.includes("E3214"))).toBe(true)
    })
})

describe("a host's TLS client", () => {
    it("knows the server's role and name, and resumes", async () => {
        await start()
        const caller = new TlsCaller(world.party(`mucs/${muc}`), "127.0.0.1", port, [Role.operator])
        const first = await caller.connect()
        expect(first.peer.role).toBe(Role.operator)
        first.socket.write("x")
        await new Promise(resolve => first.socket.once("data", resolve))
        first.socket.destroy()
        const second = await caller.connect()
        expect(second.resumed).toBe(true)
        second.socket.destroy()
    })

    it("refuses a server of another role, another name or no TLS", async () => {
        await start()
        const own = world.party(`mucs/${muc}`)
        const wrongRole = new TlsCaller(own, "127.0.0.1", port, [Role.directory])
        await expect(wrongRole.connect()).rejects.toThrow("expected directory")
        const wrongName = new TlsCaller(own, "127.0.0.2", port, [Role.operator])
        await expect(wrongName.connect()).rejects.toThrow()
        const { key, chain: cert } = world.party(`mucs/${other}`)
        const unnamed = createServer({ ...tlsProfile, key, cert }).listen(0, "127.0.0.1")
        await new Promise(resolve => unnamed.once("listening", resolve))
        const at = (unnamed.address() as { port: number }).port
        await expect(new TlsCaller(own, "127.0.0.1", at, [Role.muc]).connect()).rejects.toThrow("subjectAltName")
        unnamed.close()
        const plain = plainServer(socket => socket.destroy()).listen(0, "127.0.0.1")
        await new Promise(resolve => plain.once("listening", resolve))
        const to = (plain.address() as { port: number }).port
        await expect(new TlsCaller(own, "127.0.0.1", to, [Role.operator]).connect()).rejects.toThrow()
        plain.close()
    })
})
