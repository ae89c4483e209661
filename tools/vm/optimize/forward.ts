import { depthOf, type Expr, type Fun, lengthOf, type Stmt, visitBody, visitExpr } from "./code.ts"
import { type Liveness, livenessOf, loadsOf, storedBy } from "./flow.ts"
import { isCalm, isConstant, Op } from "./opcodes.ts"

/** The VM has 16 places for values; as the compiler, one is left free. */
const stackLimit = 15

/** What an expression depends on. */
interface Needs {
    locals: Set<number>
    /** Values of globals. */
    globals: boolean
    /** The value of the last call. */
    answer: boolean
    /** It reads what the heap holds, or may throw. */
    heap: boolean
}

function needsOf(node: Expr): Needs {
    const needs: Needs = { locals: new Set(), globals: false, answer: false, heap: false }
    visitExpr(node, each => {
        if (each.op === Op.loadLocal) needs.locals.add(each.imm)
        if (each.op === Op.loadGlobal) needs.globals = true
        if (each.op === Op.retVal) needs.answer = true
        if (!isCalm(each.op)) needs.heap = true
    })
    return needs
}

/** Neither throws nor reads the heap. */
export function calm(node: Expr): boolean {
    return !needsOf(node).heap
}

/** Whether what was to be evaluated before a statement may as well be evaluated after it. */
function passes(needs: Needs, stmt: Stmt, captured: ReadonlySet<number>): boolean {
    if (stmt.to || stmt.op === Op.label) return false
    const calls = (stmt.op >= Op.call0 && stmt.op <= Op.call8) || stmt.op === Op.callArray || stmt.op === Op.indexDelete
    const allocates = stmt.op >= Op.allocMap && stmt.op <= Op.allocBuffer
    const stores = stmt.op === Op.storeLocal || stmt.op === Op.storeGlobal
    const writes = stmt.op === Op.indexSet || stmt.op === Op.storeBuffer
    if (!calls && !allocates && !stores && !writes && stmt.op !== Op.storeRetVal) return false
    if (stmt.op === Op.storeLocal && needs.locals.has(stmt.imm)) return false
    if (calls && [...needs.locals].some(slot => captured.has(slot))) return false
    if (needs.globals && (calls || stmt.op === Op.storeGlobal)) return false
    if (needs.answer && (calls || allocates || stmt.op === Op.storeRetVal)) return false
    if (needs.heap && (calls || allocates || writes || !stmt.args.every(calm))) return false
    return true
}

/** Whether all of `stmt` that is evaluated before the load of `slot` is calm, and where that load is. */
function findLoad(stmt: Stmt, slot: number): { load: Expr; calmBefore: boolean } | undefined {
    let load: Expr | undefined
    let calmBefore = true
    for (const arg of stmt.args)
        visitExpr(arg, each => {
            if (load) return
            if (each.op === Op.loadLocal && each.imm === slot) load = each
            else if (!isCalm(each.op)) calmBefore = false
        })
    return load && { load, calmBefore }
}

/**
 * Puts values where they are used: what a variable holds for one use only is evaluated there, where nothing in
 * between can tell. Stores nobody reads go. Answers whether it changed anything.
 */
export function forwardValues(fun: Fun, captured: ReadonlySet<number>): boolean {
    let live = livenessOf(fun, captured)
    let changed = constants(fun, captured, live)
    if (changed) live = livenessOf(fun, captured)
    const gone = new Set<number>()
    const { body } = fun
    for (let i = body.length - 1; i >= 0; i--) {
        const stmt = body[i]
        const slot = storedBy(stmt)
        if (slot < 0 || captured.has(slot)) continue
        const value = stmt.args[0]
        if (!live.after[i].has(slot)) {
            if (!calm(value)) continue
            gone.add(i)
            changed = true
            continue
        }
        if (value.op === Op.loadLocal && value.imm === slot) {
            gone.add(i)
            changed = true
            continue
        }
        if (moveDown(fun, captured, live, gone, i)) changed = true
    }
    if (changed) fun.body = body.filter((_, i) => !gone.has(i))
    return changed
}

/** Moves the value of the store at `i` into its only use; statements in `gone` are there no more. */
function moveDown(fun: Fun, captured: ReadonlySet<number>, live: Liveness, gone: Set<number>, i: number): boolean {
    const { body } = fun
    const slot = body[i].imm
    const value = body[i].args[0]
    const needs = needsOf(value)
    const cheap = value.args.length === 0 && lengthOf(value) === 1
    const targets: number[] = []
    for (let at = i + 1; at < body.length; at++) {
        if (gone.has(at)) continue
        const stmt = body[at]
        if (stmt.op === Op.label) return false
        const loads = loadsOf(stmt, slot)
        if (loads > 0) {
            if (loads > 1 && !cheap) return false
            targets.push(at)
        }
        const dead = storedBy(stmt) === slot || !live.after[at].has(slot)
        if (dead && targets.length > 0) break
        if (targets.length > 0 && !cheap) return false
        if (dead || at > i + 60 || !passes(needs, stmt, captured)) return false
    }
    if (targets.length === 0) return false
    for (const at of targets) {
        const stmt = body[at]
        if (stmt.op === Op.try || stmt.op === Op.storeClosure) return false
        const found = findLoad(stmt, slot)
        if (!found || (needs.heap && !found.calmBefore)) return false
    }
    if (!cheap) {
        // The value may take more of the stack than the variable did.
        const stmt = body[targets[0]]
        const load = findLoad(stmt, slot)!.load
        const kept = { ...load }
        Object.assign(load, value)
        if (depthOf({ op: 0, imm: 0, args: stmt.args }) > stackLimit) {
            Object.assign(load, kept)
            return false
        }
        // Slots the value needs live on to here.
        for (let at = i; at < targets[0]; at++)
            for (const each of needs.locals) {
                live.after[at].add(each)
                live.before[at + 1].add(each)
            }
    } else
        for (const at of targets)
            for (const arg of body[at].args)
                visitExpr(arg, each => {
                    if (each.op === Op.loadLocal && each.imm === slot) Object.assign(each, value)
                })
    if (cheap && needs.locals.size > 0) throw new Error("not reached: a load takes two octets")
    gone.add(i)
    return true
}

/** Variables that are given one value only, a short constant, are that constant. */
function constants(fun: Fun, captured: ReadonlySet<number>, live: Liveness): boolean {
    const stores = new Map<number, Stmt[]>()
    for (const stmt of fun.body) {
        const slot = storedBy(stmt)
        if (slot >= 0) stores.set(slot, [...(stores.get(slot) ?? []), stmt])
    }
    const values = new Map<number, Expr>()
    for (const [slot, [store, other]] of stores)
        if (!other && slot >= fun.args && !captured.has(slot) && !live.before[0]?.has(slot))
            if (isConstant(store.args[0].op) && lengthOf(store.args[0]) <= 2) values.set(slot, store.args[0])
    if (values.size === 0) return false
    visitBody(fun.body, each => {
        const value = each.op === Op.loadLocal ? values.get(each.imm) : undefined
        if (value) Object.assign(each, { ...value, args: [] })
    })
    return true
}
