import type ts from "typescript"
import { toolchain } from "../vm/toolchain.ts"

/**
 * The same source without what `fail` would say for people: `fail(Code.X, 3, "a", "b")` becomes `fail(Code.X, 3)`. A board tells
 * the number of an error and the place; the words would take 2 to 4 KB of the 64 KB of code. Lines stay where they are.
 */
export function withoutTexts(path: string, text: string): string {
    if (!text.includes("fail(")) return text
    const ts = toolchain().typescript
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
    const cuts: [from: number, to: number][] = []
    const visit = (node: ts.Node): void => {
        if (ts.isCallExpression(node) && node.expression.getText() === "fail" && node.arguments.length === 4) {
            const [code, at, , came] = node.arguments
            cuts.push([(at.getText() === "-1" ? code : at).getEnd(), came.getEnd()])
        }
        ts.forEachChild(node, visit)
    }
    visit(file)
    let left = text
    for (const [from, to] of cuts.reverse())
        left = left.slice(0, from) + left.slice(from, to).replace(/[^\n]/g, "") + left.slice(to)
    return left
}
