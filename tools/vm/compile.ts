import { readFileSync } from "node:fs"
import { dirname, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type CompilerHost, type Diagnostic, toolchain } from "./toolchain.ts"
import { Wasm } from "./wasm.ts"

/** The checkout: where `node_modules`, `boards` and `services` lie. */
export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..")

export interface CompileOptions {
    /** Source files that exist only for this compilation: path relative to the root -> text. The entry may be one. */
    files?: Record<string, string>
    /** Folder that relative paths, `boards/` and `services/` belong to; the checkout by default. */
    root?: string
    /** What the image calls itself (`ds._dcfgString("@name")`, `"@version"`). */
    name?: string
    version?: string
    /** Flags of the compiler, as `devs build -F`: `allFunctions`, `allPrototypes`, … */
    flags?: Record<string, boolean>
}

/** A compiled program. */
export interface Image {
    bytecode: Uint8Array
    /** The compiler's debug information: functions with sizes, sources, source map. */
    debug: any
    /** Octets by section of the image: header, functions, strings, … */
    sizes: Record<string, number>
    /** Source files that went in, relative to the root. */
    sources: string[]
}

/** The compiler refused a program; `problems` are lines `file:line message`. */
export class CompileError extends Error {
    constructor(readonly problems: string[]) {
        super(problems.join("\n"))
        this.name = "CompileError"
    }
}

function describe(diagnostic: Diagnostic): string {
    const texts: string[] = []
    const collect = (text: Diagnostic["messageText"]) => {
        if (typeof text === "string") texts.push(text)
        else {
            texts.push(text.messageText)
            for (const next of text.next ?? []) collect(next as Diagnostic["messageText"])
        }
    }
    collect(diagnostic.messageText)
    return `${diagnostic.filename ?? "?"}:${diagnostic.line ?? 1} ${texts.join(": ")}`
}

let verifier: Promise<Wasm> | undefined

/** Throws away what a VM says: for instances that only verify. */
async function newVerifier(): Promise<Wasm> {
    const nothing = () => {}
    const wasm = await Wasm.create({
        now: () => 0,
        random: nothing,
        log: nothing,
        panic: nothing,
        frame: nothing,
        flashSize: 128 * 1024,
        flashLoad: nothing,
        flashSave: nothing,
        socketOpen: () => -1,
        socketWrite: () => -1,
        socketClose: () => -1,
    })
    return wasm
}

/**
 * Compiles `entry` (path relative to the root, or absolute) and has the VM verify the result. Nothing is
 * written anywhere and the current folder does not matter: the compiler's own library files are served
 * from memory, so any number of processes may compile at once. Throws `CompileError`.
 */
export async function compile(entry: string, options: CompileOptions = {}): Promise<Image> {
    const root = resolve(options.root ?? checkout)
    const { compiler, addBoards, addServices } = toolchain()
    verifier ??= newVerifier()
    const vm = await verifier

    const overlay = new Map<string, string>()
    for (const [path, text] of Object.entries(options.files ?? {})) overlay.set(resolve(root, path), text)

    const problems: Diagnostic[] = []
    const local = { hwInfo: { "@name": options.name ?? "plomb", "@version": options.version ?? "0.0.0" } }
    addServices(root, local, problems)
    addBoards(root, local, problems)
    const config = compiler.resolveBuildConfig(local)
    const library = compiler.preludeFiles(config)

    const host: CompilerHost = {
        read(file) {
            const path = resolve(root, file)
            // One library for all folders: TypeScript looks for one beside each source file first.
            if (path.includes("/node_modules/@devicescript/")) {
                const text = library[relative(root, path)]
                if (text === undefined) throw new Error(`not in the library: ${file}`)
                return text
            }
            return overlay.get(path) ?? readFileSync(path, "utf8")
        },
        write() {},
        resolvePath: path => resolve(root, path),
        relativePath: path => relative(root, resolve(root, path)),
        log() {},
        error() {},
        isBasicOutput: () => true,
        getFlags: () => options.flags ?? {},
        getConfig: () => config,
        verifyBytecode(bytecode) {
            const reason = vm.verify(bytecode)
            if (reason !== 0) throw new Error(`the VM refuses this image (verification error ${reason})`)
        },
    }

    const path = resolve(root, entry)
    if (!overlay.has(path)) readFileSync(path)
    const result = compiler.compileWithHost(relative(root, path), host)
    const lines = [...problems, ...result.diagnostics.filter(each => each.category === 1)].map(describe)
    if (!result.success || !result.binary || lines.length > 0) throw new CompileError(lines)
    return {
        bytecode: result.binary,
        debug: result.dbg,
        sizes: result.dbg.sizes,
        sources: result.usedFiles
            .map(file => relative(root, resolve(root, file)))
            .filter(file => !file.startsWith("node_modules")),
    }
}
