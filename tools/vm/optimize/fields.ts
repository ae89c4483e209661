import { type Expr, expr, type Fun, flagConstructor, flagThis, type Stmt, visitBody, visitExpr } from "./code.ts"
import type { Parts } from "./image.ts"
import { inLoop } from "./inline.ts"
import { Op } from "./opcodes.ts"

const builtinPrototype = 52
/** Stands in names of fields that one class alone has, and nothing else in the program (`../distinct.ts`). */
export const ownFieldMark = "$$"
/** A global's number takes one octet below this. */
const mostGlobals = 0xf8

interface Site {
    inside: number
    at: number
}

/** Classes of which there is one object at most: they are made in one place, which is reached once. By their constructors. */
function madeOnce(functions: Fun[]): Set<number> {
    const uses = functions.map(() => 0)
    const made = functions.map(() => [] as Site[])
    const called = functions.map(() => [] as Site[])
    const methods = functions.map(() => 0)
    for (const [inside, fun] of functions.entries()) {
        visitBody(fun.body, each => {
            if (each.op === Op.staticFunction || each.op === Op.makeClosure) uses[each.imm]++
        })
        for (const [at, { op, args }] of fun.body.entries()) {
            const [target] = args
            if (op === Op.indexSet && target.op === Op.builtinField && target.imm === builtinPrototype) {
                const [of] = target.args
                if (of.op === Op.staticFunction && args[2].op === Op.staticFunction) methods[of.imm]++
            }
            if (op < Op.call0 || op > Op.call8) continue
            if (target.op === Op.staticFunction) called[target.imm].push({ inside, at })
            if (target.op === Op.new && target.args[0].op === Op.staticFunction)
                made[target.args[0].imm].push({ inside, at })
        }
    }
    const once = new Set([0])
    const classes = new Set<number>()
    const isOnce = ([site, other]: Site[]) =>
        site !== undefined && !other && once.has(site.inside) && !inLoop(functions[site.inside].body, site.at)
    for (let before = 0; before !== once.size; ) {
        before = once.size
        for (const [i, fun] of functions.entries()) {
            if (once.has(i)) continue
            const isClass = (fun.flags & flagConstructor) !== 0
            const sites = isClass ? made[i] : called[i]
            if (uses[i] !== 1 + (isClass ? methods[i] : 0) || !isOnce(sites)) continue
            once.add(i)
            if (isClass) classes.add(i)
        }
    }
    return classes
}

/** Nothing happens while it is evaluated, but that it may find no object to read a field of. */
function onlyReads(node: Expr): boolean {
    let fine = true
    visitExpr(node, ({ op }) => {
        if (op === Op.bind || op === Op.new) fine = false
    })
    return fine
}

function textsOf(parts: Parts): string[] {
    const data = Buffer.from(parts.sections[7])
    return parts.ascii.map(at => data.toString("latin1", at, data.indexOf(0, at)))
}

/**
 * Fields that may be globals: with `ownFieldMark` in their names, set by the constructor of a class that is made once. By the numbers
 * of their names, with the globals they become.
 */
export function ownFields(parts: Parts): Map<number, number> {
    const { functions } = parts
    const marked = textsOf(parts).map(text => text.includes(ownFieldMark))
    const single = madeOnce(functions)
    const uses = new Map<number, number>()
    const fields = new Set<number>()
    const left = new Set<number>()
    const note = (name: number) => uses.set(name, (uses.get(name) ?? 0) + 1)
    for (const [inside, fun] of functions.entries())
        for (const { op, args } of fun.body) {
            const [to, key] = args
            const sets = op === Op.indexSet && key.op === Op.staticAsciiString && marked[key.imm]
            if (sets) {
                note(key.imm)
                const isThis = to.op === Op.loadLocal && to.imm === 0 && (fun.flags & flagThis) !== 0
                if (fun.flags & flagConstructor && isThis) (single.has(inside) ? fields : left).add(key.imm)
                if (!onlyReads(to)) left.add(key.imm)
            }
            for (const arg of args)
                visitExpr(arg, each => {
                    if (!marked[each.imm]) return
                    if (each.op === Op.staticAsciiString && !(sets && each === key)) left.add(each.imm)
                    if (each.op !== Op.asciiField) return
                    note(each.imm)
                    if (!onlyReads(each.args[0])) left.add(each.imm)
                })
        }
    const count = globalsOf(parts)
    const chosen = [...fields]
        .filter(name => !left.has(name))
        .sort((a, b) => uses.get(b)! - uses.get(a)! || a - b)
        .slice(0, Math.max(0, mostGlobals - count))
    return new Map(chosen.map((name, i) => [name, count + i]))
}

function globalsOf({ header }: Parts, count?: number): number {
    const view = new DataView(header.buffer, header.byteOffset)
    if (count !== undefined) view.setUint16(12, count, true)
    return view.getUint16(12, true)
}

/**
 * Makes fields of objects of which there is one globals (`ownFields`): two octets instead of four, and the object needs not be
 * handed around for them. Where one is read of undefined, that no longer throws.
 */
export function fieldsToGlobals(parts: Parts, globals: ReadonlyMap<number, number>): void {
    for (const fun of parts.functions) {
        visitBody(fun.body, each => {
            const global = each.op === Op.asciiField ? globals.get(each.imm) : undefined
            if (global !== undefined) Object.assign(each, expr(Op.loadGlobal, global))
        })
        fun.body = fun.body.map((stmt): Stmt => {
            const [, key, value] = stmt.args
            const named = stmt.op === Op.indexSet && key.op === Op.staticAsciiString
            const global = named ? globals.get(key.imm) : undefined
            if (global === undefined) return stmt
            return { op: Op.storeGlobal, imm: global, args: [value], place: stmt.place }
        })
    }
    globalsOf(parts, globalsOf(parts) + globals.size)
}

/** Names that were told apart (`../distinct.ts`) are one name again: fewer strings, more of them with numbers of one octet. */
export function mergeNames(parts: Parts): void {
    const first = new Map<string, number>()
    const place = textsOf(parts).map((text, i) => {
        const name = /^(\w+)\$\$?\d+$/.exec(text)?.[1]
        if (name === undefined) return i
        if (!first.has(name)) first.set(name, i)
        return first.get(name)!
    })
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            if (each.op === Op.asciiField || each.op === Op.staticAsciiString) each.imm = place[each.imm]
        })
}
