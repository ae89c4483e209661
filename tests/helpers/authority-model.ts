import { Fn } from "../../firmware/core/access"
import { Role } from "../../firmware/core/x509-role"

/**
 * What a device does with commands, said again as plainly as possible and without an octet: who is let in, what is done, what stays.
 * Tests hold devices against it. Names of codes are those of `firmware/core/errors.ts`.
 */

/** A party as its certificate has it. */
export interface ModelParty {
    name: string
    issuer?: ModelParty
    role?: Role
    version: number
    /** Functions; undefined = no restriction. */
    rights?: Set<Fn>
    from: number
    until: number
    signs: boolean
}

export interface ModelTable {
    version: number
    allowed: Set<Role>[]
    least: number[]
}

export type ModelRequest =
    | { kind: "use"; fn: Fn }
    | { kind: "setTime"; to: number }
    | { kind: "setAccess"; table: ModelTable }
    | { kind: "resetLog"; seen: number }

export interface ModelCommand {
    signer: ModelParty
    /** Is the certificate inside, or only named? */
    inside: boolean
    /** What is wrong with the octets. */
    damage?: "line" | "header" | "octet" | "otherKey" | "unsigned"
    forUs: boolean
    counter: number
    from: number
    until: number
    /** Passed on by a MUC: not counted. */
    relayed: boolean
    requests: ModelRequest[]
}

/** Rules of the access table. */
export interface ModelRules {
    delivery: Set<Role>[]
    fixed: Set<Role>[]
    ceiling: Set<Role>[]
    editors: Set<Role>[]
    versionEditors: Set<Role>[]
}

const mayCertify: Partial<Record<Role, Role[]>> = {
    [Role.institute]: [Role.institute, Role.calibrationAuthority],
    [Role.calibrationAuthority]: [Role.localOperator],
    [Role.securityManagement]: [
        Role.operator,
        Role.dataCollection,
        Role.energyProvider,
        Role.localOperator,
        Role.customer,
        Role.indicator,
    ],
}
const withoutClock = [
    Fn.readCurrent,
    Fn.readProfile,
    Fn.setTime,
    Fn.readMetrologicalLogbook,
    Fn.readSoftware,
    Fn.readLogbook,
]

class Refusal extends Error {}

function refuse(code: string): never {
    throw new Refusal(code)
}

function codeOf(action: () => void): string {
    try {
        action()
        return "done"
    } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return error.message
    }
}

export class AuthorityModel {
    now = 0
    held: ModelParty[] = []
    revoked = new Set<ModelParty>()
    table: ModelTable
    counters = new Map<ModelParty, { counter: number; ends: number }>()
    floor = 0
    /** The two remembered last, and whose place is next. */
    known: (ModelParty | undefined)[] = [undefined, undefined]
    next = 0
    log = { used: 0, newest: 0, kinds: new Set<string>() }

    constructor(
        readonly rules: ModelRules,
        readonly places: number,
    ) {
        this.table = {
            version: 1,
            allowed: rules.delivery.map(each => new Set(each)),
            least: rules.delivery.slice(0, 10).map(() => 1),
        }
    }

    /** What the file comes to, and each request. */
    command(command: ModelCommand): { file: string; requests: string[] } {
        if (command.damage === "line") return { file: "SmlFileCrc", requests: [] }
        const all = (code: string) => command.requests.map(() => code)
        if (command.damage === "unsigned") return { file: "done", requests: all("NotSigned") }
        const file = codeOf(() => this.letIn(command))
        if (file !== "done") {
            this.attemptOfNobody(file)
            return { file, requests: all(file) }
        }
        const timely = this.now > 0
        let ended = false
        const requests = command.requests.map(request => {
            if (ended) return "NotTried"
            const code = codeOf(() => this.request(command.signer, request, timely))
            ended = code !== "done"
            return code
        })
        return { file, requests }
    }

    private letIn(command: ModelCommand): void {
        const { signer } = command
        if (command.damage === "header") refuse("CommandForm")
        if (command.until < command.from || command.until - command.from > 86_400) refuse("CommandPeriod")
        if (!command.forUs) refuse("CommandTarget")
        if (!command.inside && !this.known.includes(signer) && !this.held.includes(signer)) refuse("SignerUnknown")
        this.judge(signer)
        if (command.damage) refuse("CommandSignature")
        if (this.now > 0 && this.now < command.from) refuse("CommandNotYetValid")
        if (this.now > command.until) refuse("CommandExpired")
        if (!command.relayed) this.count(signer, command.counter)
        if (!this.known.includes(signer)) {
            this.known[this.next] = signer
            this.next = (this.next + 1) % 2
        }
    }

    private judge(signer: ModelParty): void {
        const line = [signer]
        if (!this.held.includes(signer)) {
            const { issuer } = signer
            if (!issuer || !this.held.includes(issuer)) refuse("ChainIssuer")
            line.push(issuer)
        }
        if (!signer.signs) refuse("ChainKeyUsage")
        if (this.revoked.has(signer)) refuse("ChainRevoked")
        for (const [i, party] of line.entries()) {
            const { role } = party
            if (role === undefined) refuse("RoleMissing")
            if (i === 0 && role > Role.indicator) refuse("RoleNotCertifiable")
            if (i === 1) {
                if (!mayCertify[role]?.includes(signer.role!)) refuse("RoleNotCertifiable")
                const { rights } = party
                if (rights && (!signer.rights || [...signer.rights].some(each => !rights.has(each))))
                    refuse("RightsBeyondIssuer")
            }
            const root = i === 1 && role === Role.institute
            if (!root && party.version < (this.table.least[role] ?? 1)) refuse("RoleVersionOld")
        }
        if (this.now > 0 && line.some(each => this.now < each.from)) refuse("ChainNotYetValid")
        if (line.some(each => this.now > each.until)) refuse("ChainExpired")
    }

    private count(signer: ModelParty, counter: number): void {
        const entry = this.counters.get(signer)
        if (entry ? counter <= entry.counter : counter === 0) refuse("CommandReplayed")
        if (entry) {
            entry.counter = counter
            return
        }
        if (signer.until <= this.floor) refuse("SignerForgotten")
        if (this.counters.size === 24) {
            const ended = [...this.counters].filter(([, { ends }]) => ends < this.now)
            if (ended.length === 0) refuse("TooManySigners")
            const [gone, { ends }] = ended.reduce((a, b) => (b[1].ends < a[1].ends ? b : a))
            this.counters.delete(gone)
            this.floor = Math.max(this.floor, ends)
        }
        this.counters.set(signer, { counter, ends: signer.until })
    }

    private request(signer: ModelParty, request: ModelRequest, timely: boolean): void {
        const fn = {
            setTime: Fn.setTime,
            setAccess: Fn.setAccess,
            resetLog: Fn.resetMetrologicalLogbook,
            use: request.kind === "use" ? request.fn : 0,
        }[request.kind]
        const right = codeOf(() => {
            this.judge(signer)
            if (!this.table.allowed[fn].has(signer.role!)) refuse("FunctionDenied")
            if (signer.rights && !signer.rights.has(fn)) refuse("RightMissing")
            if (!timely && !withoutClock.includes(fn)) refuse("TimeNotTrusted")
        })
        if (right !== "done") {
            if (this.places - this.log.used > 1) this.enter()
            refuse(right)
        }
        if (request.kind === "setAccess") this.checkTable(request.table, signer.role!)
        if (request.kind === "resetLog") {
            if (request.seen !== this.log.newest) refuse("LogbookNotSeen")
            this.log = { used: 1, newest: this.log.newest + 1, kinds: new Set() }
        }
        if (request.kind === "setAccess" || request.kind === "setTime") {
            if (this.places - this.log.used <= 8) refuse("LogbookFull")
            this.enter()
        }
        if (request.kind === "setAccess") this.table = request.table
        if (request.kind === "setTime") this.now = request.to
    }

    private checkTable(table: ModelTable, by: Role): void {
        const { fixed, ceiling, editors, versionEditors } = this.rules
        const was = this.table
        if (table.version !== was.version + 1) refuse("AccessVersion")
        table.allowed.forEach((roles, fn) => {
            const before = was.allowed[fn]
            if ([...fixed[fn]].some(role => !roles.has(role))) refuse("AccessFixed")
            if ([...roles].some(role => !ceiling[fn].has(role))) refuse("AccessCeiling")
            const same = roles.size === before.size && [...roles].every(role => before.has(role))
            if (!same && !editors[fn].has(by)) refuse("AccessEditor")
        })
        const provider = this.held.find(each => each.role === Role.securityManagement)?.version ?? 0
        table.least.forEach((version, role) => {
            const before = was.least[role]
            if (version < before) refuse("AccessRoleVersion")
            if (role === Role.securityManagement && version > Math.max(before, provider)) refuse("AccessRoleVersion")
            if (version !== before && !versionEditors[role].has(by)) refuse("AccessEditor")
        })
    }

    private enter(): void {
        this.log.used++
        this.log.newest++
    }

    private attemptOfNobody(code: string): void {
        const { kinds, used } = this.log
        if (kinds.has(code) || kinds.size >= 16 || this.places - used <= 8) return
        kinds.add(code)
        this.enter()
    }
}
