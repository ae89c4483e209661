import type { Uplink } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { platform } from "../core/platform"
import {
    BIND_RESPONSE,
    bindRequest,
    EXTENDED_RESPONSE,
    type LdapMessage,
    messageLength,
    NO_SUCH_OBJECT,
    REFERRAL,
    readMessage,
    readRequest,
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REFERENCE,
    SUCCESS,
    unbindRequest,
} from "./ldap-message"

/** How long the directory may take for an answer, ms. */
const answerMs = 30000
/** An entry and the end of its search may arrive at once. */
const slack = 256

/**
 * A reader of a directory (LDAPv3, RFC 4511) over a link that is open. Any error ends the use of it: the link is then to be closed.
 * Each throws the `Ldap…` code of what came, and `LinkTimeout` or `LinkLost` where nothing did.
 */
export class LdapReader {
    private id = 0
    private readonly buffer: Buffer
    private held = 0

    /** `longest` octets of one message of the directory. */
    constructor(
        private readonly link: Uplink,
        private readonly longest: number,
    ) {
        this.buffer = Buffer.alloc(longest + slack)
    }

    /** Binds anonymously. */
    bind(): void {
        this.link.send(bindRequest(++this.id))
        this.success(this.next(BIND_RESPONSE))
    }

    /** The values of one attribute of the entry `dn`; throws `LdapMissing` where there are none. */
    read(dn: string, attribute: string): Buffer[] {
        this.link.send(readRequest(++this.id, dn, attribute))
        let entry: LdapMessage | undefined
        for (;;) {
            const message = this.next(SEARCH_DONE)
            if (message.op === SEARCH_DONE) {
                if (message.resultCode === NO_SUCH_OBJECT) fail(Code.LdapMissing, -1, dn, "no such entry")
                this.success(message)
                if (!entry || entry.values.length === 0) fail(Code.LdapMissing, -1, attribute + " of " + dn, "none")
                return entry.values
            }
            // RFC 4511 4.5.2: one object was asked for
            if (entry) fail(Code.LdapUnexpected, -1, "one entry", "another")
            entry = message
        }
    }

    /** Says goodbye; the link is the caller's to close. */
    unbind(): void {
        this.link.send(unbindRequest(++this.id))
    }

    private success(message: LdapMessage): void {
        const code = message.resultCode
        // RFC 4511 4.1.10: whom the referral names is not whom we trust
        if (code === REFERRAL) fail(Code.LdapReferral, -1, "an answer", "a referral")
        if (code !== SUCCESS) fail(Code.LdapRefused, -1, "success", "result " + code)
    }

    /** The next message: `wanted`, or before it an entry of a search. */
    private next(wanted: number): LdapMessage {
        const message = readMessage(this.receive())
        const op = message.op
        // RFC 4511 4.4: id 0 is for unsolicited notifications
        if (message.id === 0 && op === EXTENDED_RESPONSE)
            fail(Code.LdapNotice, -1, "an answer", "a notification, result " + message.resultCode)
        if (message.id !== this.id) fail(Code.LdapId, -1, "message " + this.id, "" + message.id)
        // RFC 4511 4.5.3
        if (op === SEARCH_REFERENCE) fail(Code.LdapReferral, -1, "an entry", "a reference")
        if (op !== wanted && !(op === SEARCH_ENTRY && wanted === SEARCH_DONE))
            fail(Code.LdapUnexpected, -1, "operation " + wanted, "" + op)
        return message
    }

    /** The octets of the next whole message. */
    private receive(): Buffer {
        const buffer = this.buffer
        const from = platform().millis()
        for (;;) {
            const length = messageLength(buffer, this.held, this.longest)
            if (length > 0 && this.held >= length) {
                const message = Buffer.alloc(length)
                message.blitAt(0, buffer, 0, length)
                this.held -= length
                buffer.blitAt(0, buffer, length, this.held)
                return message
            }
            const left = answerMs - (platform().millis() - from)
            const octets = left > 0 ? this.link.receive(left) : undefined
            if (octets === undefined)
                fail(Code.LinkTimeout, -1, "an answer of the directory", "none in " + answerMs + " ms")
            if (octets === null) fail(Code.LinkLost, -1, "an answer of the directory", "the end")
            if (this.held + octets.length > buffer.length)
                fail(Code.LdapTooLarge, -1, buffer.length + " octets", "" + (this.held + octets.length))
            buffer.blitAt(this.held, octets, 0, octets.length)
            this.held += octets.length
        }
    }
}
