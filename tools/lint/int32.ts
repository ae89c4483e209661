import ts from "typescript"

/** Deepest constant behind a constant that is followed. */
const deepest = 8

/**
 * Whether a numeric expression can visibly be outside int32 or not integral, for `%`. Only what the text shows:
 * a plain variable counts as an int32, `| 0` and the like always make one.
 */
export function mayLeaveInt32(expression: ts.Expression, types: ts.TypeChecker, depth = 0): boolean {
    const again = (part: ts.Expression) => mayLeaveInt32(part, types, depth + 1)
    if (depth > deepest) return false
    if (ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression)) return again(expression.expression)
    if (ts.isPrefixUnaryExpression(expression))
        return expression.operator !== ts.SyntaxKind.TildeToken && again(expression.operand)
    if (ts.isNumericLiteral(expression)) {
        const value = Number(expression.text)
        return !Number.isInteger(value) || value > 0x7fffffff
    }
    if (ts.isIdentifier(expression)) {
        const declaration = types.getSymbolAtLocation(expression)?.valueDeclaration
        if (!declaration || !ts.isVariableDeclaration(declaration) || !declaration.initializer) return false
        const constant = (ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const) !== 0
        return constant && again(declaration.initializer)
    }
    if (ts.isConditionalExpression(expression)) return again(expression.whenTrue) || again(expression.whenFalse)
    if (ts.isBinaryExpression(expression)) return binary(expression, again)
    if (ts.isCallExpression(expression)) return call(expression)
    return false
}

function binary(expression: ts.BinaryExpression, again: (part: ts.Expression) => boolean): boolean {
    switch (expression.operatorToken.kind) {
        case ts.SyntaxKind.SlashToken:
        case ts.SyntaxKind.AsteriskAsteriskToken:
            return true
        case ts.SyntaxKind.GreaterThanGreaterThanGreaterThanToken: {
            // A shift by one or more leaves 31 bits.
            const { right } = expression
            return !(ts.isNumericLiteral(right) && Number(right.text) > 0)
        }
        case ts.SyntaxKind.PlusToken:
        case ts.SyntaxKind.MinusToken:
        case ts.SyntaxKind.AsteriskToken:
            return again(expression.left) || again(expression.right)
        default:
            return false
    }
}

function call(expression: ts.CallExpression): boolean {
    const target = expression.expression
    if (!ts.isPropertyAccessExpression(target)) return false
    const name = target.name.text
    if (name === "millis") return true
    if (target.expression.getText() === "Math") return /^(random|pow|sqrt|cbrt|exp|log|log2|log10)$/.test(name)
    const format = expression.arguments[1]
    return (
        name === "getAt" &&
        format !== undefined &&
        ts.isStringLiteral(format) &&
        /^(u32|[ui]64|f\d+)$/.test(format.text)
    )
}
