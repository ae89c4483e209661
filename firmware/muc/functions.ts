import type { Machine } from "../../hal/machine"
import { AccessTable } from "../core/access"
import { type Caller, Gate } from "../core/command"
import { answerCommand } from "../core/command-answer"
import { Code, fail, PlombError } from "../core/errors"
import { Logbook, none } from "../core/logbook"
import { cut, join, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { Attention } from "../core/sml-attention"
import { attentionRes, getProcParameterRes, type SmlRequest } from "../core/sml-messages"
import { activeMetersPath, branch, childName, octetsLeaf } from "../core/sml-parameter"
import type { SmlFile } from "../core/sml-read"
import { GET_PROC_PARAMETER_REQ, SET_PROC_PARAMETER_REQ } from "../core/sml-tables"
import type { Store } from "../core/store"
import { Role, readRole } from "../core/x509-role"
import type { Addresses } from "./addresses"
import type { MucClock } from "./clock"
import { MucCommandTrust } from "./command-trust"
import type { Holdings } from "./holdings"
import type { Identity } from "./identity"
import type { KeyRing } from "./keys"
import { accessAt, broughtAt, logbookAt, logbookEntries, signersAt, TrustSlot } from "./layout"
import type { MeterList } from "./meters"
import { proveList, proveProvider } from "./proof"

/** Whoever is on the connection. */
const anyone = 254

/**
 * The MUC's parameters: third and fourth octet of the path's name (81 81 C7 .. .. FF), function that reads, function that sets (`anyone`
 * or `none`), event of the logbook.
 */
const rows = hex`
    8201 FE FF 00 // identification
    8810 FF 02 01 // time: a signed answer tells it
    F010 FE FF 00 // its certificates, by which its signed answers are judged
    F020 FE FF 00 // inventory
    F021 FF FE 00 // certificates and lists
    F042 09 09 02 // label
    F043 08 0D 04 // access table
    F044 FF 10 05 // change of provider
    F045 FF 11 06 // provider deleted
    F046 FF 12 09 // erase
    F048 0F 0F 13 // addresses
    F049 0E 0E 12 // symmetric keys
    F052 0A FF 00 // logbook
    F053 FF 0B 08 // logbook reset
    F060 08 FF 00 // attestation
`
const ROW = 5

/** Logbook entries in one answer. */
const mostEntries = 16

/** What the MUC does when it is told to, each thing for those who may (README.md). */
export class Functions {
    readonly table: AccessTable
    readonly gate: Gate
    readonly logbook: Logbook
    readonly trust: MucCommandTrust
    /** Meters of the line, where there is one. */
    meters: MeterList | undefined
    /** Called when there is something to be fetched from the directory. */
    onProvider: () => void = () => {}

    constructor(
        readonly store: Store,
        readonly machine: Machine,
        readonly identity: Identity,
        readonly holdings: Holdings,
        readonly keys: KeyRing,
        readonly clock: MucClock,
        private readonly addresses: Addresses,
    ) {
        this.trust = new MucCommandTrust(holdings, clock)
        this.table = new AccessTable(store, accessAt)
        this.gate = new Gate(store, signersAt, this.table, this.trust)
        this.logbook = new Logbook(store, logbookAt, logbookEntries, "ring", this.trust)
        this.settle()
    }

    /** Who signed the file for `target`; a refusal is entered in the logbook and thrown. */
    open(file: SmlFile, target: Buffer, count: boolean): Caller | undefined {
        try {
            return this.gate.open(file, target, count)
        } catch (e: any) {
            if (e instanceof PlombError) this.logbook.refused(none, undefined, e.code, hex``)
            throw e
        }
    }

    /** Throws unless the caller may have `fn` done now; what is refused is entered. */
    demand(caller: Caller | undefined, fn: number): void {
        try {
            this.gate.demand(caller, fn)
        } catch (e: any) {
            if (e instanceof PlombError) this.logbook.refused(fn, caller, e.code, hex``)
            throw e
        }
    }

    /** The response file to a request file for the MUC itself, signed where that was. */
    answer(file: SmlFile): Buffer {
        const self = this
        const id = this.identity.serverId
        const custody = this.machine.custody
        let refusal: any
        let caller: Caller | undefined
        try {
            caller = this.open(file, id, true)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            refusal = e
        }
        const known = caller
        return answerCommand(
            file,
            id,
            known,
            digest => custody.sign(digest),
            this.trust.secondsIndex(),
            this.trust.utcSeconds(),
            (request, responses) => {
                if (refusal) throw refusal
                responses.push(self.respond(known, request))
            },
        )
    }

    private respond(caller: Caller | undefined, request: SmlRequest): Buffer {
        const id = this.identity.serverId
        const set = request.tag === SET_PROC_PARAMETER_REQ
        const name: Buffer = request.path.length > 0 ? request.path[0] : hex``
        const row = set || request.tag === GET_PROC_PARAMETER_REQ ? rowOf(name) : -1
        const attention = (number: number) => attentionRes(request.transactionId, id, number, "")
        if (row < 0 && !sameOctets(name, activeMetersPath))
            return attention(request.path.length > 0 ? Attention.UnknownIdentifier : Attention.NotAuthorised)
        const fn = row < 0 ? anyone : rows[row + (set ? 3 : 2)]
        if (fn === none) fail(Code.FunctionDenied, -1, "a parameter of the other direction", "")
        if (fn !== anyone) this.demand(caller, fn)
        if (set) {
            this.set(caller, row, request.value)
            return attention(Attention.Done)
        }
        return getProcParameterRes(request.transactionId, id, request.path, this.tree(row, name, request.path))
    }

    private tree(row: number, name: Buffer, path: Buffer[]): any[] {
        let values: Buffer[] = []
        const which = row < 0 ? 0 : rows[row + 1]
        if (row < 0) {
            const meters = this.meters
            for (let i = 0; meters && i < meters.count(); ++i) values.push(meters.idAt(i))
        } else if (which === 0x01 || which === 0x60) {
            const machine = this.machine
            return branch(name, [
                octetsLeaf(hex`8181c78204ff`, this.identity.serverId),
                octetsLeaf(hex`8181c78206ff`, Buffer.from(machine.softwareIdentification)),
                octetsLeaf(hex`0100605a0201`, machine.softwareChecksum),
            ])
        } else if (which === 0x10) {
            for (let slot = TrustSlot.Muc; slot <= TrustSlot.Manufacturer; ++slot) {
                const der = this.holdings.trust.read(slot)
                if (der) values.push(der)
            }
        } else if (which === 0x20) {
            values = this.holdings.items()
            const keys = this.keys.items()
            for (let i = 0; i < keys.length; ++i) values.push(keys[i])
        } else if (which === 0x52) {
            const log = this.logbook
            const newest = log.newest()
            values.push(log.head())
            let number = path.length > 1 ? uintBE(path[1], path[1].length - 4, 4) : 0
            number = Math.max(number, uintBE(values[0], 4, 4))
            for (; number <= newest && values.length <= mostEntries; ++number) {
                const entry = log.read(number)
                if (entry) values.push(entry)
            }
        } else {
            let value = this.table.octets()
            if (which === 0x48) value = this.addresses.text.get()
            else if (which !== 0x43) value = this.readHere(which)
            return octetsLeaf(name, value)
        }
        const children: any[] = []
        for (let i = 0; i < values.length; ++i) children.push(octetsLeaf(childName(name, i + 1), values[i]))
        return children.length > 0 ? branch(name, children) : [name, undefined, undefined]
    }

    /** Does what is asked for, or throws with nothing changed; an entry is in the logbook before anything is. */
    private set(caller: Caller | undefined, row: number, value: Buffer): void {
        const which = rows[row + 1]
        const holdings = this.holdings
        if (which === 0x21 && uintBE(value, 0, 1) === 0) {
            this.bring(value)
            return
        }
        const log = this.logbook
        const fn = rows[row + 3]
        const enter = (detail: Buffer) => log.append(rows[row + 4], fn, caller, 0, detail)
        if (caller && which === 0x43) {
            const provider = holdings.certificate(TrustSlot.SecurityManagement)
            const role = provider ? readRole(provider) : undefined
            const version = role ? role.version : 0
            this.table.check(value, caller.role, version)
            enter(value)
            this.table.replace(value, caller.role, version)
        } else if (which === 0x44) this.changeProvider(value, enter)
        else if (which === 0x45) {
            mustBeZero(value)
            if (holdings.deleted()) fail(Code.CertificateMissing, -1, "a provider", "none")
            enter(value)
            holdings.setProvider(undefined)
            this.settle()
        } else if (which === 0x48) {
            this.addresses.check(value)
            enter(platform().sha256([value]))
            this.addresses.text.set(value)
        } else if (caller && which === 0x53) log.reset(fn, caller, uintBE(value, 0, 4))
        else this.setHere(which, value, enter)
    }

    /** A part of certificates and lists (firmware/meter/README.md): they count when an order names them. */
    private bring(part: Buffer): void {
        this.store.write(broughtAt + uintBE(part, 1, 2), cut(part, 3, part.length - 3))
    }

    private changeProvider(value: Buffer, enter: (detail: Buffer) => void): void {
        const holdings = this.holdings
        const length = uintBE(value, 0, 2)
        const listAt = length + uintBE(value, 2, 2)
        const der = this.store.read(broughtAt, length)
        const digest = platform().sha256([der])
        if (!sameOctets(digest, cut(value, 4, 32)))
            fail(Code.BadArgument, -1, "the certificate that was brought", "another")
        const now = this.clock.nowSeconds()
        const next = proveProvider(holdings, der, now)
        const role = readRole(next)
        const least = this.table.leastVersion(Role.securityManagement)
        if (!role || role.version < least) fail(Code.RoleVersionOld, -1, "version " + least, "an older one")
        const crl =
            value.length > 36
                ? proveList(this.store.read(broughtAt + listAt, uintBE(value, 36, 2)), next, now)
                : undefined
        enter(digest)
        // First the list: of an issuer whom nobody knows yet it changes nothing.
        if (crl) {
            const held = holdings.crlOf(crl.authorityKeyId)
            if (!held || !sameOctets(held.der, crl.der)) holdings.takeList(crl)
        }
        holdings.setProvider(next)
        this.onProvider()
    }

    /** After the provider its access rights go too: the table is again as delivered. Also where the power went between the two. */
    private settle(): void {
        if (this.holdings.deleted() && this.table.version() > 1) this.table.reset()
    }

    /** Time, label, symmetric keys and erase: only at the MUC itself, with the image for installation (`local-functions.ts`). */
    protected setHere(which: number, _value: Buffer, _enter: (detail: Buffer) => void): void {
        fail(Code.StepOutOfOrder, which, "the image for installation", "that of the field")
    }

    protected readHere(which: number): Buffer {
        return fail(Code.StepOutOfOrder, which, "the image for installation", "that of the field")
    }
}

function rowOf(name: Buffer): number {
    if (name.length === 6)
        for (let row = 0; row < rows.length; row += ROW)
            if (sameOctets(name, join([hex`8181c7`, cut(rows, row, 2), hex`ff`]))) return row
    return -1
}

/** Throws `BadArgument` unless the value is the octet 00. */
export function mustBeZero(value: Buffer): void {
    if (value.length !== 1 || value[0] !== 0) fail(Code.BadArgument, -1, "00", "" + value.length)
}
