import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join, relative, resolve } from "node:path"
import { checkout, hashOf, keep, recall } from "./cache.ts"
import { distinctNames } from "./distinct.ts"
import { hostNames } from "./host-names.ts"
import { optimize } from "./optimize/optimize.ts"
import { type CompilerHost, cliVersion, type Diagnostic, toolchain } from "./toolchain.ts"
import { Wasm } from "./wasm.ts"

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
    /** Changes each source file of the project before it is compiled; line numbers should stay. `changeName` tells changes apart. */
    change?(path: string, text: string): string
    changeName?: string
    /** Methods get names of their own where they can (`distinct.ts`). */
    distinct?: boolean
    /** The compiler's code as it is, when false; otherwise made smaller and quicker (`optimize/`). */
    optimize?: boolean
    /** For the sandbox, which takes no function that ends with a call; where not stated, what has no `distinct` names is. */
    closed?: boolean
    /**
     * Packets of roles (services that the program is a client of) reach only what the program itself put at a role as
     * `_onPacket`: the library's way of handing them out, 0.5 KB, stays out. Refused where the program uses that library.
     */
    bareRoles?: boolean
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

/** The compiler refused a program; `problems` are lines `file:line:column message`. */
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
    return `${diagnostic.filename ?? "?"}:${diagnostic.line ?? 1}:${diagnostic.column ?? 1} ${texts.join(": ")}`
}

let verifier: Promise<Wasm> | undefined

/** An instance that only verifies images. */
function newVerifier(): Promise<Wasm> {
    const nothing = () => {}
    return Wasm.create({
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
}

/** Where the library hands out packets of roles. */
const rolesFile = "/core/src/jacdac.ts"

function withoutRolePackets(text: string): string {
    const parts = text.split(/^ds\.Role\.prototype\._onPacket = [\s\S]*?^}\n/m)
    if (parts.length !== 2) throw new Error("this is not the library of DeviceScript 2.16.4")
    return parts.join("")
}

/** Positions from and to of a source file in the debug information, which counts through all files in order. */
function placeOf(debug: { sources: { path: string; length: number }[] }, path: string): [from: number, to: number] {
    let at = 0
    for (const source of debug.sources) {
        if (source.path.endsWith(path)) return [at, at + source.length]
        at += source.length
    }
    return [at, at]
}

/** Names and contents of the files in a folder, where there is one. */
function folderText(folder: string): string {
    if (!existsSync(folder)) return ""
    const names = readdirSync(folder).sort()
    return names
        .filter(name => /\.(md|json)$/.test(name))
        .map(name => name + "\n" + readFileSync(join(folder, name), "utf8"))
        .join("\n")
}

const distinctHash = hashOf(readFileSync(join(checkout, "tools/vm/distinct.ts"), "utf8"))

/** Stands for the optimiser's own sources: an image is made anew when they change. */
const optimizerHash = hashOf(
    ...readdirSync(join(checkout, "tools/vm/optimize"))
        .sort()
        .map(name => readFileSync(join(checkout, "tools/vm/optimize", name), "utf8")),
)

interface Kept {
    bytecode: string
    debug: any
    /** Source file -> hash of its text. */
    hashes: Record<string, string>
}

/** An image kept from an earlier run, if every source is still what it was. */
function recallImage(name: string, root: string): Image | undefined {
    const octets = recall(name)
    if (!octets) return undefined
    try {
        const kept: Kept = JSON.parse(octets.toString("utf8"))
        for (const [file, hash] of Object.entries(kept.hashes))
            if (hashOf(readFileSync(resolve(root, file), "utf8")) !== hash) return undefined
        return imageOf(Buffer.from(kept.bytecode, "base64"), kept.debug)
    } catch {
        return undefined
    }
}

function imageOf(bytecode: Uint8Array, debug: any): Image {
    const sources = debug.sources.map((source: { path: string }) => source.path)
    return {
        bytecode,
        debug,
        sizes: debug.sizes,
        sources: sources.filter((path: string) => !path.startsWith("node_modules/")),
    }
}

/**
 * Compiles `entry` (path relative to the root, or absolute) and has the VM verify the result. Nothing is
 * written but `.plomb/cache`, and the current folder does not matter: the compiler's own library files are
 * served from memory, so any number of processes may compile at once. Throws `CompileError`.
 */
export async function compile(entry: string, options: CompileOptions = {}): Promise<Image> {
    const root = resolve(options.root ?? checkout)
    const main = relative(root, resolve(root, entry))
    const files = Object.entries(options.files ?? {})
    const identity = { "@name": options.name ?? "plomb", "@version": options.version ?? "0.0.0" }
    const surroundings = folderText(join(root, "boards")) + folderText(join(root, "services"))
    const optimized = options.optimize !== false
    const closed = options.closed ?? !options.distinct
    const inputs = JSON.stringify([
        root,
        main,
        files,
        identity,
        options.flags ?? {},
        cliVersion(),
        options.changeName,
        options.distinct === true ? distinctHash : "",
        optimized ? optimizerHash : "",
        closed,
        options.bareRoles === true,
    ])
    const name = `images/${hashOf(inputs, surroundings)}.json`
    const kept = recallImage(name, root)
    if (kept) return kept

    const { compiler, addBoards, addServices } = toolchain()
    verifier ??= newVerifier()
    const vm = await verifier
    const overlay = new Map(files.map(([path, text]) => [resolve(root, path), text]))
    const problems: Diagnostic[] = []
    const local = { hwInfo: identity }
    addServices(root, local, problems)
    addBoards(root, local, problems)
    const config = compiler.resolveBuildConfig(local)
    const library = compiler.preludeFiles(config)

    const hashes: Record<string, string> = {}
    const textOf = (path: string): string => {
        const made = overlay.get(path)
        if (made !== undefined) return made
        const text = readFileSync(path, "utf8")
        hashes[relative(root, path)] = hashOf(text)
        return options.change ? options.change(path, text) : text
    }
    const host: CompilerHost = {
        read(file) {
            const path = resolve(root, file)
            // One library for all folders: TypeScript looks for one beside each source file first.
            if (path.includes("/node_modules/@devicescript/")) {
                const text = library[relative(root, path)]
                if (text === undefined) throw new Error(`not in the library: ${file}`)
                return options.bareRoles && path.endsWith(rolesFile) ? withoutRolePackets(text) : text
            }
            return textOf(path)
        },
        write() {},
        resolvePath: path => resolve(root, path),
        relativePath: path => relative(root, resolve(root, path)),
        log() {},
        error() {},
        isBasicOutput: () => true,
        getFlags: () => options.flags ?? {},
        getConfig: () => config,
        // What comes out below is verified: before that, code may be longer than the VM takes.
        verifyBytecode() {},
        ...(options.distinct ? { rename: program => distinctNames(program, closed ? hostNames : []) } : {}),
    }

    if (!overlay.has(resolve(root, main)) && !existsSync(resolve(root, main)))
        throw new CompileError([`${main}:1:1 there is no such file`])
    const result = compiler.compileWithHost(main, host)
    const lines = [...problems, ...result.diagnostics.filter(each => each.category === 1)].map(describe)
    if (!result.success || !result.binary || lines.length > 0) throw new CompileError(lines)
    let bytecode: Uint8Array = new Uint8Array(result.binary)
    let debug = result.dbg
    if (options.bareRoles) {
        const used: { name: string; location?: [number] }[] = debug.functions
        const [start, end] = placeOf(debug, rolesFile)
        for (const { name, location = [-1] } of used)
            if (location[0] >= start && location[0] < end)
                throw new CompileError([
                    `${main}:1:1 this program is to have bare roles, and uses the library's "${name}"`,
                ])
    }
    if (optimized) ({ bytecode, debug } = optimize(bytecode, debug, closed))
    const reason = vm.verify(bytecode)
    if (reason !== 0) throw new CompileError([`${main}:1:1 the VM refuses this image (verification error ${reason})`])
    const base64 = Buffer.from(bytecode).toString("base64")
    keep(name, JSON.stringify({ bytecode: base64, debug, hashes } satisfies Kept))
    return imageOf(bytecode, debug)
}
