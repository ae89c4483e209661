import { Code, fail } from "../core/errors"
import { platform } from "../core/platform"
import { builtinCount, natives } from "./names"

/**
 * Each opcode below 95: operands in the low four bits, 16 a statement, 32 a number follows, 64 nothing follows it (BytecodeFlag);
 * 255 not for modules: roles and their specifications, the debugger, numbered types, what was removed.
 */
export const opcodes = hex`
    ff201112131415161718191251703102203131140020200102132121212020101111ff20202020202020ff0300ff00010000
    010001010101010102020202020202020202020202020132212001ff301230701010515171ff010200020211ff`

/** Octets of code without a jump or call up to which a module is taken: only at those the interpreter looks at its budget. */
const straightLimit = 1024

/** Positions in the header: start and length of a section. */
const functionsAt = 32
const codeAt = 40
const floatsAt = 48
const asciiAt = 64
const utf8At = 72
const buffersAt = 80
const dataAt = 88

/** Entries of a table of the image. */
function count(image: Buffer, section: number, width: number): number {
    return Math.floor(image.getAt(section + 4, "u32") / width)
}

/** Magic, version, sections one after the other, and all that points into the strings. */
function checkTables(image: Buffer): void {
    if (
        image.length < 112 ||
        image.getAt(0, "u32") !== 0x53766544 ||
        image.getAt(4, "u32") !== 0xf1296e0a ||
        image.getAt(10, "u16") !== 0x0210
    )
        fail(Code.ModuleImage, 0, "a DeviceScript image, 2.16", "" + image.getAt(10, "u16"))
    let at = 112
    for (let section = functionsAt; section < 112; section += 8) {
        const length = image.getAt(section + 4, "u32")
        if (image.getAt(section, "u32") !== at || (length & 3) !== 0 || length > image.length - at)
            fail(Code.ModuleImage, section, "sections one after the other", "")
        at += length
    }
    const data = image.getAt(dataAt, "u32")
    const size = image.getAt(dataAt + 4, "u32")
    if (size === 0 || image[data + size - 1] !== 0) fail(Code.ModuleImage, dataAt, "strings that end", "")
    // No roles, no specifications of services; 248 globals are what fits an operand of one octet.
    if (image.getAt(60, "u32") !== 0 || image.getAt(14, "u16") !== 0)
        fail(Code.ModuleUnsupported, 14, "no roles or services", "")
    if (image.getAt(12, "u16") > 248) fail(Code.ModuleUnsupported, 12, "at most 248 globals", "")
    let entry = image.getAt(asciiAt, "u32")
    for (let n = count(image, asciiAt, 2); n > 0; --n) {
        if (image.getAt(entry, "u16") >= size) fail(Code.ModuleImage, entry, "a string inside", "")
        entry += 2
    }
    entry = image.getAt(utf8At, "u32")
    for (let n = count(image, utf8At, 4); n > 0; --n) {
        const from = image.getAt(entry, "u32")
        if (
            from > size - 4 ||
            from + 4 + (image.getAt(data + from + 2, "u16") >> 4) * 2 + image.getAt(data + from, "u16") > size
        )
            fail(Code.ModuleImage, entry, "a string inside", "")
        entry += 4
    }
    entry = image.getAt(buffersAt, "u32")
    for (let n = count(image, buffersAt, 8); n > 0; --n) {
        if (image.getAt(entry, "u32") + image.getAt(entry + 4, "u32") > size)
            fail(Code.ModuleImage, entry, "octets inside", "")
        entry += 8
    }
}

/** Whether the number \`value\` after an opcode at \`at\` is one it may have. Jumps are looked at apart. */
function checkNumber(image: Buffer, op: number, value: number, slots: number): boolean {
    if (op === 17 || op === 21) return value < slots
    if (op === 18 || op === 22) return value < image.getAt(12, "u16")
    if (op === 39 || op === 75) return value < count(image, functionsAt, 16)
    if (op === 27 || op === 37) return value < count(image, asciiAt, 2)
    if (op === 28 || op === 38) return value < count(image, utf8At, 4)
    if (op === 35) return value < count(image, buffersAt, 8)
    if (op === 41) return value < count(image, floatsAt, 8)
    if (op === 73 || op === 74) return value < 248
    // Builtin strings and what takes their numbers: constructor (123) and __proto__ (124) lead out of an object.
    if (op === 36) return value < builtinCount
    if (op === 26) return value < builtinCount && value !== 123 && value !== 124
    if (op === 16 || op === 29 || op === 30) return value < builtinCount && (natives[value] & 128) === 0
    // Math, Object, Array, Buffer, String, Number, Boolean, Function, DeviceScript and the errors, with their prototypes.
    if (op === 1) return value < 11 || (value > 14 && value < 19) || value === 21 || (value > 26 && value < 33)
    return true
}

/**
 * Checks a module's image once, in one pass over its code: operands fit the stack, statements begin and end with none, indices exist,
 * jumps stay in their function and meet a statement, a function does not run over its end, and there is nothing that the sandbox does not
 * have. Answers one bit an octet of the image: set where a field is read to be called. Yields. Throws `ModuleImage`,
 * `ModuleCode` or `ModuleUnsupported` with the place in the image.
 */
export function checkImage(image: Buffer): Buffer {
    checkTables(image)
    const code = image.getAt(codeAt, "u32")
    const codeEnd = code + image.getAt(codeAt + 4, "u32")
    if (codeEnd > 0xffff) fail(Code.ModuleImage, codeAt, "code below 64 KB", "")
    const called = Buffer.alloc((codeEnd >> 3) + 1)
    const starts = Buffer.alloc(called.length)
    const targets = Buffer.alloc(called.length)
    let descriptor = image.getAt(functionsAt, "u32")
    let pc = code
    let looked = 0
    for (let n = count(image, functionsAt, 16); n > 0; --n) {
        const end = pc + image.getAt(descriptor + 4, "u32")
        const slots = image.getAt(descriptor + 8, "u16")
        const flags = image[descriptor + 11]
        // needs_this 1, is_ctor 2 (which needs this), has_rest_arg 4
        if (
            image.getAt(descriptor, "u32") !== pc ||
            end > codeEnd ||
            slots > 248 ||
            image[descriptor + 10] > slots ||
            flags > 7 ||
            (flags & 3) === 2 ||
            image[descriptor + 10] < (flags & 1) + (flags >> 2)
        )
            fail(Code.ModuleImage, descriptor, "a function", "")
        let depth = 0
        let final = 0
        let first = 0
        let charged = pc
        while (pc < end) {
            const at = pc
            const op = image[pc]
            pc += 1
            if (depth === 0) {
                // Zeros fill up the last word of a function.
                if (op === 0 && final !== 0 && end - at < 4) {
                    while (pc < end && image[pc] === 0) pc += 1
                    if (pc === end) break
                }
                starts[at >> 3] |= 1 << (at & 7)
                if (pc - charged > straightLimit) fail(Code.ModuleUnsupported, at, "a jump or call within 1024", "")
                if (at - looked > 400) {
                    looked = at
                    platform().yieldNow()
                }
            }
            if (op >= 0x80) {
                if (depth === 0) first = at
                depth += 1
                continue
            }
            const kind = op < 95 ? opcodes[op] : 255
            if (kind === 255) fail(Code.ModuleUnsupported, at, "an opcode that modules have", "" + op)
            let value = 0
            if ((kind & 32) !== 0) {
                value = image[pc]
                pc += 1
                if (value >= 0xf8) {
                    const form = value
                    value = 0
                    for (let k = form & 3; k >= 0; --k) {
                        value = (value << 8) | image[pc]
                        pc += 1
                    }
                    if ((form & 4) !== 0) value = -value
                    // Operands of one octet are what the interpreter looks for there.
                    if (op === 17 || op === 18 || op === 21 || op === 22)
                        fail(Code.ModuleUnsupported, at, "an operand of one octet", "")
                }
                if (op === 13 || op === 14 || op === 78 || op === 80 || op === 81 || op === 86) {
                    const to = at + value
                    if (to < image.getAt(descriptor, "u32") || to >= end || (op === 80 && (image[to] | 1) !== 83))
                        fail(Code.ModuleCode, at, "a jump inside the function", "" + to)
                    targets[to >> 3] |= 1 << (to & 7)
                } else if (op !== 40 && (value < 0 || !checkNumber(image, op, value, slots)))
                    fail(Code.ModuleCode, at, "an operand in range", op + ", " + value)
            }
            const operands = kind & 15
            if ((kind & 16) === 0) {
                if (depth < operands || depth - operands >= 16) fail(Code.ModuleCode, at, "operands", "" + depth)
                depth += 1 - operands
                if (depth === 1) first = at
            } else {
                if (depth !== operands) fail(Code.ModuleCode, at, operands + " operands", "" + depth)
                depth = 0
                final = kind & 64
                const call = (op > 1 && op < 11) || op === 79
                if (call) called[first >> 3] |= 1 << (first & 7)
                if (call || (op > 11 && op < 15)) charged = pc
            }
        }
        if (pc !== end || depth !== 0 || final === 0) fail(Code.ModuleCode, pc, "the end of a function", "")
        descriptor += 16
    }
    if (pc !== codeEnd || descriptor === image.getAt(functionsAt, "u32"))
        fail(Code.ModuleImage, functionsAt, "functions that fill the code", "")
    for (let i = code >> 3; i < starts.length; ++i)
        if ((targets[i] & ~starts[i]) !== 0) fail(Code.ModuleCode, i * 8, "a jump to a statement", "")
    return called
}
