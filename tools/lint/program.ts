import { existsSync, readFileSync } from "node:fs"
import { relative, resolve } from "node:path"
import ts from "typescript"
import { toolchain } from "../vm/toolchain.ts"

/**
 * A TypeScript program of DeviceScript sources as the stock compiler sees them: its library and board modules from
 * memory, its options. `files` and `overlay` are relative to `root`.
 */
export function deviceProgram(root: string, files: string[], overlay: Record<string, string> = {}): ts.Program {
    const { compiler, addBoards, addServices } = toolchain()
    const local = { hwInfo: {} }
    addServices(root, local, [])
    addBoards(root, local, [])
    const library = compiler.preludeFiles(compiler.resolveBuildConfig(local))
    const read = (file: string): string | undefined => {
        const path = relative(root, resolve(root, file))
        if (path in overlay) return overlay[path]
        if (path.includes("node_modules/@devicescript/")) return library[path]
        const absolute = resolve(root, path)
        return path.endsWith(".ts") && existsSync(absolute) ? readFileSync(absolute, "utf8") : undefined
    }
    const host: ts.CompilerHost = {
        getSourceFile(file, version) {
            const text = read(file)
            return text === undefined ? undefined : ts.createSourceFile(file, text, version, true)
        },
        readFile: read,
        fileExists: file => read(file) !== undefined,
        writeFile() {},
        getDefaultLibFileName: () => "corelib.d.ts",
        getCurrentDirectory: () => root,
        getCanonicalFileName: file => file,
        useCaseSensitiveFileNames: () => true,
        getNewLine: () => "\n",
    }
    const ambient = Object.keys(library).filter(file => /@devicescript\/core\/src\/.*\.d\.ts$/.test(file))
    return ts.createProgram({
        rootNames: [...ambient, ...files].map(file => resolve(root, file)),
        options: {
            noLib: true,
            noEmit: true,
            strict: true,
            strictNullChecks: false,
            target: ts.ScriptTarget.ES2022,
            module: ts.ModuleKind.ES2022,
            moduleResolution: ts.ModuleResolutionKind.Node10,
            types: [],
            typeRoots: [],
        },
        host,
    })
}
