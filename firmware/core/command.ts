import { type AccessTable, Fn } from "./access"
import { findAnchor, verifyChain } from "./chain"
import type { Crl } from "./crl"
import { DerReader } from "./der"
import { Code, fail } from "./errors"
import { cut, sameOctets, uintBE } from "./octets"
import { platform } from "./platform"
import { Signers } from "./signers"
import { readRequest } from "./sml-messages"
import { commandPath } from "./sml-parameter"
import type { SmlFile } from "./sml-read"
import { serverOf } from "./sml-request"
import { CLOSE_REQ, GET_LIST_REQ, GET_PROFILE_LIST_REQ, OPEN_REQ, SET_PROC_PARAMETER_REQ } from "./sml-tables"
import { isAbsent, octetsAt } from "./sml-values"
import type { Store } from "./store"
import { type Certificate, digitalSignature, parseCertificate } from "./x509"
import { Role, readRole } from "./x509-role"

/** What a gate trusts, and its clock. */
export interface CommandTrust {
    /** Certificates held that command themselves or certify those who do; what is revoked is left out. */
    hold(): Certificate[]
    /** Revocation lists held of the issuers of these certificates: of all lists there are, no more than that is needed at once. */
    crls(chain: Certificate[]): Crl[]
    /** UTC, 0 = not trusted. */
    utcSeconds(): number
    /** Another number whenever certificates or lists have changed: judgements made before are made anew. */
    version(): number
}

/** A signer, and what its certificates have been judged to give. */
export class Judged {
    role = 0
    rights = 0
    /** When all certificates up to the anchor are valid, seconds UTC. */
    from = 0
    until = 0
    /** Versions of trust and table it was judged under. */
    trust = -1
    table = -1

    constructor(
        /** SHA-256 of the first one's DER. */
        readonly digest: Buffer,
        /** The signer's certificate, and its issuer's where that is not held. */
        readonly chain: Certificate[],
    ) {}
}

/** Who signed a command that may be done. */
export interface Caller {
    role: Role
    /** Functions of its certificate as bits; -1 = narrows nothing. */
    rights: number
    /** First octets of SHA-256 of its public key. */
    id: Buffer
    certificate: Certificate
    /** SHA-256 of the command's signed octets. */
    digest: Buffer
    counter: number
    /** Was the clock trusted? */
    timely: boolean
    judged: Judged
}

/** Header: version U8, counter U32, notBefore U32, notAfter U32, SHA-256 of the signer's certificate; then DER. */
const headerVersion = 1
const counterAt = 1
const notBeforeAt = 5
const notAfterAt = 9
const signerAt = 13
const certificatesAt = 45
/** Messages: Open, header, one to eight requests, Close. */
const fewestMessages = 4
const mostMessages = 11
/** Longest validity of a command, seconds. */
const longest = 86400
/** Signers whose certificates are remembered. */
const remembered = 2

/** Roles that a certificate of institute, calibrationAuthority, manufacturer, securityManagement may certify as signers, as bits. */
const certifies = hex`0003 0080 0000 03F0`
/** Functions that need no trusted clock: reading, and setting it. */
const timeless =
    (1 << Fn.readCurrent) |
    (1 << Fn.readProfile) |
    (1 << Fn.setTime) |
    (1 << Fn.readMetrologicalLogbook) |
    (1 << Fn.readSoftware) |
    (1 << Fn.readLogbook)

/**
 * Lets signed commands in (the form is described in tools/authority/README.md). Checks in this order: form, target, the signer's
 * certificates up to one that is held, roles and rights on the way, signature, time, counter; then, for each request, the right to it.
 */
export class Gate {
    private readonly signers: Signers
    private known: Judged[] = []
    private next = 0

    /** Counters take `signersSize` octets of `store` from `signersAt` on. */
    constructor(
        store: Store,
        signersAt: number,
        readonly table: AccessTable,
        private readonly trust: CommandTrust,
    ) {
        this.signers = new Signers(store, signersAt)
    }

    /**
     * Who signed the file, for `target`; undefined where it carries no signature. With `count` the command counts from now on, whatever
     * comes of it; without (a MUC that passes it on) it may come again. Throws `PlombError`, and nothing has changed: then it is
     * nobody's, since anybody can send again or alter what a signer once sent.
     */
    open(file: SmlFile, target: Buffer, count: boolean): Caller | undefined {
        const octets = file.octets
        const messages = file.messages
        const last = messages.length - 1
        const close = messages[last]
        if (close.tag !== CLOSE_REQ || isAbsent(octets, close.fields[0])) return undefined
        let wrong = file.flags
        if (last + 1 < fewestMessages || last + 1 > mostMessages || messages[0].tag !== OPEN_REQ) wrong = 1
        for (let i = 1; i < last; ++i) {
            const tag = messages[i].tag
            if (tag < GET_PROFILE_LIST_REQ || tag > GET_LIST_REQ || (tag & 0xff) !== 0) wrong = 1
        }
        if (wrong !== 0 || messages[1].tag !== SET_PROC_PARAMETER_REQ)
            fail(Code.CommandForm, 0, "Open, header, requests, Close", last + 1 + " messages")
        const first = readRequest(messages[1])
        const header = first.value
        if (
            first.path.length !== 1 ||
            !sameOctets(first.path[0], commandPath) ||
            header.length < certificatesAt ||
            header[0] !== headerVersion
        )
            fail(Code.CommandForm, messages[1].start, "a command's header", header.length + " octets")
        const notBefore = uintBE(header, notBeforeAt, 4)
        const notAfter = uintBE(header, notAfterAt, 4)
        if (notAfter < notBefore || notAfter - notBefore > longest)
            fail(Code.CommandPeriod, messages[1].start, "at most " + longest + " s", "" + (notAfter - notBefore))
        if (!sameOctets(serverOf(file), target)) fail(Code.CommandTarget, messages[0].start, "this device", "another")

        const judged = this.find(header)
        this.judge(judged)
        const certificate = judged.chain[0]
        const start = messages[0].start
        const digest = platform().sha256([cut(octets, start, close.fields[0] - start)])
        if (!platform().verifyP256(certificate.publicKey, digest, octetsAt(octets, close.fields[0])))
            fail(Code.CommandSignature, close.fields[0], "the signer's signature", "another")

        const now = this.trust.utcSeconds()
        if (now > 0 && now < notBefore) fail(Code.CommandNotYetValid, -1, "a time from " + notBefore, "" + now)
        if (now > notAfter) fail(Code.CommandExpired, -1, "a time up to " + notAfter, "" + now)
        const counter = uintBE(header, counterAt, 4)
        const id = cut(platform().sha256([certificate.publicKey]), 0, 8)
        if (count) this.signers.take(id, counter, certificate.notAfter, now)
        if (this.known.indexOf(judged) < 0) {
            this.known[this.next] = judged
            this.next = (this.next + 1) % remembered
        }
        return {
            role: judged.role,
            rights: judged.rights,
            id,
            certificate,
            digest,
            counter,
            timely: now > 0,
            judged,
        }
    }

    /** Throws unless the caller may have `fn` done now: `NotSigned`, `FunctionDenied`, `RightMissing`, `TimeNotTrusted`, or what has come between. */
    demand(caller: Caller | undefined, fn: Fn): void {
        if (!caller) fail(Code.NotSigned, -1, "a signed command", "none")
        // A request before this one may have changed provider or table.
        this.judge(caller.judged)
        if (!this.table.allows(caller.role, fn))
            fail(Code.FunctionDenied, fn, "a function of the role", "role " + caller.role)
        if (!((caller.rights >> fn) & 1))
            fail(Code.RightMissing, fn, "a function of the certificate", "" + caller.rights)
        if (!caller.timely && !((timeless >> fn) & 1)) fail(Code.TimeNotTrusted, fn, "a clock that is set", "another")
    }

    /** Forgets counters and certificates of all signers, as `Signers.reset`. */
    reset(): void {
        this.signers.reset()
        this.known = []
        this.next = 0
    }

    /** The certificates a header brings or names. */
    private find(header: Buffer): Judged {
        const digest = cut(header, signerAt, 32)
        for (let i = 0; i < this.known.length; ++i) if (sameOctets(this.known[i].digest, digest)) return this.known[i]
        const chain: Certificate[] = []
        const der = new DerReader(header, certificatesAt, header.length)
        while (der.more()) {
            if (chain.length === 2) fail(Code.CommandForm, -1, "two certificates at most", "more")
            der.read(0x30)
            chain.push(parseCertificate(cut(header, der.from, der.stop - der.from)))
        }
        if (chain.length === 0) {
            const held = this.trust.hold()
            for (let i = 0; i < held.length; ++i)
                if (sameOctets(platform().sha256([held[i].der]), digest)) return new Judged(digest, [held[i]])
            fail(Code.SignerUnknown, -1, "a signer that is known", "another")
        }
        if (!sameOctets(platform().sha256([chain[0].der]), digest))
            fail(Code.CommandForm, -1, "the certificate that the header names", "another")
        return new Judged(digest, chain)
    }

    /** Judges the signer's certificates, unless nothing has changed since they were, and that they are valid now. */
    private judge(judged: Judged): void {
        const trust = this.trust
        const table = this.table
        if (judged.trust !== trust.version() || judged.table !== table.version()) {
            this.walk(judged)
            judged.trust = trust.version()
            judged.table = table.version()
        }
        const now = trust.utcSeconds()
        if (now > 0 && now < judged.from) fail(Code.ChainNotYetValid, -1, "valid from " + judged.from, "" + now)
        if (now > judged.until) fail(Code.ChainExpired, -1, "valid to " + judged.until, "" + now)
    }

    /** Every certificate from the signer's up to the one held: signatures, revocation, and who may certify whom with which rights. */
    private walk(judged: Judged): void {
        const trust = this.trust
        const held = trust.hold()
        const leaf = judged.chain[0]
        const line: Certificate[] = []
        let own = false
        for (let i = 0; i < held.length; ++i) {
            platform().yieldNow()
            if (sameOctets(held[i].der, leaf.der)) own = true
        }
        if (own) line.push(leaf)
        else {
            for (let i = 0; i < judged.chain.length; ++i) line.push(judged.chain[i])
            line.push(findAnchor(line[line.length - 1], held))
        }
        judged.from = 0
        judged.until = 0xffffffff
        for (let i = 0; i < line.length; ++i) {
            judged.from = Math.max(judged.from, line[i].notBefore)
            judged.until = Math.min(judged.until, line[i].notAfter)
        }
        if (!own)
            verifyChain({
                chain: judged.chain,
                anchors: held,
                atSeconds: judged.from,
                crls: trust.crls(judged.chain),
                crlMayBeStale: true,
                keyUsage: digitalSignature,
            })
        else if (!(leaf.keyUsage & digitalSignature))
            fail(Code.ChainKeyUsage, -1, "digitalSignature", "" + leaf.keyUsage)
        let below = 0
        let rights = 0
        for (let i = 0; i < line.length; ++i) {
            const party = readRole(line[i])
            if (!party) fail(Code.RoleMissing, i, "a role", "none")
            const role = party.role
            if (i === 0) {
                judged.role = role
                judged.rights = party.rights
                if (role > Role.indicator) fail(Code.RoleNotCertifiable, i, "a role that commands", "role " + role)
            } else {
                const may = role < 4 ? uintBE(certifies, 2 * role, 2) : 0
                if (!((may >> below) & 1))
                    fail(Code.RoleNotCertifiable, i, "an issuer of role " + below, "role " + role)
                if (rights & ~party.rights) fail(Code.RightsBeyondIssuer, i, "rights of its issuer", "" + rights)
            }
            // The root over all of the institute's stays what it is: a device has no other.
            if ((i === 0 || role !== Role.institute) && party.version < this.table.leastVersion(role))
                fail(Code.RoleVersionOld, i, "version " + this.table.leastVersion(role), "" + party.version)
            below = role
            rights = party.rights
        }
    }
}
