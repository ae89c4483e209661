import type { Certificate } from "../core/x509"

/** What resumes a session (RFC 8446 2.2, 4.6.1). Secret. */
export interface Session {
    ticket: Buffer
    /** 32 octets. */
    psk: Buffer
    ageAdd: number
    /** `Platform.millis` when the ticket came. */
    cameAtMillis: number
    /** Seconds since 1970 until which ticket and judgement of the peer's chain hold. */
    untilSeconds: number
    peer: Certificate
}

/**
 * A client's sessions, by the peer's "host:port". One is taken out for a connection and put back, or a newer one, when that holds:
 * what fails is not tried twice. (RFC 8446 C.4 would have a new ticket each time against tracking; our certificates name us anyway.)
 */
export interface SessionCache {
    take(peer: string): Session | undefined
    keep(peer: string, session: Session): void
}

/** Sessions in memory: the newest one of each of the last `most` peers. */
export class SessionMemory implements SessionCache {
    private peers: string[] = []
    private sessions: Session[] = []

    constructor(private readonly most = 2) {}

    take(peer: string): Session | undefined {
        const at = this.peers.indexOf(peer)
        if (at < 0) return undefined
        const session = this.sessions[at]
        this.peers = this.peers.filter((_, i) => i !== at)
        this.sessions = this.sessions.filter((_, i) => i !== at)
        return session
    }

    keep(peer: string, session: Session): void {
        this.take(peer)
        if (this.peers.length >= this.most) this.take(this.peers[0])
        this.peers.push(peer)
        this.sessions.push(session)
    }

    /** Forgets all: due when our certificate, the anchors or the revocation lists change. */
    clear(): void {
        this.peers = []
        this.sessions = []
    }
}
