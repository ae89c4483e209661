import { generateKeyPairSync, sign } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import {
    Content,
    Ext,
    extension,
    handshake,
    octets,
    retryRandom,
    Type,
    uint,
    vector,
} from "../../tools/adversary/codec"
import { pump } from "../../tools/adversary/pump"
import { finishedMac, hashOf } from "../../tools/adversary/schedule"
import type { ServerAdversary, ServerOptions } from "../../tools/adversary/server"
import { crlOf, noon, party, type TestPartyOptions } from "../helpers/certificates"
import { hosts, tlsParty } from "../helpers/tls"
import { AttackWorld, identityOf, leafOf, verdict } from "../helpers/tls-attack"

// A server that does something else than RFC 8446 says, in one place and otherwise rightly: our client must end the
// connection with the alert of RFC 8446, and the adversary must be able to read that alert.

let world: AttackWorld
beforeAll(async () => {
    world = await AttackWorld.make()
})

const operator = 4
const date = (year: number) => new Date(Date.UTC(year, 0, 1))

/** `told`: the adversary reads the alert; not where the keys of the two differ. */
function expectRefusal(
    came: { code: string; alert: number; told: boolean; open: boolean },
    code: string,
    alert: number,
) {
    expect([came.code, came.alert, came.open, came.told]).toEqual([code, alert, false, true])
}

/** `message` with some octets changed. */
function patched(message: Buffer, at: number, hex: string): Buffer {
    const copy = Buffer.from(message)
    Buffer.from(hex, "hex").copy(copy, at)
    return copy
}

/** Changes the message of this name. */
function change(name: string, edit: (message: Buffer) => Buffer | Buffer[]): Partial<ServerOptions> {
    return { change: (each, message) => (each === name ? edit(message) : message) }
}

describe("a client and a server's certificate", () => {
    const chains: [string, () => Promise<[Partial<ServerOptions>, { crls?: Buffer[] }?]>, string, number][] = []
    const leafWith = async (options: TestPartyOptions): Promise<[Partial<ServerOptions>]> => {
        const of = await tlsParty(await leafOf(world.authority, operator, options), world.authority)
        return [{ identity: identityOf(of) }]
    }
    const refused = (
        name: string,
        code: string,
        alert: number,
        make: () => Promise<[Partial<ServerOptions>, { crls?: Buffer[] }?]>,
    ) => chains.push([name, make, code, alert])

    refused("of another anchor", "ChainIssuer", 48, async () => {
        const root = await party({ name: "Elsewhere" })
        const authority = await party({ name: "Authority", issuer: root, ca: true })
        return [{ identity: identityOf(await tlsParty(await leafOf(authority, operator), authority)) }]
    })
    refused("of an anchor of the same name", "ChainKeyId", 48, async () => {
        const root = await party({ name: "Root" })
        const authority = await party({ name: "Authority", issuer: root, ca: true })
        return [{ identity: identityOf(await tlsParty(await leafOf(authority, operator), authority)) }]
    })
    refused("of an authority that only names the anchor's key", "ChainSignature", 42, async () => {
        const forger = await party({ name: "Root", keys: world.root.keys })
        const false_ = await party({ name: "Root" })
        const authority = await party({
            name: "Authority",
            issuer: { ...forger, keys: { ...false_.keys, publicKey: forger.keys.publicKey } },
            ca: true,
        })
        return [{ identity: identityOf(await tlsParty(await leafOf(authority, operator), authority)) }]
    })
    refused("that is expired", "ChainExpired", 45, () => leafWith({ notAfter: date(2030) }))
    refused("that is not yet valid", "ChainNotYetValid", 45, () => leafWith({ notBefore: date(2031) }))
    refused("that is revoked", "ChainRevoked", 44, async () => {
        const leaf = await leafOf(world.authority, operator)
        const crls = [world.crls[0], await crlOf(world.authority, [leaf])]
        return [{ identity: identityOf(await tlsParty(leaf, world.authority)) }, { crls }]
    })
    refused("whose authority is revoked", "ChainRevoked", 44, async () => [
        {},
        { crls: [await crlOf(world.root, [world.authority]), world.crls[1]] },
    ])
    refused("without a revocation list", "CrlMissing", 46, async () => [{}, { crls: [world.crls[0]] }])
    refused("with a stale revocation list", "CrlStale", 46, async () => [
        {},
        { crls: [world.crls[0], await crlOf(world.authority, [], { nextUpdate: new Date((noon - 60) * 1000) })] },
    ])
    refused("of another role", "TlsRole", 49, async () => [
        { identity: identityOf(await tlsParty(await leafOf(world.authority, 5), world.authority)) },
    ])
    refused("without a role", "TlsRole", 49, () => leafWith({ more: [hosts("localhost")] }))
    refused("that may not sign", "ChainKeyUsage", 43, () => leafWith({ usage: 16 }))
    refused("of another name", "TlsHostName", 42, async () => {
        const leaf = await leafOf(world.authority, operator)
        const of = await tlsParty(
            await leafOf(world.authority, operator, {
                more: [hosts("localhost.example", "127.0.0.1"), ...roleOf(leaf)],
            }),
            world.authority,
        )
        return [{ identity: identityOf(of) }]
    })
    refused("without a name", "TlsHostName", 42, async () => {
        const leaf = await leafOf(world.authority, operator)
        const of = await tlsParty(await leafOf(world.authority, operator, { more: roleOf(leaf) }), world.authority)
        return [{ identity: identityOf(of) }]
    })
    refused("that is self-signed", "ChainIssuer", 48, async () => [
        { identity: identityOf(await tlsParty(await party({ name: "localhost", ca: false }))) },
    ])
    refused("without its authority's", "ChainIssuer", 48, async () => {
        const { key, chain } = identityOf(world.server)
        return [{ identity: { key, chain: chain.slice(0, 1) } }]
    })
    refused("issued by another leaf", "ChainNotCa", 42, async () => {
        const middle = await leafOf(world.authority, operator)
        const of = await tlsParty(await leafOf(middle, operator), middle, world.authority)
        return [{ identity: identityOf(of) }]
    })
    refused("in too long a chain", "ChainTooLong", 42, async () => {
        let issuer = world.root
        const chain = []
        for (let i = 0; i < 7; ++i) chain.unshift((issuer = await party({ issuer, ca: true })))
        return [{ fragment: 1500, identity: identityOf(await tlsParty(await leafOf(issuer, operator), ...chain)) }]
    })
    refused("with more intermediates than are allowed", "ChainTooLong", 42, async () => {
        let issuer = world.root
        const chain = []
        for (let i = 0; i < 3; ++i) chain.unshift((issuer = await party({ issuer, ca: true })))
        return [{ fragment: 1500, identity: identityOf(await tlsParty(await leafOf(issuer, operator), ...chain)) }]
    })
    refused("whose key is not on P-256", "X509Algorithm", 43, async () => {
        const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
        const chain = identityOf(world.server).chain
        // The OID of the curve becomes secp256k1's kind of nonsense.
        const at = chain[0].indexOf(Buffer.from("06082a8648ce3d030107", "hex"))
        return [{ identity: { key, chain: [patched(chain[0], at, "06082a8648ce3d030106"), chain[1]] } }]
    })
    refused("that is no DER", "DerLength", 42, async () => {
        const { key, chain } = identityOf(world.server)
        return [{ identity: { key, chain: [octets("3080", chain[0]), chain[1]] } }]
    })
    refused("of no octets", "TlsDecode", 50, async () => {
        const { key } = identityOf(world.server)
        return [{ identity: { key, chain: [Buffer.alloc(0)] } }]
    })
    refused("that is not there", "TlsDecode", 50, async () => [
        { identity: { key: identityOf(world.server).key, chain: [] } },
    ])

    test("is refused where it is one of these", async () => {
        for (const [name, make, code, alert] of chains) {
            const [options, { crls } = {}] = await make()
            const came = world.call(options, crls ? { trust: world.trust(operator, crls) } : {})
            expect([name, came.code, came.alert, came.open, came.told]).toEqual([name, code, alert, false, true])
        }
        expect(chains.length).toBeGreaterThan(20)
    })

    test("with an extension nobody asked for is refused", () => {
        const { chain } = identityOf(world.server)
        const entry = octets(vector(3, chain[0]), vector(2, extension(5, "0100000000")))
        const message = handshake(Type.certificate, vector(1), vector(3, entry, vector(3, chain[1]), vector(2)))
        expectRefusal(world.call(change("certificate", () => message)), "TlsUnsupportedExtension", 110)
    })

    test("in a message beyond any limit is refused before there is memory for it", () => {
        const came = world.call(change("certificate", message => patched(message, 1, "ffffff")))
        expectRefusal(came, "TlsTooLarge", 47)
    })

    test("is accepted where all is well", () => {
        const { ours, peer, code, open } = world.call()
        expect([code, open, peer.complete, peer.failure]).toEqual(["none", true, true, undefined])
        expect(ours.connection.peer?.der).toEqual(world.server.chain[0].der)
    })
})

/** The role extension of a leaf. */
function roleOf(leaf: { certificate: { extensions: { type: string }[] } }) {
    return leaf.certificate.extensions.filter(each => each.type === "1.3.6.1.3.20556.1") as never[]
}

describe("a client and what a server proves", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    const own = (content: Buffer) => sign("sha256", content, identityOf(world.server).key)
    const cases: [string, Partial<ServerOptions>, string, number][] = [
        ["a signature by another key", { sign: content => sign("sha256", content, other) }, "TlsSignature", 51],
        [
            "a signature that a client would make",
            { sign: content => own(Buffer.from(content.toString("latin1").replace("server", "client"), "latin1")) },
            "TlsSignature",
            51,
        ],
        [
            "a signature over another transcript",
            { sign: content => own(patched(content, content.length - 1, "00")) },
            "TlsSignature",
            51,
        ],
        ["no octets of signature", { sign: () => Buffer.alloc(0) }, "TlsDecode", 50],
        ["a signature cut short", { sign: content => own(content).subarray(0, -1) }, "TlsSignature", 51],
        ["a signature with octets behind", { sign: content => octets(own(content), "00") }, "TlsSignature", 51],
        ["r = 0", { sign: () => octets("3006020100020101") }, "TlsSignature", 51],
        ["s = 0", { sign: () => octets("3006020101020100") }, "TlsSignature", 51],
        [
            "r and s of the order",
            {
                sign: () => {
                    const n = "022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
                    return octets("3046", n, n)
                },
            },
            "TlsSignature",
            51,
        ],
        ["another signature scheme", { scheme: 0x0804 }, "TlsIllegal", 47],
        ["ECDSA with SHA-1", { scheme: 0x0203 }, "TlsIllegal", 47],
    ]
    test.each(cases)("refuses %s", (_, options, code, alert) => {
        expectRefusal(world.call(options), code, alert)
    })

    test("refuses a CertificateVerify that is cut at any octet", () => {
        for (let length = 0; length < 12; ++length) {
            const cut = change("certificateVerify", each => handshake(15, each.subarray(4, 4 + length)))
            expectRefusal(world.call(cut), "TlsDecode", 50)
        }
    })

    test("refuses a wrong Finished, and one of another length", () => {
        expectRefusal(world.call(change("finished", each => patched(each, 35, "00"))), "TlsFinished", 51)
        expectRefusal(world.call(change("finished", () => handshake(20, Buffer.alloc(31)))), "TlsDecode", 50)
        expectRefusal(world.call(change("finished", () => handshake(20, Buffer.alloc(33)))), "TlsDecode", 50)
        expectRefusal(world.call(change("finished", () => handshake(20))), "TlsDecode", 50)
    })

    test("refuses a Finished that is right for another transcript", () => {
        const flight = (steps: string[]) => steps.filter(each => each !== "certificateRequest")
        const came = world.call({
            flight: steps => [
                ...flight(steps).slice(0, -1),
                (peer: ServerAdversary) =>
                    peer.send("finished", handshake(20, finishedMac(Buffer.alloc(32), hashOf(Buffer.alloc(1))))),
            ],
        })
        expectRefusal(came, "TlsFinished", 51)
    })
})

describe("a client and a ServerHello", () => {
    const list = (edit: (list: [number, Buffer][]) => [number, Buffer][]): Partial<ServerOptions> => ({
        helloExtensions: edit,
    })
    const without = (type: number) => list(all => all.filter(each => each[0] !== type))
    const with_ = (type: number, ...body: (string | Buffer)[]) => list(all => [...all, [type, octets(...body)]])
    const instead = (type: number, body: string) =>
        list(all => all.map(each => (each[0] === type ? [type, octets(body)] : each)))
    const hello = (at: number, hex: string) => change("serverHello", message => patched(message, at, hex))
    const old = (tail: string): Partial<ServerOptions> => ({
        ...without(Ext.versions),
        ...hello(38 - tail.length / 2, tail),
    })
    const x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    const y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    const share = (hex: string): Partial<ServerOptions> => ({ keyShare: Buffer.from(hex, "hex") })

    const cases: [string, Partial<ServerOptions>, string, number][] = [
        ["of TLS 1.2", old(""), "TlsVersion", 70],
        ["of TLS 1.2 that knows TLS 1.3", old("444f574e47524401"), "TlsIllegal", 47],
        ["of TLS 1.1 that knows TLS 1.3", old("444f574e47524400"), "TlsIllegal", 47],
        ["that selects TLS 1.2", instead(Ext.versions, "0303"), "TlsIllegal", 47],
        ["that selects TLS 1.4", instead(Ext.versions, "0305"), "TlsIllegal", 47],
        ["that selects a list of versions", instead(Ext.versions, "020304"), "TlsDecode", 50],
        ["with a suite that was not offered", { suite: 0x1303, ...hello(39, "1302") }, "TlsIllegal", 47],
        ["with a suite of TLS 1.2", hello(39, "c02b"), "TlsIllegal", 47],
        ["with compression", hello(41, "01"), "TlsIllegal", 47],
        [
            "with the echo of a session nobody named",
            change("serverHello", each =>
                handshake(2, each.subarray(4, 38), vector(1, Buffer.alloc(32, 1)), each.subarray(39)),
            ),
            "TlsIllegal",
            47,
        ],
        ["without a key share", without(Ext.keyShare), "TlsMissingExtension", 109],
        ["with a key share on X25519", instead(Ext.keyShare, `001d0020${"09".repeat(32)}`), "TlsIllegal", 47],
        ["with a group and no share", instead(Ext.keyShare, "0017"), "TlsDecode", 50],
        ["with an empty share", instead(Ext.keyShare, "00170000"), "TlsDecode", 50],
        ["with a point beside the curve", share(`04${x}${y.slice(0, -2)}f4`), "BadPublicKey", 47],
        ["with the point at infinity", share("00"), "TlsIllegal", 47],
        ["with a point of zeros", share(`04${"00".repeat(64)}`), "BadPublicKey", 47],
        ["with coordinates of the field's size", share(`04${"ff".repeat(64)}`), "BadPublicKey", 47],
        ["with a compressed point", share(`03${x}`), "TlsIllegal", 47],
        ["with a hybrid point", share(`07${x}${y}`), "TlsIllegal", 47],
        ["with a point cut short", share(`04${x}${y.slice(2)}`), "TlsIllegal", 47],
        ["with a point too long", share(`04${x}${y}00`), "TlsIllegal", 47],
        ["with an extension twice", list(all => [...all, all[0]]), "TlsIllegal", 47],
        ["with supported_groups", with_(Ext.groups, "00020017"), "TlsIllegal", 47],
        ["with server_name", with_(Ext.serverName), "TlsIllegal", 47],
        ["with a cookie", with_(Ext.cookie, "000101"), "TlsIllegal", 47],
        ["with an extension nobody asked for", with_(16, "0003026832"), "TlsUnsupportedExtension", 110],
        ["with a session nobody offered", with_(Ext.preSharedKey, "0000"), "TlsUnsupportedExtension", 110],
        ["with octets behind", change("serverHello", each => handshake(2, each.subarray(4), "00")), "TlsDecode", 50],
        ["without extensions", change("serverHello", each => handshake(2, each.subarray(4, 42))), "TlsVersion", 70],
    ]
    test.each(cases)("refuses one %s", (_, options, code, alert) => {
        const came = world.call({ ...options, ...(options.change ? { transcript: "sent" as const } : {}) })
        expect([came.code, came.alert, came.open]).toEqual([code, alert, false])
    })

    test("ignores the legacy version of one that selects TLS 1.3", () => {
        expect(world.call(hello(4, "0304")).code).toBe("none")
    })
})

describe("a client and HelloRetryRequest", () => {
    const cookie = Buffer.from("cookie")
    const again = (edit: (list: [number, Buffer][]) => [number, Buffer][]): Partial<ServerOptions> => {
        let count = 0
        return { cookie, helloExtensions: list => (count++ === 0 ? edit(list) : list) }
    }

    test("gives a cookie back, with the same hello otherwise", () => {
        const { code, peer } = world.call({ cookie })
        expect([code, peer.failure, peer.complete]).toEqual(["none", undefined, true])
    })

    test.each([
        ["without a change", again(list => list.slice(0, 1)), "TlsIllegal", 47],
        ["for the group it has", again(list => [...list, [Ext.keyShare, uint(2, 0x17)]]), "TlsIllegal", 47],
        ["for a group it does not have", again(list => [...list, [Ext.keyShare, uint(2, 0x1d)]]), "TlsIllegal", 47],
        ["with an empty cookie", again(list => [list[0], [Ext.cookie, vector(2)]]), "TlsDecode", 50],
        ["with a session", again(list => [...list, [Ext.preSharedKey, uint(2, 0)]]), "TlsIllegal", 47],
        ["without a version", again(list => list.slice(1)), "TlsVersion", 70],
        ["with an unknown extension", again(list => [...list, [16, octets("00")]]), "TlsUnsupportedExtension", 110],
        [
            "that is followed by another suite",
            { cookie, ...change("serverHello", each => patched(each, 39, "1301")) },
            "TlsIllegal",
            47,
        ],
        [
            "a second time",
            {
                cookie,
                ...change("serverHello", each => {
                    const list = octets(extension(Ext.versions, "0304"), extension(Ext.cookie, "000101"))
                    return handshake(2, "0303", retryRandom, "00", each.subarray(39, 41), "00", vector(2, list))
                }),
            },
            "TlsUnexpected",
            10,
        ],
    ] as [string, Partial<ServerOptions>, string, number][])("refuses one %s", (_, options, code, alert) => {
        const came = world.call(options)
        expect([came.code, came.alert, came.open]).toEqual([code, alert, false])
    })
})

describe("a client and EncryptedExtensions", () => {
    test.each([
        ["an unknown extension", [[16, "0003026832"]], "TlsUnsupportedExtension", 110],
        ["early data nobody offered", [[Ext.earlyData, ""]], "TlsUnsupportedExtension", 110],
        ["a key share", [[Ext.keyShare, "0017"]], "TlsIllegal", 47],
        ["a version", [[Ext.versions, "0304"]], "TlsIllegal", 47],
        ["signature_algorithms", [[Ext.signatureAlgorithms, "00020403"]], "TlsIllegal", 47],
        [
            "one extension twice",
            [
                [Ext.serverName, ""],
                [Ext.serverName, ""],
            ],
            "TlsIllegal",
            47,
        ],
        ["a name in server_name", [[Ext.serverName, "0000"]], "TlsDecode", 50],
        ["a record limit below 64", [[Ext.recordSizeLimit, "003f"]], "TlsIllegal", 47],
        ["a record limit above 16385", [[Ext.recordSizeLimit, "4002"]], "TlsIllegal", 47],
        ["a record limit of one octet", [[Ext.recordSizeLimit, "40"]], "TlsDecode", 50],
        ["another fragment length", [[Ext.maxFragmentLength, "04"]], "TlsIllegal", 47],
        [
            "two limits",
            [
                [Ext.maxFragmentLength, "02"],
                [Ext.recordSizeLimit, "0400"],
            ],
            "TlsIllegal",
            47,
        ],
    ] as [string, [number, string][], string, number][])("refuses %s", (_, list, code, alert) => {
        const encryptedExtensions = list.map(([type, body]): [number, Buffer] => [type, octets(body)])
        expectRefusal(world.call({ encryptedExtensions }), code, alert)
    })

    test("refuses a fragment length and a server name that it did not offer", () => {
        const limits: [number, Buffer][] = [[Ext.maxFragmentLength, octets("01")]]
        const came = world.call({ encryptedExtensions: limits }, { recordLimit: 16385 })
        expectRefusal(came, "TlsUnsupportedExtension", 110)
        const name: [number, Buffer][] = [[Ext.serverName, Buffer.alloc(0)]]
        expectRefusal(world.call({ encryptedExtensions: name }, { hostName: "" }), "TlsUnsupportedExtension", 110)
    })

    test("takes those it knows, and the groups of a server for another time", () => {
        const encryptedExtensions: [number, Buffer][] = [
            [Ext.serverName, Buffer.alloc(0)],
            [Ext.groups, octets("0004001d0017")],
            [Ext.recordSizeLimit, octets("0040")],
        ]
        const { ours, peer, code } = world.call({ encryptedExtensions })
        expect([code, peer.complete]).toEqual(["none", true])
        ours.connection.write(Buffer.alloc(200, 1))
        pump(ours, peer)
        expect(peer.data.length).toBe(200)
        expect(Math.max(...peer.seen.slice(-4).map(each => each.length))).toBeLessThanOrEqual(64 + 16)
    })
})

describe("a client and CertificateRequest", () => {
    test("refuses one without signature_algorithms, with a context, with an extension twice or out of place", () => {
        const algorithms: [number, Buffer] = [Ext.signatureAlgorithms, octets("00020403")]
        const request = (list: [number, Buffer][]) => world.call({ requestExtensions: list })
        expectRefusal(request([]), "TlsMissingExtension", 109)
        expectRefusal(request([algorithms, algorithms]), "TlsIllegal", 47)
        expectRefusal(request([algorithms, [Ext.keyShare, octets("0017")]]), "TlsIllegal", 47)
        const context = change("certificateRequest", each => handshake(13, "0101", each.subarray(5)))
        expectRefusal(world.call(context), "TlsIllegal", 47)
    })

    test("answers with an empty list where it has no certificate, or none the server understands", () => {
        const came = world.call({}, { identity: undefined })
        expect([came.code, came.peer.failure, came.peer.answered, came.peer.clientLeaf]).toEqual([
            "none",
            undefined,
            true,
            undefined,
        ])
        const foreign = world.call({ requestExtensions: [[Ext.signatureAlgorithms, octets("00020804")]] })
        expect([foreign.peer.failure, foreign.peer.answered, foreign.peer.clientLeaf]).toEqual([
            undefined,
            true,
            undefined,
        ])
    })

    test("sends no certificate unasked", () => {
        const came = world.call({ request: false })
        expect([came.code, came.peer.failure, came.peer.answered]).toEqual(["none", undefined, false])
    })

    test("refuses a request after the handshake, which it never offered to answer", () => {
        const request = handshake(13, vector(1, "01"), vector(2, extension(13, "00020403")))
        expectRefusal(world.call({ after: [peer => peer.sendLater("request", request)] }), "TlsUnexpected", 10)
    })
})

describe("a client and messages out of their place", () => {
    const junk: Record<string, Buffer> = {
        HelloRequest: handshake(0),
        ClientHello: handshake(1, "0303"),
        ServerHello: handshake(2, "0303"),
        NewSessionTicket: handshake(4, Buffer.alloc(20)),
        EndOfEarlyData: handshake(5),
        EncryptedExtensions: handshake(8, "0000"),
        Certificate: handshake(11, "00000000"),
        ServerKeyExchange: handshake(12, "00"),
        CertificateRequest: handshake(13, "000000"),
        ServerHelloDone: handshake(14),
        CertificateVerify: handshake(15, "04030000"),
        Finished: handshake(20, Buffer.alloc(32)),
        KeyUpdate: handshake(24, "00"),
        MessageHash: handshake(254, Buffer.alloc(32)),
        "message 99": handshake(99),
    }
    /** What is due at each place of the flight is not out of place there. */
    const due: Record<string, string[]> = {
        serverHello: ["ServerHello"],
        encryptedExtensions: ["EncryptedExtensions"],
        certificateRequest: ["CertificateRequest", "Certificate"],
        certificate: ["Certificate"],
        certificateVerify: ["CertificateVerify"],
        finished: ["Finished"],
        after: ["NewSessionTicket", "KeyUpdate"],
    }

    test.each(Object.keys(due))("refuses each that is not due before %s", place => {
        for (const [name, message] of Object.entries(junk)) {
            if (due[place].includes(name)) continue
            const strange = (peer: ServerAdversary) => peer.send("junk", message)
            const came =
                place === "after"
                    ? world.call({ after: [strange] })
                    : world.call({
                          flight: steps => steps.flatMap(each => (each === place ? [strange, each] : [each])),
                      })
            expect([name, came.code, came.alert, came.open, came.told]).toEqual([
                name,
                "TlsUnexpected",
                10,
                false,
                true,
            ])
        }
    })

    test.each(["encryptedExtensions", "certificate", "certificateVerify"])("refuses a flight without %s", left => {
        const came = world.call({ flight: steps => steps.filter(each => each !== left) })
        expectRefusal(came, "TlsUnexpected", 10)
    })

    test("refuses data before Finished", () => {
        const came = world.call({
            flight: steps => [...steps.slice(0, -1), peer => peer.say(Buffer.from("trust me"))],
        })
        expectRefusal(came, "TlsUnexpected", 10)
        expect(came.ours.data.length).toBe(0)
    })

    test("refuses certificates and requests in a resumed handshake", async () => {
        for (const extra of ["certificate", "certificateRequest"]) {
            const { resumed, again } = await resumption()
            expect(resumed.ours.connection.resumed).toBe(true)
            const came = again({
                flight: steps => steps.flatMap(each => (each === "finished" ? [extra, each] : [each])),
            })
            expectRefusal(came, "TlsUnexpected", 10)
        }
    })

    /** A connection that resumed a session, and another one that would. */
    async function resumption() {
        const { SessionMemory } = await import("../../firmware/tls/sessions")
        const [sessions, tickets] = [new SessionMemory(), new Map()]
        world.call({ sessions: tickets }, { sessions })
        const resumed = world.call({ sessions: tickets }, { sessions })
        return {
            resumed,
            again: (options: Partial<ServerOptions>) => world.call({ sessions: tickets, ...options }, { sessions }),
        }
    }

    test("refuses a session of another index, and one of a suite it did not choose for", async () => {
        const one = await resumption()
        const wrong = one.again({
            helloExtensions: list => list.map(each => (each[0] === Ext.preSharedKey ? [each[0], uint(2, 1)] : each)),
        })
        expect([wrong.code, wrong.alert]).toEqual(["TlsIllegal", 47])
        const two = await resumption()
        const noShare = two.again({ helloExtensions: list => list.filter(each => each[0] !== Ext.keyShare) })
        expect([noShare.code, noShare.alert]).toEqual(["TlsIllegal", 47])
    })

    test("falls back to a full handshake where its ticket is not taken", async () => {
        const { again } = await resumption()
        const came = again({ sessions: new Map() })
        expect([came.code, came.ours.connection.resumed, came.open, came.peer.failure]).toEqual([
            "none",
            false,
            true,
            undefined,
        ])
    })
})

describe("a client and records", () => {
    /** Applies `edit` to the record of this number. */
    const record = (number: number, edit: (record: Buffer) => Buffer[]): Partial<ServerOptions> => ({
        records: (each, i) => (i === number ? edit(each) : [each]),
    })
    /** With the server's hello as 0 and change_cipher_spec as 1, the first encrypted one. */
    const first = 2

    test("refuses a record that comes twice, and two that changed places", () => {
        expectRefusal(world.call(record(first, each => [each, each])), "TagMismatch", 20)
        let kept: Buffer = Buffer.alloc(0)
        const came = world.call({
            records: (each, i) => {
                if (i === first) kept = each
                return i === first ? [] : i === first + 1 ? [each, kept] : [each]
            },
        })
        expectRefusal(came, "TagMismatch", 20)
    })

    test("refuses a record that is left out", () => {
        expectRefusal(world.call(record(first, () => [])), "TagMismatch", 20)
    })

    test("refuses an encrypted record in which any octet is another one", () => {
        // EncryptedExtensions: header 5, message 6, content type 1, tag 16.
        for (let at = 0; at < 28; ++at) {
            const came = world.call(
                record(first, each => {
                    expect(each.length).toBe(28)
                    return [patched(each, at, (each[at] ^ 1).toString(16).padStart(2, "0"))]
                }),
            )
            expect([at, came.code, came.open]).toEqual([at, at === 0 ? "TlsUnexpected" : "TagMismatch", false])
        }
    })

    test("refuses records above its limit, in the clear and encrypted", () => {
        const plain = (peer: ServerAdversary) => peer.plain(Content.handshake, octets("02002000", Buffer.alloc(9000)))
        expectRefusal(world.call({ flight: () => [plain] }), "TlsOverflow", 22)
        const sealed = (peer: ServerAdversary) => peer.say(Buffer.alloc(2048))
        expectRefusal(world.call({ after: [sealed] }), "TlsOverflow", 22)
        const declared = (peer: ServerAdversary) => peer.raw(octets("170303ffff"))
        expectRefusal(world.call({ after: [declared] }), "TlsOverflow", 22)
        const padded = world.call({ padding: 3000 })
        expect([padded.code, padded.alert]).toEqual(["TlsOverflow", 22])
    })

    test("takes records up to its limit, with padding, in pieces and all in one", () => {
        for (const options of [{ padding: 200 }, { fragment: 1 }, { fragment: 7 }, { together: true }]) {
            const { code, peer } = world.call(options, { recordLimit: 2048 })
            expect([options, code, peer.complete, peer.failure]).toEqual([options, "none", true, undefined])
        }
        const full = world.call({ after: [peer => peer.say(Buffer.alloc(2047, 7))] })
        expect([full.code, full.ours.data.length]).toEqual(["none", 2047])
    })

    test.each([
        [
            "no content type",
            (peer: ServerAdversary) => peer.raw(peer.write!.seal(Buffer.alloc(8))),
            "TlsUnexpected",
            10,
        ],
        [
            "no octets at all",
            (peer: ServerAdversary) => peer.raw(peer.write!.seal(Buffer.alloc(0))),
            "TlsUnexpected",
            10,
        ],
        [
            "no room for a tag",
            (peer: ServerAdversary) => peer.raw(octets("170303000500000000 00".replace(" ", ""))),
            "TagMismatch",
            20,
        ],
        ["content type 99", (peer: ServerAdversary) => peer.record(99, Buffer.of(1)), "TlsUnexpected", 10],
        ["change_cipher_spec inside", (peer: ServerAdversary) => peer.record(20, Buffer.of(1)), "TlsUnexpected", 10],
        ["a message of no octets", (peer: ServerAdversary) => peer.record(22, Buffer.alloc(0)), "TlsUnexpected", 10],
        ["an alert of one octet", (peer: ServerAdversary) => peer.record(21, Buffer.of(2)), "TlsDecode", 50],
        ["two alerts in one", (peer: ServerAdversary) => peer.record(21, octets("01000100")), "TlsDecode", 50],
        ["a message in the clear", (peer: ServerAdversary) => peer.plain(22, handshake(24, "00")), "TlsUnexpected", 10],
        ["data in the clear", (peer: ServerAdversary) => peer.plain(23, Buffer.from("hello")), "TagMismatch", 20],
        ["an alert in the clear", (peer: ServerAdversary) => peer.plain(21, octets("0100")), "TlsUnexpected", 10],
        [
            "change_cipher_spec after the handshake",
            (peer: ServerAdversary) => peer.plain(20, Buffer.of(1)),
            "TlsUnexpected",
            10,
        ],
        ["a heartbeat", (peer: ServerAdversary) => peer.plain(24, octets("010004")), "TlsUnexpected", 10],
        [
            "an answer of HTTP",
            (peer: ServerAdversary) => peer.raw(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")),
            "TlsUnexpected",
            10,
        ],
        ["a key update of 2", (peer: ServerAdversary) => peer.sendLater("k", handshake(24, "02")), "TlsIllegal", 47],
        ["a key update of no octets", (peer: ServerAdversary) => peer.sendLater("k", handshake(24)), "TlsDecode", 50],
        [
            "a key update of two octets",
            (peer: ServerAdversary) => peer.sendLater("k", handshake(24, "0000")),
            "TlsDecode",
            50,
        ],
        [
            "data under the keys before an update",
            (peer: ServerAdversary) => {
                peer.sendLater("k", handshake(24, "00"))
                peer.say(Buffer.from("x"))
            },
            "TagMismatch",
            20,
        ],
        [
            "a key update and more in one record",
            (peer: ServerAdversary) => peer.record(22, octets(handshake(24, "00"), handshake(24, "00"))),
            "TlsUnexpected",
            10,
        ],
        [
            "data between the pieces of a message",
            (peer: ServerAdversary) => {
                peer.record(22, handshake(24, "00").subarray(0, 3))
                peer.say(Buffer.from("x"))
            },
            "TlsUnexpected",
            10,
        ],
        [
            "a ticket without octets",
            (peer: ServerAdversary) =>
                peer.sendLater("t", handshake(4, Buffer.alloc(8), vector(1, "00"), vector(2), vector(2))),
            "TlsDecode",
            50,
        ],
        [
            "a ticket with an extension twice",
            (peer: ServerAdversary) =>
                peer.sendLater(
                    "t",
                    handshake(
                        4,
                        Buffer.alloc(8),
                        vector(1, "00"),
                        vector(2, "01"),
                        vector(2, extension(99), extension(99)),
                    ),
                ),
            "TlsIllegal",
            47,
        ],
        [
            "a ticket cut short",
            (peer: ServerAdversary) => peer.sendLater("t", handshake(4, Buffer.alloc(8), vector(1, "00"))),
            "TlsDecode",
            50,
        ],
    ] as [string, (peer: ServerAdversary) => void, string, number][])("refuses %s", (_, step, code, alert) => {
        expectRefusal(world.call({ after: [step] }), code, alert)
    })

    test("refuses floods of what brings nothing", () => {
        const floods: ((peer: ServerAdversary) => void)[] = [
            peer => peer.say(Buffer.alloc(0)),
            peer => peer.alert(90, 1),
        ]
        for (const each of floods) expectRefusal(world.call({ after: new Array(40).fill(each) }), "TlsUnexpected", 10)
        const spec = (peer: ServerAdversary) => peer.plain(20, Buffer.of(1))
        const came = world.call({ flight: steps => [...new Array(40).fill(spec), ...steps] })
        expectRefusal(came, "TlsUnexpected", 10)
    })

    test("refuses change_cipher_spec with another octet, and in the midst of a message", () => {
        const strange = (peer: ServerAdversary) => peer.plain(20, Buffer.of(2))
        expectRefusal(world.call({ flight: steps => [strange, ...steps] }), "TlsUnexpected", 10)
        const long = (peer: ServerAdversary) => peer.plain(20, octets("0101"))
        expectRefusal(world.call({ flight: steps => [long, ...steps] }), "TlsUnexpected", 10)
        const inside = (peer: ServerAdversary) => {
            peer.plain(22, octets("0200"))
            peer.plain(20, Buffer.of(1))
        }
        expectRefusal(world.call({ flight: () => [inside] }), "TlsUnexpected", 10)
    })

    test("refuses a ServerHello with encrypted messages behind it in the clear", () => {
        const came = world.call(change("serverHello", each => octets(each, handshake(8, "0000"))))
        expectRefusal({ ...came, told: true }, "TlsUnexpected", 10)
    })

    test("ends at a fatal alert without one of its own, whatever its level", () => {
        for (const level of [1, 2, 0, 255]) {
            const came = world.call({ after: [peer => peer.alert(40, level)] })
            expect([came.code, came.alert, came.open, came.ours.connection.alertReceived]).toEqual([
                "TlsAlert",
                -1,
                false,
                40,
            ])
        }
        const early = world.call({ flight: () => [peer => peer.plain(21, octets("0228"))] })
        expect([early.code, early.alert, early.ours.connection.alertReceived]).toEqual(["TlsAlert", -1, 40])
    })

    test("takes close_notify for the end of what it reads, and goes on writing", () => {
        const { ours, peer } = world.call({ after: [each => each.end(), each => each.say(Buffer.from("more"))] })
        expect([ours.error, ours.connection.isClosed(), ours.connection.isOpen(), ours.data.length]).toEqual([
            undefined,
            true,
            true,
            0,
        ])
        ours.connection.write(Buffer.from("last words"))
        ours.connection.close()
        pump(ours, peer)
        expect([peer.data.toString(), peer.alerts]).toEqual([
            "last words",
            [{ level: 1, description: 0, sealed: true }],
        ])
    })

    test("answers many requests for new keys by one update", () => {
        const { ours, peer } = world.call({ after: [each => each.keyUpdate(true), each => each.keyUpdate(true)] })
        ours.connection.write(Buffer.from("x"))
        pump(ours, peer)
        expect([ours.error, peer.failure, peer.updates, peer.data.toString()]).toEqual([undefined, undefined, 1, "x"])
        expect(verdict(ours, peer).open).toBe(true)
    })
})
