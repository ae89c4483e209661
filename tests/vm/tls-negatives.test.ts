import { generateKeyPairSync, sign } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Code } from "../../firmware/core/errors"
import type { Misdeeds } from "../../tools/adversary/adversary"
import { ClientAdversary, type ClientOptions } from "../../tools/adversary/client"
import { Ext } from "../../tools/adversary/codec"
import { echoing } from "../../tools/adversary/echo"
import { ServerAdversary, type ServerOptions } from "../../tools/adversary/server"
import type { TlsJob } from "../../tools/bench/tls-job"
import { NodeWithin, type TlsWithin, VmWithin } from "../../tools/bench/tls-within"
import { crlOf, noon, party, type TestParty, type TestPartyOptions } from "../helpers/certificates"
import { hosts, type TlsParty, tlsParty } from "../helpers/tls"
import { AttackWorld, identityOf, leafOf } from "../helpers/tls-attack"

// The negative matrix, once with our side as bytecode and once in Node: the same code, the same alert. All that an
// adversary can do otherwise stands in tests/unit/tls-negative-*.test.ts.

type Side = "client" | "server"

let world: AttackWorld
const within: Record<string, TlsWithin> = {}

beforeAll(async () => {
    world = await AttackWorld.make()
    within.Node = new NodeWithin()
    within.VM = await VmWithin.open()
})

afterAll(async () => {
    await within.VM.close()
})

const [operator, muc] = [4, 17]
const date = (year: number) => new Date(Date.UTC(year, 0, 1))
const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey

/** The peer's certificate or misdeed, and what our side is told otherwise. */
type Attack = {
    of?: TlsParty
    options?: Partial<Omit<ServerOptions, "identity"> & ClientOptions>
    job?: Partial<TlsJob>
}

/** One connection of our side with a peer that attacks so. */
async function attacked(where: string, side: Side, { of, options = {}, job }: Attack = {}) {
    const ours = side === "client" ? world.client : world.server
    const identity = identityOf(of ?? (side === "client" ? world.server : world.client))
    const peer =
        side === "client"
            ? new ServerAdversary({ identity, suite: 0x1303, request: true, ...options })
            : new ClientAdversary({ identity, suites: [0x1303], serverName: "localhost", ...options })
    if (peer instanceof ClientAdversary) peer.start()
    const jwk = ours.key.export({ format: "jwk" })
    const outcome = await within[where].run(
        {
            side,
            suites: [0x1303],
            key: Buffer.from(jwk.d!, "base64url"),
            chain: ours.chain.map(({ der }) => der),
            mutual: true,
            anchors: [world.root.der],
            crls: world.crls,
            crlRequired: true,
            nowSeconds: noon,
            role: side === "client" ? operator : muc,
            hostName: "localhost",
            recordLimit: 2048,
            octets: 64,
            sessions: "none",
            ...job,
        },
        echoing(peer),
    )
    return { outcome, peer }
}

const roleOf = (side: Side) => (side === "client" ? operator : muc)

/** A peer of our `side` that the authority has certified otherwise than usual. */
async function certified(side: Side, options: TestPartyOptions, role = roleOf(side)): Promise<Attack> {
    return { of: await tlsParty(await leafOf(world.authority, role, options), world.authority) }
}

async function issuedBy(side: Side, authority: TestParty): Promise<Attack> {
    return { of: await tlsParty(await leafOf(authority, roleOf(side)), authority) }
}

const damaged = (name: string): Misdeeds => ({
    change: (each, message) => {
        if (each === name) message[message.length - 1] ^= 1
        return message
    },
})

function swapped(at: number): Misdeeds {
    let kept: Buffer
    return {
        records: (record, i) => {
            if (i === at) kept = record
            return i === at ? [] : i === at + 1 ? [record, kept] : [record]
        },
    }
}

const besideTheCurve =
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f4"

/** What is wrong, the code it must end with, the alert (RFC 8446 clause 6), and how it is done. */
type Case = [string, Code, number, (side: Side) => Attack | Promise<Attack>]

const certificates: Case[] = [
    [
        "another anchor",
        Code.ChainIssuer,
        48,
        async side => issuedBy(side, await party({ name: "A", issuer: await party({ name: "Elsewhere" }), ca: true })),
    ],
    ["expired", Code.ChainExpired, 45, side => certified(side, { notAfter: date(2030) })],
    ["not yet valid", Code.ChainNotYetValid, 45, side => certified(side, { notBefore: date(2031) })],
    [
        "revoked",
        Code.ChainRevoked,
        44,
        async side => {
            const leaf = await leafOf(world.authority, roleOf(side))
            const crls = [world.crls[0], await crlOf(world.authority, [leaf])]
            return { of: await tlsParty(leaf, world.authority), job: { crls } }
        },
    ],
    [
        "its authority revoked",
        Code.ChainRevoked,
        44,
        async () => ({ job: { crls: [await crlOf(world.root, [world.authority]), world.crls[1]] } }),
    ],
    ["no revocation list", Code.CrlMissing, 46, () => ({ job: { crls: world.crls.slice(0, 1) } })],
    ["wrong role", Code.TlsRole, 49, side => certified(side, {}, 5)],
    ["no role", Code.TlsRole, 49, side => certified(side, { more: [hosts("localhost")] })],
    ["wrong key usage", Code.ChainKeyUsage, 43, side => certified(side, { usage: 16 })],
    [
        "self-signed",
        Code.ChainIssuer,
        48,
        async () => ({ of: await tlsParty(await party({ name: "localhost", ca: false })) }),
    ],
    [
        "truncated chain",
        Code.ChainIssuer,
        48,
        async side => ({ of: await tlsParty((side === "client" ? world.server : world.client).chain[0]) }),
    ],
    [
        "issued by a leaf",
        Code.ChainNotCa,
        42,
        async side => {
            const middle = await leafOf(world.authority, roleOf(side))
            return { of: await tlsParty(await leafOf(middle, roleOf(side)), middle, world.authority) }
        },
    ],
]

const conduct: Case[] = [
    [
        "bad CertificateVerify",
        Code.TlsSignature,
        51,
        () => ({ options: { sign: content => sign("sha256", content, foreign) } }),
    ],
    ["bad Finished", Code.TlsFinished, 51, () => ({ options: damaged("finished") })],
    ["TLS 1.2", Code.TlsVersion, 70, () => ({ options: without })],
    [
        "point beside the curve",
        Code.BadPublicKey,
        47,
        () => ({ options: { keyShare: Buffer.from(besideTheCurve, "hex") } }),
    ],
    [
        "replayed record",
        Code.TagMismatch,
        20,
        () => ({ options: { records: (record, i) => (i === 2 ? [record, record] : [record]) } }),
    ],
    ["reordered records", Code.TagMismatch, 20, () => ({ options: swapped(2) })],
    [
        "oversize record",
        Code.TlsOverflow,
        22,
        () => ({ options: { after: [(each: { say(octets: Buffer): void }) => each.say(Buffer.alloc(2048))] } }),
    ],
]

const without = { helloExtensions: (list: [number, Buffer][]) => list.filter(([type]) => type !== Ext.versions) }

const onlyClient: Case[] = [
    ["wrong host name", Code.TlsHostName, 42, () => ({ job: { hostName: "elsewhere" } })],
    [
        "TLS 1.2 of a server that knows TLS 1.3",
        Code.TlsIllegal,
        47,
        () => ({
            options: {
                ...without,
                change: (name, message) => {
                    if (name === "serverHello") Buffer.from("444f574e47524401", "hex").copy(message, 30)
                    return message
                },
            },
        }),
    ],
]

const onlyServer: Case[] = [
    ["wrong host name", Code.TlsUnknownName, 112, () => ({ options: { serverName: "elsewhere" } })],
    ["no certificate", Code.TlsCertificateRequired, 116, () => ({ options: { identity: undefined } })],
]

for (const where of ["Node", "VM"])
    for (const side of ["client", "server"] as const)
        describe(`TLS as a ${side} in ${where}`, () => {
            test("takes a peer with which all is well", async () => {
                const { outcome, peer } = await attacked(where, side)
                expect(outcome).toMatchObject({ code: 0, opened: true, peer: true, received: 64, closed: true })
                expect(peer.failure).toBeUndefined()
            })

            const cases = [...certificates, ...conduct, ...(side === "client" ? onlyClient : onlyServer)]
            test.each(cases)("refuses %s", async (_, code, alert, make) => {
                const { outcome, peer } = await attacked(where, side, await make(side))
                expect([Code[outcome.code], outcome.alertSent]).toEqual([Code[code], alert])
                expect(outcome).toMatchObject({ received: 0, closed: false })
                expect(peer.alerts.map(({ description }) => description)).toContain(alert)
            })
        })
