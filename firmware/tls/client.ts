import { Code, fail } from "../core/errors"
import { hkdfExpandLabel } from "../core/hkdf"
import { cut, join, numberBE, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import { refuse } from "./alerts"
import type { PeerTrust, TlsConfig, TlsIdentity } from "./config"
import { ecdsaScheme, Handshake, p256Group, retryRandom } from "./handshake"
import { addressOf, namesHost } from "./host-name"
import { Extensions, isKnown, misplaced, TlsReader } from "./reader"
import { KeySchedule, zeros } from "./schedule"
import type { Session, SessionCache } from "./sessions"
import { extension, handshake, vector } from "./writer"

/** What a client is told. */
export interface TlsClientConfig extends TlsConfig {
    /** Server name indication, and the name or IPv4 address the server's certificate must carry; "" = neither. */
    hostName: string
    /** For a server that asks for a certificate. */
    identity?: TlsIdentity
    trust: PeerTrust
    sessions?: SessionCache
    /** The peer as the session cache knows it, "host:port"; `hostName` unless told. */
    sessionKey?: string
}

/** Messages that are due: `step` of the handshake; the type of the message fits below. */
const dueServerHello = 0x100
const dueEncryptedExtensions = 0x200
const dueCertificateRequest = 0x300
const dueCertificate = 0x400
const dueCertificateVerify = 0x500
const dueFinished = 0x600
const dueTickets = 0x700

/** Longest ticket that is kept. */
const longestTicket = 2048
/** RFC 8446 4.6.1: seven days. */
const longestLife = 604_800

/** A client; `start` queues its ClientHello. */
export class TlsClient extends Handshake {
    private readonly random: Buffer
    private share: Buffer = zeros
    private cookie: Buffer | undefined
    private retried = false
    private session: Session | undefined
    /** The server asked for a certificate, and understands our signature. */
    private asked = false
    private understood = false
    /** Of max_fragment_length, 0 where it is not offered. */
    private fragmentCode = 4
    private resumption = zeros

    constructor(private readonly settings: TlsClientConfig) {
        super(settings, false)
        this.random = platform().randomOctets(32)
        // RFC 6066 clause 4: 256 * 2^code octets without the content type
        const limit = settings.recordLimit
        while (this.fragmentCode > 0 && 256 << this.fragmentCode >= limit) this.fragmentCode--
        if (limit > 16384) this.fragmentCode = 0
    }

    /** Queues the ClientHello; throws what the key agreement throws. */
    start(): void {
        try {
            const sessions = this.settings.sessions
            const session = sessions && sessions.take(this.sessionKey())
            if (session && this.settings.trust.nowSeconds() <= session.untilSeconds) this.session = session
            this.share = this.settings.agreement.begin()
            this.sayHello()
        } catch (error) {
            this.die(error)
            throw error
        }
    }

    private sessionKey(): string {
        return this.settings.sessionKey || this.settings.hostName
    }

    private sayHello(): void {
        const settings = this.settings
        const name = settings.hostName
        const session = this.session
        const suites: Buffer[] = []
        for (let i = 0; i < settings.suites.length; ++i) suites.push(numberBE(2, settings.suites[i].id))
        // supported_groups, signature_algorithms, supported_versions, key_share
        const extensions: Buffer[] = [
            hex`000a0004 0002 0017  000d0004 0002 0403  002b0003 02 0304  00330047 0045 0017 0041 04`,
            this.share,
            extension(28, [numberBE(2, settings.recordLimit)]),
        ]
        if (this.fragmentCode > 0) extensions.push(extension(1, [numberBE(1, this.fragmentCode)]))
        // RFC 6066 clause 3: no addresses
        if (name !== "" && !addressOf(name))
            extensions.push(extension(0, [vector(2, [hex`00`, vector(2, [Buffer.from(name)])])]))
        if (this.cookie) extensions.push(extension(44, [vector(2, [this.cookie])]))
        // psk_key_exchange_modes: psk_dhe_ke
        if (settings.sessions) extensions.push(hex`002d0002 01 01`)
        if (session) {
            const age = platform().millis() - session.cameAtMillis + session.ageAdd
            const identity = join([vector(2, [session.ticket]), numberBE(4, age)])
            // RFC 8446 4.2.11: the last of all, with its binder at the very end
            extensions.push(extension(41, [vector(2, [identity]), hex`0021 20`, zeros]))
        }
        const hello = handshake(1, [
            hex`0303`,
            this.random,
            hex`00`,
            vector(2, suites),
            hex`0100`,
            vector(2, extensions),
        ])
        if (session) {
            this.schedule = new KeySchedule(session.psk)
            const size = hello.length - 35
            const hash = this.hashWith(hello, size)
            hello.blitAt(size + 3, this.schedule.binder(hash), 0, 32)
        }
        this.say([hello])
        this.sendFlight()
        this.shaking = true
        this.step = dueServerHello
    }

    take(message: Buffer): void {
        switch (this.step + message[0]) {
            case dueServerHello + 2:
                this.takeServerHello(message)
                break
            case dueEncryptedExtensions + 8:
                this.takeEncryptedExtensions(message)
                break
            case dueCertificateRequest + 13:
                this.takeCertificateRequest(message)
                break
            case dueCertificateRequest + 11:
            case dueCertificate + 11: {
                this.takeCertificates(message, this.settings.trust)
                const name = this.settings.hostName
                if (name !== "" && !namesHost(this.peer as Certificate, name)) refuse(Code.TlsHostName, name)
                this.step = dueCertificateVerify
                break
            }
            case dueCertificateVerify + 15:
                this.takeVerify(message)
                this.step = dueFinished
                break
            case dueFinished + 20:
                this.finish(message)
                break
            case dueTickets + 4:
                this.takeTicket(message)
                break
            default:
                fail(Code.TlsUnexpected, -1, "another message", "message " + message[0])
        }
    }

    private takeServerHello(message: Buffer): void {
        const reader = new TlsReader(message)
        reader.number(2)
        const random = reader.take(32)
        const retry = sameOctets(random, retryRandom)
        const echo = reader.vector(1, 0)
        const suite = reader.number(2)
        const compression = reader.number(1)
        let version = 0
        let group = 0
        let share: Buffer | undefined
        let identity = -1
        let foreign = -1
        if (reader.more()) {
            const extensions = new Extensions(reader)
            while (extensions.next()) {
                const type = extensions.type
                if (type === 43) version = reader.number(2)
                else if (type === 51) {
                    group = reader.number(2)
                    if (!retry) share = reader.vector(2, 1)
                } else if (type === 41 && !retry) identity = reader.number(2)
                else if (type === 44 && retry) this.cookie = reader.vector(2, 1)
                else {
                    foreign = type
                    extensions.pass()
                }
            }
        }
        reader.leave(0)
        if (version === 0) {
            // RFC 8446 4.1.3: a server that knows better says in its random that it answers with an older version
            const sentinel = sameOctets(cut(random, 24, 7), hex`444f574e475244`)
            refuse(sentinel ? Code.TlsIllegal : Code.TlsVersion, "TLS 1.3")
        }
        if (foreign >= 0) misplaced(foreign)
        if (version !== 0x0304 || echo.length > 0 || compression !== 0)
            refuse(Code.TlsIllegal, "version, session and compression as offered")
        this.choose(suite)
        if (retry) {
            // RFC 8446 4.1.4: not twice, and not without a change; the only group we know came with the first hello
            if (this.retried) refuse(Code.TlsUnexpected, "no second retry")
            if (group > 0 || !this.cookie) refuse(Code.TlsIllegal, "a cookie")
            this.retried = true
            this.restartTranscript()
            this.transcript.push(message)
            this.sayHello()
            return
        }
        const session = this.session
        if (identity >= 0 && !session) refuse(Code.TlsUnsupportedExtension, "no session, as none was offered")
        if (identity > 0) refuse(Code.TlsIllegal, "the session that was offered")
        if (!share) refuse(identity < 0 ? Code.TlsMissingExtension : Code.TlsIllegal, "a key share")
        else {
            if (group !== p256Group) refuse(Code.TlsIllegal, "secp256r1")
            this.transcript.push(message)
            if (session && identity === 0) {
                this.resumed = true
                this.peer = session.peer
                this.until = session.untilSeconds
            } else this.schedule = new KeySchedule(zeros)
            if (!this.resumed) this.session = undefined
            this.startHandshakeKeys(this.agree(share))
            this.step = dueEncryptedExtensions
        }
    }

    private takeEncryptedExtensions(message: Buffer): void {
        const reader = new TlsReader(message)
        const extensions = new Extensions(reader)
        let code = 0
        let limit = 0
        while (extensions.next()) {
            const type = extensions.type
            if (type === 28) {
                limit = reader.number(2)
                // RFC 8449 clause 4
                if (limit < 64 || limit > 16385) refuse(Code.TlsIllegal, "a record size limit of 64 to 16385")
            } else if (type === 1 && this.fragmentCode > 0) {
                code = reader.number(1)
                // RFC 6066 clause 4
                if (code !== this.fragmentCode) refuse(Code.TlsIllegal, "the fragment length that was offered")
                // supported_groups for another time
            } else if (type === 10) extensions.pass()
            // RFC 6066 clause 3: server_name is empty; whoever sent no name gets none
            else if (type !== 0 || this.settings.hostName === "") {
                // RFC 8446 4.2: server_name, max_fragment_length and early_data have their place here, but were not asked for
                if (type < 2 || type === 42) refuse(Code.TlsUnsupportedExtension, "extensions that were offered")
                misplaced(type)
            }
        }
        reader.leave(0)
        // RFC 8449 clause 5
        if (code > 0 && limit > 0) refuse(Code.TlsIllegal, "one limit")
        if (code > 0) limit = 1 + (256 << code)
        if (limit > 0) this.sendLimit = Math.min(this.sendLimit, limit)
        this.transcript.push(message)
        this.step = this.resumed ? dueFinished : dueCertificateRequest
    }

    private takeCertificateRequest(message: Buffer): void {
        const reader = new TlsReader(message)
        // RFC 8446 4.3.2: empty in a handshake
        if (reader.vector(1, 0).length > 0) refuse(Code.TlsIllegal, "no context")
        const extensions = new Extensions(reader)
        let named = false
        while (extensions.next()) {
            if (extensions.type === 13) {
                named = true
                this.understood = reader.lists(2, ecdsaScheme)
            } else if (isKnown(extensions.type)) misplaced(extensions.type)
            else extensions.pass()
        }
        reader.leave(0)
        if (!named) refuse(Code.TlsMissingExtension, "signature_algorithms")
        this.asked = true
        this.transcript.push(message)
        this.step = dueCertificate
    }

    private finish(message: Buffer): void {
        this.takeFinished(message)
        this.startServerKeys()
        const identity = this.settings.identity
        if (this.asked) {
            // RFC 8446 4.4.2.3: who has no certificate that suits says so
            const suits = identity && this.understood
            this.sayCertificates(suits ? identity.chain : [])
            if (suits) this.sayVerify(identity)
        }
        this.sayFinished()
        this.sendFlight()
        this.resumption = this.startClientKeys()
        this.step = dueTickets
        // A session that held may serve again: node:tls gives no new ticket for it
        const sessions = this.settings.sessions
        const session = this.session
        this.session = undefined
        if (sessions && session) sessions.keep(this.sessionKey(), session)
    }

    /** NewSessionTicket (RFC 8446 4.6.1). */
    private takeTicket(message: Buffer): void {
        const reader = new TlsReader(message)
        const life = Math.min(reader.number(4), longestLife)
        const ageAdd = reader.number(4)
        const nonce = reader.vector(1, 0)
        const ticket = reader.vector(2, 1)
        const extensions = new Extensions(reader)
        while (extensions.next()) extensions.pass()
        reader.leave(0)
        const sessions = this.settings.sessions
        if (!sessions || !this.peer || life === 0 || ticket.length > longestTicket) return
        sessions.keep(this.sessionKey(), {
            ticket,
            psk: hkdfExpandLabel(this.resumption, "resumption", nonce, 32),
            ageAdd,
            cameAtMillis: platform().millis(),
            untilSeconds: Math.min(this.settings.trust.nowSeconds() + life, this.until),
            peer: this.peer,
        })
    }
}
