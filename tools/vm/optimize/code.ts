import { Op, shapeOf } from "./opcodes.ts"

/** An expression: opcode, the number that follows it (0 without), arguments. Direct constants are `literal`. */
export interface Expr {
    op: number
    imm: number
    args: Expr[]
}

/** A place in the sources: position through all files, length. */
export type Place = [position: number, length: number]

/** A statement. Jumps hold the `label` statement they go to. */
export interface Stmt extends Expr {
    to?: Stmt
    place?: Place
}

/** A function of an image. */
export interface Fun {
    /** Statements, labels among them. */
    body: Stmt[]
    slots: number
    args: number
    /** needs this 1, constructor 2, rest argument 4. */
    flags: number
    /** String index as it stands in the descriptor. */
    name: number
    tryFrames: number
    /** What the compiler's debug information says of it. */
    debug: any
}

export const flagThis = 1
export const flagConstructor = 2
export const flagRest = 4

export function isJump(op: number): boolean {
    return (
        op === Op.jmp ||
        op === Op.jmpZ ||
        op === Op.jmpRetValZ ||
        (op >= Op.try && op <= Op.endTry) ||
        op === Op.throwJmp
    )
}

/** Control does not go on to the next statement. */
export function isFinal(op: number): boolean {
    return op === Op.return || op === Op.jmp || op === Op.endTry || op === Op.throw || op === Op.throwJmp
}

export function newLabel(): Stmt {
    return { op: Op.label, imm: 0, args: [] }
}

export function expr(op: number, imm = 0, ...args: Expr[]): Expr {
    return { op, imm, args }
}

/** Decodes the code of one function, `octets[start..end)`; `placeAt` answers the place of the statement at an octet. */
export function decode(
    octets: Uint8Array,
    start: number,
    end: number,
    placeAt: (pc: number) => Place | undefined,
): Stmt[] {
    const statements: { at: number; target?: number; stmt: Stmt }[] = []
    const stack: Expr[] = []
    let at = start
    let begin = start
    while (at < end) {
        const opAt = at
        const op = octets[at++]
        if (op === 0 && stack.length === 0 && end - opAt < 4) break
        if (op >= 0x80) {
            stack.push({ op: Op.literal, imm: op - 0x90, args: [] })
            continue
        }
        const shape = shapeOf(op)
        let imm = 0
        if (shape.number) {
            imm = octets[at++]
            if (imm >= 0xf8) {
                const head = imm
                imm = 0
                for (let i = 0; i <= (head & 3); i++) imm = (imm << 8) | octets[at++]
                if (head & 4) imm = -imm
            }
        }
        if (stack.length < shape.args) throw new Error(`too few arguments at octet ${opAt}`)
        const stmt: Stmt = { op, imm, args: stack.splice(stack.length - shape.args) }
        if (!shape.statement) {
            stack.push(stmt)
            continue
        }
        if (stack.length > 0) throw new Error(`values are left before octet ${at}`)
        stmt.place = placeAt(begin)
        statements.push({ at: begin, stmt, target: isJump(op) ? opAt + imm : undefined })
        begin = at
    }
    const labels = new Map<number, Stmt>()
    for (const { target, stmt } of statements)
        if (target !== undefined) {
            const label = labels.get(target) ?? newLabel()
            labels.set(target, label)
            stmt.to = label
        }
    const body: Stmt[] = []
    for (const { at, stmt } of statements) {
        const label = labels.get(at)
        labels.delete(at)
        if (label) body.push(label)
        body.push(stmt)
    }
    if (labels.size > 0) throw new Error("a jump goes to no statement")
    return body
}

/** Octets of a number: one below 248, else a head and the fewest that hold its magnitude. */
export function numberLength(value: number): number {
    if (value >= 0 && value < 0xf8) return 1
    const magnitude = Math.abs(value)
    return magnitude < 0x100 ? 2 : magnitude < 0x10000 ? 3 : magnitude < 0x1000000 ? 4 : 5
}

/** Octets of an expression or, without its jump's distance, a statement. */
export function lengthOf(node: Expr): number {
    if (node.op === Op.label) return 0
    if (node.op === Op.literal && node.imm >= -16 && node.imm < 112) return 1
    let length = 1
    for (const arg of node.args) length += lengthOf(arg)
    if (shapeOf(node.op).number && !(node as Stmt).to) length += numberLength(node.imm)
    return length
}

/** Encoded code of a function: a multiple of four octets, and the places with their octets from its start. */
export interface Encoded {
    octets: number[]
    places: [place: Place, at: number][]
}

/** The inverse of `decode`, each jump in the fewest octets. */
export function encode(body: Stmt[]): Encoded {
    const fixed = body.map(lengthOf)
    const distance: number[] = body.map(stmt => (stmt.to ? 1 : 0))
    const starts = new Map<Stmt, number>()
    const distanceOf = (stmt: Stmt, at: number, i: number) => starts.get(stmt.to!)! - (at + fixed[i] - 1)
    for (let grown = true; grown; ) {
        grown = false
        let at = 0
        for (const [i, stmt] of body.entries()) {
            starts.set(stmt, at)
            at += fixed[i] + distance[i]
        }
        for (const [i, stmt] of body.entries())
            if (stmt.to) {
                const needed = numberLength(distanceOf(stmt, starts.get(stmt)!, i))
                if (needed > distance[i]) {
                    distance[i] = needed
                    grown = true
                }
            }
    }
    const octets: number[] = []
    const write = (value: number, length: number) => {
        const magnitude = Math.abs(value)
        octets.push(length === 1 ? value : 0xf8 | (value < 0 ? 4 : 0) | (length - 2))
        for (let i = length - 2; i >= 0; i--) octets.push(Math.floor(magnitude / 256 ** i) & 0xff)
    }
    const emit = (node: Expr) => {
        if (node.op === Op.literal && node.imm >= -16 && node.imm < 112) {
            octets.push(0x90 + node.imm)
            return
        }
        for (const arg of node.args) emit(arg)
        octets.push(node.op)
        if (shapeOf(node.op).number && !(node as Stmt).to) write(node.imm, numberLength(node.imm))
    }
    const places: Encoded["places"] = []
    for (const [i, stmt] of body.entries()) {
        if (stmt.op === Op.label) continue
        const at = octets.length
        const last = places[places.length - 1]?.[0]
        if (stmt.place && (!last || last[0] !== stmt.place[0] || last[1] !== stmt.place[1]))
            places.push([stmt.place, at])
        emit(stmt)
        if (stmt.to) write(distanceOf(stmt, at, i), distance[i])
    }
    while (octets.length & 3) octets.push(0)
    return { octets, places }
}

/** Calls `visit` for an expression and all in it, in the order of evaluation (arguments first). */
export function visitExpr(node: Expr, visit: (each: Expr) => void): void {
    for (const arg of node.args) visitExpr(arg, visit)
    visit(node)
}

/** Calls `visit` for each expression of a body. */
export function visitBody(body: Stmt[], visit: (each: Expr) => void): void {
    for (const stmt of body) for (const arg of stmt.args) visitExpr(arg, visit)
}

/** Places the evaluation needs on the stack. */
export function depthOf(node: Expr): number {
    let most = 1
    for (const [i, arg] of node.args.entries()) most = Math.max(most, i + depthOf(arg))
    return most
}
