import { type Expr, type Fun, type Stmt, visitBody } from "./code.ts"
import { isConstant, Op } from "./opcodes.ts"

/** Statements of a body that are passed on every way to its end, by index. */
function passedAlways(body: Stmt[]): boolean[] {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    let past = 0
    return body.map((stmt, i) => {
        const always = i >= past
        if (stmt.to) past = Math.max(past, index.get(stmt.to)!)
        if (stmt.op === Op.return) past = body.length
        return always
    })
}

/**
 * Globals that are given one value only, a constant, at the start of the program and in any case: their uses become the constant where
 * that is as short. Answers whether it changed anything. Who asks for one before it has its value gets that value too.
 */
export function constantGlobals(functions: Fun[]): boolean {
    const stores = new Map<number, { always: boolean; value: Expr }[]>()
    for (const [i, fun] of functions.entries()) {
        const passed = i === 0 ? passedAlways(fun.body) : []
        for (const [at, stmt] of fun.body.entries())
            if (stmt.op === Op.storeGlobal)
                stores.set(stmt.imm, [
                    ...(stores.get(stmt.imm) ?? []),
                    { always: passed[at] === true, value: stmt.args[0] },
                ])
    }
    const values = new Map<number, Expr>()
    for (const [global, [store, other]] of stores) {
        const { op, imm } = store.value
        // A whole number of any size ends up in the image's table, if it is long.
        const short = op === Op.literal || (imm >= 0 && imm < 0xf8 && op !== Op.literalF64)
        if (!other && store.always && isConstant(op) && short) values.set(global, store.value)
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
