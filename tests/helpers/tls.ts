import { createPrivateKey, type KeyObject } from "node:crypto"
import { once } from "node:events"
import type { connect as connectTcp } from "node:net"
import { verifyChain } from "../../firmware/core/chain"
import { ecdhP256, generateKeyP256, signP256 } from "../../firmware/core/ecdsa"
import type { Certificate } from "../../firmware/core/x509"
import { digitalSignature } from "../../firmware/core/x509"
import type { TlsClientConfig } from "../../firmware/tls/client"
import type { KeyAgreement, PeerTrust, TlsIdentity } from "../../firmware/tls/config"
import type { TlsConnection } from "../../firmware/tls/connection"
import type { TlsServerConfig } from "../../firmware/tls/server"
import { chachaSuite, gcmSuite } from "../../firmware/tls/suites"
import { x509 } from "../../tools/pki/x509.ts"
import { noon, party, read, type TestParty, type TestPartyOptions } from "./certificates"

/** ECDHE by the core's own arithmetic. */
export class TestAgreement implements KeyAgreement {
    private key: Buffer = Buffer.alloc(0)

    prepare(): void {}

    begin(): Buffer {
        const pair = generateKeyP256()
        this.key = pair.privateKey
        return pair.publicKey
    }

    agree(peer: Buffer): Buffer {
        return ecdhP256(this.key, peer)
    }
}

/** A party of a TLS connection; chain and key for our engine and for node:tls. */
export class TlsParty {
    constructor(
        readonly chain: TestParty[],
        readonly key: KeyObject,
    ) {}

    identity(): TlsIdentity {
        const secret = Buffer.from(this.key.export({ format: "jwk" }).d!, "base64url")
        return { chain: this.chain.map(each => each.der), sign: digest => signP256(secret, digest) }
    }

    get keyPem(): string {
        return this.key.export({ format: "pem", type: "pkcs8" }) as string
    }

    get chainPem(): string {
        return this.chain.map(each => each.certificate.toString("pem")).join("\n")
    }
}

/** `chain`: leaf first, the root left out. */
export async function tlsParty(...chain: TestParty[]): Promise<TlsParty> {
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", chain[0].keys.privateKey)
    return new TlsParty(chain, createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }))
}

/** subjectAltName with names and IPv4 addresses. */
export function hosts(...names: string[]): x509.Extension {
    return new x509.SubjectAlternativeNameExtension(
        names.map(value => ({ type: /^[0-9.]+$/.test(value) ? ("ip" as const) : ("dns" as const), value })),
    )
}

/** A root, an authority below it, a server of localhost and 127.0.0.1, and a client. Valid today and at `noon`. */
export async function tlsWorld(server: TestPartyOptions = {}) {
    const root = await party({ name: "Root" })
    const authority = await party({ name: "Authority", issuer: root, ca: true })
    const leaf = await party({ issuer: authority, more: [hosts("localhost", "127.0.0.1")], ...server })
    return {
        root,
        authority,
        server: await tlsParty(leaf, authority),
        client: await tlsParty(await party({ issuer: authority }), authority),
    }
}

/** Trust in a root; `judged` holds every chain that was to be judged. */
export class TestTrust implements PeerTrust {
    readonly judged: Certificate[][] = []
    now = noon

    constructor(readonly root: TestParty) {}

    check(chain: Certificate[]): number {
        this.judged.push(chain)
        verifyChain({ chain, anchors: [read(this.root)], atSeconds: this.now, keyUsage: digitalSignature })
        return this.now + 86_400
    }

    nowSeconds(): number {
        return this.now
    }
}

export type TlsWorld = Awaited<ReturnType<typeof tlsWorld>>

export function clientConfig(world: TlsWorld, more: Partial<TlsClientConfig> = {}): TlsClientConfig {
    return {
        hostName: "localhost",
        identity: world.client.identity(),
        agreement: new TestAgreement(),
        suites: [chachaSuite, gcmSuite],
        trust: new TestTrust(world.root),
        recordLimit: 1024,
        ...more,
    }
}

export function serverConfig(world: TlsWorld, more: Partial<TlsServerConfig> = {}): TlsServerConfig {
    return {
        identity: world.server.identity(),
        agreement: new TestAgreement(),
        suites: [chachaSuite, gcmSuite],
        trust: new TestTrust(world.root),
        recordLimit: 1024,
        ...more,
    }
}

/** What came of a connection over TCP. */
export interface Carried {
    received: Buffer
    error?: unknown
}

/**
 * Carries a connection of ours over a socket until it ends; `step` is called after each arrival. Resolves with all application
 * data and the error it died of.
 */
export async function carry(
    connection: TlsConnection,
    socket: ReturnType<typeof connectTcp>,
    step: (received: Buffer) => void = () => {},
): Promise<Carried> {
    let received = Buffer.alloc(0)
    let failure: unknown
    const flush = () => {
        for (const part of connection.output()) socket.write(Buffer.from(part))
    }
    socket.on("error", () => {})
    flush()
    socket.on("data", octets => {
        if (failure !== undefined) return
        try {
            connection.feed(octets as Buffer)
            for (let data = connection.read(); data; data = connection.read())
                received = Buffer.concat([received, data])
            step(received)
        } catch (error) {
            failure = error
        }
        flush()
        if (connection.isClosed() || failure !== undefined) socket.end()
    })
    await once(socket, "close")
    return { received, error: failure }
}

/** Moves octets between two connections until neither has any to send; `cut` is the most octets at a time. */
export function shuttle(a: TlsConnection, b: TlsConnection, cut = Number.POSITIVE_INFINITY): void {
    for (;;) {
        const fromA = Buffer.concat(a.output())
        const fromB = Buffer.concat(b.output())
        if (fromA.length + fromB.length === 0) return
        for (let at = 0; at < fromA.length && !b.isClosed(); at += cut) b.feed(fromA.subarray(at, at + cut))
        for (let at = 0; at < fromB.length && !a.isClosed(); at += cut) a.feed(fromB.subarray(at, at + cut))
    }
}

/** All application data that came. */
export function readAll(connection: TlsConnection): Buffer {
    const parts: Buffer[] = []
    for (let data = connection.read(); data; data = connection.read()) parts.push(data)
    return Buffer.concat(parts)
}
