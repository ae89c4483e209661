import { verifyChain } from "../../../firmware/core/chain"
import { type Crl, parseCrl } from "../../../firmware/core/crl"
import { signP256 } from "../../../firmware/core/ecdsa"
import { Code, fail, PlombError } from "../../../firmware/core/errors"
import { cut, uintBE } from "../../../firmware/core/octets"
import { type Certificate, digitalSignature, parseCertificate } from "../../../firmware/core/x509"
import { readRole } from "../../../firmware/core/x509-role"
import { TlsClient } from "../../../firmware/tls/client"
import type { KeyAgreement, PeerTrust, Suite, TlsIdentity } from "../../../firmware/tls/config"
import type { TlsConnection } from "../../../firmware/tls/connection"
import { TlsServer } from "../../../firmware/tls/server"
import { SessionMemory } from "../../../firmware/tls/sessions"
import { chachaSuite, gcmSuite } from "../../../firmware/tls/suites"
import { TicketKeys } from "../../../firmware/tls/tickets"

// One end of a TLS connection for benches, in the VM and in Node alike. What it is to do comes as the octets of a job,
// written by tools/bench/tls-job.ts, which says what each field means.

/** Bits of a job's flags. */
export const asServer = 1
export const withIdentity = 2
export const judgePeer = 4
export const withSessions = 8
export const freshSessions = 16
export const bySocket = 32
export const peerCloses = 64
export const crlRequired = 128

/** What outlives a connection. */
export class Sessions {
    memory = new SessionMemory(2)
    tickets = new TicketKeys()
}

class Fields {
    at = 0

    constructor(readonly octets: Buffer) {}

    uint(width: number): number {
        this.at += width
        return uintBE(this.octets, this.at - width, width)
    }

    field(): Buffer {
        const length = this.uint(2)
        this.at += length
        return cut(this.octets, this.at - length, length)
    }

    list(): Buffer[] {
        const all: Buffer[] = []
        for (let n = this.uint(1); n > 0; --n) all.push(this.field())
        return all
    }
}

class JobTrust implements PeerTrust {
    anchors: Certificate[] = []
    crls: Crl[] = []

    constructor(
        readonly now: number,
        readonly role: number,
        readonly needsCrl: boolean,
    ) {}

    check(chain: Certificate[]): number {
        verifyChain({
            chain: chain,
            anchors: this.anchors,
            atSeconds: this.now,
            crls: this.crls,
            crlRequired: this.needsCrl,
            keyUsage: digitalSignature,
            maxIntermediates: 2,
        })
        if (this.role < 255) {
            const role = readRole(chain[0])
            if (!role || role.role !== this.role)
                fail(Code.TlsRole, -1, "role " + this.role, role ? "" + role.role : "none")
        }
        return this.now + 3600
    }

    nowSeconds(): number {
        return this.now
    }
}

class JobIdentity implements TlsIdentity {
    constructor(
        readonly key: Buffer,
        readonly chain: Buffer[],
    ) {}

    sign(digest: Buffer): Buffer {
        return signP256(this.key, digest)
    }
}

/** Octet `at` of what is sent back and forth: lines of 64 of one letter d and digits, no command to any peer's console. */
export function patternOctet(at: number): number {
    const column = at & 63
    if (column === 0) return 100
    if (column === 63) return 10
    return 48 + ((at * 7 + (at >> 6)) % 10)
}

/** Octets that are sent before they are awaited back. */
const blockLength = 1024

/** Sends blocks and wants each back; then closes, or waits for the peer to. */
export class Endpoint {
    readonly connection: TlsConnection
    readonly port: number
    readonly flags: number
    /** The client has begun. */
    private opened = false
    private closing = false
    private sent = 0
    private received = 0
    private readonly total: number
    private damaged = false
    private code = 0
    private error: PlombError | undefined

    /** `agreement` makes the ephemeral keys. */
    constructor(job: Buffer, agreement: KeyAgreement, sessions: Sessions) {
        const fields = new Fields(job)
        const flags = fields.uint(1)
        this.flags = flags
        const suites = fields.uint(1)
        const recordLimit = fields.uint(2)
        const now = fields.uint(4)
        const role = fields.uint(1)
        const update = fields.uint(4)
        this.total = fields.uint(4)
        this.port = fields.uint(2)
        const hostName = fields.field().toString("utf8")
        const key = fields.field()
        const identity = new JobIdentity(key, fields.list())
        const trust = new JobTrust(now, role, (flags & crlRequired) !== 0)
        for (const der of fields.list()) trust.anchors.push(parseCertificate(der))
        for (const der of fields.list()) trust.crls.push(parseCrl(der))
        if (flags & freshSessions) {
            sessions.memory.clear()
            sessions.tickets.drop()
        }
        const chosen: Suite[] = []
        if (suites !== 2) chosen.push(suites === 4 ? gcmSuite : chachaSuite)
        if (suites !== 1) chosen.push(suites === 4 ? chachaSuite : gcmSuite)
        const updateAfter = update || undefined
        if (flags & asServer)
            this.connection = new TlsServer({
                agreement: agreement,
                suites: chosen,
                recordLimit: recordLimit,
                updateAfter: updateAfter,
                identity: identity,
                trust: flags & judgePeer ? trust : undefined,
                tickets: flags & withSessions ? sessions.tickets : undefined,
                hostName: hostName || undefined,
            })
        else {
            const client = new TlsClient({
                agreement: agreement,
                suites: chosen,
                recordLimit: recordLimit,
                updateAfter: updateAfter,
                hostName: hostName,
                identity: flags & withIdentity ? identity : undefined,
                trust: trust,
                sessions: flags & withSessions ? sessions.memory : undefined,
                sessionKey: "peer",
            })
            this.connection = client
            client.start()
        }
    }

    /** What is to be sent now. */
    take(): Buffer[] {
        return this.connection.output()
    }

    /** Octets of the peer. Errors of the protocol are kept for `result`. */
    feed(octets: Buffer): void {
        try {
            this.connection.feed(octets)
            this.advance()
        } catch (e) {
            this.note(e)
        }
    }

    /** The transport has ended. */
    ended(): void {
        try {
            this.connection.end()
        } catch (e) {
            this.note(e)
        }
    }

    done(): boolean {
        return this.code > 0 || this.connection.isClosed()
    }

    /** The error that ended it, for whoever runs this in Node. */
    failure(): PlombError | undefined {
        return this.error
    }

    /** See `readResult` of tools/bench/tls-job.ts. */
    result(): Buffer {
        const c = this.connection
        const b = Buffer.alloc(16)
        b[0] = this.opened ? 1 : 0
        b[1] = c.resumed ? 1 : 0
        b[2] = c.suite >> 8
        b[3] = c.suite & 0xff
        b[4] = c.alertSent & 0xff
        b[5] = c.alertReceived & 0xff
        b[6] = this.code >> 8
        b[7] = this.code & 0xff
        b.setAt(8, "u32", this.received)
        b[12] = this.damaged ? 1 : 0
        b[13] = c.peer ? 1 : 0
        b[14] = this.code === 0 && c.isClosed() ? 1 : 0
        return b
    }

    private note(e: any): void {
        if (!(e instanceof PlombError)) throw e
        this.code = e.code
        this.error = e
    }

    private advance(): void {
        const c = this.connection
        if (c.isOpen()) this.opened = true
        for (;;) {
            const came = c.read()
            if (!came) break
            for (let i = 0; i < came.length; ++i) if (came[i] !== patternOctet(this.received + i)) this.damaged = true
            this.received += came.length
        }
        if (!c.isOpen() || this.closing) return
        if (this.received >= this.total) {
            if (this.flags & peerCloses) return
            this.closing = true
            c.close()
        } else if (this.sent === this.received) {
            const block = Buffer.alloc(Math.min(blockLength, this.total - this.sent))
            for (let i = 0; i < block.length; ++i) block[i] = patternOctet(this.sent + i)
            this.sent += block.length
            c.write(block)
        }
    }
}
