import type { KeyAgreement, KeyCustody, Uplink } from "../../hal/ports"
import type { Aead } from "../core/aead"
import { ChaCha20Poly1305 } from "../core/chacha20poly1305"
import { Code, fail, PlombError } from "../core/errors"
import { cut } from "../core/octets"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import { TlsClient } from "../tls/client"
import type { PeerTrust, Suite, TlsIdentity } from "../tls/config"
import { SessionMemory } from "../tls/sessions"
import type { Holdings } from "./holdings"
import { TrustSlot } from "./layout"
import type { Turn } from "./turns"

/**
 * Longest record, octets with its content type: one of the peer is held, sealed and plain, beside the application. OpenSSL, which does
 * not know RFC 8449, is asked for fragments of 2,048 (RFC 6066).
 */
const recordLimit = 2049
/** Longest handshake message taken: two certificates of 1 KB, and the root with them. Whoever sends it has proved nothing yet. */
const messageLimit = 4096
/** Octets sealed at a time: an answer of 4 KB is not held three times over. */
const pieceLength = 1024
/** TLS_CHACHA20_POLY1305_SHA256: the one that costs least code and time here. With AES-GCM the image does not fit. */
export const chachaSuite: Suite = { id: 0x1303, keyLength: 32, cipher: chacha }

function chacha(key: Buffer): Aead {
    return new ChaCha20Poly1305(key)
}

/** A handshake is over within this; key and signature of an element take 0.3 s, software keys on a slow board several. */
const handshakeMs = 30000

/**
 * The board's TCP connection under TLS 1.3 with certificates on both sides; an `Uplink` like the one it builds on. After
 * `connect` the peer is judged, and the judgement is looked at again with each `receive`: when its time is over the
 * connection ends with `CrlStale`. Throws what the TLS engine throws besides the codes of `Uplink`.
 */
export class SecureUplink implements Uplink, PeerTrust {
    /** Milliseconds at which the peer last sent something. */
    heardAt = 0
    private connection: TlsClient | undefined
    private untilSeconds = 0
    /** Sessions, good for as long as nothing new has come to judge by. */
    private readonly sessions = new SessionMemory(1)
    private version = 0

    constructor(
        private readonly transport: Uplink,
        private readonly holdings: Holdings,
        private readonly custody: KeyCustody,
        private readonly agreement: KeyAgreement,
        private readonly trust: PeerTrust,
        /** Where the heap is shared with somebody else: ours from a handshake on but while octets are waited for. */
        private readonly turn?: Turn,
    ) {}

    /** Was the last handshake a resumption: without certificate and signature? */
    resumed(): boolean {
        return this.connection !== undefined && this.connection.resumed
    }

    /** Has something come or gone since the peer was judged? */
    outdated(): boolean {
        return this.version !== this.holdings.version
    }

    nowSeconds(): number {
        return this.trust.nowSeconds()
    }

    /** What the connection asks: the judgement, remembered for as long as the connection lives. */
    check(chain: Certificate[]): number {
        this.untilSeconds = this.trust.check(chain)
        return this.untilSeconds
    }

    connect(host: string, port: number, timeoutMs: number): void {
        // Without clock and identity no octet is sent.
        this.nowSeconds()
        if (this.outdated()) {
            this.version = this.holdings.version
            this.sessions.clear()
        }
        const connection = new TlsClient({
            hostName: host,
            sessionKey: host + ":" + port,
            identity: identityOf(this.holdings, this.custody),
            agreement: this.agreement,
            suites: [chachaSuite],
            trust: this,
            sessions: this.sessions,
            recordLimit,
            sendLimit: pieceLength + 1,
            messageLimit,
        })
        this.enter()
        this.agreement.prepare()
        this.leave()
        this.transport.connect(host, port, timeoutMs)
        this.connection = connection
        this.enter()
        try {
            const from = platform().millis()
            connection.start()
            this.flush(connection)
            while (!connection.isOpen()) {
                const left = handshakeMs - (platform().millis() - from)
                const octets = left > 0 ? this.transport.receive(left) : undefined
                if (octets === undefined) fail(Code.LinkTimeout, -1, "the end of a handshake", "none")
                this.take(connection, octets)
            }
        } catch (e: any) {
            this.close()
            throw e
        }
    }

    send(octets: Buffer): void {
        const connection = this.connection
        if (!connection) fail(Code.LinkLost, -1, "an open connection", "none")
        for (let at = 0; at < octets.length; at += pieceLength) {
            connection.write(cut(octets, at, Math.min(pieceLength, octets.length - at)))
            this.flush(connection)
        }
    }

    receive(timeoutMs: number): Buffer | undefined | null {
        const from = platform().millis()
        for (;;) {
            const connection = this.connection
            if (!connection) return null
            const plain = connection.read()
            if (plain) return plain
            if (connection.isClosed()) return null
            // A judgement whose time is over is none: of a certificate, or of the lists it was made with.
            if (this.nowSeconds() > this.untilSeconds) {
                this.close()
                fail(Code.CrlStale, -1, "a peer that is proved until now", "until " + this.untilSeconds)
            }
            // While the peer has other things to do: in place of the key that this connection was made with.
            this.agreement.prepare()
            const left = timeoutMs - (platform().millis() - from)
            this.leave()
            const octets = left > 0 ? this.transport.receive(left) : undefined
            this.enter()
            if (octets === undefined) return undefined
            this.take(connection, octets)
        }
    }

    private enter(): void {
        if (this.turn) this.turn.enter()
    }

    private leave(): void {
        if (this.turn) this.turn.leave()
    }

    /** Says goodbye where that is still possible. */
    close(): void {
        const connection = this.connection
        this.connection = undefined
        if (connection) {
            try {
                connection.close()
                this.flush(connection)
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
            }
        }
        this.transport.close()
        this.leave()
    }

    /** Hands octets to the engine; `null` is the end of the transport. What the engine has to say is sent also where it throws. */
    private take(connection: TlsClient, octets: Buffer | null): void {
        try {
            if (octets === null) connection.end()
            else {
                this.heardAt = platform().millis()
                connection.feed(octets)
            }
        } catch (e: any) {
            this.close()
            throw e
        }
        this.flush(connection)
    }

    private flush(connection: TlsClient): void {
        const parts = connection.output()
        for (let i = 0; i < parts.length; ++i) this.transport.send(parts[i])
    }
}

/** Our certificate and the manufacturer's, and the key's holder. */
export function identityOf(holdings: Holdings, custody: KeyCustody): TlsIdentity {
    const leaf = holdings.trust.read(TrustSlot.Muc)
    const issuer = holdings.trust.read(TrustSlot.Manufacturer)
    if (!leaf || !issuer) fail(Code.CertificateMissing, -1, "a certificate of this MUC", "none")
    return { chain: [leaf, issuer], sign: digest => custody.sign(digest) }
}
