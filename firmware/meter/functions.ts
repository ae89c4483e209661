import { AccessTable, Fn } from "../core/access"
import { type Caller, Gate } from "../core/command"
import { answerCommand } from "../core/command-answer"
import { CRC_BAD } from "../core/crc16"
import { writeCsr } from "../core/csr"
import { Code, fail, PlombError } from "../core/errors"
import { Event, Logbook, none } from "../core/logbook"
import { cut, join, numberBE, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { answerFile } from "../core/sml-answer"
import { Attention } from "../core/sml-attention"
import { attentionRes, getProcParameterRes, readRequest, type SmlRequest } from "../core/sml-messages"
import { branch, childName, erasePath, numberLeaf, octetsLeaf, statusPath } from "../core/sml-parameter"
import { readFile, type SmlFile } from "../core/sml-read"
import { GET_LIST_REQ, GET_PROC_PARAMETER_REQ, GET_PROFILE_LIST_REQ, SET_PROC_PARAMETER_REQ } from "../core/sml-tables"
import { newlyAnnounced } from "../core/software"
import type { Store } from "../core/store"
import { parseCertificate } from "../core/x509"
import { Role, readRole } from "../core/x509-role"
import { calibrationOf, constantsSize, Step } from "./identity"
import {
    accessAt,
    logbookAt,
    logbookEntries,
    metrologicalAt,
    metrologicalEntries,
    signersAt,
    TrustSlot,
} from "./layout"
import type { EventLog, Meter } from "./meter"
import type { Software } from "./software"

/** Whoever is on the line. */
const anyone = 254

/**
 * The meter's parameters: third and fourth octet of the path's name (81 81 C7 .. .. FF), function that reads, function that sets
 * (`anyone` or `none`), event of the logbook.
 */
const rows = hex`
    8201 FE FF 00 // identification
    8205 FE FF 00 // public key
    8810 FE 02 01 // time
    F010 FE FF 00 // certificate chain
    F020 FE FF 00 // inventory
    F021 FF FE 00 // certificates and lists
    F040 08 03 02 // parameters of measuring
    F041 08 04 03 // calibration constants
    F042 09 09 02 // label
    F043 08 0D 04 // access table
    F044 FF 10 05 // change of provider
    F045 FF 11 06 // provider deleted
    F046 FF 12 09 // erase
    F047 FE 13 07 // key rollover
    F050 05 FF 00 // metrological logbook
    F051 FF 06 08 // its reset
    F052 0A FF 00 // the other logbook
    F053 FF 0B 08 // its reset
    F060 08 FF 00 // attestation
    F061 08 FF 00 // software in the slots
    F062 FF 07 16 // a package is announced
    F063 FF FE 00 // a block of it
    F064 FF 07 0E // activation
    F065 FF 07 15 // confirmation
    F066 FF 07 0F // back to what ran before
`
const ROW = 5

/** Functions on what measures: their entries stand in the metrological logbook. */
const metrological =
    (1 << Fn.setTime) |
    (1 << Fn.setMeteringParameters) |
    (1 << Fn.calibrate) |
    (1 << Fn.readMetrologicalLogbook) |
    (1 << Fn.resetMetrologicalLogbook) |
    (1 << Fn.installMetrologicalSoftware) |
    (1 << Fn.readSoftware) |
    (1 << Fn.erase) |
    (1 << Fn.rolloverKey)

/** Entries of a logbook in one answer. */
const mostEntries = 28

/** What the meter does when it is told to, each thing for those who may (README.md). */
export class Functions implements EventLog {
    readonly table: AccessTable
    readonly gate: Gate
    /** What concerns the measuring: nothing is ever overwritten. And the rest, a ring. */
    readonly metrologicalLog: Logbook
    readonly logbook: Logbook
    /** The logbook that announces what is being done. */
    private announced: Logbook | undefined

    constructor(
        store: Store,
        private readonly meter: Meter,
        /** Absent where no modules run. */
        readonly software?: Software,
    ) {
        this.table = new AccessTable(store, accessAt)
        this.gate = new Gate(store, signersAt, this.table, meter.certificates)
        this.metrologicalLog = new Logbook(store, metrologicalAt, metrologicalEntries, "log", meter.time)
        this.logbook = new Logbook(store, logbookAt, logbookEntries, "ring", meter.time)
        this.settle()
        const self = this
        meter.log = this
        meter.certificates.onTake = der => {
            self.logbook.append(Event.certificateTaken, none, undefined, 0, cut(platform().sha256([der]), 0, 16))
        }
    }

    /** The response file to a request file for this meter; `read` answers requests for lists and profiles. */
    answer(file: SmlFile, read: (request: SmlRequest, responses: Buffer[]) => void): Buffer {
        const self = this
        const meter = this.meter
        const id = meter.identity.serverId()
        const software = this.software
        if (software && software.working)
            return answerFile(file, id, () => fail(Code.Busy, -1, "software that was judged", "a package being judged"))
        let refusal: any
        let caller: Caller | undefined
        try {
            caller = this.gate.open(file, id, true)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.metrologicalLog.refused(none, undefined, e.code, hex``)
            refusal = e
        }
        const known = caller
        return answerCommand(
            file,
            id,
            known,
            digest => meter.custody().sign(digest),
            meter.time.secondsIndex(),
            meter.certificates.utcSeconds(),
            (request, responses) => {
                if (refusal) throw refusal
                self.respond(known, request, responses, read)
            },
        )
    }

    /** Is the meter to be erased? It starts anew then. */
    erasing(): boolean {
        return this.meter.identity.step() === Step.Erasing
    }

    private respond(
        caller: Caller | undefined,
        request: SmlRequest,
        responses: Buffer[],
        read: (request: SmlRequest, responses: Buffer[]) => void,
    ): void {
        const id = this.meter.identity.serverId()
        const tag = request.tag
        const name: Buffer = request.path.length > 0 ? request.path[0] : hex``
        const set = tag === SET_PROC_PARAMETER_REQ
        const row = set || tag === GET_PROC_PARAMETER_REQ ? rowOf(name) : -1
        const status = tag === GET_PROC_PARAMETER_REQ && sameOctets(name, statusPath)
        let fn = anyone
        if (tag === GET_LIST_REQ) fn = Fn.readCurrent
        else if (tag === GET_PROFILE_LIST_REQ) fn = Fn.readProfile
        else if (row >= 0) fn = rows[row + (set ? 3 : 2)]
        else if (!status) {
            const attention = set || name.length === 0 ? Attention.NotAuthorised : Attention.UnknownIdentifier
            responses.push(attentionRes(request.transactionId, id, attention, ""))
            return
        }
        let answer = 0
        let tree: any
        this.announced = undefined
        try {
            if (fn === none) fail(Code.FunctionDenied, -1, "a parameter of the other direction", "")
            if (fn !== anyone) this.gate.demand(caller, fn)
            if (set) answer = this.set(caller, row, request.value)
        } catch (e: any) {
            const log = this.announced as Logbook | undefined
            if (e instanceof PlombError && log && !log.full()) log.append(Event.failed, fn, caller, e.code, name)
            else if (e instanceof PlombError && fn !== anyone) (log || this.logOf(fn)).refused(fn, caller, e.code, name)
            throw e
        }
        if (tag === GET_LIST_REQ || tag === GET_PROFILE_LIST_REQ) read(request, responses)
        else if (set && answer === 0) responses.push(attentionRes(request.transactionId, id, Attention.Done, ""))
        else {
            tree = status ? numberLeaf(name, this.meter.status()) : this.tree(row, name, request.path, set)
            if (tree) responses.push(getProcParameterRes(request.transactionId, id, request.path, tree))
            else responses.push(attentionRes(request.transactionId, id, Attention.NotReadable, ""))
        }
    }

    /** What a parameter shows, undefined where there is nothing; `begun`: the request for the key of a rollover that has begun. */
    private tree(row: number, name: Buffer, path: Buffer[], begun: boolean): any {
        const meter = this.meter
        const which = rows[row + 1]
        const log = which === 0x50 ? this.metrologicalLog : this.logbook
        const isLog = which === 0x50 || which === 0x52
        if (path.length > 1 && !isLog) return undefined
        const children: any[] = []
        const slots = hex`8181c7f061ff`
        const software = this.software
        if (which === 0x01 || which === 0x60) {
            const identification = [
                octetsLeaf(hex`8181c78204ff`, meter.identity.serverId()),
                octetsLeaf(hex`8181c7820a01`, Buffer.from(meter.identity.hardware())),
                octetsLeaf(hex`8181c78206ff`, Buffer.from(meter.machine.softwareIdentification)),
                octetsLeaf(hex`0100605a0201`, meter.machine.softwareChecksum),
            ]
            if (which === 0x60 && software) identification.push(branch(slots, software.children(slots)))
            return branch(name, identification)
        }
        if (which === 0x61) return software ? branch(name, software.children(slots)) : undefined
        if (which === 0x05) return octetsLeaf(name, meter.custody().publicKey())
        if (which === 0x10 && rows[row] === 0x88) return numberLeaf(name, meter.time.utcSeconds())
        if (which === 0x10) {
            for (let slot = TrustSlot.Meter; slot <= TrustSlot.InstituteRoot; ++slot) {
                const der = meter.certificates.der(slot)
                if (der) children.push(octetsLeaf(childName(name, slot + 1), der))
            }
        } else if (which === 0x20) {
            const items = meter.certificates.inventory(name)
            for (let i = 0; i < items.length; ++i) children.push(items[i])
        } else if (isLog) {
            const head = log.head()
            children.push(octetsLeaf(childName(name, 1), head))
            let number = path.length > 1 ? uintBE(path[1], path[1].length - 4, 4) : 0
            number = Math.max(number, uintBE(head, 4, 4))
            for (; number <= log.newest() && children.length <= mostEntries; ++number) {
                platform().yieldNow()
                const entry = log.read(number)
                if (entry) children.push(octetsLeaf(childName(name, children.length + 1), entry))
            }
        } else {
            let value: Buffer | undefined
            if (which === 0x40) value = meter.parameters.metering()
            else if (which === 0x41) value = meter.identity.constants()
            else if (which === 0x42) value = meter.parameters.label()
            else if (which === 0x43) value = this.table.octets()
            else if (begun) {
                const next = meter.keyHolder(meter.places.key() ^ 1)
                value = writeCsr(meter.identity.serverId().toString("hex"), "" + meter.identity.serial(), next)
            } else value = meter.certificates.formerMeter()
            return value ? octetsLeaf(name, value) : undefined
        }
        return children.length > 0 ? branch(name, children) : undefined
    }

    /**
     * Does what is asked for, or throws with nothing changed; an entry is in the logbook before anything is. 1: the answer is
     * the parameter's tree.
     */
    private set(caller: Caller | undefined, row: number, value: Buffer): number {
        const meter = this.meter
        const which = rows[row + 1]
        if (which === 0x21) {
            meter.certificates.order(value)
            return 0
        }
        const software = this.software
        if (which > 0x60 && !software) fail(Code.SlotIdle, -1, "slots for software", "none")
        if (software && which === 0x63) software.block(value)
        if (!caller) return 0
        const fn = rows[row + 3]
        const self = this
        const log = this.logOf(fn)
        const enter = (detail: Buffer, into?: Logbook) => {
            const announced = into || log
            announced.append(rows[row + 4], fn, caller, 0, cut(detail, 0, Math.min(16, detail.length)))
            self.announced = announced
        }
        if (which === 0x10) {
            if (value.length !== 4) fail(Code.OutOfRange, -1, "U32", value.length + " octets")
            const to = uintBE(value, 0, 4)
            const detail = join([numberBE(4, meter.time.utcSeconds()), numberBE(4, to)])
            enter(detail, meter.time.isCorrection(to) ? this.logbook : log)
            meter.time.set(to)
        } else if (which === 0x40) {
            const store = () => {
                enter(value)
                meter.parameters.setMetering(value)
            }
            meter.parameters.checkMetering(value)
            if (software) software.reload(value, store)
            else store()
        } else if (which === 0x41) {
            if (value.length !== constantsSize) fail(Code.OutOfRange, -1, constantsSize + " octets", "" + value.length)
            enter(platform().sha256([value]))
            meter.startFrontEnd(calibrationOf(value))
            meter.identity.setConstants(value)
        } else if (which === 0x42) {
            meter.parameters.checkLabel(value)
            enter(value)
            meter.parameters.setLabel(value)
        } else if (which === 0x43) {
            const version = this.providerVersion()
            this.table.check(value, caller.role, version)
            // A row of what measures may be among those that change.
            enter(platform().sha256([value]), caller.role === Role.institute ? this.metrologicalLog : log)
            this.table.replace(value, caller.role, version)
        } else if (which === 0x44) {
            const der = meter.certificates.nextProvider(value)
            const role = readRole(parseCertificate(der))
            const least = this.table.leastVersion(Role.securityManagement)
            if (!role || role.version < least) fail(Code.RoleVersionOld, -1, "version " + least, "an older one")
            enter(platform().sha256([der]))
            meter.certificates.takeProvider(der)
        } else if (which === 0x45) {
            mustBeZero(value)
            if (meter.places.provider() === 0) fail(Code.CertificateMissing, -1, "a provider", "none")
            enter(value)
            meter.certificates.deleteProvider()
            this.settle()
        } else if (which === 0x46) {
            this.checkOrder(value)
            enter(hex``)
            meter.identity.reach(Step.Erasing)
        } else if (which === 0x47) return this.rollOver(value, enter)
        else if (software && which > 0x60) {
            if (which === 0x62) {
                const digest = newlyAnnounced(software.slots, value)
                if (digest) enter(digest)
                software.announce(value)
            } else if (which === 0x64) software.activate(value, enter)
            else if (which === 0x65) software.confirm(value, enter)
            else software.putBack(value, enter)
        } else (which === 0x51 ? this.metrologicalLog : this.logbook).reset(fn, caller, uintBE(value, 0, 4))
        return 0
    }

    /** 01: a new key in the place of the one not in force; 02: its certificate has come, so it is the one in force; 00: it is given up. */
    private rollOver(value: Buffer, enter: (detail: Buffer) => void): number {
        const meter = this.meter
        const next = meter.keyHolder(meter.places.key() ^ 1)
        if (value.length === 1 && value[0] <= 1) {
            enter(value)
            if (!next.state().configured) next.configure()
            if (value[0] === 1) next.generateKey()
            else next.erase()
            return value[0]
        }
        if (value.length !== 35 || value[0] !== 2) fail(Code.BadArgument, -1, "00, 01 or 02 with a certificate", "")
        const der = meter.certificates.nextMeter(value, next.publicKey())
        enter(platform().sha256([der]))
        if (this.software) this.software.floor.renew(next)
        meter.certificates.prepareMeter(der)
        meter.places.switchKey()
        this.settle()
        return 0
    }

    /** Version of the role in the provider's certificate. */
    private providerVersion(): number {
        const der = this.meter.certificates.der(TrustSlot.SecurityManagement)
        const role = der ? readRole(parseCertificate(der)) : undefined
        return role ? role.version : 0
    }

    /** Is this an order of the calibration authority to erase this very meter? */
    private checkOrder(value: Buffer): void {
        const file = readFile(value, false, CRC_BAD)
        const caller = this.gate.open(file, this.meter.identity.serverId(), true)
        if (!caller) fail(Code.NotSigned, -1, "a signed order", "none")
        if (caller.role !== Role.calibrationAuthority || !((caller.rights >> Fn.erase) & 1) || !caller.timely)
            fail(Code.RoleMismatch, -1, "the calibration authority", "role " + caller.role)
        const order = readRequest(file.messages[2])
        if (file.messages.length !== 4 || order.path.length !== 1 || !sameOctets(order.path[0], erasePath))
            fail(Code.CommandForm, 0, "an order to erase", "another")
        mustBeZero(order.value)
    }

    /**
     * What follows from a switch, also where the power went between the two: after the provider its access rights go, so that the table
     * is again as delivered, and after the key in force the one before is destroyed.
     */
    private settle(): void {
        const places = this.meter.places
        if (places.provider() === 0 && this.table.version() > 1) this.table.reset()
        if (!places.formerKept()) return
        try {
            this.meter.keyHolder(places.key() ^ 1).erase()
            places.formerGone()
        } catch (e: any) {
            // Its holder is absent: the next start tries again.
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
    }

    /** An event nobody asked for; a full logbook stops nothing that has happened already. */
    noteEvent(event: Event, code: number, detail: Buffer): void {
        try {
            this.metrologicalLog.append(event, none, undefined, code, detail)
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.LogbookFull) throw e
        }
    }

    private logOf(fn: number): Logbook {
        return fn < anyone && (metrological >> fn) & 1 ? this.metrologicalLog : this.logbook
    }
}

function rowOf(name: Buffer): number {
    if (name.length === 6 && name[0] === 0x81 && name[1] === 0x81 && name[2] === 0xc7 && name[5] === 0xff)
        for (let row = 0; row < rows.length; row += ROW)
            if (rows[row] === name[3] && rows[row + 1] === name[4]) return row
    return -1
}

function mustBeZero(value: Buffer): void {
    if (value.length !== 1 || value[0] !== 0) fail(Code.BadArgument, -1, "00", "" + value.length)
}
