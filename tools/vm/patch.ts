/**
 * Copies of the VM with something added. Nothing of the VM's own code changes but for the counter: that one
 * is three instructions at the head of the loop that executes bytecode.
 */

/** Reads unsigned LEB128 numbers and names. */
class Reader {
    constructor(
        readonly octets: Uint8Array,
        public at = 0,
    ) {}

    number(): number {
        let value = 0
        for (let shift = 0; ; shift += 7) {
            const octet = this.octets[this.at++]
            value += (octet & 0x7f) * 2 ** shift
            if (octet < 0x80) return value
        }
    }

    take(length: number): Uint8Array {
        this.at += length
        return this.octets.subarray(this.at - length, this.at)
    }

    name(): string {
        return Buffer.from(this.take(this.number())).toString("utf8")
    }
}

function leb(value: number): number[] {
    const octets: number[] = []
    for (;;) {
        const low = value & 0x7f
        value = Math.floor(value / 128)
        if (value === 0) return [...octets, low]
        octets.push(low | 0x80)
    }
}

function named(text: string): number[] {
    return [...leb(text.length), ...Buffer.from(text, "utf8")]
}

interface Section {
    id: number
    body: Uint8Array
}

const Id = { custom: 0, imports: 2, globals: 6, exports: 7, code: 10 } as const
const functionKind = 0
const globalKind = 3

function sectionsOf(wasm: Uint8Array): Section[] {
    const reader = new Reader(wasm, 8)
    const sections: Section[] = []
    while (reader.at < wasm.length) {
        const id = reader.octets[reader.at++]
        sections.push({ id, body: reader.take(reader.number()) })
    }
    return sections
}

function joined(wasm: Uint8Array, sections: Section[]): Uint8Array {
    const parts = sections.map(({ id, body }) => Buffer.concat([Uint8Array.from([id, ...leb(body.length)]), body]))
    return Buffer.concat([wasm.subarray(0, 8), ...parts])
}

/** Function index by name, from the debug names the VM is shipped with. */
function functionNames(sections: Section[]): Map<string, number> {
    const names = new Map<string, number>()
    for (const { id, body } of sections) {
        const reader = new Reader(body)
        if (id !== Id.custom || reader.name() !== "name") continue
        while (reader.at < body.length) {
            const kind = body[reader.at++]
            const end = reader.number() + reader.at
            if (kind === 1)
                for (let count = reader.number(); count > 0; count--) {
                    const index = reader.number()
                    names.set(reader.name(), index)
                }
            reader.at = end
        }
    }
    return names
}

/** Appends entries to a section that is a vector. */
function append(sections: Section[], id: number, entries: number[][]): void {
    const section = sections.find(each => each.id === id)
    if (!section) throw new Error(`the VM has no section ${id}`)
    const reader = new Reader(section.body)
    const count = reader.number()
    section.body = Buffer.concat([
        Uint8Array.from(leb(count + entries.length)),
        section.body.subarray(reader.at),
        Uint8Array.from(entries.flat()),
    ])
}

function countOf(sections: Section[], id: number): number {
    const section = sections.find(each => each.id === id)
    return section ? new Reader(section.body).number() : 0
}

function find(octets: Uint8Array, pattern: number[]): number {
    return Buffer.from(octets.buffer, octets.byteOffset, octets.length).indexOf(Uint8Array.from(pattern))
}

/** A copy that exports the garbage collector as `collect(heap)`. */
export function withCollector(wasm: Uint8Array): Uint8Array {
    const sections = sectionsOf(wasm)
    const collector = functionNames(sections).get("devs_gc")
    if (collector === undefined) throw new Error("the VM has no function devs_gc")
    append(sections, Id.exports, [[...named("collect"), functionKind, ...leb(collector)]])
    return joined(wasm, sections)
}

/**
 * A copy that counts bytecode steps in the exported i64 global `steps` and traps when it would pass the
 * exported i64 global `stepLimit`.
 */
export function withStepCounter(wasm: Uint8Array): Uint8Array {
    const sections = sectionsOf(wasm)
    const steps = countOf(sections, Id.globals)
    const limit = steps + 1
    append(sections, Id.globals, [
        [0x7e, 1, 0x42, 0, 0x0b], // mutable i64, 0
        [0x7e, 1, 0x42, 0x7f, 0x0b], // mutable i64, all ones: no limit
    ])
    append(sections, Id.exports, [
        [...named("steps"), globalKind, ...leb(steps)],
        [...named("stepLimit"), globalKind, ...leb(limit)],
    ])
    const code = sections.find(each => each.id === Id.code)
    if (!code) throw new Error("the VM has no code")
    const reader = new Reader(code.body)
    const count = reader.number()
    const bodies: Uint8Array[] = [code.body.subarray(0, reader.at)]
    let patched = 0
    for (let i = 0; i < count; i++) {
        let body = reader.take(reader.number())
        // `unsigned maxsteps = 131072; while (…)`: i32.const 131072, local.set, block, loop.
        const at = find(body, [0x41, 0x80, 0x80, 0x08, 0x21])
        const head = at + 10
        if (at >= 0 && body[at + 6] === 0x02 && body[at + 8] === 0x03) {
            const counter = [
                ...[0x23, ...leb(steps), 0x42, 1, 0x7c, 0x24, ...leb(steps)], // steps = steps + 1
                ...[0x23, ...leb(steps), 0x23, ...leb(limit), 0x56, 0x04, 0x40, 0x00, 0x0b], // if (steps > limit) trap
            ]
            body = Buffer.concat([body.subarray(0, head), Uint8Array.from(counter), body.subarray(head)])
            patched++
        }
        bodies.push(Uint8Array.from(leb(body.length)), body)
    }
    if (patched !== 1) throw new Error(`the VM's main loop was found ${patched} times; is it version 2.16.4?`)
    code.body = Buffer.concat(bodies)
    return joined(wasm, sections)
}
