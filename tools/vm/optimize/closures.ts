import { type Fun, visitBody } from "./code.ts"
import { Op } from "./opcodes.ts"

/** For each function, the slots that functions made in it as closures use. */
export function capturedSlots(functions: Fun[]): Set<number>[] {
    const captured = functions.map(() => new Set<number>())
    const makers = functions.map(() => new Set<number>())
    for (const [i, fun] of functions.entries())
        visitBody(fun.body, each => {
            if (each.op === Op.makeClosure) makers[each.imm].add(i)
        })
    const note = (from: number, level: number, slot: number): void => {
        for (const maker of makers[from])
            if (level === 1) captured[maker].add(slot)
            else note(maker, level - 1, slot)
    }
    for (const [i, fun] of functions.entries()) {
        for (const stmt of fun.body) if (stmt.op === Op.storeClosure) note(i, levelOf(stmt), stmt.imm)
        visitBody(fun.body, each => {
            if (each.op === Op.loadClosure) note(i, levelOf(each), each.imm)
        })
    }
    return captured
}

function levelOf(node: { args: { op: number; imm: number }[] }): number {
    const [level] = node.args
    if (level.op !== Op.literal || level.imm < 1) throw new Error("a closure's level is no number")
    return level.imm
}
