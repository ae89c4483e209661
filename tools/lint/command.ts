import { readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { readArgs } from "../cli/usage.ts"
import { compileEverything } from "./compile-all.ts"
import { isDeviceSource, sourceFiles } from "./files.ts"
import { type Finding, findingLine } from "./finding.ts"
import { checkImports } from "./imports.ts"
import { deviceProgram } from "./program.ts"
import { checkSemantics } from "./semantics.ts"

export const help = `plomb lint

Checks what tsc and biome cannot know:
  - imports against the layout's one-way dependencies (tools/lint/import-rules.ts)
  - that the stock DeviceScript compiler takes all of firmware/, hal/ and every device/ folder, also exports that
    nothing uses yet
  - what compiles but runs differently in the VM: order of strings, % outside int32, methods that do not exist, …

Prints file:line:column and what is wrong; exit code 1 if there is anything.`

/** Everything the lint finds in the checkout `root`, in order of place. */
export async function lint(root: string): Promise<Finding[]> {
    const files = sourceFiles(root)
    const device = files.filter(isDeviceSource)
    const findings = [
        ...files.flatMap(file => checkImports(file, readFileSync(join(root, file), "utf8"))),
        ...checkSemantics(deviceProgram(root, device), root, device),
        ...(await compileEverything(root, device)),
    ]
    return findings.sort((a, b) =>
        a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column,
    )
}

/** `plomb lint`. */
export async function run(args: string[]): Promise<number> {
    readArgs({ args, options: {} })
    const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..")
    const findings = await lint(root)
    for (const finding of findings) console.error(findingLine(finding))
    if (findings.length > 0) console.error(`plomb lint: ${findings.length} found`)
    return findings.length > 0 ? 1 : 0
}
