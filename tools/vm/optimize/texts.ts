import { visitBody } from "./code.ts"
import type { Parts } from "./image.ts"
import { Op } from "./opcodes.ts"
import { renameSpecs } from "./order.ts"

/** What a number of a string in a descriptor or specification refers to, in its upper two bits. */
const asciiKind = 2
const utf8Kind = 3
const indexBits = 14
const indexMask = (1 << indexBits) - 1

const utf8Section = 5
const bufferSection = 6
const dataSection = 7

/** Without strings and buffers that nothing refers to any more: names of functions that moved into others, constants nobody reads. */
export function dropTexts(parts: Parts): void {
    const ascii = new Set<number>()
    const utf8 = new Set<number>()
    const buffers = new Set<number>()
    const noteName = (name: number) => {
        if (name >> indexBits === asciiKind) ascii.add(name & indexMask)
        if (name >> indexBits === utf8Kind) utf8.add(name & indexMask)
        return name
    }
    for (const fun of parts.functions) {
        noteName(fun.name)
        visitBody(fun.body, ({ op, imm }) => {
            if (op === Op.asciiField || op === Op.staticAsciiString) ascii.add(imm)
            if (op === Op.staticUtf8String) utf8.add(imm)
            if (op === Op.staticBuffer) buffers.add(imm)
        })
    }
    renameSpecs(parts, noteName)

    const data = Buffer.from(parts.sections[dataSection])
    const kept: Buffer[] = []
    let length = 0
    /** Puts octets at a place that is as far from a word's beginning as the one they come from; answers the place. */
    const put = (at: number, end: number, aligned: boolean): number => {
        const gap = aligned ? (at - length) & 3 : 0
        kept.push(Buffer.alloc(gap), data.subarray(at, end))
        length += gap + end - at
        return length - (end - at)
    }
    // What has the shortest reach comes first: two octets of offset.
    const asciiOrder = sorted(ascii)
    parts.ascii = asciiOrder.map(i => put(parts.ascii[i], data.indexOf(0, parts.ascii[i]) + 1, false))

    const utf8Order = sorted(utf8)
    const oldUtf8 = Buffer.from(parts.sections[utf8Section])
    const newUtf8 = Buffer.alloc(4 * utf8Order.length)
    for (const [i, from] of utf8Order.entries()) {
        const at = oldUtf8.readUInt32LE(4 * from)
        // Size, length, a place each 16 letters, the text, 0
        const end = at + 4 + 2 * (data.readUInt16LE(at + 2) >> 4) + data.readUInt16LE(at) + 1
        newUtf8.writeUInt32LE(put(at, end, true), 4 * i)
    }
    parts.sections[utf8Section] = newUtf8

    const bufferOrder = sorted(buffers)
    const oldBuffers = Buffer.from(parts.sections[bufferSection])
    const newBuffers = Buffer.alloc(8 * bufferOrder.length)
    for (const [i, from] of bufferOrder.entries()) {
        const at = oldBuffers.readUInt32LE(8 * from)
        const size = oldBuffers.readUInt32LE(8 * from + 4)
        // Each is followed by a 0, as the compiler has it.
        newBuffers.writeUInt32LE(put(at, at + size + 1, true), 8 * i)
        newBuffers.writeUInt32LE(size, 8 * i + 4)
    }
    parts.sections[bufferSection] = newBuffers
    // Whole words, and a 0 at the end, which the VM asks for also where there is nothing else.
    kept.push(Buffer.alloc(4 - (length & 3)))
    parts.sections[dataSection] = Buffer.concat(kept)

    const asciiPlaces = new Map(asciiOrder.map((from, to) => [from, to]))
    const utf8Places = new Map(utf8Order.map((from, to) => [from, to]))
    const bufferPlaces = new Map(bufferOrder.map((from, to) => [from, to]))
    const renamed = (name: number) => {
        const places =
            name >> indexBits === asciiKind ? asciiPlaces : name >> indexBits === utf8Kind ? utf8Places : undefined
        return places ? (name & ~indexMask) | places.get(name & indexMask)! : name
    }
    for (const fun of parts.functions) {
        fun.name = renamed(fun.name)
        visitBody(fun.body, each => {
            if (each.op === Op.asciiField || each.op === Op.staticAsciiString) each.imm = asciiPlaces.get(each.imm)!
            if (each.op === Op.staticUtf8String) each.imm = utf8Places.get(each.imm)!
            if (each.op === Op.staticBuffer) each.imm = bufferPlaces.get(each.imm)!
        })
    }
    renameSpecs(parts, renamed)
}

function sorted(numbers: Set<number>): number[] {
    return [...numbers].sort((a, b) => a - b)
}
