import type { KeyObject } from "node:crypto"
import { verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { Code, fail } from "../../firmware/core/errors"
import { type Certificate, digitalSignature } from "../../firmware/core/x509"
import { readRole } from "../../firmware/core/x509-role"
import { TlsClient, type TlsClientConfig } from "../../firmware/tls/client"
import type { PeerTrust } from "../../firmware/tls/config"
import { TlsServer, type TlsServerConfig } from "../../firmware/tls/server"
import { chachaSuite, gcmSuite } from "../../firmware/tls/suites"
import type { Adversary, AdversaryIdentity } from "../../tools/adversary/adversary"
import { ClientAdversary, type ClientOptions } from "../../tools/adversary/client"
import { Ours } from "../../tools/adversary/ours"
import { pump } from "../../tools/adversary/pump"
import { ServerAdversary, type ServerOptions } from "../../tools/adversary/server"
import { NodeAgreement } from "../../tools/bench/tls-runner"
import { roleExtensionOf } from "../../tools/pki/role"
import { crlOf, noon, party, read, type TestParty, type TestPartyOptions } from "./certificates"
import { hosts, type TlsParty, tlsParty } from "./tls"

const operator = 4
const muc = 17

/** The rule for a peer: chain to the root with current lists of all issuers, and a role. */
class AttackTrust implements PeerTrust {
    constructor(
        private readonly anchors: Certificate[],
        private readonly crls: Buffer[],
        private readonly role: number,
        public now = noon,
    ) {}

    check(chain: Certificate[]): number {
        const crls = this.crls.map(each => parseCrl(each))
        verifyChain({
            chain,
            anchors: this.anchors,
            atSeconds: this.now,
            crls,
            crlRequired: true,
            keyUsage: digitalSignature,
            maxIntermediates: 2,
        })
        const role = readRole(chain[0])
        if (role?.role !== this.role) fail(Code.TlsRole, -1, `role ${this.role}`, `${role?.role}`)
        return this.now + 3600
    }

    nowSeconds(): number {
        return this.now
    }
}

/** A PKI, an operator that serves as localhost, a MUC that calls, and everything that is wrong with others. */
export class AttackWorld {
    private constructor(
        readonly root: TestParty,
        readonly authority: TestParty,
        readonly crls: Buffer[],
        readonly server: TlsParty,
        readonly client: TlsParty,
    ) {}

    static async make(): Promise<AttackWorld> {
        const root = await party({ name: "Root" })
        const authority = await party({ name: "Authority", issuer: root, ca: true })
        const server = await tlsParty(await leafOf(authority, operator), authority)
        const client = await tlsParty(await leafOf(authority, muc), authority)
        return new AttackWorld(root, authority, [await crlOf(root), await crlOf(authority)], server, client)
    }

    trust(role: number, crls = this.crls): AttackTrust {
        return new AttackTrust([read(this.root)], crls, role)
    }

    clientConfig(change: Partial<TlsClientConfig> = {}): TlsClientConfig {
        return {
            hostName: "localhost",
            identity: this.client.identity(),
            agreement: new NodeAgreement(),
            suites: [chachaSuite, gcmSuite],
            trust: this.trust(operator),
            recordLimit: 2048,
            ...change,
        }
    }

    serverConfig(change: Partial<TlsServerConfig> = {}): TlsServerConfig {
        return {
            hostName: "localhost",
            identity: this.server.identity(),
            agreement: new NodeAgreement(),
            suites: [chachaSuite, gcmSuite],
            trust: this.trust(muc),
            recordLimit: 2048,
            ...change,
        }
    }

    /** Our client calls an adversary. */
    call(options: Partial<ServerOptions> = {}, change: Partial<TlsClientConfig> = {}) {
        const ours = new Ours(new TlsClient(this.clientConfig(change)))
        const peer = new ServerAdversary({
            identity: identityOf(this.server),
            suite: chachaSuite.id,
            request: true,
            ...options,
        })
        ours.connection.start()
        pump(ours, peer)
        return { ours, peer, ...verdict(ours, peer) }
    }

    /** An adversary calls our server. */
    serve(options: ClientOptions = {}, change: Partial<TlsServerConfig> = {}) {
        const ours = new Ours(new TlsServer(this.serverConfig(change)))
        const peer = new ClientAdversary({ identity: identityOf(this.client), serverName: "localhost", ...options })
        peer.start()
        pump(ours, peer)
        return { ours, peer, ...verdict(ours, peer) }
    }
}

/** A leaf for a role, reached as localhost. */
export async function leafOf(issuer: TestParty, role: number, options: TestPartyOptions = {}): Promise<TestParty> {
    const rights = roleExtensionOf({ role, version: 1, rights: -1 })
    return party({ issuer, more: [hosts("localhost"), rights], ...options })
}

export function identityOf(of: TlsParty, key: KeyObject = of.key): AdversaryIdentity {
    return { key, chain: of.chain.map(each => each.der) }
}

/** What came of it: the code our side raised, and the alert it sent; `told`: the adversary could read that alert. */
export function verdict(ours: Ours, peer: Adversary) {
    const { connection, error } = ours
    const { alertSent } = connection
    return {
        code: error ? Code[error.code] : "none",
        alert: alertSent,
        told: peer.alerts.some(each => each.description === alertSent),
        open: connection.isOpen(),
    }
}
