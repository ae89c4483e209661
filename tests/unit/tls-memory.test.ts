import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { alertOf } from "../../firmware/tls/alerts"
import { TlsClient, type TlsClientConfig } from "../../firmware/tls/client"
import type { TlsConnection } from "../../firmware/tls/connection"
import { retryRandom } from "../../firmware/tls/handshake"
import { TlsServer, type TlsServerConfig } from "../../firmware/tls/server"
import { SessionMemory } from "../../firmware/tls/sessions"
import { chachaSuite, gcmSuite } from "../../firmware/tls/suites"
import { TicketKeys } from "../../firmware/tls/tickets"
import { TrustCache } from "../../firmware/tls/trust-cache"
import { extension, vector } from "../../firmware/tls/writer"
import { party } from "../helpers/certificates"
import { codeThrown } from "../helpers/errors"
import {
    clientConfig,
    hosts,
    readAll,
    serverConfig,
    shuttle,
    TestTrust,
    type TlsWorld,
    tlsParty,
    tlsWorld,
} from "../helpers/tls"

let world: TlsWorld

beforeAll(async () => {
    world = await tlsWorld()
})

function pair(client: Partial<TlsClientConfig> = {}, server: Partial<TlsServerConfig> = {}) {
    const both = {
        client: new TlsClient(clientConfig(world, client)),
        server: new TlsServer(serverConfig(world, server)),
    }
    both.client.start()
    return both
}

function open(client: Partial<TlsClientConfig> = {}, server: Partial<TlsServerConfig> = {}) {
    const both = pair(client, server)
    shuttle(both.client, both.server)
    expect([both.client.isOpen(), both.server.isOpen()]).toEqual([true, true])
    return both
}

/** Records of a stretch of octets. */
function records(octets: Buffer): Buffer[] {
    const found: Buffer[] = []
    for (let at = 0; at < octets.length; ) {
        const length = 5 + octets.readUInt16BE(at + 3)
        found.push(octets.subarray(at, at + length))
        at += length
    }
    return found
}

const take = (from: TlsConnection) => Buffer.concat(from.output())

describe("TLS in memory", () => {
    for (const suite of [chachaSuite, gcmSuite])
        it(`client and server agree in any cut of the octets, suite ${suite.id.toString(16)}`, () => {
            for (const cut of [1, 2, 3, 5, 7, 64, 1000]) {
                const { client, server } = pair({ suites: [suite] })
                shuttle(client, server, cut)
                const text = Buffer.from("x".repeat(3000))
                client.write(text)
                server.write(text)
                shuttle(client, server, cut)
                expect(readAll(server).equals(text)).toBe(true)
                expect(readAll(client).equals(text)).toBe(true)
                expect([client.suite, server.suite]).toEqual([suite.id, suite.id])
            }
        })

    it("chooses by the server's preference among the client's suites", () => {
        const { client, server } = open({ suites: [chachaSuite, gcmSuite] }, { suites: [gcmSuite, chachaSuite] })
        expect([client.suite, server.suite]).toEqual([gcmSuite.id, gcmSuite.id])
        const other = pair({ suites: [chachaSuite] }, { suites: [gcmSuite] })
        expect(codeThrown(() => shuttle(other.client, other.server))).toBe("TlsNoCommon")
        expect(other.server.alertSent).toBe(40)
    })

    it("keeps to the smaller record size limit in both directions", () => {
        fc.assert(
            fc.property(fc.integer({ min: 64, max: 2000 }), fc.integer({ min: 64, max: 2000 }), (a, b) => {
                const { client, server } = pair({ recordLimit: a }, { recordLimit: b })
                const seen: Buffer[] = []
                for (let turn = 0; turn < 6; ++turn) {
                    const up = take(client)
                    if (up.length > 0) server.feed(up)
                    const down = take(server)
                    if (down.length > 0) client.feed(down)
                    seen.push(...records(up), ...records(down))
                    if (turn === 3) {
                        client.write(Buffer.alloc(3000))
                        server.write(Buffer.alloc(3000))
                    }
                }
                expect([readAll(client).length, readAll(server).length]).toEqual([3000, 3000])
                for (const record of seen)
                    if (record[0] === 23) expect(record.length).toBeLessThanOrEqual(5 + 16 + Math.min(a, b))
            }),
            { numRuns: 10 },
        )
    })

    it("resumes without certificate or signature, and the ticket ends with the judgement of the chain", () => {
        const sessions = new SessionMemory()
        const tickets = new TicketKeys()
        const trust = new TestTrust(world.root)
        let signed = 0
        const identity = world.server.identity()
        const counting = {
            ...identity,
            sign: (digest: Buffer) => {
                signed++
                return identity.sign(digest)
            },
        }
        const again = () => open({ sessions, trust }, { tickets, trust, identity: counting })
        expect(again().client.resumed).toBe(false)
        const { client, server } = again()
        expect([client.resumed, server.resumed, signed, trust.judged.length]).toEqual([true, true, 1, 2])
        expect(server.peer!.der.equals(world.client.chain[0].der)).toBe(true)
        trust.now += 86_401
        expect(again().client.resumed).toBe(false)
        // The client would still, the server will not
        sessions.clear()
        again()
        ;(sessions as any).sessions[0].untilSeconds += 1_000_000
        trust.now += 86_401
        expect(again().client.resumed).toBe(false)
    })

    it("refuses a binder that does not hold with decrypt_error", () => {
        const sessions = new SessionMemory()
        const tickets = new TicketKeys()
        open({ sessions }, { tickets })
        ;(sessions as any).sessions[0].psk = Buffer.alloc(32)
        const { client, server } = pair({ sessions }, { tickets })
        expect(codeThrown(() => shuttle(client, server))).toBe("TlsBinder")
        expect(server.alertSent).toBe(51)
    })

    it("shows a cookie it is given, once, and goes on with the same key share and its session", () => {
        const sessions = new SessionMemory()
        const tickets = new TicketKeys()
        const cookie = Buffer.from("keep this")
        open({ sessions }, { tickets })
        const both = pair({ sessions }, { tickets })
        const server = both.server as any
        const takeHello = server.takeHello.bind(server)
        const retry = (message: Buffer) => {
            const hello = server.readHello(message)
            server.shaking = true
            server.choose(hello.suite)
            server.transcript.push(message)
            server.restartTranscript()
            server.sayServerHello(retryRandom, hello, extension(44, [vector(2, [cookie])]))
        }
        const seen: Buffer[] = []
        server.takeHello = (message: Buffer) => {
            seen.push(message)
            if (seen.length === 1) retry(message)
            else takeHello(message)
        }
        shuttle(both.client, both.server)
        expect([both.client.isOpen(), both.client.resumed]).toEqual([true, true])
        expect(seen.map(hello => hello.includes(cookie))).toEqual([false, true])

        const twice = pair()
        const other = twice.server as any
        other.takeHello = (message: Buffer) => {
            const hello = other.readHello(message)
            other.shaking = true
            other.choose(hello.suite)
            other.sayServerHello(retryRandom, hello, extension(44, [vector(2, [cookie])]))
        }
        expect(codeThrown(() => shuttle(twice.client, twice.server))).toBe("TlsUnexpected")
        expect(twice.client.alertSent).toBe(10)
    })

    it("a known chain is not judged again until the judgements are dropped", () => {
        const inner = new TestTrust(world.root)
        const trust = new TrustCache(inner)
        for (let i = 0; i < 3; ++i) open({ trust })
        expect(inner.judged.length).toBe(1)
        trust.drop()
        open({ trust })
        inner.now += 90_000
        open({ trust })
        expect(inner.judged.length).toBe(3)
    })

    it("goes on under new keys, asked for or because of a limit, in both directions", () => {
        const { client, server } = open({ updateAfter: 3 }, { updateAfter: 5 })
        for (let i = 0; i < 20; ++i) {
            if (i % 7 === 3) server.updateKeys(true)
            client.write(Buffer.from("up" + i))
            server.write(Buffer.from("down" + i))
            shuttle(client, server)
            expect([readAll(server).toString(), readAll(client).toString()]).toEqual(["up" + i, "down" + i])
        }
    })

    it("answers a thousand requests for new keys with one update", () => {
        const { client, server } = open()
        for (let i = 0; i < 1000; ++i) client.updateKeys(true)
        server.feed(take(client))
        expect(records(take(server)).length).toBe(1)
    })

    it("tells a close from an end in the middle", () => {
        const { client, server } = open()
        client.write(Buffer.from("last"))
        client.close()
        shuttle(client, server)
        expect([server.isClosed(), server.isOpen(), client.isClosed(), client.isOpen()]).toEqual([
            true,
            true,
            false,
            false,
        ])
        expect(codeThrown(() => client.write(Buffer.of(1)))).toBe("TlsNotOpen")
        server.write(Buffer.from("still"))
        server.close()
        shuttle(client, server)
        expect([readAll(server).toString(), readAll(client).toString()]).toEqual(["last", "still"])
        server.end()
        client.end()
        const cut = open()
        expect(codeThrown(() => cut.client.end())).toBe("TlsTruncated")
        expect(cut.client.isClosed()).toBe(true)
        expect(codeThrown(() => cut.client.feed(Buffer.of(1)))).toBe("TlsNotOpen")
    })

    it("refuses a record that is changed, repeated, left out or out of order, with bad_record_mac", () => {
        fc.assert(
            fc.property(fc.integer({ min: 0, max: 3 }), fc.nat(), fc.nat(7), (kind, at, bit) => {
                const { client, server } = open()
                for (let i = 0; i < 3; ++i) client.write(Buffer.from("record " + i))
                const sent = records(take(client))
                if (kind === 0) sent[1][5 + (at % (sent[1].length - 5))] ^= 1 << bit
                else if (kind === 1) sent[1] = sent[0]
                else if (kind === 2) sent.splice(1, 1)
                else sent.push(sent.shift()!)
                expect(codeThrown(() => server.feed(Buffer.concat(sent)))).toBe("TagMismatch")
                expect(server.alertSent).toBe(20)
                expect(codeThrown(() => client.feed(take(server)))).toBe("TlsAlert")
                expect([client.alertReceived, client.alertSent, client.isClosed()]).toEqual([20, -1, true])
            }),
            { numRuns: 20 },
        )
    })

    it("any change of any message in the handshake ends in a typed error on one side, or in what was agreed", () => {
        fc.assert(
            fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (where, mask, down) => {
                const { client, server } = pair()
                let thrown: unknown
                let seen = 0
                const spoil = (octets: Buffer, ours: boolean) => {
                    const copy = Buffer.from(octets)
                    const at = (where % 2500) - seen
                    if (ours && at >= 0 && at < copy.length) copy[at] ^= mask
                    if (ours) seen += copy.length
                    return copy
                }
                try {
                    for (let turn = 0; turn < 6; ++turn) {
                        const up = spoil(take(client), !down)
                        if (up.length > 0 && !server.isClosed()) server.feed(up)
                        const back = spoil(take(server), down)
                        if (back.length > 0 && !client.isClosed()) client.feed(back)
                    }
                } catch (error) {
                    thrown = error
                }
                if (thrown === undefined) expect([client.isClosed(), server.isClosed()]).toEqual([false, false])
                else expect(thrown).toBeInstanceOf(PlombError)
                const code = thrown instanceof PlombError ? thrown.code : 0
                expect(code).not.toBe(Code.Unexpected)
                if (code && code !== Code.TlsAlert)
                    expect([client.alertSent, server.alertSent]).toContain(alertOf(code))
            }),
            { numRuns: 150 },
        )
    })

    it("takes any octets with a typed error or a wait for more", () => {
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), fc.boolean(), (octets, asServer, framed) => {
                const { client, server } = pair()
                const it = asServer ? server : client
                const head = Buffer.from([
                    22,
                    3,
                    3,
                    octets.length >> 8,
                    octets.length & 0xff,
                    asServer ? 1 : 2,
                    0,
                    0,
                    octets.length - 4,
                ])
                const input =
                    framed && octets.length > 4
                        ? Buffer.concat([head, Buffer.from(octets).subarray(4)])
                        : Buffer.from(octets)
                const code = codeThrown(() => it.feed(input))
                if (code !== "none")
                    expect([it.isClosed(), it.alertSent >= 0 || code === "TlsAlert"]).toEqual([true, true])
            }),
            { numRuns: 200 },
        )
    })

    it("allows change_cipher_spec only in the handshake, plain, and bounded in number", () => {
        const ccs = Buffer.from("140303000101", "hex")
        const early = new TlsServer(serverConfig(world))
        expect(codeThrown(() => early.feed(ccs))).toBe("TlsUnexpected")
        const { client, server } = pair()
        client.feed(ccs)
        server.feed(Buffer.concat([take(client), ccs]))
        client.feed(Buffer.concat([ccs, take(server)]))
        server.feed(Buffer.concat([ccs, take(client)]))
        expect([client.isOpen(), server.isOpen()]).toEqual([true, true])
        expect(codeThrown(() => client.feed(ccs))).toBe("TlsUnexpected")
        const flooded = pair().client
        expect(codeThrown(() => flooded.feed(Buffer.concat(Array(40).fill(ccs))))).toBe("TlsUnexpected")
        const odd = pair().client
        expect(codeThrown(() => odd.feed(Buffer.from("140303000102", "hex")))).toBe("TlsUnexpected")
    })

    it("refuses a record above the limit by its header alone", () => {
        const { client, server } = open()
        expect(codeThrown(() => server.feed(Buffer.from([23, 3, 3, 4, 17])))).toBe("TlsOverflow")
        expect(server.alertSent).toBe(22)
        expect(codeThrown(() => client.feed(Buffer.from([23, 3, 3, 4, 16])))).toBe("none")
        expect(codeThrown(() => pair().client.feed(Buffer.from([22, 3, 3, 0x20, 5])))).toBe("TlsOverflow")
    })

    it("the certificate must be for the host that is called", async () => {
        const names = async (...hostNames: string[]) => {
            const leaf = await party({
                issuer: world.authority,
                more: hostNames.length > 0 ? [hosts(...hostNames)] : [],
            })
            return (await tlsParty(leaf, world.authority)).identity()
        }
        const trial = (identity: TlsServerConfig["identity"], hostName: string) => {
            const { client, server } = pair({ hostName }, { identity })
            const code = codeThrown(() => shuttle(client, server))
            return code === "none" ? client.isOpen() : code
        }
        const both = await names("Meter.Example", "10.0.0.7")
        expect(trial(both, "meter.example")).toBe(true)
        expect(trial(both, "10.0.0.7")).toBe(true)
        expect(trial(both, "")).toBe(true)
        expect(trial(both, "10.0.0.8")).toBe("TlsHostName")
        expect(trial(both, "eter.example")).toBe("TlsHostName")
        expect(trial(await names("*.example"), "meter.example")).toBe("TlsHostName")
        expect(trial(await names("10.0.0.7.example"), "10.0.0.7")).toBe("TlsHostName")
        expect(trial(await names(), "meter.example")).toBe("TlsHostName")
    })

    it("a server of one name refuses a client that asks for another", () => {
        const { client, server } = pair({ hostName: "localhost" }, { hostName: "elsewhere" })
        expect(codeThrown(() => shuttle(client, server))).toBe("TlsUnknownName")
        expect(server.alertSent).toBe(112)
        open({ hostName: "localhost" }, { hostName: "LocalHost" })
    })

    it("a client without certificate is refused where one is demanded, and served where not", () => {
        const { client, server } = pair({ identity: undefined })
        expect(codeThrown(() => shuttle(client, server))).toBe("TlsCertificateRequired")
        expect(server.alertSent).toBe(116)
        const tickets = new TicketKeys()
        const sessions = new SessionMemory()
        const free = { identity: undefined, sessions }
        open(free, { trust: undefined, tickets })
        const again = open(free, { trust: undefined, tickets })
        expect([again.server.resumed, again.server.peer]).toEqual([true, undefined])
        // What was given to somebody unknown is nothing to a server that wants to know
        const demanding = pair(free, { tickets })
        expect(codeThrown(() => shuttle(demanding.client, demanding.server))).toBe("TlsCertificateRequired")
    })
})
