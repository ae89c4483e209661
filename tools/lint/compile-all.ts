import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import ts from "typescript"
import { hashOf, keep, recall } from "../vm/cache.ts"
import { CompileError, compile } from "../vm/compile.ts"
import type { Finding } from "./finding.ts"

/** The VM's refusal of an image whose code is above 64 KB, which the sum of everything may well be. */
const tooLarge = /verification error -1051/

/** Names a module exports that exist at run time. */
export function valueExports(text: string): string[] {
    const source = ts.createSourceFile("module.ts", text, ts.ScriptTarget.ES2022, true)
    const names: string[] = []
    for (const statement of source.statements) {
        const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
        const has = (kind: ts.SyntaxKind) => modifiers.some(each => each.kind === kind)
        if (!has(ts.SyntaxKind.ExportKeyword) || has(ts.SyntaxKind.DeclareKeyword)) continue
        if (has(ts.SyntaxKind.DefaultKeyword)) continue
        if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
            if (statement.name) names.push(statement.name.text)
        } else if (ts.isVariableStatement(statement)) {
            for (const each of statement.declarationList.declarations)
                if (ts.isIdentifier(each.name)) names.push(each.name.text)
        }
    }
    return names
}

/**
 * A program that uses every exported function, class and value of `files` (relative to `root`): the compiler
 * generates code only for what is used, and some of its refusals come only then.
 */
export function everythingEntry(root: string, files: string[], overlay: Record<string, string> = {}): string {
    const lines = ["const all: any[] = []", "function use(it: any): void {", "    all.push(it)", "}"]
    for (const [i, file] of files.entries()) {
        const module = "../" + file.replace(/\.ts$/, "")
        const names = valueExports(overlay[file] ?? readFileSync(join(root, file), "utf8"))
        if (names.length === 0) lines.unshift(`import "${module}"`)
        else lines.unshift(`import { ${names.map(name => `${name} as ${name}_${i}`).join(", ")} } from "${module}"`)
        for (const name of names) lines.push(`use(${name}_${i})`)
    }
    return lines.join("\n") + "\n"
}

/** Has the stock compiler compile every one of `files`; its complaints. */
export async function compileEverything(
    root: string,
    files: string[],
    overlay: Record<string, string> = {},
): Promise<Finding[]> {
    if (files.length === 0) return []
    const entry = ".plomb/everything.ts"
    const text = everythingEntry(root, files, overlay)
    const kept = `lint/${hashOf(text, ...inputs(root, files, overlay))}.json`
    const known = recall(kept)
    if (known) return JSON.parse(known.toString("utf8"))
    let findings: Finding[] = []
    try {
        await compile(entry, { root, files: { ...overlay, [entry]: text }, flags: { allPrototypes: true } })
    } catch (error) {
        if (!(error instanceof CompileError)) throw error
        findings = error.problems.filter(line => !tooLarge.test(line)).map(parseProblem)
    }
    keep(kept, JSON.stringify(findings))
    return findings
}

/** All that the compiler's answer depends on: the sources, boards, services, and which compiler it is. */
function inputs(root: string, files: string[], overlay: Record<string, string>): string[] {
    const around = ["boards", "services"]
        .map(folder => join(root, folder))
        .filter(existsSync)
        .flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
    const compiler = createRequire(import.meta.url).resolve("@devicescript/cli/package.json")
    const texts = [...around, compiler].map(file => file + readFileSync(file, "utf8"))
    return [...texts, ...files.map(file => overlay[file] ?? readFileSync(join(root, file), "utf8"))]
}

function parseProblem(line: string): Finding {
    const match = /^(.*?):(\d+)(?::(\d+))? (.*)$/s.exec(line)
    if (!match) return { file: "?", line: 1, column: 1, message: line }
    return { file: match[1], line: Number(match[2]), column: Number(match[3] ?? 1), message: match[4] }
}
