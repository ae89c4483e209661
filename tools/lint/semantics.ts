import { relative } from "node:path"
import ts from "typescript"
import type { Finding } from "./finding.ts"
import { mayLeaveInt32 } from "./int32.ts"

/**
 * What the compiler takes and the VM, or Node, does otherwise than the text says. Each rule answers the complaint,
 * or `undefined`.
 */
type Rule = (node: ts.Node, types: ts.TypeChecker) => string | undefined

const bufferMembers = new Set(["alloc", "from", "length", "getAt", "setAt", "blitAt", "fillAt", "toString"])

const missing: Record<"array" | "string" | "Math", Set<string>> = {
    array: new Set("splice concat reverse flat flatMap entries keys values copyWithin toSorted toReversed".split(" ")),
    string: new Set(
        "substring substr replace replaceAll repeat padStart padEnd concat at codePointAt match".split(" "),
    ),
    Math: new Set(
        (
            "trunc clz32 fround hypot sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh " +
            "log1p expm1"
        ).split(" "),
    ),
}

const orders = new Set([
    ts.SyntaxKind.LessThanToken,
    ts.SyntaxKind.LessThanEqualsToken,
    ts.SyntaxKind.GreaterThanToken,
    ts.SyntaxKind.GreaterThanEqualsToken,
])

function isString(type: ts.Type): boolean {
    return (type.flags & ts.TypeFlags.StringLike) !== 0 || (type.isUnion() && type.types.some(isString))
}

function isNumber(type: ts.Type): boolean {
    return (type.flags & (ts.TypeFlags.NumberLike | ts.TypeFlags.BooleanLike)) !== 0
}

function isBuffer(type: ts.Type): boolean {
    return type.symbol?.name === "Buffer"
}

function isArray(type: ts.Type): boolean {
    return type.symbol?.name === "Array"
}

/** `object.name(...)`, or `undefined`. */
function methodCall(node: ts.Node): { call: ts.CallExpression; object: ts.Expression; name: string } | undefined {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined
    return { call: node, object: node.expression.expression, name: node.expression.name.text }
}

const stringOrder: Rule = (node, types) => {
    if (!ts.isBinaryExpression(node) || !orders.has(node.operatorToken.kind)) return undefined
    if (!isString(types.getTypeAtLocation(node.left)) && !isString(types.getTypeAtLocation(node.right)))
        return undefined
    return "strings have no order in the VM: this is always false"
}

const remainder: Rule = (node, types) => {
    if (!ts.isBinaryExpression(node)) return undefined
    const kind = node.operatorToken.kind
    if (kind !== ts.SyntaxKind.PercentToken && kind !== ts.SyntaxKind.PercentEqualsToken) return undefined
    const wide = [node.left, node.right].find(each => mayLeaveInt32(each, types))
    return wide && `% takes both sides to int32 in the VM, and "${wide.getText()}" may lie outside`
}

const bufferSubset: Rule = (node, types) => {
    if (!ts.isPropertyAccessExpression(node) || bufferMembers.has(node.name.text)) return undefined
    if (!isBuffer(types.getTypeAtLocation(node.expression))) return undefined
    return `Buffer.${node.name.text} is not the same in the VM and in Node: use firmware/core/octets.ts`
}

const bufferText: Rule = (node, types) => {
    const it = methodCall(node)
    if (!it || it.name !== "toString" || !isBuffer(types.getTypeAtLocation(it.object))) return undefined
    const [encoding] = it.call.arguments
    if (encoding && ts.isStringLiteral(encoding) && /^(hex|utf8)$/.test(encoding.text)) return undefined
    return 'Buffer.toString takes the literal "hex" or "utf8"'
}

const numberText: Rule = (node, types) => {
    const it = methodCall(node)
    if (!it || !/^to(String|Fixed|Precision|Exponential)$/.test(it.name)) return undefined
    if (!isNumber(types.getTypeAtLocation(it.object))) return undefined
    return `numbers have no ${it.name} in the VM: write "" + n`
}

const missingMethod: Rule = (node, types) => {
    if (!ts.isPropertyAccessExpression(node)) return undefined
    const name = node.name.text
    const { expression } = node
    if (ts.isIdentifier(expression) && expression.text === "Math" && missing.Math.has(name))
        return `Math.${name} does not exist in the VM`
    if (ts.isIdentifier(expression) && expression.text === "Array" && /^(from|of)$/.test(name))
        return `Array.${name} does not exist in the VM`
    const type = types.getTypeAtLocation(expression)
    if (isArray(type) && missing.array.has(name)) return `arrays have no ${name} in the VM`
    if (isString(type) && missing.string.has(name)) return `strings have no ${name} in the VM`
    return undefined
}

const minMax: Rule = node => {
    const it = methodCall(node)
    if (!it || it.object.getText() !== "Math" || !/^(min|max)$/.test(it.name)) return undefined
    if (it.call.arguments.length === 2 && !it.call.arguments.some(ts.isSpreadElement)) return undefined
    return `Math.${it.name} looks at exactly two arguments in the VM`
}

const literalAccess: Rule = (node, types) => {
    const it = methodCall(node)
    if (!it || !/^[gs]etAt$/.test(it.name) || !isBuffer(types.getTypeAtLocation(it.object))) return undefined
    const [offset, format] = it.call.arguments
    if (offset && ts.isPrefixUnaryExpression(offset) && offset.operator === ts.SyntaxKind.MinusToken)
        return `${it.name} at a negative offset reaches outside the buffer in the VM`
    if (format && !ts.isStringLiteral(format)) return `the format of ${it.name} must be a literal`
    return undefined
}

const stringSort: Rule = (node, types) => {
    const it = methodCall(node)
    if (!it || it.name !== "sort" || it.call.arguments.length > 0) return undefined
    const type = types.getTypeAtLocation(it.object)
    const [element] = isArray(type) ? types.getTypeArguments(type as ts.TypeReference) : []
    return element && !isNumber(element) ? "sort without a comparison only orders numbers in the VM" : undefined
}

const lengthWrite: Rule = (node, types) => {
    if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.EqualsToken) return undefined
    const { left } = node
    if (!ts.isPropertyAccessExpression(left) || left.name.text !== "length") return undefined
    return isArray(types.getTypeAtLocation(left.expression)) ? "writing length does nothing in the VM" : undefined
}

const optionalChain: Rule = node => {
    if (!ts.isOptionalChain(node) || ts.isNonNullChain(node) || !node.questionDotToken) return undefined
    const inner = node.expression
    if (!ts.isOptionalChain(inner)) return undefined
    return "a second ?. in a chain throws in the VM when the first finds nothing"
}

const arrayKeys: Rule = (node, types) => {
    if (!ts.isForInStatement(node) || !isArray(types.getTypeAtLocation(node.expression))) return undefined
    return "for..in over an array throws in the VM"
}

const enumUse: Rule = (node, types) => {
    if (ts.isEnumMember(node) && node.initializer) {
        let bad: string | undefined
        const visit = (part: ts.Node): void => {
            const symbol = ts.isIdentifier(part) ? types.getSymbolAtLocation(part) : undefined
            if (symbol?.valueDeclaration && ts.isVariableDeclaration(symbol.valueDeclaration)) bad = part.getText()
            ts.forEachChild(part, visit)
        }
        visit(node.initializer)
        if (bad) return `an enum member made from the constant "${bad}" is undefined in the VM`
    }
    if (!ts.isElementAccessExpression(node)) return undefined
    const symbol = types.getSymbolAtLocation(node.expression)
    const named = symbol && symbol.flags & ts.SymbolFlags.Enum && !ts.isStringLiteral(node.argumentExpression)
    return named ? "an enum has no way back from value to name in the VM" : undefined
}

const jsonText: Rule = node => {
    const it = methodCall(node)
    if (!it || it.object.getText() !== "JSON" || it.name !== "stringify") return undefined
    return "JSON.stringify mangles text above ASCII, and Buffers, in the VM"
}

const looseNumbers: Rule = node => {
    if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return undefined
    if (node.expression.text === "parseInt" && node.arguments.length > 1) return "parseInt has no radix in the VM"
    return undefined
}

const everywhere: Rule[] = [
    stringOrder,
    remainder,
    numberText,
    missingMethod,
    minMax,
    literalAccess,
    stringSort,
    lengthWrite,
    optionalChain,
    arrayKeys,
    enumUse,
    looseNumbers,
]

/** Rules of code that also runs in Node, or must behave as if it did. */
const portable: Rule[] = [...everywhere, bufferSubset, bufferText, jsonText]

/** Applies the rules to `files` (relative to `root`) of a program. */
export function checkSemantics(program: ts.Program, root: string, files: string[]): Finding[] {
    const types = program.getTypeChecker()
    const findings: Finding[] = []
    for (const source of program.getSourceFiles()) {
        const file = relative(root, source.fileName)
        if (!files.includes(file)) continue
        const rules = /^(firmware|hal)\//.test(file) ? portable : everywhere
        const visit = (node: ts.Node): void => {
            for (const rule of rules) {
                const message = rule(node, types)
                if (!message) continue
                const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source))
                findings.push({ file, line: line + 1, column: character + 1, message })
            }
            ts.forEachChild(node, visit)
        }
        visit(source)
    }
    return findings
}
