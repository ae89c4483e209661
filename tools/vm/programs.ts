import type ts from "typescript"

/** Changes one source file; what is not to be changed comes back as it is. */
export type Change = (path: string, text: string) => string

/** What the host of a compilation (`CompilerHost`) may say of its sources. */
interface Renames {
    rename?(program: ts.Program): Change
}

/** Source files by name, as they were parsed last, for the next program of the same folder: most of it is the same. */
type Parsed = Map<string, ts.SourceFile>

/**
 * Has the compiler, whose TypeScript this is, compile what `rename` of its host makes of the sources: `rename` sees the program as it
 * stands in the files. Source files are parsed once for both programs and for those that follow in this process. And a
 * symbol's full name, which the compiler asks for in each use, is put together once.
 */
export function changePrograms(typescript: typeof ts): void {
    const { createProgram } = typescript
    const parse = (parsed: Parsed, name: string, text: string, version: Parameters<Read>[1]) => {
        const known = parsed.get(name)
        if (known?.text === text) return withoutTraces(typescript, known)
        const file = typescript.createSourceFile(name, text, version, true)
        parsed.set(name, file)
        return file
    }
    const originals: Parsed = new Map()
    const changes: Parsed = new Map()
    let folder = ""
    const create = (options: ts.CreateProgramOptions): ts.Program => {
        const host = options.host as ts.CompilerHost & { host: Renames }
        const reading = (read: Read): ts.CompilerHost => Object.assign(Object.create(host), { getSourceFile: read })
        if (folder !== host.getCurrentDirectory()) {
            folder = host.getCurrentDirectory()
            originals.clear()
            changes.clear()
        }
        const files = new Map<string, ts.SourceFile>()
        const program = createProgram({
            ...options,
            host: reading((name, version, ...more) => {
                const text = host.readFile(name)
                if (text === undefined) return host.getSourceFile(name, version, ...more)
                const file = parse(originals, name, text, version)
                files.set(name, file)
                return file
            }),
        })
        if (!host.host.rename) return program
        const change = host.host.rename(program)
        return createProgram({
            ...options,
            oldProgram: program,
            host: reading((name, version, ...more) => {
                const file = files.get(name)
                if (!file) return host.getSourceFile(name, version, ...more)
                const text = change(name, file.text)
                return text === file.text ? file : parse(changes, name, text, version)
            }),
        })
    }
    Object.assign(typescript, { createProgram: (options: ts.CreateProgramOptions) => withNamesKept(create(options)) })
}

type Read = ts.CompilerHost["getSourceFile"]

/** What a program and its compilation leave at files, nodes and symbols: where imports lead, constants, cells. */
const traces = [
    "resolvedModules",
    "__ds_const_val",
    "__ds_folded",
    "__ds_srcidx",
    "__ds_srcoffset",
    "__ds_cell",
    "_devsIsTopLevel",
]

/** The file as if no program had been compiled from it. */
function withoutTraces(typescript: typeof ts, file: ts.SourceFile): ts.SourceFile {
    const wipe = (from: any) => {
        for (const trace of traces) if (from?.[trace] !== undefined) from[trace] = undefined
    }
    const visit = (node: ts.Node): void => {
        wipe(node)
        wipe((node as any).symbol)
        typescript.forEachChild(node, visit)
    }
    visit(file)
    return file
}

function withNamesKept(program: ts.Program): ts.Program {
    const checker = program.getTypeChecker()
    const { getFullyQualifiedName } = checker
    const names = new Map<ts.Symbol, string>()
    checker.getFullyQualifiedName = symbol => {
        const known = names.get(symbol)
        if (known !== undefined) return known
        const name = getFullyQualifiedName(symbol)
        names.set(symbol, name)
        return name
    }
    return program
}
