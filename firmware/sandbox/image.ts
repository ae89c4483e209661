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

/** What the number after an opcode is: place in the limits of `checkImage`, 11 a jump, 0 any. */
const numbers = hex`
    000a00000000000000000000000b0b0009010200000102000000090405090900000000060904050300070000000000000000
    000000000000000000000000000000000000000000000008080300000b000b0b000000000b0000000000000000`

/** Octets of code without a jump or call up to which a module is taken: only at those the interpreter looks at its budget. */
const straightLimit = 1024

function must(ok: boolean, code: number, at: number): void {
    if (!ok) fail(code, at, "a sound module", "another")
}

/**
 * Checks a module's image once, in one pass over its code: sections follow each other, operands fit the stack, statements begin and end with
 * none, indices exist, jumps stay in their function and meet a statement, functions end, and there is nothing that the sandbox does not have.
 * Answers one bit an octet of the image: set where a field is read to be called. Yields. Throws `ModuleImage`, `ModuleCode` or
 * `ModuleUnsupported` with the place in the image.
 */
export function checkImage(image: Buffer): Buffer {
    must(
        image.length > 111 && image.getAt(0, "u32") === 0x53766544 && image.getAt(4, "u32") === 0xf1296e0a,
        Code.ModuleImage,
        0,
    )
    // 2.16, whatever the patch; no specifications of services; globals that an operand of one octet tells apart.
    must(image.getAt(10, "u16") === 0x0210, Code.ModuleUnsupported, 10)
    must(image.getAt(14, "u16") === 0, Code.ModuleUnsupported, 14)
    must(image.getAt(12, "u16") <= 248, Code.ModuleUnsupported, 12)
    // Functions, code, floats, roles, ASCII, UTF-8, buffers, strings' octets, specifications, configuration.
    let end = 112
    for (let section = 32; section < 112; section += 8) {
        const length = image.getAt(section + 4, "u32")
        must(image.getAt(section, "u32") === end && length <= image.length - end, Code.ModuleImage, section)
        end += length
    }
    const code = image.getAt(40, "u32")
    const codeEnd = image.getAt(48, "u32")
    must(codeEnd < 0x10000, Code.ModuleImage, 40)
    const limits = [
        0,
        0,
        image.getAt(12, "u16"),
        image.getAt(36, "u32") >> 4,
        image.getAt(68, "u32") >> 1,
        image.getAt(76, "u32") >> 2,
        image.getAt(84, "u32") >> 3,
        image.getAt(52, "u32") >> 3,
        248,
        builtinCount,
        256,
    ]
    const called = Buffer.alloc((codeEnd >> 3) + 1)
    const starts = Buffer.alloc(called.length)
    const targets = Buffer.alloc(called.length)
    let descriptor = 112
    let pc = code
    let looked = 0
    for (let n = limits[3]; n > 0; --n) {
        const begin = pc
        end = pc + image.getAt(descriptor + 4, "u32")
        const slots = image.getAt(descriptor + 8, "u16")
        const flags = image[descriptor + 11]
        limits[1] = slots
        // needs_this 1, is_ctor 2 (which needs this), has_rest_arg 4
        must(image.getAt(descriptor, "u32") === pc && end <= codeEnd && slots <= 248, Code.ModuleImage, descriptor)
        must(flags < 8 && (flags & 3) !== 2, Code.ModuleImage, descriptor)
        const formals = image[descriptor + 10]
        must(formals <= slots && formals >= (flags & 1) + (flags >> 2), Code.ModuleImage, descriptor)
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
                if (op === 0 && final !== 0) {
                    while (pc < end && image[pc] === 0) pc += 1
                    if (pc === end) break
                }
                starts[at >> 3] |= 1 << (at & 7)
                must(pc - charged <= straightLimit, Code.ModuleUnsupported, at)
                if (at - looked > 300) {
                    looked = at
                    platform().yieldNow()
                }
            }
            let kind = 0
            if (op < 0x80) {
                kind = op < 95 ? opcodes[op] : 255
                if (kind === 255) fail(Code.ModuleUnsupported, at, "an opcode that modules have", "" + op)
            }
            if ((kind & 32) !== 0) {
                let value = image[pc]
                pc += 1
                if (value >= 0xf8) {
                    const form = value
                    value = 0
                    for (let k = form & 3; k >= 0; --k) {
                        value = (value << 8) | image[pc]
                        pc += 1
                    }
                    if ((form & 4) !== 0) value = -value
                    // The interpreter takes these of one octet.
                    must(op === 20 || op > 22 || op < 17, Code.ModuleUnsupported, at)
                }
                const number = numbers[op]
                if (number === 11) {
                    const to = at + value
                    must(to >= begin && to < end, Code.ModuleCode, at)
                    // catch 82 or finally 83
                    if (op === 80) must((image[to] | 1) === 83, Code.ModuleCode, at)
                    targets[to >> 3] |= 1 << (to & 7)
                } else if (number !== 0) {
                    must(value >= 0 && value < limits[number], Code.ModuleCode, at)
                    // Math, Object, Array, Buffer, String, Number, Function, Boolean, DeviceScript and the errors, and prototypes.
                    if (number === 10) must(value < 32 && ((0xf82787ff >> value) & 1) !== 0, Code.ModuleUnsupported, at)
                    if (number === 9 && op < 36 && op !== 26)
                        must((natives[value] & 128) === 0, Code.ModuleUnsupported, at)
                }
            }
            depth -= kind & 15
            if ((kind & 16) === 0) {
                must(depth >= 0 && depth < 16, Code.ModuleCode, at)
                if (depth === 0) first = at
                depth += 1
            } else {
                must(depth === 0, Code.ModuleCode, at)
                final = kind & 64
                if ((op > 1 && op < 11) || op === 79) {
                    called[first >> 3] |= 1 << (first & 7)
                    charged = pc
                } else if (op > 11 && op < 15) charged = pc
            }
        }
        must(pc === end && depth === 0 && final !== 0, Code.ModuleCode, pc)
        descriptor += 16
    }
    must(pc === codeEnd && descriptor === code && pc > code, Code.ModuleImage, 36)
    for (let i = code >> 3; i < starts.length; ++i) must((targets[i] & ~starts[i]) === 0, Code.ModuleCode, i * 8)
    return called
}
