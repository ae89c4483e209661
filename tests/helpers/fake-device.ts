import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { AccessTable, Fn } from "../../firmware/core/access"
import { type Caller, type CommandTrust, Gate } from "../../firmware/core/command"
import { answerCommand } from "../../firmware/core/command-answer"
import { CRC_BAD } from "../../firmware/core/crc16"
import { type Crl, parseCrl } from "../../firmware/core/crl"
import { writeCsr } from "../../firmware/core/csr"
import { generateKeyP256, type KeyPairP256, signP256 } from "../../firmware/core/ecdsa"
import { Code, fail, PlombError } from "../../firmware/core/errors"
import { Event, Logbook, none } from "../../firmware/core/logbook"
import { attentionRes, getProcParameterRes, type SmlRequest } from "../../firmware/core/sml-messages"
import * as paths from "../../firmware/core/sml-parameter"
import { readFile } from "../../firmware/core/sml-read"
import { GET_LIST_REQ, GET_PROFILE_LIST_REQ, SET_PROC_PARAMETER_REQ } from "../../firmware/core/sml-tables"
import { type Certificate, parseCertificate } from "../../firmware/core/x509"
import { anchorsOf } from "../../tools/package/judge.ts"
import { issueMeterCertificate } from "../../tools/pki/issue.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { FakeSoftware } from "./fake-software.ts"
import { MemoryStore } from "./memory-store.ts"
import { hashOf, listBody, type ReadingFields, signedOctets } from "./readings.ts"
import { message } from "./tlv.ts"

const noOctets = Buffer.alloc(0)
const entriesInAnswer = 5

const functions: [path: Buffer, get: Fn | undefined, set: Fn | undefined][] = [
    [paths.timePath, undefined, Fn.setTime],
    [paths.meteringPath, Fn.readSoftware, Fn.setMeteringParameters],
    [paths.calibrationPath, Fn.readSoftware, Fn.calibrate],
    [paths.labelPath, Fn.readSoftware, Fn.setParameters],
    [paths.accessPath, Fn.readSoftware, Fn.setAccess],
    [paths.changeProviderPath, undefined, Fn.changeProvider],
    [paths.deleteProviderPath, undefined, Fn.deleteProvider],
    [paths.erasePath, undefined, Fn.erase],
    [paths.rolloverPath, undefined, Fn.rolloverKey],
    [paths.addressesPath, Fn.readSoftware, Fn.setAddresses],
    [paths.metrologicalLogbookPath, Fn.readMetrologicalLogbook, undefined],
    [paths.metrologicalResetPath, undefined, Fn.resetMetrologicalLogbook],
    [paths.logbookPath, Fn.readLogbook, undefined],
    [paths.logbookResetPath, undefined, Fn.resetLogbook],
    [paths.attestationPath, Fn.readSoftware, undefined],
    [paths.softwarePath, Fn.readSoftware, undefined],
    [paths.announcePath, undefined, Fn.installMetrologicalSoftware],
    [paths.activatePath, undefined, Fn.installMetrologicalSoftware],
    [paths.confirmPath, undefined, Fn.installMetrologicalSoftware],
    [paths.rollbackPath, undefined, Fn.installMetrologicalSoftware],
]

/**
 * A meter in Node with the core's gate, table and logbooks and a PKI folder's trust, but nothing that measures: for tests of
 * host tools, which meet it by its request and answer files alone.
 */
export class FakeDevice implements CommandTrust {
    readonly id: Buffer
    chain: Buffer[] = []
    /** Its clock is ahead of ours by this many seconds; undefined: not set. */
    aheadBy: number | undefined = 0
    readonly table: AccessTable
    readonly logs: { metrological: Logbook; device: Logbook }
    label: Buffer = Buffer.from("cellar")
    metering: Buffer = Buffer.from("016800c8", "hex")
    addresses: Buffer = Buffer.from("uplink=127.0.0.1:4059")
    /** Whose the meter is, path in the PKI. */
    provider = "security-management"
    /** Octets that came in parts. */
    parts: Buffer = noOctets
    /** A MUC before it carries blocks of software only under a signature. */
    signedBlocks = false
    /** Its software: slots of the core; packages are judged, but nothing runs. */
    readonly software: FakeSoftware
    /** Every file that came. */
    readonly files: Buffer[] = []
    private readonly gate: Gate
    private key: KeyPairP256 = generateKeyP256()
    private nextKey: KeyPairP256 | undefined
    private changes = 1
    private reading: ReadingFields | undefined

    private constructor(
        private readonly pki: string,
        serial: number,
    ) {
        this.id = Buffer.from(`0a01504c4201${serial.toString(16).padStart(8, "0")}`, "hex")
        const store = new MemoryStore(65_536)
        this.software = new FakeSoftware(new MemoryStore(65_536), anchorsOf(pki))
        this.table = new AccessTable(store, 0)
        this.gate = new Gate(store, 1024, this.table, this)
        this.logs = {
            metrological: new Logbook(store, 4096, 40, "log", this),
            device: new Logbook(store, 16_384, 12, "ring", this),
        }
    }

    /** A meter whose key the PKI's calibration authority certifies. */
    static async make(pki: string, serial: number): Promise<FakeDevice> {
        const device = new FakeDevice(pki, serial)
        device.chain = (await issueMeterCertificate(pki, device.csr(device.key), device.id.toString("hex"))).chain
        return device
    }

    hold(): Certificate[] {
        const held = ["manufacturer", "calibration-authority", "institute-root", this.provider].filter(
            each => each !== "",
        )
        return held.map(each => parseCertificate(this.der(each)))
    }

    crls(): Crl[] {
        return ["security-management", "calibration-authority", "institute-root"].map(each =>
            parseCrl(readPem(readFileSync(join(this.pki, each, "crl.pem"), "utf8"))[0].der),
        )
    }

    utcSeconds(): number {
        return this.aheadBy === undefined ? 0 : Math.floor(Date.now() / 1000) + this.aheadBy
    }

    secondsIndex(): number {
        return 1000 + this.files.length
    }

    quality(): number {
        return this.aheadBy === undefined ? 0 : 2
    }

    version(): number {
        return this.changes
    }

    /** The answer to a request file, or undefined where it is for another. */
    answer(raw: Buffer): Buffer | undefined {
        this.files.push(raw)
        const file = readFile(raw, false, CRC_BAD)
        let caller: Caller | undefined
        let refusal = 0
        try {
            caller = this.gate.open(file, this.id, true)
        } catch (error) {
            refusal = codeOf(error)
            this.logs.metrological.refused(none, undefined, refusal, noOctets)
        }
        const sign = (digest: Buffer) => signP256(this.key.privateKey, digest)
        return answerCommand(
            file,
            this.id,
            caller,
            sign,
            this.secondsIndex(),
            this.utcSeconds(),
            (request, responses) => {
                if (refusal !== 0) fail(refusal, -1, "", "")
                this.respond(caller, request, responses)
            },
        )
    }

    private respond(caller: Caller | undefined, request: SmlRequest, responses: Buffer[]): void {
        const [path = noOctets] = request.path
        const set = request.tag === SET_PROC_PARAMETER_REQ
        const give = (...children: Buffer[]) => {
            const tree = paths.branch(
                path,
                children.map((value, i) => paths.octetsLeaf(paths.childName(path, i + 1), value)),
            )
            responses.push(getProcParameterRes(request.transactionId, this.id, request.path, tree))
        }
        if (!set && path.equals(paths.certificateChainPath)) {
            give(...this.chain)
            return
        }
        if (set && path.equals(paths.certificatesPath)) {
            this.parts = Buffer.concat([
                this.parts.subarray(0, request.value.readUInt16BE(1)),
                request.value.subarray(3),
            ])
            responses.push(attentionRes(request.transactionId, this.id, 0xfd00, ""))
            return
        }
        if (set && path.equals(paths.blockPath)) {
            if (this.signedBlocks && !caller) fail(Code.NotSigned, -1, "", "")
            this.software.block(request.value)
            responses.push(attentionRes(request.transactionId, this.id, 0xfd00, ""))
            return
        }
        const row = functions.find(([each]) => each.equals(path))
        const fn =
            request.tag === GET_LIST_REQ
                ? Fn.readCurrent
                : request.tag === GET_PROFILE_LIST_REQ
                  ? Fn.readProfile
                  : ((set ? row?.[2] : row?.[1]) ?? Fn.erase)
        const metrological = (fn >= Fn.setTime && fn <= Fn.resetMetrologicalLogbook) || fn >= Fn.erase
        const log = metrological ? this.logs.metrological : this.logs.device
        try {
            this.gate.demand(caller, fn)
        } catch (error) {
            log.refused(fn, caller, codeOf(error), noOctets)
            throw error
        }
        const before = responses.length
        if (set) {
            this.obey(caller!, fn, path, request.value, log, give)
            if (responses.length === before) responses.push(attentionRes(request.transactionId, this.id, 0xfd00, ""))
        } else if (request.tag === GET_LIST_REQ)
            responses.push(message(request.transactionId.toString("hex"), 0x0701, this.list()))
        else if (path.equals(paths.labelPath)) this.leaf(request, responses, this.label)
        else if (path.equals(paths.meteringPath)) this.leaf(request, responses, this.metering)
        else if (path.equals(paths.addressesPath)) this.leaf(request, responses, this.addresses)
        else if (path.equals(paths.accessPath)) this.leaf(request, responses, this.table.octets())
        else if (path.equals(paths.softwarePath)) give(...this.software.values())
        else if (path.equals(paths.attestationPath))
            give(Buffer.from("plomb-meter 0.1.0"), createHash("sha256").update("image").digest())
        else {
            const book = path.equals(paths.metrologicalLogbookPath) ? this.logs.metrological : this.logs.device
            const from = request.path.length > 1 ? request.path[1].readUInt32BE(2) : 0
            const head = book.head()
            const first = Math.max(from, head.readUInt32BE(4))
            const entries: Buffer[] = []
            for (let number = first; number <= book.newest() && entries.length < entriesInAnswer; ++number)
                entries.push(book.read(number)!)
            give(head, ...entries)
        }
    }

    private leaf(request: SmlRequest, responses: Buffer[], value: Buffer): void {
        const tree = paths.octetsLeaf(request.path[0], value)
        responses.push(getProcParameterRes(request.transactionId, this.id, request.path, tree))
    }

    private obey(
        caller: Caller,
        fn: Fn,
        path: Buffer,
        value: Buffer,
        log: Logbook,
        give: (...values: Buffer[]) => void,
    ): void {
        if (fn === Fn.setAccess) {
            this.table.check(value, caller.role, 1)
            log.append(Event.accessChanged, fn, caller, 0, value.subarray(0, 4))
            this.table.replace(value, caller.role, 1)
        } else if (fn === Fn.resetMetrologicalLogbook || fn === Fn.resetLogbook)
            log.reset(fn, caller, value.readUInt32BE(0))
        else if (fn === Fn.installMetrologicalSoftware) this.software.obey(path, value)
        else {
            log.append(fn === Fn.setTime ? Event.timeSet : Event.parameterSet, fn, caller, 0, value.subarray(0, 16))
            if (fn === Fn.setTime) this.aheadBy = value.readUInt32BE(0) - Math.floor(Date.now() / 1000)
            if (fn === Fn.setParameters) this.label = Buffer.from(value)
            if (fn === Fn.setMeteringParameters) this.metering = Buffer.from(value)
            if (fn === Fn.setAddresses) this.addresses = Buffer.from(value)
            if (fn === Fn.deleteProvider) this.provider = ""
            if (fn === Fn.rolloverKey && value[0] === 1) {
                this.nextKey = generateKeyP256()
                give(this.csr(this.nextKey))
            }
            if (fn === Fn.rolloverKey && value[0] === 2) this.newKey(value)
        }
        if (path.length > 0) ++this.changes
    }

    /** A signed list made now: helpers/readings with this device's key. */
    private list(): Buffer {
        const before = this.reading
        const fields: ReadingFields = {
            serverId: this.id.toString("hex"),
            pagination: (before?.pagination ?? 0) + 1,
            previousHash: before && hashOf(before),
            at: this.utcSeconds(),
            quality: this.quality(),
            secondsIndex: this.secondsIndex(),
            module: this.software.running,
        }
        this.reading = fields
        const covered = signedOctets(fields)
        const digest = createHash("sha256").update(covered).digest()
        return listBody(covered, signP256(this.key.privateKey, digest))
    }

    private newKey(value: Buffer): void {
        const der = this.parts.subarray(0, value.readUInt16BE(1))
        const digest = createHash("sha256").update(der).digest()
        if (!this.nextKey || !digest.equals(value.subarray(3))) fail(3800, -1, "", "")
        this.key = this.nextKey
        this.nextKey = undefined
        this.chain = [Buffer.from(der), ...this.chain.slice(1)]
    }

    private csr(pair: KeyPairP256): Buffer {
        const id = this.id.toString("hex")
        return writeCsr(id, `${this.id.readUInt32BE(6)}`, {
            publicKey: () => pair.publicKey,
            sign: digest => signP256(pair.privateKey, digest),
        })
    }

    private der(path: string): Buffer {
        return readPem(readFileSync(join(this.pki, path, "cert.pem"), "utf8"))[0].der
    }
}

function codeOf(error: unknown): number {
    if (!(error instanceof PlombError)) throw error
    return error.code
}
