import {
    type Expr,
    expr,
    type Fun,
    flagConstructor,
    flagRest,
    flagThis,
    lengthOf,
    newLabel,
    type Stmt,
    visitBody,
    visitExpr,
} from "./code.ts"
import { graphOf, livenessOf } from "./flow.ts"
import { calm } from "./forward.ts"
import { Op } from "./opcodes.ts"

/** A frame costs eight octets of heap a slot for as long as the function runs. */
const mostNewSlots = 4

interface Call {
    caller: number
    stmt: Stmt
    callee: number
    /** What is bound as `this`. */
    self?: Expr
}

function callOf(caller: number, stmt: Stmt): Call | undefined {
    if (stmt.op < Op.call0 || stmt.op > Op.call8) return undefined
    const [target] = stmt.args
    if (target.op === Op.staticFunction) return { caller, stmt, callee: target.imm }
    if (target.op === Op.bind && target.args[0].op === Op.staticFunction)
        return { caller, stmt, callee: target.args[0].imm, self: target.args[1] }
    return undefined
}

function copyOf(node: Expr): Expr {
    return { ...node, args: node.args.map(copyOf) }
}

/** Whether a function's code can stand in another's: no closures, no handlers, nothing of its frame is special. */
function movable(fun: Fun): boolean {
    if (fun.flags & (flagConstructor | flagRest)) return false
    let fine = !fun.body.some(stmt => stmt.op === Op.try || stmt.op === Op.storeClosure)
    visitBody(fun.body, each => {
        if (each.op === Op.makeClosure || each.op === Op.loadClosure) fine = false
    })
    return fine
}

/** Calls of functions that only answer a global or a short constant become what they answer. Answers which functions changed. */
export function inlineAnswers(functions: Fun[]): Set<number> {
    const changed = new Set<number>()
    const answers = new Map<number, Expr>()
    for (const [i, fun] of functions.entries()) {
        const [stmt, other] = fun.body
        if (!stmt || other || stmt.op !== Op.return) continue
        const [value] = stmt.args
        if (value.args.length === 0 && value.op !== Op.loadLocal && value.op !== Op.retVal) {
            const fine = value.op === Op.loadGlobal || lengthOf(value) === 1
            if (fine && movable(fun)) answers.set(i, value)
        }
    }
    for (const [i, fun] of functions.entries())
        for (const stmt of fun.body) {
            const call = callOf(i, stmt)
            const value = call && answers.get(call.callee)
            if (value && !call.self && stmt.args.slice(1).every(calm)) {
                Object.assign(stmt, { op: Op.storeRetVal, args: [copyOf(value)] })
                changed.add(i)
            }
        }
    return changed
}

/** Whether a statement leaves another value of the last call behind. */
export function setsAnswer(op: number): boolean {
    return (
        (op >= Op.call0 && op <= Op.indexDelete) ||
        op === Op.callArray ||
        op === Op.storeRetVal ||
        op === Op.catch ||
        op === Op.finally ||
        // What leaves a `try` is thrown, and found there as the value of the last call.
        op === Op.throwJmp ||
        (op >= Op.allocMap && op <= Op.allocBuffer)
    )
}

/** After which statements the value of the last call may be asked for. */
export function answerNeeded(body: Stmt[]): Uint8Array {
    const graph = graphOf(body)
    const before = new Uint8Array(body.length + 1)
    const after = new Uint8Array(body.length)
    const reads = body.map(stmt => {
        let found = stmt.op === Op.jmpRetValZ
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (each.op === Op.retVal) found = true
            })
        return found
    })
    const sets = body.map(stmt => setsAnswer(stmt.op))
    for (let changed = true; changed; ) {
        changed = false
        for (let i = body.length - 1; i >= 0; i--) {
            const now = graph.next[i].some(next => before[next]) ? 1 : 0
            const first = reads[i] || (now && !sets[i]) ? 1 : 0
            if (now !== after[i] || first !== before[i]) changed = true
            after[i] = now
            before[i] = first
        }
    }
    return after
}

/** `ret_val := x` where nobody asks is nothing; where the next statement does, once, x stands there itself. */
export function forwardAnswers(fun: Fun): boolean {
    const { body } = fun
    if (!body.some(stmt => stmt.op === Op.storeRetVal)) return false
    const needed = answerNeeded(body)
    let changed = false
    const gone = new Set<number>()
    for (const [i, stmt] of body.entries()) {
        if (stmt.op !== Op.storeRetVal) continue
        const [value] = stmt.args
        if (!needed[i]) {
            if (!calm(value)) continue
            gone.add(i)
        } else if (value.op === Op.retVal) gone.add(i)
        else {
            const next = body[i + 1]
            if (!next || next.op === Op.label || next.op === Op.jmpRetValZ) continue
            let count = 0
            let before = true
            let place: Expr | undefined
            for (const arg of next.args)
                visitExpr(arg, each => {
                    if (each.op === Op.retVal) {
                        count++
                        place = each
                    } else if (count === 0 && !calm({ ...each, args: [] })) before = false
                })
            const last = !needed[i + 1] || (next.op >= Op.call0 && next.op <= Op.call8)
            if (count !== 1 || !place || !last || !(before || calm(value))) continue
            if (depth(next, place, value) > 15) continue
            Object.assign(place, value)
            gone.add(i)
        }
        changed = true
    }
    fun.body = body.filter((_, i) => !gone.has(i))
    return changed
}

/** Stack places a statement takes at most when `place` in it is `value`. */
function depth(stmt: Stmt, place: Expr, value: Expr): number {
    const of = (node: Expr): number => {
        const { args } = node === place ? value : node
        return Math.max(1, ...args.map((arg, i) => i + of(arg)))
    }
    return Math.max(0, ...stmt.args.map((arg, i) => i + of(arg)))
}

/** The statements that stand for a call. */
function expansion(caller: Fun, call: Call, callee: Fun, answer: boolean): Stmt[] {
    const base = caller.slots
    const { place } = call.stmt
    const result: Stmt[] = []
    const store = (slot: number, value: Expr) =>
        result.push({ op: Op.storeLocal, imm: base + slot, args: [value], place })
    let slot = 0
    if (callee.flags & flagThis) store(slot++, call.self ?? expr(Op.undefined))
    else if (call.self) throw new Error("bound without this")
    for (const arg of call.stmt.args.slice(1)) {
        // One argument more than there are parameters is evaluated all the same.
        if (slot < callee.args) store(slot++, arg)
        else if (!calm(arg)) store(callee.slots, arg)
    }
    while (slot < callee.args) store(slot++, expr(Op.undefined))
    const atFirst = callee.body.length > 0 ? livenessOf(callee, new Set()).before[0] : undefined
    for (; slot < callee.slots; slot++) if (atFirst?.has(slot)) store(slot, expr(Op.undefined))
    const end = newLabel()
    const labels = new Map<Stmt, Stmt>()
    for (const stmt of callee.body) if (stmt.op === Op.label) labels.set(stmt, newLabel())
    for (const stmt of callee.body) {
        if (stmt.op === Op.label) {
            result.push(labels.get(stmt)!)
            continue
        }
        if (stmt.op === Op.return) {
            const value = copyOf(stmt.args[0])
            visitExpr(value, each => {
                if (each.op === Op.loadLocal) each.imm += base
            })
            if (value.op !== Op.retVal && (answer || !calm(value)))
                result.push({ op: Op.storeRetVal, imm: 0, args: [value], place: stmt.place })
            result.push({ op: Op.jmp, imm: 0, args: [], to: end, place: stmt.place })
            continue
        }
        const copy: Stmt = { ...copyOf(stmt), place: stmt.place }
        if (stmt.to) copy.to = labels.get(stmt.to)!
        if (copy.op === Op.storeLocal) copy.imm += base
        for (const arg of copy.args)
            visitExpr(arg, each => {
                if (each.op === Op.loadLocal) each.imm += base
            })
        result.push(copy)
    }
    result.push(end)
    return result
}

/** In a loop, by position: between a label and a jump back to it. */
export function inLoop(body: Stmt[], at: number): boolean {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    return body.some((stmt, i) => i > at && stmt.to !== undefined && index.get(stmt.to)! <= at)
}

/**
 * Functions that are called from one place only, and used nowhere else, move there: a function takes 16 octets and its
 * call some more. `improve` makes the result small; what would grow the caller's frame much stays a function. Not into
 * loops, whose frame would keep what such a function leaves behind. Answers the names of the functions that are gone.
 */
export function inlineOnce(
    functions: Fun[],
    captured: Set<number>[],
    improve: (fun: Fun, captured: ReadonlySet<number>) => void,
): string[] {
    const uses = functions.map(() => 0)
    const calls = new Map<number, Call>()
    for (const [i, fun] of functions.entries()) {
        visitBody(fun.body, each => {
            if (each.op === Op.staticFunction || each.op === Op.makeClosure) uses[each.imm]++
        })
        for (const stmt of fun.body) {
            const call = callOf(i, stmt)
            if (call) calls.set(call.callee, call)
        }
    }
    const gone: string[] = []
    const moved = new Map<number, number>()
    for (const [callee, call] of [...calls].sort((a, b) => a[0] - b[0])) {
        const fun = functions[callee]
        if (uses[callee] !== 1 || callee === 0 || !movable(fun) || captured[callee].size > 0) continue
        if (call.self && !(fun.flags & flagThis)) continue
        // Its caller may have moved itself.
        let at = call.caller
        while (moved.has(at)) at = moved.get(at)!
        const caller = functions[at]
        const where = caller.body.findIndex(stmt => callOf(at, stmt)?.callee === callee)
        if (where < 0 || at === callee) continue
        const small = fun.body.length <= 3
        if (!small && inLoop(caller.body, where)) continue
        if (at === 0) continue
        const answer = answerNeeded(caller.body)[where] === 1
        const before = { ...caller }
        const tried: Fun = { ...caller, body: caller.body.map(copyStmt) }
        relink(caller.body, tried.body)
        const own = callOf(at, tried.body[where])!
        const part = expansion(tried, own, fun, answer)
        tried.body.splice(where, 1, ...part)
        const names = tried.debug.slots.slice()
        for (let slot = 0; slot <= fun.slots; slot++)
            names[caller.slots + slot] = fun.debug.slots[slot] ?? { name: "_tmp", type: "tmp" }
        for (const [slot, name] of names.entries())
            if (slot >= caller.slots && name.type === "arg") names[slot] = { ...name, type: "loc" }
        tried.debug = { ...tried.debug, slots: names }
        tried.slots = caller.slots + fun.slots + 1
        improve(tried, captured[at])
        if (tried.slots > before.slots + mostNewSlots || tried.slots > 40) continue
        functions[at] = tried
        moved.set(callee, at)
        gone.push(fun.debug.name)
    }
    return gone
}

function copyStmt(stmt: Stmt): Stmt {
    return { ...copyOf(stmt), place: stmt.place, to: stmt.to }
}

/** Lets the jumps of a copied body go to the copied labels. */
function relink(from: Stmt[], to: Stmt[]): void {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of from.entries()) index.set(stmt, i)
    for (const stmt of to) if (stmt.to) stmt.to = to[index.get(stmt.to)!]
}
