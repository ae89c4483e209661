import { Code, fail, PlombError } from "../core/errors"
import { cut, join, tidy, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import { alertOf, closeNotify, refuse, userCanceled } from "./alerts"
import type { TlsConfig } from "./config"
import type { Traffic } from "./schedule"

/** Record types (RFC 8446 5.1). */
const changeCipherSpec = 20
const alert = 21
const handshake = 22
const applicationData = 23

const keyUpdate = 24

/** Most records in a row that bring nothing: without content, and those that are dropped. */
const mostIdle = 32

/** Longest message in several records where there is a room for one in a record of its own. */
const mostSplit = 512

/**
 * One TLS 1.3 connection (RFC 8446), sans-I/O: octets in, octets out. Methods may let other fibers run; one fiber at a time.
 * This part is the record protocol with alerts and key updates; at any moment it holds one partial record and one partial message.
 */
export abstract class TlsConnection {
    /** The peer's certificate; to be believed once `isOpen`. */
    peer: Certificate | undefined
    resumed = false
    /** Number of the cipher suite, 0 before it is chosen. */
    suite = 0
    /** RFC 8446 clause 6; -1 for none. */
    alertSent = -1
    alertReceived = -1

    protected sends: Traffic | undefined
    protected receives: Traffic | undefined
    /** Most octets of plaintext in a record we send, content type included. */
    protected sendLimit: number
    /** Between the first ClientHello and the peer's Finished. */
    protected shaking = false
    /** The handshake is complete. */
    protected complete = false

    private failed = false
    private owesUpdate = false
    private idle = 0
    private readonly header = Buffer.alloc(5)
    private record: Buffer | undefined
    /** Octets of it. */
    private recordLength = 0
    private filled = 0
    private readonly messageHeader = Buffer.alloc(4)
    private message: Buffer | undefined
    private messageFilled = 0
    /** Octets of the message at hand: the room that it may lie in is longer. */
    protected messageLength = 0
    private outgoing: Buffer[] = []
    private incoming: Buffer[] = []

    constructor(protected readonly config: TlsConfig) {
        this.sendLimit = Math.min(config.recordLimit, config.sendLimit || 0x4001)
    }

    /** A whole handshake message, in its turn or not. */
    protected abstract take(message: Buffer): void

    /** Lets go of what only the handshake needs. */
    protected abstract forget(): void

    /** Octets from the transport, in any cut. Throws `PlombError`; the alert is then in `output`, and the connection is dead. */
    feed(octets: Buffer): void {
        if (this.failed) fail(Code.TlsNotOpen, -1, "a live connection", "a dead one")
        try {
            // RFC 8446 6.1: what follows close_notify is ignored
            for (let at = 0; at < octets.length && this.alertReceived < 0; ) at = this.collect(octets, at)
        } catch (error) {
            this.die(error)
            throw error
        }
    }

    /** The transport has ended. Throws `TlsTruncated` unless the peer had closed or the connection had failed. */
    end(): void {
        if (this.isClosed()) return
        this.failed = true
        this.forgetAll()
        fail(Code.TlsTruncated, -1, "close_notify", "the end")
    }

    /** Takes what is to be sent, in order. */
    output(): Buffer[] {
        if (this.owesUpdate) this.updateKeys(false)
        const outgoing = this.outgoing
        this.outgoing = []
        return outgoing
    }

    /** Application data; throws `TlsNotOpen` before the handshake is complete and after `close`. */
    write(octets: Buffer): void {
        if (!this.isOpen()) fail(Code.TlsNotOpen, -1, "an open connection", "another")
        if (this.owesUpdate) this.updateKeys(false)
        this.send(applicationData, octets)
    }

    /** Takes application data that came; undefined where there is none. */
    read(): Buffer | undefined {
        return this.incoming.shift()
    }

    /** Queues close_notify; what the peer still sends can be read. */
    close(): void {
        if (!this.failed && this.alertSent < 0) this.sendAlert(closeNotify)
    }

    /** The handshake is complete and we have not closed: data may be written. */
    isOpen(): boolean {
        return this.complete && !this.failed && this.alertSent < 0
    }

    /** The peer's close_notify came, or the connection failed: nothing more will come. */
    isClosed(): boolean {
        return this.failed || this.alertReceived >= 0
    }

    /** Goes on under new keys (RFC 8446 4.6.3), and with `both` asks the peer for the same. */
    updateKeys(both: boolean): void {
        this.owesUpdate = false
        const sends = this.sends
        if (!sends || !this.isOpen()) return
        this.send(handshake, Buffer.from([keyUpdate, 0, 0, 1, both ? 1 : 0]))
        this.sends = sends.next()
    }

    /** Ends the connection because of `error`, told to the peer by an alert unless it was his. */
    protected die(error: unknown): void {
        if (this.failed) return
        this.failed = true
        const code = error instanceof PlombError ? error.code : Code.Unexpected
        if (code !== Code.TlsAlert && this.alertSent < 0) this.sendAlert(alertOf(code))
        this.forgetAll()
    }

    private forgetAll(): void {
        this.sends = undefined
        this.receives = undefined
        this.record = undefined
        this.message = undefined
        this.forget()
    }

    private sendAlert(description: number): void {
        this.send(alert, Buffer.from([description === closeNotify ? 1 : 2, description]))
        this.alertSent = description
    }

    protected sendHandshake(parts: Buffer[]): void {
        this.send(handshake, join(parts))
    }

    /** For middleboxes (RFC 8446 D.4). */
    protected sendChangeCipherSpec(): void {
        this.outgoing.push(hex`140303000101`)
    }

    /** Cuts what is to be sent into records. */
    private send(type: number, octets: Buffer): void {
        for (let at = 0; at < octets.length; ) {
            const updateAfter = this.config.updateAfter || 0x800000
            if (this.sends && type === applicationData && this.sends.sequence >= updateAfter) this.updateKeys(false)
            const sends = this.sends
            const length = Math.min(octets.length - at, this.sendLimit - 1)
            let record: Buffer = Buffer.alloc(sends ? length + 1 : length)
            record.blitAt(0, octets, at, length)
            at += length
            tidy()
            const size = sends ? length + 17 : length
            const header = Buffer.from([sends ? applicationData : type, 3, 3, size >> 8, size & 0xff])
            if (sends) {
                record[length] = type
                record = sends.seal(header, record)
            }
            // In one piece: a header that goes first would wait for the peer's acknowledgement alone (Nagle)
            this.outgoing.push(join([header, record]))
        }
    }

    /** Moves octets from `at` on into the record at hand; answers how far it came. */
    private collect(octets: Buffer, at: number): number {
        const into = this.record || this.header
        const due = this.record ? this.recordLength : 5
        const count = Math.min(due - this.filled, octets.length - at)
        into.blitAt(this.filled, octets, at, count)
        this.filled += count
        if (this.filled === due) {
            this.filled = 0
            const record = this.record || this.newRecord()
            this.record = record
            if (into === record || this.recordLength === 0) {
                this.record = undefined
                this.takeRecord(record)
            }
        }
        return at + count
    }

    /** Room for the record whose header came, unless that tells already that it is refused. */
    private newRecord(): Buffer {
        const type = this.header[0]
        const length = uintBE(this.header, 3, 2)
        if (type < changeCipherSpec || type > applicationData) refuse(Code.TlsUnexpected, "a record type")
        // RFC 8449 4: the limit is for protected records alone; 16 more for the tag
        const limit = this.receives ? this.config.recordLimit + 16 : 4 + this.messageLimit()
        if (length > limit) refuse(Code.TlsOverflow, "at most " + limit + " octets")
        this.recordLength = length
        const room = this.config.room
        return room && !this.receives ? room : Buffer.alloc(length)
    }

    private messageLimit(): number {
        return this.config.messageLimit || 8192
    }

    private takeRecord(record: Buffer): void {
        platform().yieldNow()
        tidy()
        let type = this.header[0]
        let length = this.recordLength
        const receives = this.receives
        const inMessage = this.messageFilled > 0
        if (type === changeCipherSpec) {
            // RFC 8446 5: dropped if it is one octet 01 after the first ClientHello and before the peer's Finished
            if (!this.shaking || inMessage || length !== 1 || record[0] !== 1)
                refuse(Code.TlsUnexpected, "no change_cipher_spec")
            type = 0
        } else if (receives && !(type === alert && this.shaking && receives.sequence === 0)) {
            // An alert in clear can only be from a peer that could not yet know the keys
            if (type !== applicationData) refuse(Code.TlsUnexpected, "a protected record")
            record = receives.open(this.header, record)
            // RFC 8446 5.4: behind the content its type, then zeros
            length = record.length
            while (--length >= 0 && record[length] === 0) if ((length & 1023) === 0) platform().yieldNow()
            if (length < 0) refuse(Code.TlsUnexpected, "a content type")
            type = record[length]
        } else if (type === applicationData) refuse(Code.TlsUnexpected, "keys before data")

        if (type === alert) this.takeAlert(record, length)
        else if (type === handshake) this.takeHandshake(record, length)
        else if (type === applicationData) {
            // RFC 8446 5.1: a message is not interleaved with other records
            if (!this.complete || inMessage) refuse(Code.TlsUnexpected, "a handshake message")
            if (length > 0) {
                this.incoming.push(cut(record, 0, length))
                this.idle = 0
            } else this.countIdle()
        } else if (type > 0) refuse(Code.TlsUnexpected, "a known content type")
        else this.countIdle()
    }

    private countIdle(): void {
        if (++this.idle > mostIdle) refuse(Code.TlsUnexpected, "content")
    }

    private takeAlert(record: Buffer, length: number): void {
        if (length !== 2) refuse(Code.TlsDecode, "2 octets of alert")
        const description = record[1]
        // RFC 8446 6.1: whatever ends the connection follows; 6.2: the level does not matter
        if (description === userCanceled) {
            this.countIdle()
            return
        }
        this.alertReceived = description
        if (description !== closeNotify) fail(Code.TlsAlert, -1, "no alert", "alert " + description)
    }

    private takeHandshake(record: Buffer, length: number): void {
        // RFC 8446 5.1: no fragment without octets
        if (length === 0) refuse(Code.TlsUnexpected, "octets of a message")
        // A message that is all of its record in clear stays where it is
        if (
            record === this.config.room &&
            this.messageFilled === 0 &&
            length >= 4 &&
            uintBE(record, 1, 3) === length - 4
        ) {
            this.whole(record, length)
            return
        }
        for (let at = 0; at < length; ) {
            let message = this.message || this.messageHeader
            const count = Math.min(message.length - this.messageFilled, length - at)
            message.blitAt(this.messageFilled, record, at, count)
            this.messageFilled += count
            at += count
            if (this.messageFilled < message.length) return
            if (!this.message) {
                const size = uintBE(message, 1, 3)
                if (size > this.messageLimit()) refuse(Code.TlsTooLarge, "at most " + this.messageLimit() + " octets")
                if (this.config.room && size > mostSplit) refuse(Code.TlsTooLarge, "a record for it alone")
                const whole = Buffer.alloc(4 + size)
                whole.blitAt(0, message, 0, 4)
                this.message = whole
                message = whole
                if (size > 0) continue
            }
            this.message = undefined
            this.messageFilled = 0
            const receives = this.receives
            this.whole(message, message.length)
            // RFC 8446 5.1: no message spans a change of keys
            if (this.receives !== receives && at < length) refuse(Code.TlsUnexpected, "new keys at the end of a record")
        }
    }

    /** A message of so many octets. */
    private whole(message: Buffer, length: number): void {
        this.idle = 0
        this.messageLength = length
        platform().yieldNow()
        if (this.complete && message[0] === keyUpdate) this.takeKeyUpdate(message)
        else this.take(message)
    }

    private takeKeyUpdate(message: Buffer): void {
        const receives = this.receives
        if (message.length !== 5 || !receives) refuse(Code.TlsDecode, "1 octet")
        else {
            if (message[4] > 1) refuse(Code.TlsIllegal, "an update requested or not")
            this.receives = receives.next()
            // RFC 8446 4.6.3: one answer serves for all requests that came meanwhile
            if (message[4] === 1) this.owesUpdate = true
        }
    }
}
