import type { Machine } from "../../hal/machine"
import { AccessTable } from "../core/access"
import { type Caller, Gate } from "../core/command"
import { answerCommand } from "../core/command-answer"
import { Code, fail, PlombError } from "../core/errors"
import { Logbook, none } from "../core/logbook"
import { cut, join, sameOctets, uintBE } from "../core/octets"
import { Attention } from "../core/sml-attention"
import { attentionRes, getProcParameterRes, type SmlRequest } from "../core/sml-messages"
import { activeMetersPath, branch, childName, octetsLeaf } from "../core/sml-parameter"
import type { SmlFile } from "../core/sml-read"
import { GET_PROC_PARAMETER_REQ, SET_PROC_PARAMETER_REQ } from "../core/sml-tables"
import type { Store } from "../core/store"
import type { Addresses } from "./addresses"
import type { MucClock } from "./clock"
import { MucCommandTrust } from "./command-trust"
import type { Holdings } from "./holdings"
import type { Identity } from "./identity"
import type { KeyRing } from "./keys"
import { accessAt, broughtAt, logbookAt, logbookEntries, signersAt, TrustSlot } from "./layout"

/** Whoever is on the connection. */
const anyone = 254
const slotsPath = hex`8181c7f061ff`
/** Octets of a row of `Answering.rows`. */
const ROW = 5
/** Logbook entries in one answer. */
const mostEntries = 16

/** Who can be asked for signed lists here. */
export interface Served {
    count(): number
    idAt(index: number): Buffer
}

/** How a MUC of any image answers a request file for itself: gate, rights, logbook, signed answers, and what every MUC tells. */
export class Answering {
    readonly table: AccessTable
    readonly gate: Gate
    readonly logbook: Logbook
    readonly trust: MucCommandTrust
    /** Meters of the line, where there is one. */
    meters: Served | undefined

    constructor(
        readonly store: Store,
        readonly machine: Machine,
        readonly identity: Identity,
        readonly holdings: Holdings,
        readonly keys: KeyRing,
        readonly clock: MucClock,
        protected readonly addresses: Addresses,
    ) {
        this.trust = new MucCommandTrust(holdings, clock)
        this.table = new AccessTable(store, accessAt)
        this.gate = new Gate(store, signersAt, this.table, this.trust)
        this.logbook = new Logbook(store, logbookAt, logbookEntries, "ring", this.trust)
        // After the provider its access rights go too: the table is again as delivered. Also where the power went between the two.
        if (holdings.deleted() && this.table.version() > 1) this.table.reset()
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

    /**
     * The parameters of the image, a row each: third and fourth octet of the path's name (81 81 C7 .. .. FF), function that reads, function that
     * sets (254 anyone, 255 nobody), event of the logbook.
     */
    protected rows(): Buffer {
        return hex``
    }

    /** The answer to a request that is for no parameter. */
    protected list(_caller: Caller | undefined, _request: SmlRequest): Buffer | undefined {
        return undefined
    }

    private respond(caller: Caller | undefined, request: SmlRequest): Buffer {
        const id = this.identity.serverId
        const set = request.tag === SET_PROC_PARAMETER_REQ
        const name: Buffer = request.path.length > 0 ? request.path[0] : hex``
        const rows = this.rows()
        const row = set || request.tag === GET_PROC_PARAMETER_REQ ? rowOf(rows, name) : -1
        const attention = (number: number) => attentionRes(request.transactionId, id, number, "")
        const list = this.list(caller, request)
        if (list) return list
        if (row < 0 && !sameOctets(name, activeMetersPath))
            return attention(request.path.length > 0 ? Attention.UnknownIdentifier : Attention.NotAuthorised)
        const fn = row < 0 ? anyone : rows[row + (set ? 3 : 2)]
        if (fn === none) fail(Code.FunctionDenied, -1, "a parameter of the other direction", "")
        if (fn !== anyone) this.demand(caller, fn)
        if (set) {
            const which = rows[row + 1]
            if (which === 0x21 && uintBE(request.value, 0, 1) === 0) this.bring(request.value)
            else this.set(caller, which, fn, rows[row + 4], request.value)
            return attention(Attention.Done)
        }
        return getProcParameterRes(
            request.transactionId,
            id,
            request.path,
            this.tree(row < 0 ? 0 : rows[row + 1], name, request.path),
        )
    }

    private tree(which: number, name: Buffer, path: Buffer[]): any[] {
        let values: Buffer[] = []
        if (which === 0) {
            const meters = this.meters
            for (let i = 0; meters && i < meters.count(); ++i) values.push(meters.idAt(i))
        } else if (which === 0x01 || which === 0x60) {
            const machine = this.machine
            const told = [
                octetsLeaf(hex`8181c78204ff`, this.identity.serverId),
                octetsLeaf(hex`8181c78206ff`, Buffer.from(machine.softwareIdentification)),
                octetsLeaf(hex`0100605a0201`, machine.softwareChecksum),
            ]
            const slots = which === 0x60 ? this.slots(slotsPath) : []
            if (slots.length > 0) told.push(branch(slotsPath, slots))
            return branch(name, told)
        } else if (which === 0x61) {
            return branch(name, this.slots(name))
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
            return this.read(which, name, path)
        }
        const children: any[] = []
        for (let i = 0; i < values.length; ++i) children.push(octetsLeaf(childName(name, i + 1), values[i]))
        return children.length > 0 ? branch(name, children) : [name, undefined, undefined]
    }

    /** A part of certificates and lists (firmware/meter/README.md): they count when an order names them. */
    private bring(part: Buffer): void {
        this.store.write(broughtAt + uintBE(part, 1, 2), cut(part, 3, part.length - 3))
    }

    /** What is told of software in slots, below the parameter `name`; empty in an image that has none. */
    protected slots(_name: Buffer): any[] {
        return []
    }

    /** What the image tells of its own. */
    protected read(_which: number, name: Buffer, _path: Buffer[]): any[] {
        return [name, undefined, undefined]
    }

    /** Does what is asked for, or throws with nothing changed; an entry is in the logbook before anything is. */
    protected set(_caller: Caller | undefined, which: number, _fn: number, _event: number, _value: Buffer): void {
        fail(Code.StepOutOfOrder, which, "another image", "this one")
    }
}

function rowOf(rows: Buffer, name: Buffer): number {
    if (name.length === 6)
        for (let row = 0; row < rows.length; row += ROW)
            if (sameOctets(name, join([hex`8181c7`, cut(rows, row, 2), hex`ff`]))) return row
    return -1
}
