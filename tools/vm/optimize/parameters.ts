import { type Fun, flagConstructor, flagRest, flagThis, type Stmt, visitBody, visitExpr } from "./code.ts"
import { calm } from "./forward.ts"
import { Op } from "./opcodes.ts"

/**
 * Parameters that a function does not look at, but to hand them to a function that does not either, go, and with them what was
 * handed over where it is calm. Only of functions whose every call is known. Answers how many.
 */
export function dropParameters(functions: Fun[], captured: Set<number>[]): number {
    const uses = functions.map(() => 0)
    const calls = functions.map(() => [] as Stmt[])
    for (const fun of functions) {
        visitBody(fun.body, each => {
            if (each.op === Op.staticFunction || each.op === Op.makeClosure) uses[each.imm]++
        })
        for (const stmt of fun.body)
            if (stmt.op >= Op.call0 && stmt.op <= Op.call8 && stmt.args[0].op === Op.staticFunction)
                calls[stmt.args[0].imm].push(stmt)
    }
    const special = flagThis | flagConstructor | flagRest
    const dead = functions.map((fun, i) => {
        const own = new Set<number>()
        if (i === 0 || fun.flags & special || captured[i].size > 0 || uses[i] !== calls[i].length) return own
        // A closure made in it finds its frame by the number of a slot.
        let closures = false
        visitBody(fun.body, each => {
            if (each.op === Op.makeClosure || each.op === Op.loadClosure) closures = true
        })
        if (closures) return own
        for (let slot = 0; slot < fun.args; slot++)
            if (calls[i].every(({ args }) => args.length <= slot + 1 || calm(args[slot + 1]))) own.add(slot)
        for (const stmt of fun.body) if (stmt.op === Op.storeLocal) own.delete(stmt.imm)
        return own
    })
    for (let changed = true; changed; ) {
        changed = false
        for (const [i, fun] of functions.entries()) {
            if (dead[i].size === 0) continue
            for (const stmt of fun.body) {
                const [target] = stmt.args
                const callee =
                    stmt.op >= Op.call0 && stmt.op <= Op.call8 && target.op === Op.staticFunction ? target.imm : -1
                for (const [at, arg] of stmt.args.entries()) {
                    const handed = callee >= 0 && at > 0 && dead[callee].has(at - 1)
                    if (handed) continue
                    visitExpr(arg, each => {
                        if (each.op === Op.loadLocal && dead[i].delete(each.imm)) changed = true
                    })
                }
            }
        }
    }
    let count = 0
    for (const [i, own] of dead.entries())
        for (const slot of [...own].sort((a, b) => b - a)) {
            count++
            for (const stmt of calls[i]) {
                if (stmt.args.length <= slot + 1) continue
                stmt.args.splice(slot + 1, 1)
                stmt.op--
            }
        }
    // Only now: what was handed on is gone everywhere.
    for (const [i, own] of dead.entries())
        for (const slot of [...own].sort((a, b) => b - a)) {
            const fun = functions[i]
            for (const stmt of fun.body) if (stmt.op === Op.storeLocal && stmt.imm > slot) stmt.imm--
            visitBody(fun.body, each => {
                if (each.op === Op.loadLocal && each.imm > slot) each.imm--
            })
            fun.args--
            fun.slots--
            fun.debug = { ...fun.debug, slots: fun.debug.slots.filter((_: unknown, at: number) => at !== slot) }
        }
    return count
}
