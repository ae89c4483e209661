/** The opcodes of DeviceScript 2.16.4 that are named here; `label` is our own and never encoded. */
export const Op = {
    label: 0,
    call0: 2,
    call8: 10,
    indexDelete: 11,
    return: 12,
    jmp: 13,
    jmpZ: 14,
    bind: 15,
    storeLocal: 17,
    storeGlobal: 18,
    storeBuffer: 19,
    inf: 20,
    loadLocal: 21,
    loadGlobal: 22,
    index: 24,
    indexSet: 25,
    builtinField: 26,
    asciiField: 27,
    utf8Field: 28,
    allocMap: 31,
    allocArray: 32,
    allocBuffer: 33,
    staticBuffer: 35,
    staticBuiltinString: 36,
    staticAsciiString: 37,
    staticUtf8String: 38,
    staticFunction: 39,
    literal: 40,
    literalF64: 41,
    retVal: 44,
    typeof: 45,
    undefined: 46,
    isUndefined: 47,
    true: 48,
    false: 49,
    toBool: 50,
    nan: 51,
    isNan: 54,
    not: 56,
    sub: 59,
    mul: 60,
    eq: 68,
    le: 69,
    lt: 70,
    ne: 71,
    isNullish: 72,
    storeClosure: 73,
    loadClosure: 74,
    makeClosure: 75,
    typeofStr: 76,
    jmpRetValZ: 78,
    callArray: 79,
    try: 80,
    endTry: 81,
    catch: 82,
    finally: 83,
    throw: 84,
    reThrow: 85,
    throwJmp: 86,
    new: 88,
    instanceOf: 89,
    null: 90,
    approxEq: 91,
    approxNe: 92,
    storeRetVal: 93,
} as const

/** What an opcode takes: expressions before it, and whether a number follows it. */
export interface Shape {
    args: number
    number: boolean
    statement: boolean
}

const shapes: (Shape | undefined)[] = []

function define(statement: boolean, number: boolean, args: number, ops: number[]): void {
    for (const op of ops) shapes[op] = { args, number, statement }
}

for (let args = 0; args <= 8; args++) define(true, false, args + 1, [2 + args])
define(true, true, 0, [13, 78, 80, 81])
define(true, true, 1, [14, 17, 18, 86])
define(true, true, 2, [73])
define(true, false, 0, [31, 82, 83, 87])
define(true, false, 1, [12, 32, 33, 84, 85, 93])
define(true, false, 2, [11, 79])
define(true, false, 3, [25])
define(true, false, 4, [19])
define(false, true, 0, [1, 16, 21, 22, 29, 30, 34, 35, 36, 37, 38, 39, 40, 41, 75, 94])
define(false, true, 1, [26, 27, 28, 74])
define(false, false, 0, [20, 44, 46, 48, 49, 51, 90])
define(false, false, 1, [23, 45, 47, 50, 52, 53, 54, 55, 56, 57, 72, 76, 88])
define(false, false, 2, [15, 24, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 89, 91, 92])
define(false, false, 3, [43])

/** The shape of an opcode. Throws on one that is not in 2.16.4: nothing is guessed. */
export function shapeOf(op: number): Shape {
    const shape = shapes[op]
    if (!shape) throw new Error(`opcode ${op} is not known; is the image of DeviceScript 2.16.4?`)
    return shape
}

/** Values without anything to run: their octets are all they cost. */
export function isConstant(op: number): boolean {
    return (
        (op >= Op.staticBuffer && op <= Op.literalF64) ||
        [Op.inf, Op.undefined, Op.true, Op.false, Op.nan, Op.null].includes(op as never)
    )
}

/** Answers true or false and nothing else. */
export function isBoolean(op: number): boolean {
    return (
        (op >= Op.true && op <= Op.toBool) ||
        (op >= Op.eq && op <= Op.isNullish) ||
        [Op.isUndefined, Op.isNan, Op.not, Op.instanceOf, Op.approxEq, Op.approxNe].includes(op as never)
    )
}

/** Neither throws nor reads what the heap holds, whatever its arguments are (they are asked by themselves). */
export function isCalm(op: number): boolean {
    return (
        isConstant(op) ||
        [Op.loadLocal, Op.loadGlobal, Op.retVal, Op.typeof, Op.typeofStr].includes(op as never) ||
        (isBoolean(op) && op !== Op.instanceOf) ||
        // Arithmetic of anything answers a number; only `+` and what is like it may build strings.
        (op >= 52 && op <= 57) ||
        (op >= Op.sub && op <= 67)
    )
}
