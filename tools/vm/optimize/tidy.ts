import { type Expr, expr, isFinal, newLabel, type Stmt } from "./code.ts"
import { fold, isWhole } from "./fold.ts"
import { isBoolean, Op } from "./opcodes.ts"

/** Whether a value that stands in the code counts as true; undefined where it cannot be told. */
export function truthOf(node: Expr): boolean | undefined {
    if (node.op === Op.literal) return node.imm !== 0
    if (node.op === Op.true || node.op === Op.staticFunction || node.op === Op.inf) return true
    if ([Op.false, Op.undefined, Op.null, Op.nan].includes(node.op as never)) return false
    if (node.op === Op.staticBuiltinString) return node.imm !== 0
    return undefined
}

function become(node: Expr, { op, imm, args }: Expr): void {
    node.op = op
    node.imm = imm
    node.args = args
}

function isZero(node: Expr): boolean {
    return node.op === Op.literal && node.imm === 0
}

/** The same value in fewer octets; `asBoolean` where only its truth counts. Changes the expression in place. */
export function simplify(node: Expr, asBoolean = false): void {
    const inner = node.op === Op.not || node.op === Op.toBool
    for (const arg of node.args) simplify(arg, inner)
    const [first, second] = node.args
    if (node.op === Op.not) {
        const truth = truthOf(first)
        if (truth !== undefined) become(node, expr(truth ? Op.false : Op.true))
        else if (first.op === Op.eq) become(node, expr(Op.ne, 0, ...first.args))
        else if (first.op === Op.ne) become(node, expr(Op.eq, 0, ...first.args))
        else if (first.op === Op.not)
            become(node, asBoolean || isBoolean(first.args[0].op) ? first.args[0] : expr(Op.toBool, 0, first.args[0]))
    } else if (node.op === Op.toBool && (asBoolean || isBoolean(first.op))) become(node, first)
    else if (node.op === Op.eq && second.op === Op.undefined) become(node, expr(Op.isUndefined, 0, first))
    else if (node.op === Op.eq && first.op === Op.undefined) become(node, expr(Op.isUndefined, 0, second))
    else if (node.op === Op.eq && isZero(second) && isWhole(first.op)) become(node, expr(Op.not, 0, first))
    else if (node.op === Op.ne && isZero(second) && isWhole(first.op) && asBoolean) become(node, first)
    else fold(node)
}

/** The opposite of a condition. */
export function opposite(condition: Expr): Expr {
    const not = expr(Op.not, 0, condition)
    simplify(not, true)
    return not
}

/** The statement that runs first when control comes to `at`: past labels, through jumps. */
function reached(body: Stmt[], index: Map<Stmt, number>, at: number): number {
    for (let steps = 0; steps < 50; steps++) {
        while (body[at].op === Op.label) at++
        if (body[at].op !== Op.jmp) break
        at = index.get(body[at].to!)!
    }
    return at
}

/**
 * Conditions in their shortest form, jumps straight to where they end, nothing that is never reached. `silent` are
 * functions that never return, so that nothing after a call of them is reached.
 */
export function tidy(body: Stmt[], silent: ReadonlySet<number> = new Set()): Stmt[] {
    for (let before = -1; before !== weight(body); ) {
        before = weight(body)
        body = inverted(straight(reachable(body, silent)))
    }
    return body
}

function weight(body: Stmt[]): number {
    return body.filter(stmt => stmt.op !== Op.label).length
}

/** Without what is never reached, labels nobody goes to, and jumps to the next statement. */
function reachable(body: Stmt[], silent: ReadonlySet<number>): Stmt[] {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    const seen = new Uint8Array(body.length)
    const todo = [0]
    while (todo.length > 0) {
        const at = todo.pop()!
        if (at >= body.length || seen[at]) continue
        seen[at] = 1
        const stmt = body[at]
        if (stmt.to) todo.push(index.get(stmt.to)!)
        const ends = stmt.op >= Op.call0 && stmt.op <= Op.call8 && stmt.args[0].op === Op.staticFunction
        if (!isFinal(stmt.op) && !(ends && silent.has(stmt.args[0].imm))) todo.push(at + 1)
    }
    const kept = body.filter((_, i) => seen[i])
    const used = new Set(kept.map(stmt => stmt.to))
    return kept.filter((stmt, i) => {
        if (stmt.op === Op.label) return used.has(stmt)
        if (stmt.op !== Op.jmp) return true
        for (let next = i + 1; kept[next]?.op === Op.label; next++) if (kept[next] === stmt.to) return false
        return true
    })
}

/** Jumps to jumps go to their end; a jump to `return` of a constant becomes that return. */
function straight(body: Stmt[]): Stmt[] {
    const index = new Map<Stmt, number>()
    for (const [i, stmt] of body.entries()) index.set(stmt, i)
    const added: [at: number, label: Stmt][] = []
    const labels = new Map<number, Stmt>()
    const result = body.map(stmt => {
        if (stmt.op === Op.jmpZ) {
            simplify(stmt.args[0], true)
            const truth = truthOf(stmt.args[0])
            if (truth === true) return newLabel()
            if (truth === false) stmt = { ...stmt, op: Op.jmp, args: [] }
        } else for (const arg of stmt.args) simplify(arg)
        if (stmt.op === Op.jmp || stmt.op === Op.jmpZ || stmt.op === Op.jmpRetValZ) {
            const end = reached(body, index, index.get(stmt.to!)!)
            const goal = body[end]
            if (stmt.op === Op.jmp && goal.op === Op.return && goal.args[0].args.length === 0) {
                if (goal.args[0].op === Op.undefined || goal.args[0].op === Op.retVal || goal.args[0].op === Op.true)
                    return { ...goal, args: [{ ...goal.args[0] }] }
                if (goal.args[0].op === Op.false) return { ...goal, args: [{ ...goal.args[0] }] }
            }
            const now = reached(body, index, index.get(stmt.to!)!)
            if (now !== firstAfter(body, index.get(stmt.to!)!)) {
                const label = labels.get(now) ?? newLabel()
                if (!labels.has(now)) {
                    labels.set(now, label)
                    added.push([now, label])
                }
                return { ...stmt, to: label }
            }
        }
        return stmt
    })
    // Statements were replaced, labels were not: what goes to a label still finds it.
    for (const [at, label] of added.sort((a, b) => b[0] - a[0])) result.splice(at, 0, label)
    return result
}

function firstAfter(body: Stmt[], at: number): number {
    while (body[at].op === Op.label) at++
    return at
}

/** `if not c go to A; go to B; A:` becomes `if c go to B` the other way round; a condition whose both ways are one goes. */
function inverted(body: Stmt[]): Stmt[] {
    const result: Stmt[] = []
    for (let i = 0; i < body.length; i++) {
        const [stmt, jump] = [body[i], body[i + 1]]
        if (stmt.op === Op.jmpZ && jump?.op === Op.jmp) {
            let next = i + 2
            while (body[next]?.op === Op.label && body[next] !== stmt.to) next++
            if (body[next] && body[next] === stmt.to) {
                result.push({ ...stmt, args: [opposite(stmt.args[0])], to: jump.to })
                i++
                continue
            }
        }
        result.push(stmt)
    }
    return result
}
