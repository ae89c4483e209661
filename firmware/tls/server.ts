import { Code, fail } from "../core/errors"
import { hkdfExpandLabel } from "../core/hkdf"
import { cut, join, numberBE, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { parseCertificate } from "../core/x509"
import { refuse } from "./alerts"
import type { PeerTrust, TlsConfig, TlsIdentity } from "./config"
import { ecdsaScheme, Handshake, p256Group, retryRandom } from "./handshake"
import { Extensions, TlsReader } from "./reader"
import { KeySchedule, zeros } from "./schedule"
import type { TicketKeys } from "./tickets"
import { extension, handshake, vector } from "./writer"

/** What a server is told. */
export interface TlsServerConfig extends TlsConfig {
    identity: TlsIdentity
    /** Present: a certificate of the client is demanded. */
    trust?: PeerTrust
    /** Present: sessions can be resumed. */
    tickets?: TicketKeys
    /** Present: a client that asks for another name is refused. */
    hostName?: string
}

/** Messages that are due: `step` of the handshake; the type of the message fits below. */
const dueClientHello = 0
const dueCertificate = 0x100
const dueCertificateVerify = 0x200
const dueFinished = 0x300
const dueNothing = 0x400

/** Most tickets of a ClientHello that are looked at. */
const mostTickets = 4
/** RFC 8446 4.6.1: seven days. */
const longestLife = 604_800

/** What a ClientHello says; -1, 0, 1: not said, no, yes. */
class Hello {
    echo = zeros
    suite = 0
    version = 0
    groups = -1
    shares = -1
    schemes = -1
    /** The key share on secp256r1. */
    share: Buffer | undefined
    /** psk_dhe_ke is offered. */
    mayResume = -1
    limit = 0
    /** Where pre_shared_key stands, 0 where it does not. */
    pskAt = 0
}

/** A server of one connection; it waits for the ClientHello. */
export class TlsServer extends Handshake {
    private retried = false
    private mayResume = false

    constructor(private readonly settings: TlsServerConfig) {
        super(settings, true)
    }

    take(message: Buffer): void {
        switch (this.step + message[0]) {
            case dueClientHello + 1:
                this.takeHello(message)
                break
            case dueCertificate + 11:
                this.takeCertificates(message, this.settings.trust as PeerTrust)
                this.step = dueCertificateVerify
                break
            case dueCertificateVerify + 15:
                this.takeVerify(message)
                this.step = dueFinished
                break
            case dueFinished + 20:
                this.finish(message)
                break
            default:
                fail(Code.TlsUnexpected, -1, "another message", "message " + message[0])
        }
    }

    private takeHello(message: Buffer): void {
        const hello = this.readHello(message)
        this.shaking = true
        const resumable = hello.pskAt > 0 && hello.mayResume === 1
        // RFC 8446 9.2: what must be there together
        if (hello.groups < 0 || hello.shares < 0 || (hello.schemes < 0 && hello.pskAt === 0))
            refuse(Code.TlsMissingExtension, "supported_groups, key_share, signature_algorithms")
        if (hello.pskAt > 0 && hello.mayResume < 0) refuse(Code.TlsMissingExtension, "psk_key_exchange_modes")
        if (hello.suite === 0) refuse(Code.TlsNoCommon, "a suite that we know")
        if (hello.groups === 0) refuse(Code.TlsNoCommon, "secp256r1")
        this.choose(hello.suite)
        const share = hello.share
        if (!share) this.askAgain(message, hello)
        else {
            this.mayResume = hello.mayResume === 1
            const selected = hello.pskAt > 0 ? this.takePsk(message, hello.pskAt, resumable) : -1
            if (selected < 0 && hello.schemes !== 1) refuse(Code.TlsNoCommon, "ecdsa_secp256r1_sha256")
            this.keep(message, this.messageLength)
            this.answer(hello, share, selected)
        }
    }

    private readHello(message: Buffer): Hello {
        const hello = new Hello()
        const reader = new TlsReader(message)
        reader.end = this.messageLength
        // RFC 8446 D.5: nobody speaks SSL
        if (reader.number(2) <= 0x0300) refuse(Code.TlsVersion, "TLS 1.3")
        reader.take(32)
        hello.echo = reader.vector(1, 0)
        if (hello.echo.length > 32) refuse(Code.TlsDecode, "at most 32 octets")
        const suites = this.settings.suites
        const suitesAt = reader.at
        for (let i = suites.length - 1; i >= 0; --i) {
            reader.at = suitesAt
            if (reader.lists(2, suites[i].id)) hello.suite = suites[i].id
        }
        const compression = reader.vector(1, 1)
        if (reader.more()) this.readExtensions(hello, new Extensions(reader))
        reader.leave(0)
        if (hello.version === 0) refuse(Code.TlsVersion, "TLS 1.3")
        // RFC 8446 4.1.2
        if (compression.length !== 1 || compression[0] !== 0) refuse(Code.TlsIllegal, "no compression")
        return hello
    }

    private readExtensions(hello: Hello, extensions: Extensions): void {
        const reader = extensions.reader
        while (extensions.next()) {
            switch (extensions.type) {
                case 0:
                    this.readName(reader)
                    break
                case 10:
                    hello.groups = reader.lists(2, p256Group) ? 1 : 0
                    break
                case 13:
                    hello.schemes = reader.lists(2, ecdsaScheme) ? 1 : 0
                    break
                case 28:
                    hello.limit = reader.number(2)
                    // RFC 8449 clause 4
                    if (hello.limit < 64) refuse(Code.TlsIllegal, "a record size limit of 64 or more")
                    break
                case 41:
                    // RFC 8446 4.2.11: the last of all
                    if (reader.end !== extensions.listEnd) refuse(Code.TlsIllegal, "pre_shared_key at the end")
                    hello.pskAt = reader.at
                    extensions.pass()
                    break
                case 43:
                    if (reader.lists(1, 0x0304)) hello.version = 0x0304
                    break
                case 45: {
                    const modes = reader.vector(1, 1)
                    hello.mayResume = 0
                    for (let i = 0; i < modes.length; ++i) if (modes[i] === 1) hello.mayResume = 1
                    break
                }
                case 51: {
                    hello.shares = 0
                    const outer = reader.enter(2, 0)
                    while (reader.more()) {
                        const group = reader.number(2)
                        const share = reader.vector(2, 1)
                        if (group !== p256Group) {
                            // RFC 8446 4.2.8: after a HelloRetryRequest one share, of the group asked for
                            if (this.retried) refuse(Code.TlsIllegal, "a share of secp256r1")
                            continue
                        }
                        // RFC 8446 4.2.8: one share a group
                        if (hello.share) refuse(Code.TlsIllegal, "one share")
                        hello.share = share
                    }
                    reader.leave(outer)
                    break
                }
                default:
                    extensions.pass()
            }
        }
    }

    /** server_name (RFC 6066 clause 3). */
    private readName(reader: TlsReader): void {
        const outer = reader.enter(2, 4)
        const wanted = this.settings.hostName
        while (reader.more()) {
            const type = reader.number(1)
            const name = reader.vector(2, 1)
            if (type === 0 && wanted && name.toString("utf8").toLowerCase() !== wanted.toLowerCase())
                refuse(Code.TlsUnknownName, wanted)
        }
        reader.leave(outer)
    }

    /** HelloRetryRequest: a share of secp256r1, please. */
    private askAgain(message: Buffer, hello: Hello): void {
        if (this.retried) refuse(Code.TlsIllegal, "a share of secp256r1")
        this.retried = true
        this.keep(message, this.messageLength)
        this.restartTranscript()
        this.sayServerHello(retryRandom, hello, hex`00330002 0017`)
        if (hello.echo.length > 0) this.sendChangeCipherSpec()
    }

    private sayServerHello(random: Buffer, hello: Hello, extensions: Buffer): void {
        this.say([
            handshake(2, [
                hex`0303`,
                random,
                vector(1, [hello.echo]),
                numberBE(2, hello.suite),
                hex`00`,
                vector(2, [hex`002b0002 0304`, extensions]),
            ]),
        ])
        this.sendFlight()
    }

    /** pre_shared_key (RFC 8446 4.2.11): the index of the session that is resumed, or -1. */
    private takePsk(message: Buffer, pskAt: number, resumable: boolean): number {
        const reader = new TlsReader(message)
        reader.end = this.messageLength
        reader.at = pskAt
        const outer = reader.enter(2, 7)
        let selected = -1
        let count = 0
        let session: Buffer | undefined
        const tickets = this.settings.tickets
        for (; reader.more(); ++count) {
            const ticket = reader.vector(2, 1)
            reader.number(4)
            if (session || !tickets || !resumable || count >= mostTickets) continue
            session = this.sessionOf(tickets.open(ticket))
            if (session) selected = count
        }
        reader.leave(outer)
        const hash = this.hashWith(message, reader.at)
        const end = reader.enter(2, 33)
        let binder = zeros
        for (let i = 0; reader.more(); ++i) {
            const each = reader.vector(1, 32)
            if (i === selected) binder = each
            count--
        }
        reader.leave(end)
        if (count !== 0) refuse(Code.TlsIllegal, "as many binders as sessions")
        if (session) {
            this.schedule = new KeySchedule(cut(session, 6, 32))
            if (!sameOctets(this.schedule.binder(hash), binder)) refuse(Code.TlsBinder, "a binder that holds")
            this.resumed = true
            this.until = uintBE(session, 0, 6)
            if (session.length > 38) this.peer = parseCertificate(cut(session, 38, session.length - 38))
        }
        return selected
    }

    /** A ticket's content if it may be resumed: until U48, PSK 32, the client's certificate if it had to show one. */
    private sessionOf(ticket: Buffer | undefined): Buffer | undefined {
        if (!ticket || this.now() > uintBE(ticket, 0, 6)) return undefined
        return this.settings.trust && ticket.length === 38 ? undefined : ticket
    }

    /** Seconds since 1970, or since some moment where nobody knows the time. */
    private now(): number {
        const trust = this.settings.trust
        return trust ? trust.nowSeconds() : Math.floor(platform().millis() / 1000)
    }

    /** The server's flight. */
    private answer(hello: Hello, share: Buffer, selected: number): void {
        const settings = this.settings
        const own = settings.agreement.begin()
        const shared = this.agree(share)
        const extensions = [hex`00330045 0017 0041 04`, own]
        if (selected >= 0) extensions.push(extension(41, [numberBE(2, selected)]))
        this.sayServerHello(platform().randomOctets(32), hello, join(extensions))
        if (hello.echo.length > 0 && !this.retried) this.sendChangeCipherSpec()
        this.startHandshakeKeys(shared)
        let limit: Buffer[] = []
        if (hello.limit > 0) {
            this.sendLimit = Math.min(this.sendLimit, hello.limit)
            limit = [extension(28, [numberBE(2, settings.recordLimit)])]
        }
        this.say([handshake(8, [vector(2, limit)])])
        this.step = dueFinished
        if (selected < 0) {
            // CertificateRequest: no context, signature_algorithms
            if (settings.trust) {
                this.say([hex`0d00000b 00 0008 000d0004 0002 0403`])
                this.step = dueCertificate
            }
            this.sayCertificates(settings.identity.chain)
            this.sayVerify(settings.identity)
        }
        this.sayFinished()
        this.sendFlight()
        this.startServerKeys()
    }

    private finish(message: Buffer): void {
        this.takeFinished(message)
        const secret = this.startClientKeys()
        this.step = dueNothing
        const tickets = this.settings.tickets
        if (!tickets || !this.mayResume) return
        const now = this.now()
        if (!this.resumed && !this.settings.trust) this.until = now + longestLife
        const life = Math.min(this.until - now, longestLife)
        if (life <= 0) return
        const nonce = hex`00`
        const psk = hkdfExpandLabel(secret, "resumption", nonce, 32)
        const parts = [numberBE(6, now + life), psk]
        if (this.peer) parts.push(this.peer.der)
        const ticket = tickets.seal(join(parts))
        // NewSessionTicket (RFC 8446 4.6.1)
        this.sendHandshake([
            handshake(4, [
                numberBE(4, life),
                platform().randomOctets(4),
                vector(1, [nonce]),
                vector(2, [ticket]),
                hex`0000`,
            ]),
        ])
    }
}
