import { createECDH, type KeyObject, sign, verify, X509Certificate } from "node:crypto"
import { Content, ecdsaSecp256r1Sha256, extension, handshake, octets, Reader, Type, uint, vector } from "./codec.ts"
import { hashOf, type Protection, type Schedule } from "./schedule.ts"

/** Key and chain (DER, leaf first) with which an adversary proves who it is. */
export interface AdversaryIdentity {
    key: KeyObject
    chain: Buffer[]
}

export interface Alert {
    level: number
    description: number
    /** Came as an encrypted record. */
    sealed: boolean
}

/** What can go into a flight: one of the messages by name, or anything else. */
export type Step<T> = string | ((peer: T) => void)

/** What an adversary may do otherwise than RFC 8446 says. */
export interface Misdeeds {
    /** A handshake message as it is to be sent: several may come of it, or none. */
    change?(name: string, message: Buffer): Buffer | Buffer[]
    /** "sent" (default): the adversary means what it sends; "meant": somebody in the middle changed it. */
    transcript?: "sent" | "meant"
    /** A whole record as it is to go out. */
    records?(record: Buffer, number: number): Buffer[]
    /** Octets of handshake a record: messages in pieces. By default each message has a record of its own. */
    fragment?: number
    /** All messages of a flight in one record, as far as they have the same keys. */
    together?: boolean
    /** Octets of padding in each encrypted record. */
    padding?: number
    /** Signature over the content of CertificateVerify (clause 4.4.3), DER in an ordinary one. */
    sign?(content: Buffer): Buffer
    /** Scheme that CertificateVerify names. */
    scheme?: number
    /** X|Y of the key share, with its leading octet 04 in an ordinary one. */
    keyShare?: Buffer
}

export const signedContent = (side: "server" | "client", hash: Buffer) =>
    octets("20".repeat(64), Buffer.from(`TLS 1.3, ${side} CertificateVerify`), "00", hash)

/**
 * One side of TLS 1.3 for tests, octets in and octets out, with node:crypto. It keeps to the letter of RFC 8446, and looks
 * at all it is sent with the same strictness (`failure`), except where its orders are to do otherwise.
 */
export abstract class Adversary {
    /** Alerts that came. */
    readonly alerts: Alert[] = []
    /** What the other side did wrong, in words. */
    failure: string | undefined
    /** Both Finished are there and right. */
    complete = false
    resumed = false
    /** Application data that came. */
    data: Buffer = Buffer.alloc(0)
    /** Records that came: content type, octets. */
    readonly seen: { type: number; length: number }[] = []
    /** Key updates that came. */
    updates = 0
    write: Protection | undefined
    read: Protection | undefined
    protected schedule!: Schedule
    protected transcript: Buffer[] = []
    protected readonly ecdh = createECDH("prime256v1")
    private records: Buffer[] = []
    private pending: Buffer = Buffer.alloc(0)
    private input: Buffer = Buffer.alloc(0)
    private message: Buffer = Buffer.alloc(0)
    private count = 0

    constructor(
        protected readonly misdeeds: Misdeeds,
        protected readonly identity: AdversaryIdentity | undefined,
    ) {
        this.ecdh.generateKeys()
    }

    /** What is to go to the other side. */
    take(): Buffer[] {
        this.flush()
        return this.records.splice(0)
    }

    /** Takes octets from the other side, cut in any way. */
    feed(more: Buffer): void {
        this.input = octets(this.input, more)
        try {
            while (this.failure === undefined && this.input.length >= 5) {
                const length = this.input.readUInt16BE(3)
                if (this.input.length < 5 + length) break
                const record = this.input.subarray(0, 5 + length)
                this.input = this.input.subarray(5 + length)
                this.onRecord(record)
            }
        } catch (error) {
            this.failure ??= error instanceof Error ? error.message : String(error)
        }
    }

    /** Sends application data, in one record. */
    say(content: Buffer): void {
        this.record(Content.applicationData, content)
    }

    /** Sends close_notify. */
    end(): void {
        this.alert(0, 1)
    }

    alert(description: number, level = 2): void {
        this.record(Content.alert, octets(uint(1, level), uint(1, description)))
    }

    /** One record with the keys of the moment. */
    record(type: number, content: Buffer): void {
        this.flush()
        this.emit(type, content)
    }

    /** One record in the clear, whatever keys there are. */
    plain(type: number, content: Buffer, version = 0x0303): void {
        this.flush()
        this.push(octets(uint(1, type), uint(2, version), vector(2, content)))
    }

    /** A record made elsewhere. */
    raw(record: Buffer): void {
        this.flush()
        this.push(record)
    }

    /** Sends a handshake message by its name, through `change`, and puts it into the transcript. */
    send(name: string, message: Buffer): void {
        const changed = this.misdeeds.change?.(name, message) ?? message
        const sent = Array.isArray(changed) ? changed : [changed]
        this.transcript.push(this.misdeeds.transcript === "meant" ? message : octets(...sent))
        for (const each of sent) {
            this.pending = octets(this.pending, each)
            if (!this.misdeeds.together && this.misdeeds.fragment === undefined) this.flush()
        }
    }

    /** Sends a handshake message outside of the transcript (after the handshake). */
    sendLater(name: string, message: Buffer): void {
        const changed = this.misdeeds.change?.(name, message) ?? message
        for (const each of Array.isArray(changed) ? changed : [changed]) this.record(Content.handshake, each)
    }

    keyUpdate(requested: boolean): void {
        this.sendLater("keyUpdate", handshake(Type.keyUpdate, uint(1, requested ? 1 : 0)))
        this.write?.update()
    }

    protected hash(): Buffer {
        return hashOf(...this.transcript)
    }

    protected keyShare(): Buffer {
        return this.misdeeds.keyShare ?? this.ecdh.getPublicKey()
    }

    protected sendCertificate(context: Buffer): void {
        const entries = (this.identity?.chain ?? []).map(der => octets(vector(3, der), vector(2)))
        this.send("certificate", handshake(Type.certificate, vector(1, context), vector(3, ...entries)))
    }

    protected sendCertificateVerify(side: "server" | "client"): void {
        const content = signedContent(side, this.hash())
        const signature = this.misdeeds.sign?.(content) ?? sign("sha256", content, this.identity!.key)
        const scheme = this.misdeeds.scheme ?? ecdsaSecp256r1Sha256
        this.send("certificateVerify", handshake(Type.certificateVerify, uint(2, scheme), vector(2, signature)))
    }

    /** Reads a Certificate message; answers the leaf, or `undefined` for an empty list. */
    protected readCertificate(body: Buffer): X509Certificate | undefined {
        const reader = new Reader(body)
        if (reader.vector(1).length > 0) throw new Error("a request context in Certificate")
        const list = new Reader(reader.vector(3))
        reader.end()
        let leaf: X509Certificate | undefined
        while (list.more()) {
            const certificate = new X509Certificate(list.vector(3))
            leaf ??= certificate
            if (list.vector(2).length > 0) throw new Error("extensions in a certificate entry")
        }
        return leaf
    }

    protected checkCertificateVerify(side: "server" | "client", body: Buffer, leaf: X509Certificate | undefined): void {
        const reader = new Reader(body)
        if (!leaf) throw new Error("CertificateVerify without a certificate")
        if (reader.uint(2) !== ecdsaSecp256r1Sha256) throw new Error("another signature scheme")
        const signature = reader.vector(2)
        reader.end()
        if (!verify("sha256", signedContent(side, this.hash()), leaf.publicKey, signature))
            throw new Error("the signature of CertificateVerify does not hold")
    }

    /** A whole handshake message; before the call it is not in the transcript yet. */
    protected abstract onHandshake(type: number, body: Buffer, message: Buffer): void

    private onRecord(record: Buffer): void {
        const outer = record[0]
        this.seen.push({ type: outer, length: record.length - 5 })
        if (outer === Content.changeCipherSpec) {
            if (!record.subarray(5).equals(Buffer.of(1))) throw new Error("a strange change_cipher_spec")
            return
        }
        let type = outer
        let content = record.subarray(5)
        const sealed = outer === Content.applicationData
        if (sealed) {
            if (!this.read) throw new Error("an encrypted record before there are keys")
            if (content.length > 16384 + 256) throw new Error("a record too long")
            const inner = this.read.open(record)
            let end = inner.length
            while (end > 0 && inner[end - 1] === 0) end--
            if (end === 0) throw new Error("a record of zeros")
            type = inner[end - 1]
            content = inner.subarray(0, end - 1)
        } else if (this.read && outer !== Content.alert) throw new Error(`content type ${outer} in the clear`)
        if (type === Content.alert) {
            if (content.length !== 2) throw new Error(`an alert of ${content.length} octets`)
            this.alerts.push({ level: content[0], description: content[1], sealed })
        } else if (type === Content.handshake) this.onHandshakeOctets(content)
        else if (type === Content.applicationData) {
            if (!this.complete) throw new Error("application data before Finished")
            this.data = octets(this.data, content)
        } else throw new Error(`content type ${type}`)
    }

    private onHandshakeOctets(content: Buffer): void {
        if (content.length === 0) throw new Error("an empty handshake record")
        this.message = octets(this.message, content)
        while (this.message.length >= 4) {
            const length = 4 + this.message.readUIntBE(1, 3)
            if (this.message.length < length) return
            const message = this.message.subarray(0, length)
            this.message = this.message.subarray(length)
            if (message[0] === Type.keyUpdate) {
                this.updates++
                this.read?.update()
                if (message[4] === 1) this.keyUpdate(false)
            } else this.onHandshake(message[0], message.subarray(4), message)
        }
    }

    private flush(): void {
        const size = this.misdeeds.fragment ?? 16384
        while (this.pending.length > 0) {
            const content = this.pending.subarray(0, size)
            this.pending = this.pending.subarray(size)
            this.emit(Content.handshake, content)
        }
    }

    /** To be called before keys change. */
    protected settle(): void {
        this.flush()
    }

    private emit(type: number, content: Buffer): void {
        this.push(
            this.write
                ? this.write.seal(octets(content, uint(1, type), Buffer.alloc(this.misdeeds.padding ?? 0)))
                : octets(uint(1, type), "0303", vector(2, content)),
        )
    }

    private push(record: Buffer): void {
        this.records.push(...(this.misdeeds.records?.(record, this.count++) ?? [record]))
    }
}

/** Extensions as they stand in a message, with their length in front. */
export function extensions(list: [number, Buffer][]): Buffer {
    return vector(2, ...list.map(([type, body]) => extension(type, body)))
}
