import { type Fun, type Stmt, visitExpr } from "./code.ts"
import { graphOf, livenessOf } from "./flow.ts"
import { answerNeeded, setsAnswer } from "./inline.ts"
import { Op } from "./opcodes.ts"

/** Octets won by keeping each slot where answers of calls are; 0 for what cannot be there. */
function gains(fun: Fun, captured: ReadonlySet<number>): number[] {
    const { body } = fun
    const won: number[] = Array(fun.slots).fill(0)
    const bad = new Set(captured)
    for (let slot = 0; slot < fun.args; slot++) bad.add(slot)
    if (body.length === 0) return won
    const graph = graphOf(body)
    const live = livenessOf(fun, captured, graph)
    const asked = answerNeeded(body)
    const alive = (at: number) => live.after[at].members()
    for (const slot of live.before[0].members()) bad.add(slot)
    for (const handler of graph.handlers) for (const slot of live.before[handler].members()) bad.add(slot)
    for (const [i, stmt] of body.entries()) {
        const [value] = stmt.args
        const copied = value?.op === Op.loadLocal ? value.imm : -1
        if (setsAnswer(stmt.op) || stmt.op === Op.jmpRetValZ || stmt.op === Op.reThrow)
            for (const slot of alive(i)) if (stmt.op !== Op.storeRetVal || slot !== copied) bad.add(slot)
        if (stmt.op === Op.storeLocal) {
            if (asked[i] && value.op !== Op.retVal) bad.add(stmt.imm)
            won[stmt.imm] += value.op === Op.retVal ? 3 : 1
        }
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (each.op === Op.loadLocal) won[each.imm]++
            })
    }
    for (const slot of bad) if (slot < won.length) won[slot] = 0
    return won
}

/**
 * Variables that are never needed while the value of a call, or of another such variable, is, are kept where that value
 * is: it takes an octet to store and one to name, a variable two. The slots of `fun` must be split. Answers whether it
 * changed anything.
 */
export function keepAsAnswers(fun: Fun, captured: ReadonlySet<number>): boolean {
    for (let changed = false; ; changed = true) {
        const won = gains(fun, captured)
        const best = won.indexOf(Math.max(0, ...won))
        if (best < 0 || !(won[best] > 0)) return changed
        const body: Stmt[] = []
        for (const stmt of fun.body) {
            for (const arg of stmt.args)
                visitExpr(arg, each => {
                    if (each.op === Op.loadLocal && each.imm === best) Object.assign(each, { op: Op.retVal, imm: 0 })
                })
            if (stmt.op === Op.storeLocal && stmt.imm === best) Object.assign(stmt, { op: Op.storeRetVal, imm: 0 })
            if (stmt.op !== Op.storeRetVal || stmt.args[0].op !== Op.retVal) body.push(stmt)
        }
        fun.body = body
    }
}
