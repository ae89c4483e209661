import { generateKeyPairSync, sign } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import type { TlsServerConfig } from "../../firmware/tls/server"
import { TicketKeys } from "../../firmware/tls/tickets"
import type { ClientAdversary, ClientOptions, ClientSession } from "../../tools/adversary/client"
import { Content, Ext, extension, handshake, octets, uint, vector } from "../../tools/adversary/codec"
import { pump } from "../../tools/adversary/pump"
import { crlOf, party, type TestPartyOptions } from "../helpers/certificates"
import { tlsParty } from "../helpers/tls"
import { AttackWorld, identityOf, leafOf } from "../helpers/tls-attack"

// A client that does something else than RFC 8446 says, in one place and otherwise rightly: our server must end the
// connection with the alert of RFC 8446.

let world: AttackWorld
beforeAll(async () => {
    world = await AttackWorld.make()
})

const muc = 17
const date = (year: number) => new Date(Date.UTC(year, 0, 1))

type Came = { code: string; alert: number; told: boolean; open: boolean }

function expectRefusal(came: Came, code: string, alert: number) {
    expect([came.code, came.alert, came.open, came.told]).toEqual([code, alert, false, true])
}

function patched(message: Buffer, at: number, hex: string): Buffer {
    const copy = Buffer.from(message)
    Buffer.from(hex, "hex").copy(copy, at)
    return copy
}

function change(name: string, edit: (message: Buffer) => Buffer | Buffer[]): ClientOptions {
    return { change: (each, message) => (each === name ? edit(message) : message) }
}

describe("a server and a client's certificate", () => {
    const cases: [string, string, number, () => Promise<[ClientOptions, Partial<TlsServerConfig>?]>][] = []
    const leafWith = async (options: TestPartyOptions): Promise<[ClientOptions]> => {
        const of = await tlsParty(await leafOf(world.authority, muc, options), world.authority)
        return [{ identity: identityOf(of) }]
    }
    cases.push(
        [
            "of another anchor",
            "ChainIssuer",
            48,
            async () => {
                const authority = await party({ name: "A", issuer: await party({ name: "Elsewhere" }), ca: true })
                return [{ identity: identityOf(await tlsParty(await leafOf(authority, muc), authority)) }]
            },
        ],
        ["that is expired", "ChainExpired", 45, () => leafWith({ notAfter: date(2030) })],
        ["that is not yet valid", "ChainNotYetValid", 45, () => leafWith({ notBefore: date(2031) })],
        [
            "that is revoked",
            "ChainRevoked",
            44,
            async () => {
                const leaf = await leafOf(world.authority, muc)
                const crls = [world.crls[0], await crlOf(world.authority, [leaf])]
                const identity = identityOf(await tlsParty(leaf, world.authority))
                return [{ identity }, { trust: world.trust(muc, crls) }]
            },
        ],
        [
            "of another role",
            "TlsRole",
            49,
            async () => [{ identity: identityOf(await tlsParty(await leafOf(world.authority, 4), world.authority)) }],
        ],
        ["that may not sign", "ChainKeyUsage", 43, () => leafWith({ usage: 16 })],
        [
            "that is self-signed",
            "ChainIssuer",
            48,
            async () => [{ identity: identityOf(await tlsParty(await party({ ca: false }))) }],
        ],
        [
            "without its authority's",
            "ChainIssuer",
            48,
            async () => {
                const { key, chain } = identityOf(world.client)
                return [{ identity: { key, chain: chain.slice(0, 1) } }]
            },
        ],
        [
            "issued by another leaf",
            "ChainNotCa",
            42,
            async () => {
                const middle = await leafOf(world.authority, muc)
                const of = await tlsParty(await leafOf(middle, muc), middle, world.authority)
                return [{ identity: identityOf(of) }]
            },
        ],
        ["that is not there", "TlsCertificateRequired", 116, async () => [{ identity: undefined }]],
    )

    test("is refused where it is one of these", async () => {
        for (const [name, code, alert, make] of cases) {
            const [options, config] = await make()
            const came = world.serve(options, config)
            expect([name, came.code, came.alert, came.open, came.told]).toEqual([name, code, alert, false, true])
            expect(came.ours.data.length).toBe(0)
        }
    })

    test("is accepted where all is well", () => {
        const { ours, peer, code, open } = world.serve()
        expect([code, open, peer.complete, peer.failure]).toEqual(["none", true, true, undefined])
        expect(ours.connection.peer?.der).toEqual(world.client.chain[0].der)
    })

    test("is not taken unasked", () => {
        const came = world.serve(
            { flight: () => ["certificate", "certificateVerify", "finished"] },
            { trust: undefined },
        )
        expectRefusal(came, "TlsUnexpected", 10)
    })
})

describe("a server and what a client proves", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    const own = (content: Buffer) => sign("sha256", content, identityOf(world.client).key)
    test("refuses a CertificateVerify that is cut at any octet", () => {
        for (let length = 0; length < 12; ++length) {
            const cut = change("certificateVerify", each => handshake(15, each.subarray(4, 4 + length)))
            expectRefusal(world.serve(cut), "TlsDecode", 50)
        }
    })

    test.each([
        [
            "a signature by another key",
            { sign: (content: Buffer) => sign("sha256", content, other) },
            "TlsSignature",
            51,
        ],
        [
            "a signature that a server would make",
            {
                sign: (content: Buffer) =>
                    own(Buffer.from(content.toString("latin1").replace("client", "server"), "latin1")),
            },
            "TlsSignature",
            51,
        ],
        ["no octets of signature", { sign: () => Buffer.alloc(0) }, "TlsDecode", 50],
        ["r = 0", { sign: () => octets("3006020100020101") }, "TlsSignature", 51],
        ["another signature scheme", { scheme: 0x0804 }, "TlsIllegal", 47],
        ["no CertificateVerify", { flight: () => ["certificate", "finished"] }, "TlsUnexpected", 10],
        ["CertificateVerify before the certificate", { flight: () => ["certificateVerify"] }, "TlsUnexpected", 10],
        ["nothing but Finished", { flight: () => ["finished"] }, "TlsUnexpected", 10],
        ["a wrong Finished", change("finished", each => patched(each, 4, "0000")), "TlsFinished", 51],
        ["a short Finished", change("finished", () => handshake(20, Buffer.alloc(31))), "TlsDecode", 50],
        ["a certificate twice", { flight: () => ["certificate", "certificate"] }, "TlsUnexpected", 10],
        [
            "data before Finished",
            { flight: (steps: string[]) => [(each: ClientAdversary) => each.say(Buffer.from("x")), ...steps] },
            "TlsUnexpected",
            10,
        ],
        ["a context", change("certificate", each => handshake(11, "0101", each.subarray(5))), "TlsIllegal", 47],
    ] as [string, ClientOptions, string, number][])("refuses %s", (_, options, code, alert) => {
        expectRefusal(world.serve(options), code, alert)
    })
})

describe("a server and a ClientHello", () => {
    const list = (edit: (list: [number, Buffer][]) => [number, Buffer][]): ClientOptions => ({ helloExtensions: edit })
    const without = (...types: number[]) => list(all => all.filter(each => !types.includes(each[0])))
    const instead = (type: number, body: string) =>
        list(all => all.map(each => (each[0] === type ? [type, octets(body)] : each)))
    const with_ = (type: number, body: string) => list(all => [...all, [type, octets(body)]])
    const x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    const y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    const point = (hex: string): ClientOptions => ({ keyShare: Buffer.from(hex, "hex") })

    test.each([
        ["of TLS 1.2", without(Ext.versions), "TlsVersion", 70],
        ["that offers TLS 1.2 and 1.1", instead(Ext.versions, "0403030302"), "TlsVersion", 70],
        ["of SSL 3", { ...without(Ext.versions), legacyVersion: 0x0300 }, "TlsVersion", 70],
        ["with an empty list of versions", instead(Ext.versions, "00"), "TlsDecode", 50],
        ["with a list of versions of odd length", instead(Ext.versions, "03030403"), "TlsDecode", 50],
        ["with no suite in common", { suites: [0x1302, 0x1304, 0xc02b] }, "TlsNoCommon", 40],
        ["with no suite at all", { suites: [] }, "TlsDecode", 50],
        ["with compression", { compression: Buffer.of(1, 0) }, "TlsIllegal", 47],
        ["without compression methods", { compression: Buffer.alloc(0) }, "TlsDecode", 50],
        ["with a session of 33 octets", { sessionId: Buffer.alloc(33) }, "TlsDecode", 50],
        ["without key_share", without(Ext.keyShare), "TlsMissingExtension", 109],
        ["without supported_groups", without(Ext.groups), "TlsMissingExtension", 109],
        ["without signature_algorithms", without(Ext.signatureAlgorithms), "TlsMissingExtension", 109],
        ["with no signature in common", instead(Ext.signatureAlgorithms, "000408040503"), "TlsNoCommon", 40],
        ["with no group in common", { groups: [0x1d, 0x18], share: false }, "TlsNoCommon", 40],
        ["with a share of a group that it does not support", { groups: [0x1d] }, "TlsNoCommon", 40],
        [
            "with two shares of one group",
            list(all =>
                all.map(each =>
                    each[0] === Ext.keyShare ? [51, vector(2, each[1].subarray(2), each[1].subarray(2))] : each,
                ),
            ),
            "TlsIllegal",
            47,
        ],
        ["with a share cut short", instead(Ext.keyShare, "0006001700410401"), "TlsDecode", 50],
        ["with an empty share", instead(Ext.keyShare, "000400170000"), "TlsDecode", 50],
        ["with a point beside the curve", point(`04${x}${y.slice(0, -2)}f4`), "BadPublicKey", 47],
        ["with the point at infinity", point("00"), "TlsIllegal", 47],
        ["with a compressed point", point(`03${x}`), "TlsIllegal", 47],
        ["with a point too long", point(`04${x}${y}00`), "TlsIllegal", 47],
        ["with coordinates of the field's size", point(`04${"ff".repeat(64)}`), "BadPublicKey", 47],
        ["with an extension twice", list(all => [...all, all[1]]), "TlsIllegal", 47],
        [
            "with an unknown extension twice",
            list(all => [...all, [0x4a4a, Buffer.alloc(0)], [0x4a4a, Buffer.alloc(0)]]),
            "TlsIllegal",
            47,
        ],
        ["for another host", { serverName: "elsewhere" }, "TlsUnknownName", 112],
        [
            "for two hosts",
            {
                serverName: undefined,
                ...with_(
                    Ext.serverName,
                    "0018 00 0009 6c6f63616c686f7374 00 0009 656c73657768657265".replaceAll(" ", ""),
                ),
            },
            "TlsUnknownName",
            112,
        ],
        ["with an empty host name", { serverName: undefined, ...with_(Ext.serverName, "0003000000") }, "TlsDecode", 50],
        ["with a record limit below 64", { recordSizeLimit: 63 }, "TlsIllegal", 47],
        ["with octets behind", change("clientHello", each => handshake(1, each.subarray(4), "00")), "TlsDecode", 50],
        [
            "without extensions",
            change("clientHello", each => handshake(1, each.subarray(4, 4 + 2 + 32 + 33 + 6 + 2))),
            "TlsVersion",
            70,
        ],
        ["with modes of a session and no session that is known", with_(Ext.pskModes, "00"), "TlsDecode", 50],
        [
            "with a session before the last extension",
            {
                helloExtensions: all => [
                    [Ext.preSharedKey, octets("00070001aa00000000", "0021", "20", "00".repeat(32))],
                    ...all,
                    [Ext.pskModes, octets("0101")],
                ],
            },
            "TlsIllegal",
            47,
        ],
        [
            "with a session and no modes",
            with_(Ext.preSharedKey, `00070001aa00000000002120${"00".repeat(32)}`),
            "TlsMissingExtension",
            109,
        ],
    ] as [string, ClientOptions, string, number][])("refuses one %s", (_, options, code, alert) => {
        expectRefusal(world.serve(options), code, alert)
    })

    test.each([
        ["with what it does not know", list(all => [[0x0a0a, octets("00")], ...all, [65281, octets("00")]])],
        ["without a server name", { serverName: undefined }],
        ["with a name of other case", { serverName: "LocalHost" }],
        ["with early data nobody can take", with_(Ext.earlyData, "")],
        ["with older versions behind", instead(Ext.versions, "0603040303 0302".replaceAll(" ", ""))],
        ["with another legacy version", { legacyVersion: 0x0301 }],
        ["with a legacy version above", { legacyVersion: 0x0304 }],
        ["without a session to echo", { sessionId: Buffer.alloc(0) }],
        ["with more groups", { groups: [0x1d, 0x17, 0x18] }],
        ["in pieces of one octet", { fragment: 1 }],
    ] as [string, ClientOptions][])("takes one %s", (_, options) => {
        const { code, peer, open } = world.serve(options)
        expect([code, peer.failure, peer.complete, open]).toEqual(["none", undefined, true, true])
    })

    test("asks for the group it knows, once", () => {
        const good = world.serve({ groups: [0x1d, 0x17], share: false })
        expect([good.code, good.peer.failure, good.peer.retried, good.open]).toEqual(["none", undefined, true, true])
        let count = 0
        const stubborn = world.serve({
            groups: [0x1d, 0x17],
            helloExtensions: all =>
                all.map(each => (each[0] === Ext.keyShare && ++count <= 2 ? [Ext.keyShare, uint(2, 0)] : each)),
        })
        expectRefusal(stubborn, "TlsIllegal", 47)
    })

    test("refuses a second hello that offers another suite", () => {
        let count = 0
        const came = world.serve({
            share: false,
            change: (name, message) => {
                if (name !== "clientHello" || ++count < 2) return message
                return patched(message, 4 + 2 + 32 + 33 + 2, "13011302")
            },
        })
        expect([came.code, came.alert, came.open]).toEqual(["TlsIllegal", 47, false])
    })

    test("refuses a second hello that nobody asked for", () => {
        const came = world.serve({
            flight: steps => [(peer: ClientAdversary) => peer.send("x", handshake(1, "0303")), ...steps],
        })
        expectRefusal(came, "TlsUnexpected", 10)
        const later = world.serve({ after: [peer => peer.sendLater("x", handshake(1, "0303"))] })
        expectRefusal(later, "TlsUnexpected", 10)
    })

    test.each([
        ["a request of HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "TlsUnexpected", 10],
        ["a hello of SSL 2", octets("802e0100020015000000100100800200800300800400800500"), "TlsUnexpected", 10],
        ["data", octets("1703030005", "0102030405"), "TlsUnexpected", 10],
        ["change_cipher_spec", octets("140303000101"), "TlsUnexpected", 10],
        ["a record beyond any limit", octets("160301ffff"), "TlsOverflow", 22],
        ["a message beyond any limit", octets("1603010004", "01ffffff"), "TlsTooLarge", 47],
        ["another message", octets("1603010004", "0b000000"), "TlsUnexpected", 10],
        ["a message of no octets", octets("1603010004", "01000000"), "TlsDecode", 50],
        ["a record of no octets", octets("1603010000"), "TlsUnexpected", 10],
    ] as [string, Buffer, string, number][])("refuses %s in place of one", (_, record, code, alert) => {
        const came = world.serve({ before: [peer => peer.raw(record)] })
        expectRefusal(came, code, alert)
    })
})

describe("a server and sessions", () => {
    /** A session of our server, and a server that knows it. */
    function session(change: Partial<TlsServerConfig> = {}): [ClientSession, Partial<TlsServerConfig>] {
        const config = { tickets: new TicketKeys(), ...change }
        const { peer } = world.serve({ pskModes: [1] }, config)
        expect(peer.sessions.length).toBe(1)
        return [peer.sessions[0], config]
    }
    const full = (came: ReturnType<AttackWorld["serve"]>) => {
        expect([came.code, came.ours.connection.resumed, came.peer.failure, came.open]).toEqual([
            "none",
            false,
            undefined,
            true,
        ])
    }

    test("resumes its own, as often as it is shown", () => {
        const [known, config] = session()
        for (let i = 0; i < 3; ++i) {
            const came = world.serve({ session: known }, config)
            expect([came.code, came.ours.connection.resumed, came.peer.resumed, came.open]).toEqual([
                "none",
                true,
                true,
                true,
            ])
            expect(came.ours.connection.peer?.der).toEqual(world.client.chain[0].der)
        }
        expect(known.lifetime).toBeLessThanOrEqual(3600)
        expect(known.extensions.size).toBe(0)
    })

    test("gives none to a client that could not resume", () => {
        const { peer } = world.serve({}, { tickets: new TicketKeys() })
        expect(peer.sessions.length).toBe(0)
    })

    test("does not resume one of another key, of a dropped key, or after its time", () => {
        const [known, config] = session()
        full(world.serve({ session: known }, { tickets: new TicketKeys() }))
        const later = world.trust(muc)
        later.now += known.lifetime + 1
        full(world.serve({ session: known }, { ...config, trust: later }))
        config.tickets!.drop()
        full(world.serve({ session: known }, config))
    })

    test("does not resume a ticket in which any bit is another one, or that is cut anywhere", () => {
        const [known, config] = session()
        const count = known.ticket.length
        for (let bit = 0; bit < 8 * count; bit += 7) {
            const ticket = Buffer.from(known.ticket)
            ticket[bit >> 3] ^= 1 << (bit & 7)
            full(world.serve({ session: { ...known, ticket } }, config))
        }
        for (let length = 1; length < count; length += 13)
            full(world.serve({ session: { ...known, ticket: known.ticket.subarray(0, length) } }, config))
        expectRefusal(world.serve({ session: { ...known, ticket: Buffer.alloc(0) } }, config), "TlsDecode", 50)
    })

    test("refuses a binder that does not hold, and a secret that is not the ticket's", () => {
        const [known, config] = session()
        for (const at of [0, 15, 31])
            expectRefusal(
                world.serve(
                    {
                        session: known,
                        binder: right => patched(right, at, (right[at] ^ 1).toString(16).padStart(2, "0")),
                    },
                    config,
                ),
                "TlsBinder",
                51,
            )
        expectRefusal(world.serve({ session: { ...known, psk: Buffer.alloc(32) } }, config), "TlsBinder", 51)
        expectRefusal(world.serve({ session: known, binder: right => right.subarray(1) }, config), "TlsDecode", 50)
    })

    test("refuses more or fewer binders than sessions", () => {
        const [known, config] = session()
        const psk = (binders: number) =>
            change("clientHello", message => {
                const body = message.subarray(4)
                const at = body.lastIndexOf(octets("0029", uint(2, 2 + 2 + known.ticket.length + 4 + 35)))
                const identities = vector(2, vector(2, known.ticket), uint(4, 0))
                const list = vector(2, ...new Array(binders).fill(vector(1, Buffer.alloc(32))))
                const own = extension(Ext.preSharedKey, identities, list)
                const head = body.subarray(0, 2 + 32 + 33 + 6 + 2)
                return handshake(1, head, vector(2, body.subarray(head.length + 2, at), own))
            })
        expect(world.serve({ session: known, ...psk(2) }, config).code).toBe("TlsIllegal")
        expect(world.serve({ session: known, ...psk(0) }, config).code).toBe("TlsDecode")
    })

    test("does not resume without a fresh key agreement", () => {
        const [known, config] = session()
        full(world.serve({ session: known, pskModes: [0] }, config))
        const came = world.serve(
            { session: known, helloExtensions: all => all.filter(each => each[0] !== Ext.keyShare) },
            config,
        )
        expectRefusal(came, "TlsMissingExtension", 109)
    })

    test("does not resume a session without a certificate where one is demanded", () => {
        const [known, config] = session({ trust: undefined })
        full(world.serve({ session: known }, { ...config, trust: world.trust(muc) }))
    })

    test("takes no early data", () => {
        const [known, config] = session()
        const came = world.serve({ session: known, early: Buffer.from("switch on") }, config)
        expect([came.ours.data.length, came.open]).toEqual([0, false])
        expect(came.code).toBe("TagMismatch")
    })
})

describe("a server and records", () => {
    test.each([
        [
            "a record that comes twice",
            { records: (each: Buffer, i: number) => (i === 2 ? [each, each] : [each]) },
            "TagMismatch",
            20,
        ],
        [
            "a record that is left out",
            { records: (each: Buffer, i: number) => (i === 2 ? [] : [each]) },
            "TagMismatch",
            20,
        ],
        ["a record too long", { after: [(peer: ClientAdversary) => peer.say(Buffer.alloc(2048))] }, "TlsOverflow", 22],
        [
            "a message in the clear",
            { after: [(peer: ClientAdversary) => peer.plain(22, handshake(24, "00"))] },
            "TlsUnexpected",
            10,
        ],
        [
            "change_cipher_spec after the handshake",
            { after: [(peer: ClientAdversary) => peer.plain(20, Buffer.of(1))] },
            "TlsUnexpected",
            10,
        ],
        [
            "a ticket",
            {
                after: [
                    (peer: ClientAdversary) =>
                        peer.sendLater("t", handshake(4, Buffer.alloc(8), "00", vector(2, "01"), vector(2))),
                ],
            },
            "TlsUnexpected",
            10,
        ],
        [
            "a request for a certificate",
            { after: [(peer: ClientAdversary) => peer.sendLater("r", handshake(13, "000000"))] },
            "TlsUnexpected",
            10,
        ],
        [
            "a second Finished",
            { after: [(peer: ClientAdversary) => peer.sendLater("f", handshake(20, Buffer.alloc(32)))] },
            "TlsUnexpected",
            10,
        ],
        [
            "a renegotiation",
            { after: [(peer: ClientAdversary) => peer.sendLater("h", handshake(0))] },
            "TlsUnexpected",
            10,
        ],
        [
            "a certificate after the handshake",
            { after: [(peer: ClientAdversary) => peer.sendLater("c", handshake(11, "00000000"))] },
            "TlsUnexpected",
            10,
        ],
        [
            "a flood of empty records",
            {
                after: new Array(40).fill((peer: ClientAdversary) =>
                    peer.record(Content.applicationData, Buffer.alloc(0)),
                ),
            },
            "TlsUnexpected",
            10,
        ],
    ] as [string, ClientOptions, string, number][])("refuses %s", (_, options, code, alert) => {
        const came = world.serve(options)
        expect([came.code, came.alert, came.open]).toEqual([code, alert, false])
    })

    test("keeps to the record limit of the client", () => {
        const { ours, peer } = world.serve({ recordSizeLimit: 64 })
        expect(ours.connection.isOpen()).toBe(true)
        ours.connection.write(Buffer.alloc(500, 3))
        pump(ours, peer)
        expect([peer.failure, peer.data.length]).toEqual([undefined, 500])
        const sealed = peer.seen.filter(each => each.type === 23)
        expect(Math.max(...sealed.map(each => each.length))).toBeLessThanOrEqual(64 + 16)
    })
})
