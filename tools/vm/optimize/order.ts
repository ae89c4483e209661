import { hostNames } from "../host-names.ts"
import { type Expr, type Fun, lengthOf, numberLength, visitBody } from "./code.ts"
import type { Parts } from "./image.ts"
import { Op } from "./opcodes.ts"

/** Numbers 0 to count - 1 in the order of their use, most used first; `fixed` of them stay in front. */
function byUse(count: number, uses: number[], fixed = 0): number[] {
    const order = [...Array(count)].map((_, i) => i)
    return [...order.slice(0, fixed), ...order.slice(fixed).sort((a, b) => (uses[b] ?? 0) - (uses[a] ?? 0) || a - b)]
}

/** The inverse: old number -> new number. */
function inverse(order: number[]): number[] {
    const places: number[] = []
    for (const [place, old] of order.entries()) places[old] = place
    return places
}

/** An integer in the VM's own form: the high word says so. */
const integerHead = 0xffffffffn

/** Number literals that are whole numbers of 32 bits stand in the code, until `tableLiterals` puts them back. */
export function spellLiterals(parts: Parts): void {
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            if (each.op !== Op.literalF64) return
            const octets = parts.floats[each.imm]
            if (octets >> 32n === integerHead)
                Object.assign(each, { op: Op.literal, imm: Number(BigInt.asIntN(32, octets)) })
        })
}

/**
 * Numbers that take three octets and more become number literals of the image, which lie outside the code and take two,
 * where they are among the 248 that win most. Other number literals are there anyway.
 */
export function tableLiterals(parts: Parts): void {
    const uses = new Map<bigint, { nodes: Expr[]; won: number; other: boolean }>()
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            const other = each.op === Op.literalF64
            if (!other && (each.op !== Op.literal || lengthOf(each) < 3)) return
            const octets = other ? parts.floats[each.imm] : (integerHead << 32n) | BigInt(each.imm >>> 0)
            const known = uses.get(octets) ?? { nodes: [], won: 0, other }
            uses.set(octets, known)
            known.nodes.push(each)
            known.won += other ? 1 : lengthOf(each) - 2
        })
    parts.floats = []
    const byGain = [...uses].sort((a, b) => b[1].won - a[1].won || (a[0] < b[0] ? -1 : 1))
    for (const [octets, { nodes, other }] of byGain) {
        const at = parts.floats.length
        if (!other && 1 + numberLength(at) >= lengthOf(nodes[0])) continue
        parts.floats.push(octets)
        for (const node of nodes) Object.assign(node, { op: Op.literalF64, imm: at })
    }
}

const functionOps: number[] = [Op.staticFunction, Op.makeClosure]
const asciiOps: number[] = [Op.asciiField, Op.staticAsciiString]

/** What is used most gets the numbers below 248, which take one octet. */
export function orderByUse(parts: Parts): void {
    const count = (ops: number[]) => {
        const uses: number[] = []
        for (const fun of parts.functions)
            visitBody(fun.body, each => {
                if (ops.includes(each.op)) uses[each.imm] = (uses[each.imm] ?? 0) + 1
            })
        return uses
    }
    const functionOrder = byUse(parts.functions.length, count(functionOps), 1)
    const asciiOrder = byUse(parts.ascii.length, count(asciiOps))
    const functionPlaces = inverse(functionOrder)
    const asciiPlaces = inverse(asciiOrder)
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            if (functionOps.includes(each.op)) each.imm = functionPlaces[each.imm]
            if (asciiOps.includes(each.op)) each.imm = asciiPlaces[each.imm]
        })
    const renamed = (name: number) => (name >> 14 === 2 ? (2 << 14) | asciiPlaces[name & 0x3fff] : name)
    for (const fun of parts.functions) fun.name = renamed(fun.name)
    renameSpecs(parts, renamed)
    parts.functions = functionOrder.map(i => parts.functions[i])
    parts.ascii = asciiOrder.map(i => parts.ascii[i])
}

function textsOf(parts: Parts): string[] {
    const data = Buffer.from(parts.sections[7])
    return parts.ascii.map(at => data.toString("latin1", at, data.indexOf(0, at)))
}

/** Does it ask for `ds.host`, as programs of the sandbox do? */
export function hasHost(parts: Parts): boolean {
    return textsOf(parts).includes("host")
}

/**
 * ASCII strings (by number) that a program may put together at run time to look for a method: names in service
 * specifications, also behind another string, as a server's `set_` before the name of a register. For a program that has a host (`hosted`) the names of its
 * host's calls: a class of its own may have a method of the same name.
 */
export function namesMadeAtRunTime(parts: Parts, hosted: boolean): Set<number> {
    const texts = textsOf(parts)
    const specs = new Set<string>()
    renameSpecs(parts, name => {
        if (name >> 14 === 2) specs.add(texts[name & 0x3fff])
        return name
    })
    const prefixes = new Set([""])
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            if (each.op === Op.staticAsciiString) prefixes.add(texts[each.imm])
        })
    const made = new Set<number>()
    if (hosted) for (const [i, text] of texts.entries()) if (hostNames.has(text)) made.add(i)
    for (const [i, text] of texts.entries())
        for (let cut = 0; cut < text.length; cut++)
            if (specs.has(text.slice(cut)) && prefixes.has(text.slice(0, cut))) made.add(i)
    return made
}

/** Calls `renamed` for string numbers in the service specifications, and puts what it answers in their place. */
export function renameSpecs(parts: Parts, renamed: (name: number) => number): void {
    const specs = parts.sections[8]
    const view = new DataView(specs.buffer, specs.byteOffset, specs.length)
    const rename = (at: number) => view.setUint16(at, renamed(view.getUint16(at, true)), true)
    const fields = new Set<number>()
    const count = new DataView(parts.header.buffer, parts.header.byteOffset).getUint16(14, true)
    for (let i = 0; i < count; i++) {
        rename(16 * i)
        const packets = view.getUint16(16 * i + 8, true)
        for (let j = 0; j < packets; j++) {
            const at = view.getUint16(16 * i + 10, true) * 4 + 8 * j
            rename(at)
            if (view.getUint16(at + 4, true) & 1) fields.add(view.getUint16(at + 6, true) * 4)
        }
    }
    for (let at of fields) for (; view.getUint16(at, true) !== 0; at += 4) rename(at)
}

/** Without functions that cannot be reached from the first. */
export function dropUnused(parts: Parts): void {
    const { functions } = parts
    const reached = new Set([0])
    for (const i of reached)
        visitBody(functions[i].body, each => {
            if (functionOps.includes(each.op)) reached.add(each.imm)
        })
    const order = functions.map((_, i) => i).filter(i => reached.has(i))
    const places = inverse(order)
    parts.functions = order.map(i => functions[i])
    for (const fun of parts.functions)
        visitBody(fun.body, each => {
            if (functionOps.includes(each.op)) each.imm = places[each.imm]
        })
}

/** Functions that never return: none of their ways leads to a `return`. */
export function silentFunctions(functions: Fun[]): Set<number> {
    const silent = new Set<number>()
    for (const [i, fun] of functions.entries())
        if (!fun.body.some(stmt => stmt.op === Op.return || stmt.op === Op.try)) silent.add(i)
    return silent
}
