import { dirname, posix } from "node:path"
import ts from "typescript"
import type { Finding } from "./finding.ts"
import { closedToTools, importRules } from "./import-rules.ts"

/** Checks the imports of one file (path relative to the checkout) against the table. */
export function checkImports(file: string, text: string): Finding[] {
    const rule = importRules.find(each => each.files.test(file))
    if (!rule) return []
    const findings: Finding[] = []
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
    for (const { name, node } of importsOf(source)) {
        const target = resolveName(file, name)
        const open = rule.allowed.some(pattern => pattern.test(target))
        const closed =
            file.startsWith("tools/") && !/^tools\/within\/|\/device\//.test(file) && closedToTools.test(target)
        if (open && !closed) continue
        const { line, character } = source.getLineAndCharacterOfPosition(node.getStart())
        findings.push({ file, line: line + 1, column: character + 1, message: `imports ${target}: ${rule.says}` })
    }
    return findings
}

function importsOf(source: ts.SourceFile): { name: string; node: ts.Node }[] {
    const found: { name: string; node: ts.Node }[] = []
    const visit = (node: ts.Node) => {
        if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier)
            found.push({ name: (node.moduleSpecifier as ts.StringLiteral).text, node: node.moduleSpecifier })
        const [argument] = ts.isCallExpression(node) ? node.arguments : []
        if (argument && ts.isStringLiteral(argument)) {
            const { expression } = node as ts.CallExpression
            if (expression.kind === ts.SyntaxKind.ImportKeyword || expression.getText(source) === "require")
                found.push({ name: argument.text, node: argument })
        }
        ts.forEachChild(node, visit)
    }
    visit(source)
    return found
}

function resolveName(file: string, name: string): string {
    if (!name.startsWith(".")) return name
    return posix.join(dirname(file), name).replace(/\.ts$/, "")
}
