import { randomBytes } from "node:crypto"
import { createServer, type Server, type TLSSocket } from "node:tls"
import type { Role } from "../../firmware/core/x509-role.ts"
import { type Peer, PeerRefused, PeerTrust } from "./peer.ts"
import { reasonOf } from "./reason.ts"
import { hashOf, type TlsSettings } from "./settings.ts"

/** TLS 1.3 as the devices speak it: their curve, their suites, their signature (RFC 8446 9.1 names the same curve and signature). */
export const tlsProfile = {
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    ciphers: "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    ecdhCurve: "prime256v1",
    sigalgs: "ecdsa_secp256r1_sha256",
} as const

/** A record of this much at most: an embedded peer holds a whole one in its heap. */
const recordOctets = 1024
const handshakeMs = 60_000
/** Session tickets are good for this long; their key is changed as often. */
const ticketSeconds = 12 * 3600
/** How often it is looked whether revocation lists have changed or a certificate has ended. */
const recheckMs = 5000

export interface TlsListenOptions {
    settings: TlsSettings
    /** Who may connect. */
    roles: readonly Role[]
    onPeer(socket: TLSSocket, peer: Peer): void
    log(line: string): void
    recheckMs?: number
    nowSeconds?: () => number
}

/**
 * A server of mutual TLS 1.3. Whoever gets through was judged by `PeerTrust` after the handshake, full or resumed, and
 * is judged again while connected whenever the lists change or a judgement ends: who is revoked is cut off.
 */
export class TlsListener {
    readonly server: Server
    private readonly trust: PeerTrust
    private readonly peers = new Map<TLSSocket, Peer>()
    private readonly timers: NodeJS.Timeout[]
    private listsHash: string

    constructor(private readonly options: TlsListenOptions) {
        const { settings } = options
        this.trust = new PeerTrust(settings, options.roles, options.nowSeconds)
        this.listsHash = hashOf(settings.crls())
        this.server = createServer({
            ...tlsProfile,
            key: settings.key,
            cert: settings.chain,
            ca: settings.ca,
            requestCert: true,
            rejectUnauthorized: true,
            handshakeTimeout: handshakeMs,
            sessionTimeout: ticketSeconds,
            ticketKeys: randomBytes(48),
        })
        this.server.on("secureConnection", socket => this.admit(socket))
        this.server.on("tlsClientError", (error, socket) => {
            options.log(`${addressOf(socket)}: no TLS connection: ${reasonOf(error)}`)
            socket.destroy()
        })
        this.timers = [
            setInterval(() => this.server.setTicketKeys(randomBytes(48)), ticketSeconds * 1000),
            setInterval(() => this.recheck(), options.recheckMs ?? recheckMs),
        ]
        for (const timer of this.timers) timer.unref()
    }

    /** Stops the timers and accepts no more; connections end elsewhere. */
    close(done: () => void): void {
        for (const timer of this.timers) clearInterval(timer)
        this.server.close(done)
    }

    private admit(socket: TLSSocket): void {
        socket.on("error", () => {})
        try {
            const peer = this.trust.judgeSocket(socket)
            this.peers.set(socket, peer)
            socket.on("close", () => this.peers.delete(socket))
            socket.setMaxSendFragment(recordOctets)
            this.options.onPeer(socket, peer)
        } catch (error) {
            this.cut(socket, error)
        }
    }

    private recheck(): void {
        const hash = hashOf(this.options.settings.crls())
        const changed = hash !== this.listsHash
        this.listsHash = hash
        if (changed) this.options.log("the revocation lists have changed")
        for (const [socket, { chain }] of this.peers)
            try {
                this.trust.judge(chain)
            } catch (error) {
                this.cut(socket, error)
            }
    }

    private cut(socket: TLSSocket, error: unknown): void {
        if (!(error instanceof PeerRefused)) throw error
        this.options.log(`${addressOf(socket)} turned away: ${error.message}`)
        socket.destroy()
    }
}

function addressOf(socket: { remoteAddress?: string; remotePort?: number }): string {
    return `${socket.remoteAddress}:${socket.remotePort}`
}
