import { DerReader, ecdsaFromDer } from "../core/der"
import { ecdsaToDer } from "../core/der-write"
import { Code } from "../core/errors"
import { cut, numberBE, sameOctets, tidy } from "../core/octets"
import { platform } from "../core/platform"
import { type Certificate, parseCertificate } from "../core/x509"
import { refuse } from "./alerts"
import type { PeerTrust, Suite, TlsConfig, TlsIdentity } from "./config"
import { TlsConnection } from "./connection"
import { Extensions, misplaced, TlsReader } from "./reader"
import { finishedMac, KeySchedule, Traffic, zeros } from "./schedule"
import { handshake, vector } from "./writer"

/** Most certificates of a peer's chain. */
const mostCertificates = 6
/** Octets of one of them. */
const longestCertificate = 2048

/** Longest piece of a ClientHello in a transcript. */
const pieceLength = 512

/** What CertificateVerify signs before the transcript's hash (RFC 8446 4.4.3): 64 spaces, then who signs. */
const spaces = hex`
    2020202020202020202020202020202020202020202020202020202020202020
    2020202020202020202020202020202020202020202020202020202020202020`
/** "TLS 1.3, client CertificateVerify" and an octet 00. */
const clientSigns = hex`544c5320312e332c20636c69656e7420436572746966696361746556657269667900`
/** The same with "server". */
const serverSigns = hex`544c5320312e332c2073657276657220436572746966696361746556657269667900`

/** The random of a ServerHello that is a HelloRetryRequest (RFC 8446 4.1.3). */
export const retryRandom = hex`cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c`

/** ecdsa_secp256r1_sha256 and secp256r1. */
export const ecdsaScheme = 0x0403
export const p256Group = 0x0017

/** What both sides of a handshake do alike. `take…` reads a message of the peer, `say…` adds one to the flight. */
export abstract class Handshake extends TlsConnection {
    /** Messages so far, in parts; SHA-256 is native but not incremental. */
    protected transcript: Buffer[] = []
    protected schedule: KeySchedule
    /** Which message is due; the numbers are a matter of the side. */
    protected step = 0
    /** Seconds since 1970 until which the judgement of the peer holds. */
    protected until = 0
    /** Traffic secret of the direction whose keys change later. */
    protected laterSecret = zeros
    private chosen: Suite
    private flight: Buffer[] = []

    constructor(
        config: TlsConfig,
        private readonly isServer: boolean,
    ) {
        super(config)
        this.schedule = new KeySchedule(zeros)
        this.chosen = config.suites[0]
    }

    forget(): void {
        this.schedule = new KeySchedule(zeros)
        this.laterSecret = zeros
        this.transcript = []
        this.flight = []
    }

    /** Transcript-Hash of the messages so far (RFC 8446 4.4.1). */
    protected hash(): Buffer {
        return platform().sha256(this.transcript)
    }

    /** The same with the first `length` octets of a ClientHello behind. */
    protected hashWith(message: Buffer, length: number): Buffer {
        const before = this.transcript.length
        this.keep(message, length)
        const hash = this.hash()
        while (this.transcript.length > before) this.transcript.pop()
        return hash
    }

    /** Adds a copy of the first `length` octets of a message to the transcript, in pieces that the heap has. */
    protected keep(message: Buffer, length: number): void {
        for (let at = 0; at < length; at += pieceLength)
            this.transcript.push(cut(message, at, Math.min(pieceLength, length - at)))
    }

    /** RFC 8446 4.4.1: in place of the first ClientHello stands its hash. */
    protected restartTranscript(): void {
        this.transcript = [hex`fe000020`, this.hash()]
    }

    protected say(parts: Buffer[]): void {
        tidy()
        for (let i = 0; i < parts.length; ++i) {
            this.transcript.push(parts[i])
            this.flight.push(parts[i])
        }
    }

    protected sendFlight(): void {
        // In pieces: one as long as the flight is not always to be had of the heap.
        const flight = this.flight
        this.flight = []
        let piece: Buffer[] = []
        let length = 0
        for (let i = 0; i < flight.length; ++i) {
            const part = flight[i]
            if (length > 0 && length + part.length >= this.sendLimit) {
                this.sendHandshake(piece)
                piece = []
                length = 0
            }
            piece.push(part)
            length += part.length
        }
        this.sendHandshake(piece)
    }

    /** The suite of this number, which must be one of ours. */
    protected choose(id: number): void {
        const suites = this.config.suites
        // RFC 8446 4.1.4: the same after a HelloRetryRequest
        if (this.suite > 0 && this.suite !== id) refuse(Code.TlsIllegal, "the same suite")
        this.suite = 0
        for (let i = 0; i < suites.length; ++i)
            if (suites[i].id === id) {
                this.chosen = suites[i]
                this.suite = id
            }
        if (this.suite === 0) refuse(Code.TlsIllegal, "a suite that was offered")
    }

    /** X of the point shared with the peer, whose KeyShareEntry.key_exchange this is (RFC 8446 4.2.8.2). */
    protected agree(share: Buffer): Buffer {
        if (share.length !== 65 || share[0] !== 4) refuse(Code.TlsIllegal, "an uncompressed point")
        return this.config.agreement.agree(cut(share, 1, 64))
    }

    /** Handshake keys for both directions, at the ServerHello. */
    protected startHandshakeKeys(shared: Buffer): void {
        this.schedule.advance(shared)
        shared.fillAt(0, shared.length, 0)
        const hash = this.hash()
        const client = this.traffic(this.schedule.derive("c hs traffic", hash))
        const server = this.traffic(this.schedule.derive("s hs traffic", hash))
        this.sends = this.isServer ? server : client
        this.receives = this.isServer ? client : server
    }

    /** At the server's Finished: the server's application keys; the client's come into force later. */
    protected startServerKeys(): void {
        this.schedule.advance(zeros)
        const hash = this.hash()
        this.laterSecret = this.schedule.derive("c ap traffic", hash)
        const server = this.traffic(this.schedule.derive("s ap traffic", hash))
        if (this.isServer) this.sends = server
        else this.receives = server
    }

    /** At the client's Finished; answers the resumption master secret. */
    protected startClientKeys(): Buffer {
        const client = this.traffic(this.laterSecret)
        if (this.isServer) this.receives = client
        else this.sends = client
        const secret = this.schedule.derive("res master", this.hash())
        this.forget()
        this.shaking = false
        this.complete = true
        return secret
    }

    private traffic(secret: Buffer): Traffic {
        return new Traffic(this.chosen, secret)
    }

    protected sayCertificates(chain: Buffer[]): void {
        let length = 0
        for (let i = 0; i < chain.length; ++i) length += chain[i].length + 5
        this.say([hex`0b`, numberBE(3, length + 4), hex`00`, numberBE(3, length)])
        for (let i = 0; i < chain.length; ++i) this.say([numberBE(3, chain[i].length), chain[i], hex`0000`])
    }

    protected takeCertificates(message: Buffer, trust: PeerTrust): void {
        const reader = new TlsReader(message)
        // RFC 8446 4.4.2: empty from a server, and from a client as our request has it
        if (reader.vector(1, 0).length > 0) refuse(Code.TlsIllegal, "no context")
        reader.enter(3, 0)
        this.transcript.push(cut(message, 0, reader.at))
        const chain: Certificate[] = []
        while (reader.more()) {
            const at = reader.at
            const der = reader.vector(3, 1)
            // We ask for no extension of a certificate
            const extensions = new Extensions(reader)
            if (extensions.next()) misplaced(extensions.type)
            if (chain.length >= mostCertificates) refuse(Code.ChainTooLong, "at most " + mostCertificates)
            // Reading and comparing them must stay within the step limit, whatever a stranger sends
            if (der.length > longestCertificate) refuse(Code.CertificateTooLong, "at most " + longestCertificate)
            // Certificates stay in memory once, for the transcript and for their judge
            this.transcript.push(cut(message, at, 3))
            this.transcript.push(der)
            this.transcript.push(hex`0000`)
            chain.push(parseCertificate(der))
            platform().yieldNow()
        }
        reader.leave(message.length)
        reader.leave(0)
        // RFC 8446 4.4.2.4: decode_error and certificate_required
        if (chain.length === 0) refuse(this.isServer ? Code.TlsCertificateRequired : Code.TlsDecode, "a certificate")
        this.until = trust.check(chain)
        this.peer = chain[0]
    }

    /** What a CertificateVerify signs, at this place of the transcript. */
    private signedDigest(byServer: boolean): Buffer {
        return platform().sha256([spaces, byServer ? serverSigns : clientSigns, this.hash()])
    }

    protected sayVerify(identity: TlsIdentity): void {
        const signature = ecdsaToDer(identity.sign(this.signedDigest(this.isServer)))
        this.say([handshake(15, [numberBE(2, ecdsaScheme), vector(2, [signature])])])
    }

    protected takeVerify(message: Buffer): void {
        const reader = new TlsReader(message)
        if (reader.number(2) !== ecdsaScheme) refuse(Code.TlsIllegal, "ecdsa_secp256r1_sha256")
        const at = reader.at + 2
        reader.vector(2, 1)
        reader.leave(0)
        const der = new DerReader(message, at, message.length)
        const peer = this.peer as Certificate
        let signature = zeros
        try {
            signature = ecdsaFromDer(der)
        } catch {}
        if (
            signature === zeros ||
            der.more() ||
            !platform().verifyP256(peer.publicKey, this.signedDigest(!this.isServer), signature)
        )
            refuse(Code.TlsSignature, "a signature that holds")
        this.transcript.push(message)
    }

    protected sayFinished(): void {
        this.say([handshake(20, [finishedMac((this.sends as Traffic).secret, this.hash())])])
    }

    protected takeFinished(message: Buffer): void {
        if (message.length !== 36) refuse(Code.TlsDecode, "32 octets")
        const mac = finishedMac((this.receives as Traffic).secret, this.hash())
        if (!sameOctets(mac, cut(message, 4, 32))) refuse(Code.TlsFinished, "a MAC that holds")
        this.transcript.push(message)
    }
}
