import { Code } from "../../firmware/core/errors.ts"

/** Roles by number: institute, calibration authority, manufacturer, security management, operator, … indicator. */
const roleCount = 10

/** Somebody who signs, and why nothing of it is taken where that is so. */
export interface Signatory {
    role: number
    version: number
    /** Bits of functions, -1 for all. */
    rights: number
    /** Code that its certificates are refused with. */
    never?: Code
}

/** One request of a command. */
export type Wish =
    | { kind: "read" }
    | { kind: "label"; value: string }
    | { kind: "hours"; value: string }
    | { kind: "access"; table: Buffer }

/** A command as it is about to be sent. */
export interface Plan {
    by: number
    counter: number
    /** Seconds from now. */
    from: number
    to: number
    broken: boolean
    wishes: Wish[]
}

const fnOf = { read: 0, label: 9, hours: 3, access: 13 } as const
const editorS = [0, 1, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20]
const editorI = [2, 3, 4, 5, 6, 7, 8, 18, 19]
// Where the provider lets operators change rights.
const editorO = [9, 10, 11, 12, 14, 15, 20]
const bits = (...roles: number[]) => roles.reduce((sum, role) => sum | (1 << role), 0)
const I = 0
const [C, M, S, O, L] = [1, 2, 3, 4, 7]
const everybody = 0x3ff
const technical = bits(M, S, O, L)
/** What can not be taken away, and what may be given at most, function by function (design.md section 7). */
const fixed = [
    0,
    0,
    bits(I, C),
    bits(I, C),
    bits(I, C),
    bits(I, C),
    bits(I),
    0,
    bits(I, C, M, S, O),
    0,
    0,
    0,
    0,
].concat([bits(I, S), 0, 0, 0, bits(M), bits(L), bits(C), bits(I, C, M)])
const ceiling = [
    everybody,
    everybody,
    bits(I, C, L),
    bits(I, C, L),
    bits(I, C, L),
    bits(I, C, L),
    bits(I, C),
    bits(O, S),
]
    .concat([everybody, technical, technical, technical, technical, bits(I, S, O), technical, technical])
    .concat([bits(S), bits(M), bits(L), bits(C), bits(I, C, M, S, O, L)])

/**
 * What a device must do with a command: a small model of what the contract of commands says, without any of the firmware's code. It answers
 * the codes with which the command may be refused; none = done.
 */
export class AuthorityModel {
    label = ""
    hours = ""
    private readonly last = new Map<number, number>()

    /** `table` as the device has it, 86 octets. */
    constructor(
        private readonly signatories: readonly Signatory[],
        public table: Buffer,
    ) {}

    /** Obeys, and answers the refusal: any of these codes, or nothing. */
    obey(plan: Plan): readonly Code[] {
        const refusal = this.open(plan)
        if (refusal !== undefined) return [refusal]
        this.last.set(plan.by, plan.counter)
        for (const wish of plan.wishes) {
            const codes = this.grant(this.signatories[plan.by], wish)
            if (codes.length > 0) return codes
        }
        return []
    }

    /** Kinds of wishes that the table and the certificate allow. */
    wants({ role, rights }: Signatory): Wish["kind"][] {
        const kinds: Wish["kind"][] = ["read", "label", "hours", "access"]
        return kinds.filter(kind => (this.row(this.table, fnOf[kind]) >> role) & (rights >> fnOf[kind]) & 1)
    }

    private open({ by, counter, from, to, broken }: Plan): Code | undefined {
        const { role, version, never } = this.signatories[by]
        if (to < from || to - from > 86_400) return Code.CommandPeriod
        if (never !== undefined) return never
        if (version < this.leastVersion(role)) return Code.RoleVersionOld
        if (broken) return Code.CommandSignature
        if (from > 0) return Code.CommandNotYetValid
        if (to < 0) return Code.CommandExpired
        if (counter <= (this.last.get(by) ?? 0)) return Code.CommandReplayed
        return undefined
    }

    private grant({ role, version, rights }: Signatory, wish: Wish): readonly Code[] {
        const fn = fnOf[wish.kind]
        // A request before this one may have raised it.
        if (version < this.leastVersion(role)) return [Code.RoleVersionOld]
        if (((this.row(this.table, fn) >> role) & 1) === 0) return [Code.FunctionDenied]
        if (((rights >> fn) & 1) === 0) return [Code.RightMissing]
        if (wish.kind === "access") {
            const wrong = this.faults(wish.table, role)
            if (wrong.length > 0) return wrong
            this.table = wish.table
        }
        if (wish.kind === "label") this.label = wish.value
        if (wish.kind === "hours") this.hours = wish.value
        return []
    }

    private faults(table: Buffer, by: number): readonly Code[] {
        if (table.length !== 86) return [Code.AccessForm]
        if (table.readUInt32BE(0) !== this.table.readUInt32BE(0) + 1) return [Code.AccessVersion]
        const wrong = new Set<Code>()
        for (let fn = 0; fn < fixed.length; ++fn) {
            const row = this.row(table, fn)
            const mine = (by === S ? editorS : by === I ? editorI : by === O ? editorO : []).includes(fn)
            if (row !== this.row(this.table, fn) && !mine) wrong.add(Code.AccessEditor)
            if (row & ~ceiling[fn]) wrong.add(Code.AccessCeiling)
            if (fixed[fn] & ~row) wrong.add(Code.AccessFixed)
        }
        for (let role = 0; role < roleCount; ++role) {
            const [now, was] = [table, this.table].map(each => each.readUInt32BE(46 + 4 * role))
            if (now === was) continue
            const mine = by === I ? [I, C, L].includes(role) : by === S && role >= S
            if (!mine) wrong.add(Code.AccessEditor)
            // The provider's own version can not rise above that of its certificate, which is 1.
            if (now < was || (role === S && now > 1)) wrong.add(Code.AccessRoleVersion)
        }
        return [...wrong]
    }

    private row(table: Buffer, fn: number): number {
        return table.readUInt16BE(4 + 2 * fn)
    }

    private leastVersion(role: number): number {
        return this.table.readUInt32BE(46 + 4 * role)
    }
}
