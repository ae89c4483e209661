import { connect, type TLSSocket } from "node:tls"
import type { Role } from "../../firmware/core/x509-role.ts"
import { nameError, type Peer, PeerTrust } from "./peer.ts"
import { tlsProfile } from "./server.ts"
import type { TlsSettings } from "./settings.ts"

/** A client of mutual TLS 1.3 to one server, with the sessions that make its next connection cheap. */
export class TlsCaller {
    private readonly trust: PeerTrust
    private session: Buffer | undefined
    /** The chain of the last full handshake: resumed, this end sees no certificate. */
    private chain: Buffer[] = []

    /** `roles`: who may answer at `host`:`port`; `connectMs`: how long a connection may take to stand. */
    constructor(
        private readonly settings: TlsSettings,
        private readonly host: string,
        private readonly port: number,
        roles: readonly Role[],
        private readonly connectMs = 30_000,
    ) {
        this.trust = new PeerTrust(settings, roles)
    }

    /** A connection whose server was judged: name, chain, role, lists. Rejects with `PeerRefused` or the system's error. */
    connect(): Promise<{ socket: TLSSocket; peer: Peer; resumed: boolean }> {
        const { host, port, settings, session, connectMs } = this
        // A session that fails is not tried twice.
        this.session = undefined
        return new Promise((resolve, reject) => {
            const socket = connect({
                ...tlsProfile,
                host,
                port,
                key: settings.key,
                cert: settings.chain,
                ca: settings.ca,
                session,
                checkServerIdentity: (_, certificate) => nameError(host, certificate as never),
            })
            const fail = (error: Error) => {
                clearTimeout(timer)
                socket.destroy()
                reject(error)
            }
            const timer = setTimeout(() => fail(new Error(`no TLS connection within ${connectMs} ms`)), connectMs)
            socket.on("session", each => {
                this.session = each
            })
            socket.on("error", fail)
            socket.once("close", () => fail(new Error("the server hung up before the connection stood")))
            socket.once("secureConnect", () => {
                try {
                    const resumed = socket.isSessionReused()
                    const peer = resumed ? this.trust.judge(this.chain) : this.trust.judgeSocket(socket)
                    this.chain = peer.chain
                    clearTimeout(timer)
                    socket.setKeepAlive(true, 30_000)
                    socket.setNoDelay(true)
                    resolve({ socket, peer, resumed })
                } catch (error) {
                    fail(error as Error)
                }
            })
        })
    }

    /** Is the server still to be believed? Throws `PeerRefused` when its certificate was revoked or has ended. */
    recheck(peer: Peer): void {
        this.trust.judge(peer.chain)
    }
}
