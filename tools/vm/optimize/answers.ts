import { type Expr, expr, type Fun, type Place, type Stmt, visitExpr } from "./code.ts"
import { answerNeeded, setsAnswer } from "./inline.ts"
import { Op } from "./opcodes.ts"

/**
 * The value of the last call takes one octet to name, a variable two. Where a variable holds that very value, it is
 * named so. Answers whether it changed anything.
 */
export function nameAnswers(fun: Fun): boolean {
    let slot = -1
    let changed = false
    for (const stmt of fun.body) {
        if (stmt.op === Op.label) slot = -1
        const found = slot
        if (found >= 0)
            for (const arg of stmt.args)
                visitExpr(arg, each => {
                    if (each.op !== Op.loadLocal || each.imm !== found) return
                    Object.assign(each, { op: Op.retVal, imm: 0 })
                    changed = true
                })
        const value = stmt.args[0]
        if (stmt.op === Op.storeLocal) {
            if (value.op === Op.retVal) slot = stmt.imm
            else if (stmt.imm === slot) slot = -1
        } else if (stmt.op === Op.storeRetVal)
            slot = value.op === Op.loadLocal ? value.imm : value.op === Op.retVal ? slot : -1
        else if (setsAnswer(stmt.op)) slot = -1
    }
    return changed
}

/** How often each variable is asked for in a statement. */
function count(stmt: Stmt): Map<number, number> {
    const counts = new Map<number, number>()
    for (const arg of stmt.args)
        visitExpr(arg, each => {
            if (each.op === Op.loadLocal) counts.set(each.imm, (counts.get(each.imm) ?? 0) + 1)
        })
    return counts
}

/** The class whose prototype this is, or -1. */
function prototypeOf({ op, args: [of] }: Expr): number {
    return op === Op.builtinField && of.op === Op.staticFunction ? of.imm : -1
}

/** How many statements from `at` on put a function into the prototype of one class. */
function prototypeRun(body: Stmt[], at: number): number {
    let length = 0
    for (; body[at + length]?.op === Op.indexSet; length++) {
        const [to, key, value] = body[at + length].args
        if (prototypeOf(to) < 0 || prototypeOf(to) !== prototypeOf(body[at].args[0])) break
        if (key.args.length > 0 || value.op !== Op.staticFunction) break
    }
    return length
}

/**
 * Where many statements in a row use one variable, or the prototype of one class, and none of them is a call, the
 * value is kept where answers of calls are: each use is an octet or more shorter. `least` octets must be won.
 */
export function holdValues(fun: Fun, least: number): void {
    const needed = answerNeeded(fun.body)
    const result: Stmt[] = []
    const { body } = fun
    const hold = (value: Expr, place: Place | undefined) =>
        result.push({ op: Op.storeRetVal, imm: 0, args: [value], place })
    for (let i = 0; i < body.length; ) {
        const together = prototypeRun(body, i)
        if (together > 1 && !needed[i + together - 1]) {
            hold(body[i].args[0], body[i].place)
            for (const stmt of body.slice(i, i + together))
                result.push({ ...stmt, args: [expr(Op.retVal), ...stmt.args.slice(1)] })
            i += together
            continue
        }
        const run: Stmt[] = []
        const counts = new Map<number, number>()
        let best: { slot: number; won: number; length: number } | undefined
        const stored = new Set<number>()
        for (let at = i; at < body.length && run.length < 100; at++) {
            const stmt = body[at]
            if (stmt.op === Op.label || uses(stmt)) break
            run.push(stmt)
            for (const [slot, more] of count(stmt))
                if (!stored.has(slot)) counts.set(slot, (counts.get(slot) ?? 0) + more)
            const ends = setsAnswer(stmt.op)
            if (ends || !needed[at])
                for (const [slot, times] of counts) {
                    const won = times - 3
                    if (won >= least && won > (best?.won ?? 0)) best = { slot, won, length: run.length }
                }
            if (ends || stmt.to || stmt.op === Op.return || stmt.op === Op.throw) break
            if (stmt.op === Op.storeLocal) {
                stored.add(stmt.imm)
                counts.delete(stmt.imm)
            }
        }
        if (!best) {
            result.push(body[i++])
            continue
        }
        const { slot, length } = best
        hold(expr(Op.loadLocal, slot), run[0].place)
        for (const stmt of run.slice(0, length)) {
            for (const arg of stmt.args)
                visitExpr(arg, each => {
                    if (each.op === Op.loadLocal && each.imm === slot) Object.assign(each, expr(Op.retVal))
                })
            result.push(stmt)
        }
        i += length
    }
    fun.body = result
}

function uses(stmt: Stmt): boolean {
    let found = stmt.op === Op.jmpRetValZ
    for (const arg of stmt.args)
        visitExpr(arg, each => {
            if (each.op === Op.retVal) found = true
        })
    return found
}
