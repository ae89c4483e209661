import { randomBytes, type X509Certificate } from "node:crypto"
import { Adversary, type AdversaryIdentity, extensions, type Misdeeds, type Step } from "./adversary.ts"
import {
    Ext,
    ecdsaSecp256r1Sha256,
    extensionsOf,
    handshake,
    octets,
    Reader,
    retryRandom,
    secp256r1,
    Type,
    uint,
    vector,
} from "./codec.ts"
import { chacha, finishedMac, gcm, hashOf, Protection, resumptionPsk, Schedule } from "./schedule.ts"

/** A ticket, and what is to be done with it. */
export interface ClientSession {
    ticket: Buffer
    psk: Buffer
    suite: number
    lifetime: number
    ageAdd: number
    nonce: Buffer
    extensions: Map<number, Buffer>
}

export interface ClientOptions extends Misdeeds {
    identity?: AdversaryIdentity
    suites?: number[]
    /** Of supported_groups; the key share is on secp256r1. */
    groups?: number[]
    /** Whether the first hello has a key share at all; without, the server must ask for one. */
    share?: boolean
    serverName?: string
    recordSizeLimit?: number
    /** Code 1 to 4 of RFC 6066 clause 4. */
    maxFragmentLength?: number
    session?: ClientSession
    /** Of psk_key_exchange_modes; 0 = PSK alone, 1 = with (EC)DHE. */
    pskModes?: number[]
    /** Offer early data and send this. */
    early?: Buffer
    legacyVersion?: number
    sessionId?: Buffer
    compression?: Buffer
    /** The binder, otherwise than right. */
    binder?(right: Buffer): Buffer
    /** Extensions of the hello; a PSK follows after them. */
    helloExtensions?(list: [number, Buffer][]): [number, Buffer][]
    /** What comes before the hello. */
    before?: Step<ClientAdversary>[]
    /** The flight after the server's Finished. */
    flight?(steps: string[]): Step<ClientAdversary>[]
    after?: Step<ClientAdversary>[]
}

/** A TLS 1.3 client. */
export class ClientAdversary extends Adversary {
    readonly sessions: ClientSession[] = []
    serverLeaf: X509Certificate | undefined
    serverHello = new Map<number, Buffer>()
    encryptedExtensions = new Map<number, Buffer>()
    /** The server asked for a certificate. */
    asked = false
    retried = false
    suite = 0
    private verified = false
    private sawExtensions = false
    private cookie: Buffer | undefined
    private secrets: [Buffer, Buffer] | undefined
    private firstExtensions: [number, Buffer][] = []
    private random = randomBytes(32)

    constructor(readonly options: ClientOptions) {
        super(options, options.identity)
    }

    /** Begins. */
    start(): void {
        this.run(this.options.before ?? [])
        this.sendHello()
    }

    run(steps: Step<ClientAdversary>[]): void {
        for (const step of steps)
            if (typeof step === "string") this.step(step)
            else step(this)
    }

    private offeredSuites(): number[] {
        return this.options.suites ?? [chacha, gcm]
    }

    private sendHello(): void {
        const { options } = this
        const share = octets(uint(2, secp256r1), vector(2, this.keyShare()))
        const list: [number, Buffer][] = [
            [Ext.versions, vector(1, "0304")],
            [Ext.groups, vector(2, ...(options.groups ?? [secp256r1]).map(each => uint(2, each)))],
            [Ext.signatureAlgorithms, vector(2, uint(2, ecdsaSecp256r1Sha256))],
            [Ext.keyShare, vector(2, ...(options.share === false && !this.retried ? [] : [share]))],
        ]
        const { serverName, recordSizeLimit, maxFragmentLength, session } = options
        if (serverName) list.push([Ext.serverName, vector(2, "00", vector(2, Buffer.from(serverName)))])
        if (recordSizeLimit) list.push([Ext.recordSizeLimit, uint(2, recordSizeLimit)])
        if (maxFragmentLength) list.push([Ext.maxFragmentLength, uint(1, maxFragmentLength)])
        if (this.cookie) list.push([Ext.cookie, vector(2, this.cookie)])
        if (options.pskModes ?? session)
            list.push([Ext.pskModes, vector(1, ...(options.pskModes ?? [1]).map(each => uint(1, each)))])
        if (options.early) list.push([Ext.earlyData, Buffer.alloc(0)])
        this.firstExtensions = options.helloExtensions?.(list) ?? list
        const message = this.hello(this.firstExtensions, session)
        this.send("clientHello", message)
        if (options.early && session && !this.retried) {
            this.settle()
            this.write = new Protection(session.suite, new Schedule(session.psk).earlyTraffic(hashOf(message)))
            this.say(options.early)
            this.write = undefined
        }
    }

    private hello(list: [number, Buffer][], session: ClientSession | undefined): Buffer {
        const { options } = this
        const make = (binder: Buffer) => {
            const psk: [number, Buffer][] = session
                ? [
                      [
                          Ext.preSharedKey,
                          octets(
                              vector(2, vector(2, session.ticket), uint(4, (session.ageAdd + 1000) % 2 ** 32)),
                              vector(2, vector(1, binder)),
                          ),
                      ],
                  ]
                : []
            return handshake(
                Type.clientHello,
                uint(2, options.legacyVersion ?? 0x0303),
                this.random,
                vector(1, options.sessionId ?? Buffer.alloc(32, 7)),
                vector(2, ...this.offeredSuites().map(each => uint(2, each))),
                vector(1, options.compression ?? Buffer.of(0)),
                extensions([...list, ...psk]),
            )
        }
        const placeholder = make(Buffer.alloc(32))
        if (!session) return placeholder
        const partial = hashOf(...this.transcript, placeholder.subarray(0, placeholder.length - 35))
        const right = finishedMac(new Schedule(session.psk).binderKey(), partial)
        return make(options.binder?.(right) ?? right)
    }

    protected override onHandshake(type: number, body: Buffer, message: Buffer): void {
        if (type === Type.serverHello && !this.secrets) this.onServerHello(body, message)
        else if (type === Type.encryptedExtensions && this.secrets && !this.sawExtensions) {
            this.sawExtensions = true
            const reader = new Reader(body)
            this.encryptedExtensions = extensionsOf(reader.vector(2))
            reader.end()
            this.transcript.push(message)
        } else if (type === Type.certificateRequest && this.sawExtensions && !this.serverLeaf && !this.resumed) {
            this.asked = true
            const reader = new Reader(body)
            if (reader.vector(1).length > 0) throw new Error("a context in CertificateRequest")
            if (!extensionsOf(reader.vector(2)).has(Ext.signatureAlgorithms))
                throw new Error("CertificateRequest without signature_algorithms")
            reader.end()
            this.transcript.push(message)
        } else if (type === Type.certificate && this.sawExtensions && !this.serverLeaf && !this.resumed) {
            this.serverLeaf = this.readCertificate(body)
            if (!this.serverLeaf) throw new Error("a server without certificate")
            this.transcript.push(message)
        } else if (type === Type.certificateVerify && this.serverLeaf && !this.verified) {
            this.checkCertificateVerify("server", body, this.serverLeaf)
            this.verified = true
            this.transcript.push(message)
        } else if (type === Type.finished && this.sawExtensions && !this.complete) this.onFinished(body, message)
        else if (type === Type.newSessionTicket && this.complete) this.onTicket(body)
        else throw new Error(`handshake message ${type} out of place`)
    }

    private onServerHello(body: Buffer, message: Buffer): void {
        const reader = new Reader(body)
        if (reader.uint(2) !== 0x0303) throw new Error("legacy_version of ServerHello")
        const random = reader.take(32)
        if (!reader.vector(1).equals(this.options.sessionId ?? Buffer.alloc(32, 7)))
            throw new Error("legacy_session_id_echo")
        this.suite = reader.uint(2)
        if (!this.offeredSuites().includes(this.suite)) throw new Error(`suite ${this.suite} was not offered`)
        if (reader.uint(1) !== 0) throw new Error("legacy_compression_method of ServerHello")
        this.serverHello = extensionsOf(reader.vector(2))
        reader.end()
        if (!this.serverHello.get(Ext.versions)?.equals(octets("0304"))) throw new Error("not TLS 1.3")
        if (random.equals(retryRandom)) {
            if (this.retried) throw new Error("a second HelloRetryRequest")
            this.retried = true
            const cookie = this.serverHello.get(Ext.cookie)
            if (cookie) this.cookie = new Reader(cookie).vector(2)
            if (!this.serverHello.get(Ext.keyShare)?.equals(uint(2, secp256r1)))
                throw new Error("HelloRetryRequest without the group")
            this.transcript = [handshake(Type.messageHash, hashOf(...this.transcript)), message]
            this.sendHello()
            return
        }
        const share = new Reader(this.serverHello.get(Ext.keyShare) ?? Buffer.alloc(0))
        if (share.uint(2) !== secp256r1) throw new Error("a key share of another group")
        const point = share.vector(2)
        const psk = this.serverHello.get(Ext.preSharedKey)
        this.resumed = psk !== undefined
        if (psk && (!this.options.session || psk.readUInt16BE(0) !== 0)) throw new Error("a PSK nobody offered")
        this.schedule = new Schedule(this.resumed ? this.options.session?.psk : undefined)
        this.schedule.agree(this.ecdh.computeSecret(point))
        this.transcript.push(message)
        this.settle()
        const hash = this.hash()
        this.secrets = [this.schedule.handshake("c", hash), this.schedule.handshake("s", hash)]
        this.read = new Protection(this.suite, this.secrets[1])
        this.plain(20, Buffer.of(1))
        this.write = new Protection(this.suite, this.secrets[0])
    }

    private onFinished(body: Buffer, message: Buffer): void {
        if (!this.resumed && !this.verified) throw new Error("no CertificateVerify")
        if (!body.equals(finishedMac(this.secrets![1], this.hash())))
            throw new Error("the server's Finished does not hold")
        this.transcript.push(message)
        this.schedule.finish()
        const hash = this.hash()
        this.read = new Protection(this.suite, this.schedule.application("s", hash))
        const flight: string[] = []
        if (this.asked) flight.push("certificate")
        if (this.asked && this.identity) flight.push("certificateVerify")
        flight.push("finished")
        this.run(this.options.flight?.(flight) ?? flight)
        this.settle()
        this.write = new Protection(this.suite, this.schedule.application("c", hash))
        this.complete = true
        this.run(this.options.after ?? [])
    }

    /** Does one of the usual steps. */
    step(name: string): void {
        if (name === "certificate") this.sendCertificate(Buffer.alloc(0))
        else if (name === "certificateVerify") this.sendCertificateVerify("client")
        else if (name === "finished")
            this.send(name, handshake(Type.finished, finishedMac(this.secrets![0], this.hash())))
        else throw new Error(`no step ${name}`)
    }

    private onTicket(body: Buffer): void {
        const reader = new Reader(body)
        const [lifetime, ageAdd] = [reader.uint(4), reader.uint(4)]
        const [nonce, ticket] = [reader.vector(1), reader.vector(2)]
        const found = extensionsOf(reader.vector(2))
        reader.end()
        if (lifetime > 604_800) throw new Error("a ticket for more than seven days")
        if (ticket.length === 0) throw new Error("an empty ticket")
        const psk = resumptionPsk(this.schedule.resumption(this.hash()), nonce)
        this.sessions.push({ ticket, psk, suite: this.suite, lifetime, ageAdd, nonce, extensions: found })
    }
}
