import { type Expr, type Fun, visitBody } from "./code.ts"
import { isConstant, Op } from "./opcodes.ts"

/**
 * Globals that are given one value only, a constant, at the start of the program: their uses become the constant where
 * that is as short. Answers whether it changed anything.
 */
export function constantGlobals(functions: Fun[]): boolean {
    const stores = new Map<number, { in: number; value: Expr }[]>()
    for (const [i, fun] of functions.entries())
        for (const stmt of fun.body)
            if (stmt.op === Op.storeGlobal)
                stores.set(stmt.imm, [...(stores.get(stmt.imm) ?? []), { in: i, value: stmt.args[0] }])
    const values = new Map<number, Expr>()
    for (const [global, [store, other]] of stores) {
        const { op, imm } = store.value
        const short = imm >= 0 && imm < 0xf8 && op !== Op.literalF64
        if (!other && store.in === 0 && isConstant(op) && short) values.set(global, store.value)
    }
    if (values.size === 0) return false
    for (const fun of functions) {
        visitBody(fun.body, each => {
            const value = each.op === Op.loadGlobal ? values.get(each.imm) : undefined
            if (value) Object.assign(each, { op: value.op, imm: value.imm })
        })
        fun.body = fun.body.filter(stmt => !(stmt.op === Op.storeGlobal && values.has(stmt.imm)))
    }
    return true
}
