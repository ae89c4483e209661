import { type Expr, type Fun, flagConstructor, type Stmt, visitExpr } from "./code.ts"
import { graphOf, livenessOf, Slots, storedBy } from "./flow.ts"
import { Op } from "./opcodes.ts"

/**
 * Gives each use of a slot that has nothing to do with the others a slot of its own, so that what the compiler put
 * into one temporary by turns can be told apart. Parameters keep their slots for the value they come with.
 */
export function splitSlots(fun: Fun, captured: ReadonlySet<number>): void {
    const { body } = fun
    const stores = body.flatMap((stmt, i) => (storedBy(stmt) >= 0 ? [i] : []))
    if (stores.length === 0) return
    // Definition d < slots is what the slot holds at first; the others are stores in order.
    const count = fun.slots + stores.length
    const definitionAt = new Map(stores.map((at, i) => [at, fun.slots + i]))
    const ofSlot: Slots[] = [...Array(fun.slots)].map((_, slot) => {
        const all = new Slots(count)
        all.add(slot)
        for (const [at, definition] of definitionAt) if (body[at].imm === slot) all.add(definition)
        return all
    })
    const graph = graphOf(body)
    // What reaches a statement is kept where ways meet or begin; from there on it is followed.
    const begins = body.map((stmt, i) => i === 0 || stmt.op === Op.label || !graph.next[i - 1].includes(i))
    const reach = body.map((_, i) => (begins[i] ? new Slots(count) : undefined))
    for (let slot = 0; slot < fun.slots; slot++) reach[0]!.add(slot)
    const todo = body.flatMap((_, i) => (begins[i] ? [i] : [])).reverse()
    const waiting = new Uint8Array(body.length).fill(1)
    const spread = (to: number, what: Slots) => {
        if (!reach[to]!.join(what) || waiting[to]) return
        waiting[to] = 1
        todo.push(to)
    }
    const define = (at: number, held: Slots) => {
        const definition = definitionAt.get(at)
        if (definition === undefined) return
        const others = ofSlot[body[at].imm]
        for (let i = 0; i < held.words.length; i++) held.words[i] &= ~others.words[i]
        held.add(definition)
    }
    while (todo.length > 0) {
        const start = todo.pop()!
        waiting[start] = 0
        const held = reach[start]!.copy()
        for (let at = start; at === start || (at < body.length && !begins[at]); at++) {
            for (const handler of graph.handlers) spread(handler, held)
            define(at, held)
            for (const next of graph.next[at]) if (begins[next]) spread(next, held)
            for (const handler of graph.handlers) spread(handler, held)
        }
    }
    const parent = [...Array(count)].map((_, i) => i)
    const find = (each: number): number => {
        while (parent[each] !== each) each = parent[each] = parent[parent[each]]
        return each
    }
    const uses: { node: Expr; definition: number }[] = []
    let held = new Slots(count)
    for (const [i, stmt] of body.entries()) {
        held = reach[i]?.copy() ?? held
        for (const arg of stmt.args)
            visitExpr(arg, node => {
                if (node.op !== Op.loadLocal) return
                let first = -1
                const all = ofSlot[node.imm]
                for (let word = 0; word < all.words.length; word++) {
                    let bits = all.words[word] & held.words[word]
                    while (bits !== 0) {
                        const definition = word * 32 + (31 - Math.clz32(bits & -bits))
                        bits &= bits - 1
                        if (first < 0) first = definition
                        else parent[find(definition)] = find(first)
                    }
                }
                uses.push({ node, definition: first < 0 ? node.imm : first })
            })
        define(i, held)
    }
    const number = new Map<number, number>()
    // What a slot holds at first keeps its number, and so does all of a captured one.
    for (let slot = 0; slot < fun.slots; slot++) {
        if (captured.has(slot) || (slot === 0 && fun.flags & flagConstructor))
            for (const definition of ofSlot[slot].members()) parent[find(definition)] = find(slot)
        number.set(find(slot), slot)
    }
    let slots = fun.slots
    const names: any[] = fun.debug.slots.slice()
    const numberOf = (definition: number, old: number): number => {
        const web = find(definition)
        const known = number.get(web)
        if (known !== undefined) return known
        number.set(web, slots)
        names[slots] = fun.debug.slots[old]
        return slots++
    }
    for (const { node, definition } of uses) node.imm = numberOf(definition, node.imm)
    for (const [at, definition] of definitionAt) body[at].imm = numberOf(definition, body[at].imm)
    fun.slots = slots
    fun.debug = { ...fun.debug, slots: names }
}

/**
 * Gives slots that are never needed at one time the same number, first of all those that are copied to each other, so
 * that the copy goes; the frame becomes as small as can be.
 */
export function packSlots(fun: Fun, captured: ReadonlySet<number>): void {
    const { body } = fun
    const live = livenessOf(fun, captured)
    const near = [...Array(fun.slots)].map(() => new Slots(fun.slots))
    const used = new Slots(fun.slots)
    const fixed = (slot: number) => slot < fun.args || captured.has(slot)
    const clash = (a: number, b: number) => {
        if (a === b) return
        near[a].add(b)
        near[b].add(a)
    }
    const first = body.length > 0 ? live.before[0].copy() : new Slots(fun.slots)
    for (const slot of captured) first.add(slot)
    for (const a of first.members()) for (const b of first.members()) clash(a, b)
    const atFirst = first.copy()
    const copies: [to: number, from: number][] = []
    for (const [i, stmt] of body.entries()) {
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (each.op === Op.loadLocal) used.add(each.imm)
            })
        const slot = storedBy(stmt)
        if (slot < 0) continue
        used.add(slot)
        const copied = stmt.args[0].op === Op.loadLocal ? stmt.args[0].imm : -1
        // A closure may change what it captured at any call, so that is never the same as its copy.
        const from = captured.has(slot) || captured.has(copied) ? -1 : copied
        if (from >= 0 && from !== slot) copies.push([slot, from])
        const after = live.after[i]
        for (let word = 0; word < after.words.length; word++) {
            let bits = after.words[word]
            while (bits !== 0) {
                const other = word * 32 + (31 - Math.clz32(bits & -bits))
                bits &= bits - 1
                if (other !== from) clash(slot, other)
            }
        }
    }
    const leader = [...Array(fun.slots)].map((_, i) => i)
    const find = (each: number): number => (leader[each] === each ? each : find(leader[each]))
    for (const copy of copies) {
        let [a, b] = copy.map(find)
        if (a === b || near[a].has(b)) continue
        if (fixed(b)) [a, b] = [b, a]
        // A parameter's slot is no place for what must be undefined at first.
        if (fixed(b) || (fixed(a) && atFirst.has(b))) continue
        leader[b] = a
        near[a].join(near[b])
        for (const each of near[b].members()) near[each].add(a)
        if (atFirst.has(b)) atFirst.add(a)
    }
    const color = new Map<number, number>()
    for (let slot = 0; slot < fun.args; slot++) color.set(slot, slot)
    for (const slot of captured) color.set(slot, slot)
    let slots = Math.max(fun.args, 1 + Math.max(-1, ...captured))
    const leaders = [...new Set(used.members().map(find))].filter(slot => !color.has(slot))
    const weight = new Map(leaders.map(slot => [slot, near[slot].members().length]))
    const undefinedFirst = new Set(leaders.filter(slot => atFirst.has(slot)))
    for (const slot of leaders.sort((a, b) => weight.get(b)! - weight.get(a)! || a - b)) {
        const taken = new Set<number>()
        for (const other of near[slot].members()) {
            const at = color.get(find(other))
            if (at !== undefined) taken.add(at)
        }
        let at = undefinedFirst.has(slot) ? fun.args : 0
        // Slot 0 of a constructor is its answer.
        if (fun.flags & flagConstructor && at === 0) at = 1
        while (taken.has(at)) at++
        color.set(slot, at)
        slots = Math.max(slots, at + 1)
    }
    const names: any[] = []
    const old = fun.debug.slots
    for (let slot = 0; slot < fun.slots; slot++) {
        if (!used.has(slot) && !fixed(slot)) continue
        const at = color.get(find(slot))!
        if (!names[at] || (names[at].type === "tmp" && old[slot].type !== "tmp")) names[at] = old[slot]
    }
    for (let slot = 0; slot < slots; slot++) names[slot] ??= { name: `_tmp${slot}`, type: "tmp" }
    for (let slot = 0; slot < fun.args; slot++) names[slot] = old[slot]
    for (const stmt of body) {
        for (const arg of stmt.args)
            visitExpr(arg, each => {
                if (each.op === Op.loadLocal) each.imm = color.get(find(each.imm))!
            })
        if (stmt.op === Op.storeLocal) stmt.imm = color.get(find(stmt.imm))!
    }
    fun.body = body.filter(stmt => !copiesItself(stmt))
    fun.slots = slots
    fun.debug = { ...fun.debug, slots: names }
}

function copiesItself(stmt: Stmt): boolean {
    return stmt.op === Op.storeLocal && stmt.args[0].op === Op.loadLocal && stmt.args[0].imm === stmt.imm
}
