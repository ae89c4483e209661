import { type Expr, type Fun, newLabel, type Stmt } from "./code.ts"
import { livenessOf } from "./flow.ts"
import { Op } from "./opcodes.ts"
import { truthOf } from "./tidy.ts"

/** Truth of what slots hold. */
type Known = Map<number, boolean>

function truthIn(known: Known, node: Expr): boolean | undefined {
    if (node.op === Op.loadLocal) return known.get(node.imm)
    if (node.op === Op.toBool) return truthIn(known, node.args[0])
    if (node.op === Op.not) {
        const truth = truthIn(known, node.args[0])
        return truth === undefined ? undefined : !truth
    }
    return truthOf(node)
}

/** What is known where a condition came out as `truth`. */
function learn(node: Expr, truth: boolean, known: Known): void {
    if (node.op === Op.loadLocal) known.set(node.imm, truth)
    if (node.op === Op.toBool) learn(node.args[0], truth, known)
    if (node.op === Op.not) learn(node.args[0], !truth, known)
}

/**
 * `a || b` in a condition is compiled to a variable that is asked again right after. Jumps whose outcome at the next
 * question is known go straight to where that leads. Answers whether it changed anything.
 */
export function threadJumps(fun: Fun, captured: ReadonlySet<number>): boolean {
    const { body } = fun
    if (!body.some(stmt => stmt.op === Op.jmpZ)) return false
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    const live = livenessOf(fun, captured)
    const added: [at: number, label: Stmt][] = []
    const labels = new Map<number, Stmt>()
    const labelAt = (at: number) => {
        const label = labels.get(at) ?? newLabel()
        if (!labels.has(at)) {
            labels.set(at, label)
            added.push([at, label])
        }
        return label
    }
    /** Where one who comes to `at` with this knowledge gets, if it is past a question; -1 if not. */
    const follow = (at: number, known: Known): number => {
        const skipped = new Set<number>()
        let asked = false
        let best = -1
        for (let steps = 0; steps < 40; steps++) {
            while (at < body.length && body[at].op === Op.label) at++
            if (at >= body.length) break
            if (asked && ![...skipped].some(slot => live.before[at].has(slot))) best = at
            const stmt = body[at]
            if (stmt.op === Op.jmp) {
                at = index.get(stmt.to!)!
                continue
            }
            const truth = stmt.args.length > 0 ? truthIn(known, stmt.args[0]) : undefined
            if (stmt.op === Op.jmpZ && truth !== undefined) {
                asked = true
                at = truth ? at + 1 : index.get(stmt.to!)!
            } else if (stmt.op === Op.storeLocal && truth !== undefined && !captured.has(stmt.imm)) {
                known.set(stmt.imm, truth)
                skipped.add(stmt.imm)
                at++
            } else break
        }
        return best
    }
    let changed = false
    const result: (Stmt | Stmt[])[] = [...body]
    for (const [i, stmt] of body.entries()) {
        const known: Known = new Map()
        if (stmt.op === Op.jmpZ) learn(stmt.args[0], false, known)
        // A store of something known, and then a jump or a label.
        const last = stmt.op === Op.jmp ? body[i - 1] : stmt.op === Op.storeLocal && !stmt.to ? stmt : undefined
        if (last?.op === Op.storeLocal && !captured.has(last.imm)) {
            const truth = truthOf(last.args[0])
            if (truth !== undefined) known.set(last.imm, truth)
        }
        if (known.size === 0) continue
        if (stmt.to) {
            const end = follow(index.get(stmt.to)!, known)
            if (end < 0 || end === i) continue
            result[i] = { ...stmt, to: labelAt(end) }
            changed = true
        } else if (body[i + 1]?.op === Op.label) {
            const end = follow(i + 1, known)
            if (end < 0 || end === i) continue
            // The store goes once nobody needs it.
            result[i] = [stmt, { op: Op.jmp, imm: 0, args: [], to: labelAt(end), place: stmt.place }]
            changed = true
        }
    }
    if (!changed) return false
    for (const [at, label] of added) result[at] = [label, ...[result[at]].flat()]
    fun.body = result.flat()
    return true
}
