import { type Expr, type Fun, isJump, lengthOf, type Stmt } from "./code.ts"
import { livenessOf } from "./flow.ts"
import { answerNeeded } from "./inline.ts"
import { Op } from "./opcodes.ts"
import { opposite } from "./tidy.ts"

function indexOf(body: Stmt[]): Map<Stmt, number> {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    return index
}

/**
 * `x = value` and a jump to `return x` becomes `return value`. Answers whether it changed anything.
 */
export function returnValues(fun: Fun, captured: ReadonlySet<number>): boolean {
    const { body } = fun
    const index = indexOf(body)
    const gone = new Set<Stmt>()
    for (let i = 0; i + 1 < body.length; i++) {
        const [stmt, jump] = [body[i], body[i + 1]]
        if (stmt.op !== Op.storeLocal || jump.op !== Op.jmp || captured.has(stmt.imm)) continue
        let at = index.get(jump.to!)!
        while (body[at].op === Op.label) at++
        const [value] = body[at].args
        if (body[at].op !== Op.return || value.op !== Op.loadLocal || value.imm !== stmt.imm) continue
        body[i] = { op: Op.return, imm: 0, args: stmt.args, place: stmt.place }
        gone.add(jump)
    }
    if (gone.size === 0) return false
    fun.body = body.filter(stmt => !gone.has(stmt))
    return true
}

/** A value that may be stored before it is known whether it is needed: it costs a step and can do nothing. */
function isPlain(value: Expr): boolean {
    return value.args.length === 0
}

/**
 * `if (c) x = a; else x = b` with a plain `b` becomes `x = b; if (c) x = a`, which takes a jump less; also for the
 * value of the last call in the place of `x`.
 */
export function storeBefore(fun: Fun, captured: ReadonlySet<number>): boolean {
    let changed = false
    while (storeOneBefore(fun, captured)) changed = true
    return changed
}

function storeOneBefore(fun: Fun, captured: ReadonlySet<number>): boolean {
    const { body } = fun
    const goals = new Map<Stmt, number>()
    for (const stmt of body) if (stmt.to) goals.set(stmt.to, (goals.get(stmt.to) ?? 0) + 1)
    const live = livenessOf(fun, captured)
    const asked = answerNeeded(body)
    for (let i = 1; i + 5 < body.length; i++) {
        const [test, first, jump, other, second, end] = body.slice(i, i + 6)
        if (test.op !== Op.jmpZ || test.to !== other || jump.op !== Op.jmp || goals.get(other) !== 1) continue
        if (first.op !== second.op || first.imm !== second.imm || jump.to !== end || isJump(first.op)) continue
        if (first.op === Op.storeLocal) {
            if (captured.has(first.imm) || live.before[i].has(first.imm)) continue
        } else if (first.op !== Op.storeRetVal || asksAnswer(test) || asksAnswer(first)) continue
        // Between two statements that follow each other, what is asked for after the one is asked for before the other.
        const apart = body[i - 1].op === Op.jmp || body[i - 1].op === Op.return || body[i - 1].op === Op.throw
        if (first.op === Op.storeRetVal && (apart || asked[i - 1])) continue
        const turned = opposite(test.args[0])
        const more = lengthOf(turned) - lengthOf(test.args[0])
        let start: Stmt[]
        if (isPlain(second.args[0]) && second.args[0].op !== Op.retVal) start = [second, { ...test, to: end }, first]
        else if (isPlain(first.args[0]) && first.args[0].op !== Op.retVal && more < 2 && !asksAnswer(second))
            start = [first, { ...test, args: [turned], to: end }, second]
        else continue
        body.splice(i, 5, ...start)
        return true
    }
    return false
}

function asksAnswer(node: Expr): boolean {
    return node.op === Op.retVal || node.args.some(asksAnswer)
}
