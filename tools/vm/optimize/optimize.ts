import { holdValues, nameAnswers } from "./answers.ts"
import { capturedSlots } from "./closures.ts"
import { expr, type Fun, isFinal, lengthOf, visitBody } from "./code.ts"
import { fieldsToGlobals, mergeNames, ownFields } from "./fields.ts"
import { forwardValues } from "./forward.ts"
import { constantGlobals } from "./globals.ts"
import { type Parts, putTogether, takeApart } from "./image.ts"
import { forwardAnswers, inlineAnswers, inlineOnce } from "./inline.ts"
import { returnValues, storeBefore } from "./joins.ts"
import { bindMethods } from "./methods.ts"
import { Op } from "./opcodes.ts"
import {
    dropUnused,
    hasHost,
    namesMadeAtRunTime,
    orderByUse,
    silentFunctions,
    spellLiterals,
    tableLiterals,
} from "./order.ts"
import { dropParameters } from "./parameters.ts"
import { packSlots, splitSlots } from "./slots.ts"
import { dropTexts } from "./texts.ts"
import { threadJumps } from "./threading.ts"
import { tidy } from "./tidy.ts"
import { keepAsAnswers } from "./webs.ts"

function sizeOf(fun: Fun): number {
    let size = fun.body.length
    for (const stmt of fun.body) size += 4 * lengthOf(stmt)
    return size
}

/** Makes one function smaller and quicker. */
function improve(fun: Fun, captured: ReadonlySet<number>, silent: ReadonlySet<number>): void {
    for (let rounds = 0, before = -1; rounds < 8 && before !== sizeOf(fun); rounds++) {
        before = sizeOf(fun)
        fun.body = tidy(fun.body, silent)
        splitSlots(fun, captured)
        for (let steps = 0; steps < 10 && threadJumps(fun, captured); steps++) fun.body = tidy(fun.body, silent)
        for (let steps = 0; steps < 10 && (forwardValues(fun, captured) || forwardAnswers(fun)); steps++)
            fun.body = tidy(fun.body, silent)
        if (returnValues(fun, captured)) fun.body = tidy(fun.body, silent)
        packSlots(fun, captured)
    }
}

/** Does the function reckon, so that a step more for an octet less is a bad bargain? */
function isArithmetic(fun: Fun): boolean {
    let products = 0
    visitBody(fun.body, each => {
        if (each.op === Op.mul) ++products
    })
    return products > 20
}

/** Changes the functions of an image; the rest follows. */
function improveAll(parts: Parts, hosted: boolean): void {
    dropUnused(parts)
    spellLiterals(parts)
    const captured = capturedSlots(parts.functions)
    for (const fun of parts.functions) fun.body = tidy(fun.body)
    for (const [i, fun] of parts.functions.entries()) splitSlots(fun, captured[i])
    const fields = ownFields(parts)
    bindMethods(parts.functions, captured, namesMadeAtRunTime(parts, hosted))
    fieldsToGlobals(parts, fields)
    mergeNames(parts)
    dropParameters(parts.functions, captured)
    const silent = silentFunctions(parts.functions)
    const better = (fun: Fun, own: ReadonlySet<number>) => improve(fun, own, silent)
    constantGlobals(parts.functions)
    for (const [i, fun] of parts.functions.entries()) better(fun, captured[i])
    for (const i of inlineAnswers(parts.functions)) better(parts.functions[i], captured[i])
    inlineOnce(parts.functions, captured, better)
    for (const [i, fun] of parts.functions.entries()) {
        if (nameAnswers(fun)) {
            better(fun, captured[i])
            nameAnswers(fun)
        }
        splitSlots(fun, captured[i])
        if (keepAsAnswers(fun, captured[i])) better(fun, captured[i])
        if (storeBefore(fun, captured[i])) fun.body = tidy(fun.body, silent)
        packSlots(fun, captured[i])
        nameAnswers(fun)
        if (!isArithmetic(fun)) holdValues(fun, fun.body.some(stmt => stmt.op === Op.jmp) ? 4 : 1)
    }
}

/** Functions that end with a call that never returns end with a `return`. */
function close({ functions }: Parts): void {
    for (const fun of functions)
        if (!isFinal(fun.body[fun.body.length - 1].op)) fun.body.push(expr(Op.return, 0, expr(Op.undefined)))
}

/**
 * An image that does the same in less code and fewer steps, with debug information that fits it. Equal input gives
 * equal octets. `closed`: for the sandbox, which asks of a module that each function ends with a statement that ends it. Throws on an image
 * that is not of DeviceScript 2.16.
 */
export function optimize(bytecode: Uint8Array, debug: any, closed = false): { bytecode: Uint8Array; debug: any } {
    const parts = takeApart(bytecode, debug)
    const hosted = closed && hasHost(parts)
    improveAll(parts, hosted)
    if (closed) close(parts)
    // The sandbox never tells names of functions.
    if (hosted) for (const fun of parts.functions) fun.name = parts.functions[0].name
    tableLiterals(parts)
    dropUnused(parts)
    dropTexts(parts)
    orderByUse(parts)
    return putTogether(parts)
}
