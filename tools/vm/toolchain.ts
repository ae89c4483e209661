import { readFileSync } from "node:fs"
import Module, { createRequire } from "node:module"
import { dirname } from "node:path"
import { Script } from "node:vm"
import type ts from "typescript"
import { keep, recall } from "./cache.ts"
import { type Change, changePrograms } from "./programs.ts"

/** The parts of the stock DeviceScript compiler that are used here. */
export interface Compiler {
    compileWithHost(entry: string, host: CompilerHost): CompilerResult
    resolveBuildConfig(local: object): object
    preludeFiles(config: object): Record<string, string>
    parseStackFrame(debug: unknown, line: string): { markedLine: string }
    jacdacDefaultSpecifications: object[]
}

/** What the compiler asks of its surroundings. */
export interface CompilerHost {
    read(file: string): string
    write(file: string, content: string | Uint8Array): void
    resolvePath(path: string): string
    relativePath(path: string): string
    log(message: string): void
    error(diagnostic: unknown): void
    isBasicOutput(): boolean
    getFlags(): Record<string, boolean>
    getConfig(): object
    verifyBytecode(bytecode: Uint8Array): void
    /** Names that the compiler finds in the sources in place of those that stand there; see `distinct.ts`. */
    rename?(program: ts.Program): Change
}

/** One complaint of the compiler; `category` 1 is an error. */
export interface Diagnostic {
    category: number
    filename?: string
    line?: number
    column?: number
    messageText: string | { messageText: string; next?: unknown[] }
}

export interface CompilerResult {
    success: boolean
    binary?: Uint8Array
    dbg?: any
    usedFiles: string[]
    diagnostics: Diagnostic[]
}

/** The stock toolchain, loaded once a process. */
export interface Toolchain {
    compiler: Compiler
    /** The TypeScript in the compiler, 4.9. */
    typescript: typeof ts
    /** Adds the custom service specifications (`services/*.md`) of `folder` to a build configuration. */
    addServices(folder: string, config: { hwInfo: object }, errors: Diagnostic[]): void
    /** Adds the board definitions (`boards/*.board.json`) of `folder` to a build configuration. */
    addBoards(folder: string, config: { hwInfo: object }, errors: Diagnostic[]): void
    /** The base firmware in `file` (.uf2 or .bin) with the configuration of a board of ours written into it. */
    patchCustomBoard(file: string, board: object, arch: object): Promise<Uint8Array>
    /** The firmware in `file` with a flash store (program and settings) in its place. */
    patchFstorToBoard(file: string, board: object, arch: object, store: Uint8Array): Promise<Uint8Array>
}

const require = createRequire(import.meta.url)
const bundleFile = require.resolve("@devicescript/cli/built/devicescript-cli.cjs")

/** Version of the stock toolchain. */
export function cliVersion(): string {
    return require("@devicescript/cli/package.json").version
}

let loaded: Toolchain | undefined

function bundle(): string {
    return readFileSync(bundleFile, "utf8")
}

/** A place in the bundle where its TypeScript is in reach. */
const useOfTypescript = "var ts4 = __toESM2(require_typescript());"

/**
 * The compiler out of the CLI's bundle. The bundle exports nothing, so it is evaluated with a line added that
 * does. Most of that time is parsing, so V8's code is kept: 1 s without it, 0.4 s with.
 */
export function toolchain(): Toolchain {
    if (loaded) return loaded
    const parts = bundle().replace(/^#!.*/, "").split(useOfTypescript)
    if (parts.length !== 2) throw new Error("this is not the DeviceScript CLI 2.16.4")
    const text = Module.wrap(
        "const outside = module;" +
            parts.join(`${useOfTypescript} outside.typescript = require_typescript();`) +
            "\nmodule.exports = { compiler: require_devicescript_compiler_node()," +
            " addServices: compileServiceSpecs, addBoards: compileBoards," +
            " patchCustomBoard, patchFstorToBoard }",
    )
    const name = `cli-${cliVersion()}-${process.version}-${process.arch}.code`
    const script = new Script(text, { filename: bundleFile, cachedData: recall(name) })
    const shell = { exports: {} as Toolchain, typescript: undefined as any }
    const evaluate = script.runInThisContext()
    evaluate(shell.exports, createRequire(bundleFile), shell, bundleFile, dirname(bundleFile))
    if (script.cachedDataRejected !== false) keep(name, script.createCachedData())
    changePrograms(shell.typescript)
    loaded = { ...shell.exports, typescript: shell.typescript }
    return loaded
}

let vmOctets: Uint8Array | undefined

/** The stock VM as the CLI carries it: WebAssembly, the same C code as on a board. */
export function vmBinary(): Uint8Array {
    const name = `vm-${cliVersion()}.wasm`
    vmOctets ??= recall(name)
    if (vmOctets) return vmOctets
    const text = bundle()
    const mark = 'wasmBinaryFile = "data:application/octet-stream;base64,'
    const start = text.indexOf(mark)
    if (start < 0) throw new Error("no VM in the DeviceScript CLI; is it version 2.16.4?")
    const end = text.indexOf('"', start + mark.length)
    vmOctets = Buffer.from(text.slice(start + mark.length, end), "base64")
    keep(name, vmOctets)
    return vmOctets
}
