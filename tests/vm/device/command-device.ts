import { AccessTable, accessTableSize, Fn } from "../../../firmware/core/access"
import { type Caller, type CommandTrust, Gate } from "../../../firmware/core/command"
import { answerCommand } from "../../../firmware/core/command-answer"
import { CRC_BAD } from "../../../firmware/core/crc16"
import { type Crl, parseCrl } from "../../../firmware/core/crl"
import { Code, fail, PlombError } from "../../../firmware/core/errors"
import { Event, Logbook, none } from "../../../firmware/core/logbook"
import { cut, join, numberBE, sameOctets, uintBE } from "../../../firmware/core/octets"
import { signersSize } from "../../../firmware/core/signers"
import { Attention } from "../../../firmware/core/sml-attention"
import { attentionRes, getProcParameterRes, type SmlRequest } from "../../../firmware/core/sml-messages"
import {
    accessPath,
    changeProviderPath,
    labelPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    octetsLeaf,
    timePath,
} from "../../../firmware/core/sml-parameter"
import { readFile } from "../../../firmware/core/sml-read"
import { GET_LIST_REQ, GET_PROFILE_LIST_REQ } from "../../../firmware/core/sml-tables"
import type { Store } from "../../../firmware/core/store"
import { type Certificate, parseCertificate } from "../../../firmware/core/x509"
import { Role, readRole } from "../../../firmware/core/x509-role"

/** Where this device keeps what it keeps; `storeSize` octets in all. */
export const tableAt = 0
export const signersAt = 2 * (accessTableSize + 4) + 1
export const logbookAt = signersAt + signersSize
export const entries = 24
export const storeSize = logbookAt + 24 * 82 + 33

const nothing = hex``

class Trust implements CommandTrust {
    held: Certificate[] = []
    lists: Crl[] = []
    now = 0
    changes = 0

    hold(): Certificate[] {
        return this.held
    }
    crls(): Crl[] {
        return this.lists
    }
    utcSeconds(): number {
        return this.now
    }
    version(): number {
        return this.changes
    }
    secondsIndex(): number {
        return 7
    }
    quality(): number {
        return this.now > 0 ? 2 : 0
    }
}

/**
 * A device with nothing but the gate, so that tests ask the same of it in Node and in the VM. The first octet of a request says what:
 * 0 certificates held (each: length U16 BE, DER), 1 lists held, 2 the time U32 BE, 3 a command for a meter, 4 one that is passed on
 * (octets of the SML file), 5 the head of the logbook, 6 its entry U32 BE, 7 the access table.
 * A command is answered with codes U16 BE: of the file, then of each request (0 = done), then role U8, counter U32 and the answer's octets where it was let in.
 */
export class CommandDevice {
    readonly trust = new Trust()
    readonly table: AccessTable
    readonly gate: Gate
    readonly log: Logbook
    label: Buffer = nothing

    constructor(
        store: Store,
        readonly id: Buffer,
        readonly sign: (digest: Buffer) => Buffer,
    ) {
        this.table = new AccessTable(store, tableAt)
        this.gate = new Gate(store, signersAt, this.table, this.trust)
        this.log = new Logbook(store, logbookAt, entries, "log", this.trust)
    }

    answer(request: Buffer): Buffer {
        const kind = request[0]
        const octets = cut(request, 1, request.length - 1)
        if (kind < 2) this.take(kind, octets)
        else if (kind === 2) this.trust.now = uintBE(octets, 0, 4)
        else if (kind < 5) return this.command(octets, kind === 3)
        else if (kind === 5) return this.log.head()
        else if (kind === 6) return this.log.read(uintBE(octets, 0, 4)) || nothing
        else if (kind === 7) return this.table.octets()
        return nothing
    }

    private take(kind: number, octets: Buffer): void {
        const trust = this.trust
        if (kind === 0) trust.held = []
        else trust.lists = []
        for (let at = 0; at < octets.length; ) {
            const length = uintBE(octets, at, 2)
            const der = cut(octets, at + 2, length)
            if (kind === 0) trust.held.push(parseCertificate(der))
            else trust.lists.push(parseCrl(der))
            at += 2 + length
        }
        trust.changes += 1
    }

    private command(raw: Buffer, counts: boolean): Buffer {
        const gate = this.gate
        const codes: number[] = []
        let caller: Caller | undefined
        try {
            const file = readFile(raw, false, CRC_BAD)
            let refusal = 0
            try {
                caller = gate.open(file, this.id, counts)
            } catch (e: any) {
                refusal = codeOf(e)
                this.log.refused(none, undefined, refusal, nothing)
            }
            codes.push(refusal)
            const self = this
            const known = caller
            const answer = answerCommand(file, this.id, known, this.sign, 7, this.trust.now, (request, responses) => {
                const place = codes.length
                codes.push(refusal)
                if (refusal !== 0) fail(refusal, -1, "", "")
                try {
                    self.respond(known, request, responses)
                } catch (e: any) {
                    codes[place] = codeOf(e)
                    throw e
                }
            })
            const requests = file.messages.length - (caller ? 3 : 2)
            while (codes.length <= requests) codes.push(Code.NotTried)
            if (!caller) return join(codes.map(code => numberBE(2, code)))
            return join([
                join(codes.map(code => numberBE(2, code))),
                numberBE(1, caller.role),
                numberBE(4, caller.counter),
                answer,
            ])
        } catch (e: any) {
            return numberBE(2, codeOf(e))
        }
    }

    private respond(caller: Caller | undefined, request: SmlRequest, responses: Buffer[]): void {
        const fn = functionOf(request)
        const path = request.path.length > 0 ? request.path[0] : nothing
        try {
            this.gate.demand(caller, fn)
        } catch (e: any) {
            if (caller) this.log.refused(fn, caller, codeOf(e), nothing)
            throw e
        }
        if (!caller) return
        const value = request.value
        const id = request.transactionId
        if (fn === Fn.readMetrologicalLogbook) {
            responses.push(getProcParameterRes(id, this.id, request.path, octetsLeaf(path, this.log.head())))
            return
        }
        if (fn === Fn.setAccess) {
            let version = 0
            for (let i = 0; i < this.trust.held.length; ++i) {
                const role = readRole(this.trust.held[i])
                if (role && role.role === Role.securityManagement) version = role.version
            }
            this.table.check(value, caller.role, version)
            this.log.append(Event.accessChanged, fn, caller, 0, cut(value, 0, 4))
            this.table.replace(value, caller.role, version)
        } else if (fn === Fn.setTime) {
            this.log.append(Event.timeSet, fn, caller, 0, value)
            this.trust.now = uintBE(value, 0, 4)
        } else if (fn === Fn.resetMetrologicalLogbook) this.log.reset(fn, caller, uintBE(value, 0, 4))
        else if (fn === Fn.setParameters) this.label = value
        else if (fn === Fn.changeProvider) {
            // All that is held but the provider.
            const trust = this.trust
            const held: Certificate[] = []
            for (let i = 0; i < trust.held.length; ++i) {
                const role = readRole(trust.held[i])
                if (role && role.role !== Role.securityManagement) held.push(trust.held[i])
            }
            this.log.append(Event.providerChanged, fn, caller, 0, nothing)
            trust.held = held
            trust.changes += 1
        }
        responses.push(attentionRes(id, this.id, Attention.Done, ""))
    }
}

function functionOf(request: SmlRequest): Fn {
    if (request.tag === GET_LIST_REQ) return Fn.readCurrent
    if (request.tag === GET_PROFILE_LIST_REQ) return Fn.readProfile
    const path = request.path[0]
    if (sameOctets(path, timePath)) return Fn.setTime
    if (sameOctets(path, accessPath)) return Fn.setAccess
    if (sameOctets(path, labelPath)) return Fn.setParameters
    if (sameOctets(path, metrologicalLogbookPath)) return Fn.readMetrologicalLogbook
    if (sameOctets(path, metrologicalResetPath)) return Fn.resetMetrologicalLogbook
    if (sameOctets(path, changeProviderPath)) return Fn.changeProvider
    return Fn.readSoftware
}

function codeOf(e: any): number {
    if (!(e instanceof PlombError)) throw e
    return e.code
}
