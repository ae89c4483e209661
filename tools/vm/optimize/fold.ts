import type { Expr } from "./code.ts"
import { Op } from "./opcodes.ts"

const add = 58
const and = 62
const or = 63
const xor = 64
const shl = 65
const shr = 66
const bitNot = 53
const toInt = 57

/** What an operation of the VM answers for two whole numbers; undefined where that is none of 32 bits, or a negative zero. */
function result(op: number, a: number, b: number): number | undefined {
    let value: number | undefined
    if (op === add) value = a + b
    else if (op === Op.sub) value = a - b
    else if (op === Op.mul) value = a * b
    else if (op === and) value = a & b
    else if (op === or) value = a | b
    else if (op === xor) value = a ^ b
    else if (op === shl && b >= 0 && b < 32) value = a << b
    else if (op === shr && b >= 0 && b < 32) value = a >> b
    return value === undefined || value !== (value | 0) || Object.is(value, -0) ? undefined : value
}

/** Works out an operation of numbers that stand in the code. Changes the expression in place. */
export function fold(node: Expr): void {
    const [first, second] = node.args
    if (first?.op !== Op.literal || second?.op !== Op.literal) return
    const value = result(node.op, first.imm, second.imm)
    if (value !== undefined) Object.assign(node, { op: Op.literal, imm: value, args: [] })
}

/** Answers a whole number of 32 bits whatever it is given, so that it is the same as its comparison with zero in a condition. */
export function isWhole(op: number): boolean {
    return (op >= and && op <= shr) || op === bitNot || op === toInt
}
