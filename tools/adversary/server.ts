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
import { finishedMac, hashOf, Protection, resumptionPsk, Schedule } from "./schedule.ts"

/** What a server remembers of a session, under its ticket in hex. */
export type Sessions = Map<string, { psk: Buffer; suite: number }>

export interface ServerOptions extends Misdeeds {
    identity: AdversaryIdentity
    suite: number
    /** Demand a client certificate. */
    request?: boolean
    /** Gives tickets, and takes these. */
    sessions?: Sessions
    /** Answers the first hello with HelloRetryRequest and this cookie. */
    cookie?: Buffer
    /** The flight after ClientHello, otherwise than usual. */
    flight?(steps: string[]): Step<ServerAdversary>[]
    /** What comes after the client's Finished. */
    after?: Step<ServerAdversary>[]
    /** Extensions of the messages, otherwise than usual. */
    helloExtensions?(list: [number, Buffer][]): [number, Buffer][]
    encryptedExtensions?: [number, Buffer][]
    requestExtensions?: [number, Buffer][]
}

/** A TLS 1.3 server. */
export class ServerAdversary extends Adversary {
    /** The first and, after a retry, second ClientHello. */
    readonly hellos: Buffer[] = []
    hello = new Map<number, Buffer>()
    clientLeaf: X509Certificate | undefined
    /** The client answered the request for a certificate, if only with an empty list. */
    answered = false
    private verified = false
    private sessionId: Buffer = Buffer.alloc(0)
    private clientShare: Buffer | undefined
    private pskIndex = -1
    private handshakeSecrets: [Buffer, Buffer] | undefined
    private clientApplication: Buffer | undefined

    constructor(readonly options: ServerOptions) {
        super(options, options.identity)
    }

    /** Suites that the client offers. */
    suites: number[] = []

    protected override onHandshake(type: number, body: Buffer, message: Buffer): void {
        if (type === Type.clientHello && !this.handshakeSecrets) this.onHello(body, message)
        else if (type === Type.certificate && !this.answered && this.handshakeSecrets) {
            this.answered = true
            this.clientLeaf = this.readCertificate(body)
            this.transcript.push(message)
        } else if (type === Type.certificateVerify && this.clientLeaf && !this.verified) {
            this.checkCertificateVerify("client", body, this.clientLeaf)
            this.verified = true
            this.transcript.push(message)
        } else if (type === Type.finished && !this.complete) this.onFinished(body, message)
        else throw new Error(`handshake message ${type} out of place`)
    }

    private onHello(body: Buffer, message: Buffer): void {
        this.hellos.push(message)
        const reader = new Reader(body)
        if (reader.uint(2) !== 0x0303) throw new Error("legacy_version")
        reader.take(32)
        this.sessionId = reader.vector(1)
        const suites = new Reader(reader.vector(2))
        this.suites = []
        while (suites.more()) this.suites.push(suites.uint(2))
        if (!reader.vector(1).equals(Buffer.of(0))) throw new Error("legacy_compression_methods")
        this.hello = extensionsOf(reader.vector(2))
        reader.end()
        const order = [...this.hello.keys()]
        if (this.hello.has(Ext.preSharedKey) && order[order.length - 1] !== Ext.preSharedKey)
            throw new Error("pre_shared_key is not the last extension")
        if (this.options.cookie && this.hellos.length === 1) {
            this.retry(message)
            return
        }
        if (this.options.cookie) {
            const cookie = this.hello.get(Ext.cookie)
            if (!cookie || !new Reader(cookie).vector(2).equals(this.options.cookie))
                throw new Error("the cookie did not come back")
            if (!sameButFor(this.hellos[0], this.hellos[1])) throw new Error("the second hello is another one")
        }
        const shares = new Reader(new Reader(this.hello.get(Ext.keyShare)!).vector(2))
        while (shares.more()) {
            const group = shares.uint(2)
            const share = shares.vector(2)
            if (group === secp256r1) this.clientShare = share
        }
        if (!this.clientShare) throw new Error("no key share on secp256r1")
        const psk = this.findPsk(message)
        this.resumed = psk !== undefined
        this.schedule = new Schedule(psk)
        this.transcript.push(message)
        const flight = ["serverHello", "changeCipherSpec", "encryptedExtensions"]
        if (!this.resumed) {
            if (this.options.request) flight.push("certificateRequest")
            flight.push("certificate", "certificateVerify")
        }
        flight.push("finished")
        this.run(this.options.flight?.(flight) ?? flight)
    }

    private retry(first: Buffer): void {
        const message = handshake(
            Type.serverHello,
            "0303",
            retryRandom,
            vector(1, this.sessionId),
            uint(2, this.options.suite),
            "00",
            extensions(
                this.changed([
                    [Ext.versions, octets("0304")],
                    [Ext.cookie, vector(2, this.options.cookie!)],
                ]),
            ),
        )
        this.transcript.push(handshake(Type.messageHash, hashOf(first)))
        this.send("helloRetryRequest", message)
    }

    private changed(list: [number, Buffer][]): [number, Buffer][] {
        return this.options.helloExtensions?.(list) ?? list
    }

    /** The PSK of a ticket that we know and whose binder is right. */
    private findPsk(message: Buffer): Buffer | undefined {
        const offered = this.hello.get(Ext.preSharedKey)
        if (!offered || !this.options.sessions) return undefined
        const modes = this.hello.get(Ext.pskModes)
        if (!modes?.includes(1)) throw new Error("a PSK without psk_dhe_ke")
        const reader = new Reader(offered)
        const identities = new Reader(reader.vector(2))
        const bindersAt = message.length - (offered.length - reader.at)
        const binders = new Reader(reader.vector(2))
        reader.end()
        for (let index = 0; identities.more(); ++index) {
            const session = this.options.sessions.get(identities.vector(2).toString("hex"))
            identities.uint(4)
            const binder = binders.vector(1)
            if (!session || session.suite !== this.options.suite) continue
            const partial = hashOf(...this.transcript, message.subarray(0, bindersAt))
            if (!binder.equals(finishedMac(new Schedule(session.psk).binderKey(), partial)))
                throw new Error("the binder does not hold")
            this.pskIndex = index
            return session.psk
        }
        return undefined
    }

    run(steps: Step<ServerAdversary>[]): void {
        for (const step of steps)
            if (typeof step === "string") this.step(step)
            else step(this)
    }

    /** Does one of the usual steps. */
    step(name: string): void {
        if (name === "serverHello") this.sendHello()
        else if (name === "changeCipherSpec") this.plain(20, Buffer.of(1))
        else if (name === "encryptedExtensions")
            this.send(name, handshake(Type.encryptedExtensions, extensions(this.options.encryptedExtensions ?? [])))
        else if (name === "certificateRequest") {
            const list = this.options.requestExtensions ?? [
                [Ext.signatureAlgorithms, vector(2, uint(2, ecdsaSecp256r1Sha256))],
            ]
            this.send(name, handshake(Type.certificateRequest, vector(1), extensions(list)))
        } else if (name === "certificate") this.sendCertificate(Buffer.alloc(0))
        else if (name === "certificateVerify") this.sendCertificateVerify("server")
        else if (name === "finished") this.sendFinished()
        else if (name === "ticket") this.sendTicket()
        else throw new Error(`no step ${name}`)
    }

    private sendHello(): void {
        const list: [number, Buffer][] = [
            [Ext.versions, octets("0304")],
            [Ext.keyShare, octets(uint(2, secp256r1), vector(2, this.keyShare()))],
        ]
        if (this.resumed) list.push([Ext.preSharedKey, uint(2, this.pskIndex)])
        const random = randomBytes(32)
        this.send(
            "serverHello",
            handshake(
                Type.serverHello,
                "0303",
                random,
                vector(1, this.sessionId),
                uint(2, this.options.suite),
                "00",
                extensions(this.changed(list)),
            ),
        )
        this.settle()
        this.schedule.agree(this.ecdh.computeSecret(this.clientShare!))
        const hash = this.hash()
        this.handshakeSecrets = [this.schedule.handshake("c", hash), this.schedule.handshake("s", hash)]
        this.read = new Protection(this.options.suite, this.handshakeSecrets[0])
        this.write = new Protection(this.options.suite, this.handshakeSecrets[1])
    }

    private sendFinished(): void {
        this.send("finished", handshake(Type.finished, finishedMac(this.handshakeSecrets![1], this.hash())))
        this.settle()
        this.schedule.finish()
        const hash = this.hash()
        this.clientApplication = this.schedule.application("c", hash)
        this.write = new Protection(this.options.suite, this.schedule.application("s", hash))
    }

    private onFinished(body: Buffer, message: Buffer): void {
        if (!this.clientApplication) throw new Error("the client's Finished before ours")
        const asked = this.options.request && !this.resumed
        if (asked && !this.answered) throw new Error("no answer to CertificateRequest")
        if (this.clientLeaf && !this.verified) throw new Error("no CertificateVerify")
        if (!body.equals(finishedMac(this.handshakeSecrets![0], this.hash())))
            throw new Error("the client's Finished does not hold")
        this.transcript.push(message)
        this.read = new Protection(this.options.suite, this.clientApplication)
        this.complete = true
        this.run(this.options.after ?? (this.options.sessions ? ["ticket"] : []))
    }

    private sendTicket(): void {
        const nonce = Buffer.of(this.options.sessions?.size ?? 0)
        const ticket = randomBytes(48)
        const psk = resumptionPsk(this.schedule.resumption(this.hash()), nonce)
        this.options.sessions?.set(ticket.toString("hex"), { psk, suite: this.options.suite })
        this.sendLater(
            "newSessionTicket",
            handshake(
                Type.newSessionTicket,
                uint(4, 7200),
                randomBytes(4),
                vector(1, nonce),
                vector(2, ticket),
                extensions([]),
            ),
        )
    }
}

/** Clause 4.1.2: after HelloRetryRequest only key share, cookie, early data and the PSKs may change. */
function sameButFor(first: Buffer, second: Buffer): boolean {
    const parts = [first, second].map(message => {
        const reader = new Reader(message.subarray(4))
        const head = [reader.take(34), reader.vector(1), reader.vector(2), reader.vector(1)]
        const rest = [...extensionsOf(reader.vector(2))].filter(
            ([type]) => ![Ext.keyShare, Ext.cookie, Ext.earlyData, Ext.preSharedKey].some(each => each === type),
        )
        return JSON.stringify([head.map(each => each.toString("hex")), rest.map(([t, b]) => [t, b.toString("hex")])])
    })
    return parts[0] === parts[1]
}
