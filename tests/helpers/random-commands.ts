import { createHash, KeyObject } from "node:crypto"
import { Fn } from "../../firmware/core/access"
import { crc16 } from "../../firmware/core/crc16"
import { closeReq, openReq } from "../../firmware/core/sml-messages"
import {
    accessPath,
    attestationPath,
    commandPath,
    labelPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    timePath,
} from "../../firmware/core/sml-parameter"
import { writeFile } from "../../firmware/core/sml-transport"
import { Role } from "../../firmware/core/x509-role"
import { sealFile } from "../../tools/authority/signer.ts"
import { readCommand } from "../../tools/verify/command-file.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { design, roles, versionEditors } from "./access-design.ts"
import {
    AuthorityModel,
    type ModelCommand,
    type ModelParty,
    type ModelRequest,
    type ModelTable,
} from "./authority-model.ts"
import { noon, type TestParty } from "./certificates.ts"
import { bits, getParameter, meterId, readCurrent, roleParty, setParameter } from "./commands.ts"

/** The same numbers from the same seed: below(n) is 0 to n - 1. */
export function numbers(seed: number): (below: number) => number {
    let state = seed >>> 0
    return below => {
        state = (state + 0x6d2b79f5) >>> 0
        let mixed = Math.imul(state ^ (state >>> 15), state | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
    }
}

/** A party of the model and the certificate and key that go with it. */
export interface Actor {
    facts: ModelParty
    made: TestParty
}

type ActorOptions = Partial<Omit<ModelParty, "name" | "issuer" | "role">> & { ca?: boolean }

async function actor(
    name: string,
    role: Role | undefined,
    issuer: Actor | undefined,
    options: ActorOptions = {},
): Promise<Actor> {
    const { version = 1, rights, from = noon - 86_400, until = noon + 400 * 86_400, signs = true, ca = false } = options
    const facts: ModelParty = { name, issuer: issuer?.facts, role, version, rights, from, until, signs }
    const made = await roleParty(role, {
        name,
        issuer: issuer?.made,
        ca,
        version,
        rights: rights ? bits(...rights) : -1,
        notBefore: new Date(from * 1000),
        notAfter: new Date(until * 1000),
        ...(signs ? {} : { usage: ca ? 32 | 64 : 16 }),
    })
    return { facts, made }
}

/** Two providers and their operators, institute, manufacturer, strangers, and whoever is not as he should be. */
export async function actors() {
    const caRoot = await actor("CA", Role.certificationAuthority, undefined, { ca: true, signs: false })
    const root = await actor("Root", Role.institute, undefined, { ca: true, signs: false })
    const calibration = await actor("Calibration", Role.calibrationAuthority, root, { ca: true })
    const manufacturer = await actor("Manufacturer", Role.manufacturer, caRoot, { ca: true })
    const provider = await actor("Provider", Role.securityManagement, caRoot, { ca: true })
    const narrowRights = new Set([Fn.readCurrent, Fn.setParameters, Fn.setAccess, Fn.readSoftware])
    const second = await actor("Second", Role.securityManagement, caRoot, {
        ca: true,
        version: 2,
        rights: narrowRights,
    })
    const foreignRoot = await actor("Foreign Root", Role.institute, undefined, { ca: true })
    const foreign = await actor("Foreign Provider", Role.securityManagement, foreignRoot, { ca: true })
    const leaves: Actor[] = []
    const add = async (name: string, role: Role | undefined, issuer: Actor, options: ActorOptions = {}) =>
        leaves.push(await actor(name, role, issuer, options))
    // Certificates that end while the commands go on, one after the other.
    for (let i = 0; i < 26; ++i)
        await add(`Operator ${i}`, Role.operator, provider, {
            version: 1 + (i % 2),
            until: noon + 12_000 + 4000 * i,
            rights: i % 5 === 4 ? new Set([Fn.readCurrent, Fn.readSoftware]) : undefined,
        })
    await add("Institute", Role.institute, root)
    await add("Institute 2", Role.institute, root, { version: 2 })
    await add("Inspector", Role.localOperator, calibration)
    for (const role of [Role.dataCollection, Role.energyProvider, Role.localOperator, Role.customer, Role.indicator])
        await add(Role[role], role, provider)
    await add("Within", Role.operator, second, { rights: new Set([Fn.readCurrent, Fn.setParameters]) })
    await add("Beyond", Role.operator, second, { rights: new Set([Fn.readCurrent, Fn.setKeys]) })
    await add("Unbounded", Role.operator, second)
    await add("No role", undefined, provider)
    await add("Escalated", Role.institute, provider)
    await add("By calibration", Role.operator, calibration)
    await add("By manufacturer", Role.operator, manufacturer)
    await add("Of MUC", Role.muc, manufacturer)
    await add("Encrypts", Role.operator, provider, { signs: false })
    await add("Later", Role.operator, provider, { from: noon + 40_000 })
    await add("Foreign operator", Role.operator, foreign)
    return { root, calibration, manufacturer, provider, second, foreign, leaves }
}

export type Actors = Awaited<ReturnType<typeof actors>>

function copy(table: ModelTable): ModelTable {
    return { version: table.version, allowed: table.allowed.map(each => new Set(each)), least: [...table.least] }
}

/** The table as octets. */
export function tableOctets({ version, allowed, least }: ModelTable): Buffer {
    const octets = Buffer.alloc(86)
    octets.writeUInt32BE(version)
    for (const [fn, set] of allowed.entries()) octets.writeUInt16BE(bits(...set), 4 + 2 * fn)
    for (const [role, each] of least.entries()) octets.writeUInt32BE(each, 46 + 4 * role)
    return octets
}

const u32 = (value: number) => {
    const octets = Buffer.alloc(4)
    octets.writeUInt32BE(value)
    return octets
}

function messageOf(request: ModelRequest): Buffer {
    if (request.kind === "setTime") return setParameter(timePath, u32(request.to))
    if (request.kind === "setAccess") return setParameter(accessPath, tableOctets(request.table))
    if (request.kind === "resetLog") return setParameter(metrologicalResetPath, u32(request.seen))
    if (request.fn === Fn.readCurrent) return readCurrent()
    if (request.fn === Fn.readMetrologicalLogbook) return getParameter(metrologicalLogbookPath)
    if (request.fn === Fn.setParameters) return setParameter(labelPath, Buffer.from("label"))
    return getParameter(attestationPath)
}

const foreignId = Buffer.from("0a01504c420100000002", "hex")

/** The SML file that a command of the model is. */
export function fileOf(command: ModelCommand, { made }: Actor, otherKey: KeyObject): Buffer {
    const header = Buffer.concat([
        Buffer.of(command.damage === "header" ? 9 : 1),
        u32(command.counter),
        u32(command.from),
        u32(command.until),
        createHash("sha256").update(made.der).digest(),
        command.inside ? made.der : Buffer.alloc(0),
    ])
    const id = Buffer.from("random")
    const target = command.forUs ? meterId : foreignId
    const messages = [
        openReq(id, id, id, target),
        setParameter(commandPath, header),
        ...command.requests.map(messageOf),
    ]
    const key = command.damage === "otherKey" ? otherKey : KeyObject.from(made.keys.privateKey)
    if (command.damage === "unsigned") return writeFile([...messages, closeReq(id, undefined)])
    const file = sealFile(messages, id, key)
    if (command.damage === "line") file[file.length >> 1] ^= 0x10
    if (command.damage !== "octet") return file
    // One octet of a transaction id, and the message's CRC made to fit.
    const { signature } = readCommand(readSmlFile(file))
    const changed = Buffer.from(messages[2])
    changed[2] ^= 1
    changed.writeUInt16LE(crc16(changed, 0, changed.length - 4, 0xffff) ^ 0xffff, changed.length - 3)
    return writeFile([...messages.slice(0, 2), changed, ...messages.slice(3), closeReq(id, signature)])
}

export interface Step {
    /** The time is set by hand before (0: the clock stopped), or what is held changes. */
    time?: number
    hold?: Actor[]
    command: ModelCommand
    by: Actor
    file: Buffer
}

/** Commands for a device that begins at `noon`; the model is asked for what holds at the time, never for what a command comes to. */
export class RandomCommands {
    private readonly counters = new Map<Actor, number>()
    private readonly sent: { command: ModelCommand; by: Actor; file: Buffer }[] = []
    private clock = noon
    private provider: Actor
    private readonly otherKey: KeyObject

    constructor(
        readonly all: Actors,
        readonly below: (most: number) => number,
    ) {
        this.provider = all.provider
        this.otherKey = KeyObject.from(all.foreign.made.keys.privateKey)
    }

    held(): Actor[] {
        const { root, calibration, manufacturer } = this.all
        return [root, calibration, manufacturer, this.provider]
    }

    step(model: AuthorityModel): Step {
        const { below } = this
        const chance = (of: number) => below(of) === 0
        const step: Partial<Step> = {}
        this.clock += below(40)
        step.time = this.clock
        if (chance(12)) step.time = 0
        if (chance(this.provider === this.all.provider ? 120 : 20)) {
            this.provider = this.provider === this.all.provider ? this.all.second : this.all.provider
            step.hold = this.held()
        }
        if (this.sent.length > 0 && chance(8)) return { ...step, ...this.sent[below(this.sent.length)] }
        const by = this.signer()
        const now = this.clock
        const counter = (this.counters.get(by) ?? 0) + 1 + below(3)
        const command: ModelCommand = {
            signer: by.facts,
            inside: !chance(4),
            forUs: !chance(25),
            counter: chance(20) ? below(counter) : counter,
            from: now - below(100),
            until: now + below(100),
            relayed: chance(10),
            requests: Array.from({ length: 1 + below(chance(6) ? 4 : 1) }, () => this.request(model, by)),
        }
        if (!chance(50)) this.counters.set(by, Math.max(command.counter, this.counters.get(by) ?? 0))
        const shift = chance(10) ? (chance(2) ? 200 : -200) : 0
        command.from += shift
        command.until += shift
        if (chance(60)) command.until = command.from + 86_401
        if (chance(10)) command.damage = (["line", "header", "octet", "otherKey", "unsigned"] as const)[below(5)]
        // Held back: to be sent after later ones.
        const made = { command, by, file: fileOf(command, by, this.otherKey) }
        this.sent.push(made)
        if (this.sent.length > 40) this.sent.shift()
        return { ...step, ...made }
    }

    private signer(): Actor {
        const { below, all } = this
        const { leaves, root, calibration, manufacturer, provider, second, foreign } = all
        const which = below(10)
        if (which < 4) return leaves[below(leaves.length)]
        if (which < 6) return leaves[below(26)]
        if (which === 6) return [root, calibration, manufacturer, foreign][below(4)]
        if (which === 7) return leaves[26 + below(2)]
        return below(4) === 0 ? second : provider
    }

    private request(model: AuthorityModel, by: Actor): ModelRequest {
        const { below } = this
        const ruler = by.facts.role === Role.institute || by.facts.role === Role.securityManagement
        const which = below(ruler ? 5 : 12)
        if (which === 0) return { kind: "setTime", to: this.clock + below(20) }
        if (which === 1) return { kind: "resetLog", seen: below(3) === 0 ? below(50) : model.log.newest }
        if (which < 4) return { kind: "setAccess", table: this.nextTable(model.table) }
        const uses = [Fn.readCurrent, Fn.readMetrologicalLogbook, Fn.setParameters, Fn.readSoftware]
        return { kind: "use", fn: uses[below(uses.length)] }
    }

    private nextTable(present: ModelTable): ModelTable {
        const { below } = this
        const table = copy(present)
        table.version = below(8) === 0 ? below(5) : present.version + 1
        for (let i = below(3); i > 0; --i) {
            const row = table.allowed[below(2) === 0 ? [0, 9, 13][below(3)] : below(design.length)]
            const role = roles[below(roles.length)]
            if (!row.delete(role)) row.add(role)
        }
        if (below(5) === 0) table.least[below(10)] += below(4) === 0 ? -1 : 1
        return table
    }
}

/** A model with the design's table. */
export function authorityModel(places: number): AuthorityModel {
    const of = (which: "delivery" | "fixed" | "ceiling" | "editors") => design.map(row => row[which])
    return new AuthorityModel(
        {
            delivery: of("delivery"),
            fixed: of("fixed"),
            ceiling: of("ceiling"),
            editors: of("editors"),
            versionEditors,
        },
        places,
    )
}
