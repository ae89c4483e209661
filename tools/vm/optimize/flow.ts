import { type Expr, type Fun, isFinal, type Stmt, visitExpr } from "./code.ts"
import { Op } from "./opcodes.ts"

/** A set of small numbers, the slots of a function. */
export class Slots {
    readonly words: Int32Array

    constructor(size: number) {
        this.words = new Int32Array((size + 31) >> 5)
    }

    has(slot: number): boolean {
        return ((this.words[slot >> 5] >> (slot & 31)) & 1) === 1
    }

    add(slot: number): void {
        this.words[slot >> 5] |= 1 << (slot & 31)
    }

    delete(slot: number): void {
        this.words[slot >> 5] &= ~(1 << (slot & 31))
    }

    /** Adds all of `other`; answers whether that made a difference. */
    join(other: Slots): boolean {
        let changed = false
        for (let i = 0; i < this.words.length; i++) {
            const word = this.words[i] | other.words[i]
            if (word !== this.words[i]) {
                this.words[i] = word
                changed = true
            }
        }
        return changed
    }

    /** Adds all of `through` but `without`, and all of `a` and `b`; answers whether that made a difference. */
    joinThrough(through: Slots, without: number, a: Slots, b: Slots): boolean {
        let changed = false
        for (let i = 0; i < this.words.length; i++) {
            const kept = without >> 5 === i ? through.words[i] & ~(1 << (without & 31)) : through.words[i]
            const word = this.words[i] | kept | a.words[i] | b.words[i]
            if (word !== this.words[i]) {
                this.words[i] = word
                changed = true
            }
        }
        return changed
    }

    copy(): Slots {
        const copy = new Slots(this.words.length * 32)
        copy.words.set(this.words)
        return copy
    }

    members(): number[] {
        const members: number[] = []
        for (let i = 0; i < this.words.length; i++)
            for (let bits = this.words[i]; bits !== 0; bits &= bits - 1)
                members.push(i * 32 + (31 - Math.clz32(bits & -bits)))
        return members
    }
}

/** The slot a statement stores to, or -1. */
export function storedBy(stmt: Stmt): number {
    return stmt.op === Op.storeLocal ? stmt.imm : -1
}

/** How often `slot` is loaded in an expression or statement. */
export function loadsOf(node: Expr, slot: number): number {
    let count = 0
    for (const arg of node.args)
        visitExpr(arg, each => {
            if (each.op === Op.loadLocal && each.imm === slot) count++
        })
    return count
}

/** Where control goes after each statement, by index; exceptions of a `try` go to all handlers from everywhere. */
export interface Graph {
    next: number[][]
    handlers: number[]
}

export function graphOf(body: Stmt[]): Graph {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    const handlers = body.filter(stmt => stmt.op === Op.try).map(stmt => index.get(stmt.to!)!)
    const left = body.filter(stmt => stmt.op === Op.throwJmp).map(stmt => index.get(stmt.to!)!)
    const next = body.map((stmt, i) => {
        const after = isFinal(stmt.op) || i + 1 === body.length ? [] : [i + 1]
        if (stmt.to) after.push(index.get(stmt.to)!)
        if (stmt.op === Op.reThrow) after.push(...left)
        return after
    })
    return { next, handlers }
}

/** What is live before and after each statement. */
export interface Liveness {
    before: Slots[]
    after: Slots[]
}

function usesOf(stmt: Stmt, slots: number): Slots {
    const uses = new Slots(slots)
    for (const arg of stmt.args) addUses(arg, uses)
    return uses
}

function addUses(node: Expr, uses: Slots): void {
    if (node.op === Op.loadLocal) uses.add(node.imm)
    else for (const arg of node.args) addUses(arg, uses)
}

/** Slots whose value may be used later. `captured` slots always are: a closure may read them. */
export function livenessOf(fun: Fun, captured: ReadonlySet<number>, graph = graphOf(fun.body)): Liveness {
    const { body } = fun
    const always = new Slots(fun.slots)
    for (const slot of captured) always.add(slot)
    // A constructor without an answer answers its first slot.
    if (fun.flags & 2) always.add(0)
    const before = body.map(() => always.copy())
    const after = body.map(() => always.copy())
    const uses = body.map(stmt => usesOf(stmt, fun.slots))
    const thrown = new Slots(fun.slots)
    for (let changed = true; changed; ) {
        changed = false
        for (const handler of graph.handlers) thrown.join(before[handler])
        for (let i = body.length - 1; i >= 0; i--) {
            const out = after[i]
            for (const next of graph.next[i]) out.join(before[next])
            out.join(thrown)
            const stored = storedBy(body[i])
            const dies = stored >= 0 && !always.has(stored) ? stored : -1
            if (before[i].joinThrough(out, dies, uses[i], thrown)) changed = true
        }
    }
    return { before, after }
}
