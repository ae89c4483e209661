import {
    depthOf,
    type Expr,
    expr,
    type Fun,
    flagConstructor,
    flagRest,
    flagThis,
    type Stmt,
    visitBody,
    visitExpr,
} from "./code.ts"
import { graphOf } from "./flow.ts"
import { Op } from "./opcodes.ts"

/** A call takes eight arguments at most, and a statement 16 places, of which the object takes one more. */
const mostDepth = 14
const builtinPrototype = 52

/** Where the method stands that is put into a class's prototype, or into the class: `C.prototype.name = F`. */
interface Method {
    name: number
    callee: number
    inside: number
    registration: Stmt
    calls: { field: Expr; stmt: Stmt; inside: number }[]
}

/**
 * Fields that are read for a call only, with these calls. Where an argument is a call itself, the compiler reads the
 * field into a variable before.
 */
function calledFields(fun: Fun, captured: ReadonlySet<number>): Map<Expr, Stmt> {
    const found = new Map<Expr, Stmt>()
    const uses: number[] = []
    const calls: Stmt[] = []
    const stores = new Map<number, Stmt>()
    visitBody(fun.body, each => {
        if (each.op === Op.loadLocal) uses[each.imm] = (uses[each.imm] ?? 0) + 1
    })
    for (const stmt of fun.body) {
        if (stmt.op === Op.storeLocal) {
            if (stores.has(stmt.imm) || captured.has(stmt.imm)) uses[stmt.imm] = 2
            stores.set(stmt.imm, stmt)
        }
        if (stmt.op < Op.call0 || stmt.op >= Op.call8 || depthOf({ ...stmt, op: 0 }) > mostDepth) continue
        const [target] = stmt.args
        if (target.op === Op.loadLocal) calls[target.imm] = stmt
        else found.set(target, stmt)
    }
    for (const [slot, store] of stores)
        if (calls[slot] && uses[slot] === 1 && slot >= fun.args) found.set(store.args[0], calls[slot])
    return found
}

function isPrototype(node: Expr): boolean {
    return node.op === Op.builtinField && node.imm === builtinPrototype && node.args[0].op === Op.staticFunction
}

/** Methods by name, of names that stand for one function and nothing else in the whole image. */
function soleMethods(functions: Fun[], captured: Set<number>[], reserved: ReadonlySet<number>): Map<number, Method> {
    const methods = new Map<number, Method>()
    const shared = new Set(reserved)
    const uses = functions.map(() => 0)
    for (const [inside, fun] of functions.entries())
        for (const stmt of fun.body) {
            const [to, key, callee] = stmt.args
            const puts =
                stmt.op === Op.indexSet &&
                key.op === Op.staticAsciiString &&
                callee.op === Op.staticFunction &&
                isPrototype(to)
            if (puts) {
                if (methods.has(key.imm)) shared.add(key.imm)
                methods.set(key.imm, { name: key.imm, callee: callee.imm, inside, registration: stmt, calls: [] })
            }
            for (const arg of stmt.args)
                visitExpr(arg, each => {
                    if (each.op === Op.staticFunction || each.op === Op.makeClosure) uses[each.imm]++
                    // The name as a value, as the key of a field of something else.
                    if (each.op === Op.staticAsciiString && !(puts && each === key)) shared.add(each.imm)
                })
        }
    for (const name of shared) methods.delete(name)
    for (const [name, { callee }] of methods) {
        const { flags } = functions[callee]
        if (uses[callee] !== 1 || !(flags & flagThis) || flags & (flagConstructor | flagRest)) methods.delete(name)
    }
    for (const [inside, fun] of functions.entries()) {
        const called = calledFields(fun, captured[inside])
        visitBody(fun.body, field => {
            if (field.op !== Op.asciiField) return
            const stmt = called.get(field)
            if (stmt) methods.get(field.imm)?.calls.push({ field, stmt, inside })
            else methods.delete(field.imm)
        })
    }
    return methods
}

/**
 * Whether a function surely throws where its first parameter is undefined or null: no way leads to its end that does
 * not read or write a field of it, or call a method of it that throws so in turn.
 */
function throwsOnNothing(fun: Fun, methods: ReadonlyMap<number, Method>, careless: ReadonlySet<Method>): boolean {
    const { body } = fun
    const isSelf = (node: Expr) => node.op === Op.loadLocal && node.imm === 0
    const touches = body.map(stmt => {
        let found = stmt.op === Op.indexSet && isSelf(stmt.args[0])
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (each.op !== Op.index && (each.op < Op.builtinField || each.op > Op.utf8Field)) return
                const method = each.op === Op.asciiField ? methods.get(each.imm) : undefined
                if (isSelf(each.args[0]) && !(method && careless.has(method))) found = true
            })
        return found
    })
    const { next } = graphOf(body)
    const seen = new Set<number>()
    const todo = [0]
    while (todo.length > 0) {
        const at = todo.pop()!
        if (at >= body.length || touches[at] || seen.has(at)) continue
        seen.add(at)
        const { op, imm } = body[at]
        if (op === Op.return || op === Op.try || (op === Op.storeLocal && imm === 0)) return false
        todo.push(...next[at])
    }
    return true
}

/**
 * Methods become functions with the object as first parameter, so that they need no place in a prototype and may move
 * into their caller: those whose name means them and nothing else in the whole image, and that are only ever called. A
 * name that is also a field of something, a method of another class, a string, or `reserved` (the runtime may look it
 * up) stays as it is, and so does a method that would do something where there is no object instead of throwing.
 * Answers how many. The slots of `functions` must be split.
 */
export function bindMethods(functions: Fun[], captured: Set<number>[], reserved: ReadonlySet<number>): number {
    const methods = soleMethods(functions, captured, reserved)
    const careless = new Set<Method>()
    for (let before = -1; before !== careless.size; ) {
        before = careless.size
        for (const method of methods.values())
            if (!careless.has(method) && !throwsOnNothing(functions[method.callee], methods, careless))
                careless.add(method)
    }
    for (const method of careless)
        if (!method.calls.every(({ field, inside }) => hasObject(field.args[0], functions[inside])))
            methods.delete(method.name)
    for (const { callee, calls, inside, registration } of methods.values()) {
        functions[callee].flags &= ~flagThis
        for (const { field, stmt } of calls) {
            const [object] = field.args
            const [target, ...args] = stmt.args
            stmt.op++
            stmt.args = [expr(Op.staticFunction, callee), target === field ? object : target, ...args]
            if (target !== field) Object.assign(field, object)
        }
        functions[inside].body = functions[inside].body.filter(stmt => stmt !== registration)
    }
    return methods.size
}

/** Is this `this`, of a method or constructor? */
function hasObject(from: Expr, fun: Fun): boolean {
    return from.op === Op.loadLocal && from.imm === 0 && (fun.flags & flagThis) !== 0
}
