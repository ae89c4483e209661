import { type Expr, expr, type Fun, lengthOf, type Stmt, visitExpr } from "./code.ts"
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

/** What stands for a value that can be held: a variable, or the prototype of a class. */
function keyOf(node: Expr): string | undefined {
    if (node.op === Op.loadLocal) return `v${node.imm}`
    const [of] = node.args
    return node.op === Op.builtinField && of.op === Op.staticFunction ? `p${of.imm}.${node.imm}` : undefined
}

/** How often each value that can be held stands in statements; those in a statement's own stores only. */
function count(stmt: Stmt, counts: Map<string, number>): void {
    for (const arg of stmt.args)
        visitExpr(arg, each => {
            const key = keyOf(each)
            if (key) counts.set(key, (counts.get(key) ?? 0) + 1)
        })
}

/**
 * Where many statements in a row use one variable, or the prototype of one class, and none of them is a call, the
 * value is kept where answers of calls are: each use is an octet or more shorter. `least` octets must be won.
 */
export function holdValues(fun: Fun, least: number): void {
    const needed = answerNeeded(fun.body)
    const result: Stmt[] = []
    const { body } = fun
    for (let i = 0; i < body.length; ) {
        const run: Stmt[] = []
        const counts = new Map<string, number>()
        let best: { key: string; won: number; length: number } | undefined
        const stored = new Set<string>()
        for (let at = i; at < body.length && run.length < 100; at++) {
            const stmt = body[at]
            if (stmt.op === Op.label || uses(stmt)) break
            run.push(stmt)
            const own = new Map<string, number>()
            count(stmt, own)
            for (const [key, more] of own) {
                if (stored.has(key) || (key[0] === "p" && stmt.op !== Op.indexSet)) continue
                counts.set(key, (counts.get(key) ?? 0) + more)
            }
            const ends = setsAnswer(stmt.op)
            if (ends || !needed[at])
                for (const [key, times] of counts) {
                    if (stored.has(key)) continue
                    const length = key[0] === "v" ? 2 : lengthOf(findKey(run, key)!)
                    const won = times * (length - 1) - length - 1
                    if (won >= least && won > (best?.won ?? 0)) best = { key, won, length: run.length }
                }
            if (ends || stmt.to || stmt.op === Op.return || stmt.op === Op.throw) break
            if (stmt.op === Op.storeLocal) {
                stored.add(`v${stmt.imm}`)
                counts.delete(`v${stmt.imm}`)
            }
            if (stmt.op !== Op.indexSet) for (const key of counts.keys()) if (key[0] === "p") counts.delete(key)
        }
        if (!best) {
            result.push(body[i++])
            continue
        }
        const { key, length } = best
        const first = findKey(run, key)!
        result.push({
            op: Op.storeRetVal,
            imm: 0,
            args: [{ ...first, args: first.args.map(arg => ({ ...arg })) }],
            place: run[0].place,
        })
        for (const stmt of run.slice(0, length)) {
            for (const arg of stmt.args)
                visitExpr(arg, each => {
                    if (keyOf(each) === key) Object.assign(each, expr(Op.retVal))
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

function findKey(run: Stmt[], key: string): Expr | undefined {
    let found: Expr | undefined
    for (const stmt of run)
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (keyOf(each) === key) found ??= each
            })
    return found
}
