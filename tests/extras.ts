import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

/**
 * Whether to run tests that need something a fresh machine may lack. Prints the reason where they are left
 * out; throws instead when PLOMB_INSIST=1 (continuous integration must not leave anything out).
 */
export function requireExtra(name: string, present: boolean, howToGet: string): boolean {
    if (present) return true
    const reason = `${name} is not here (${howToGet})`
    if (process.env.PLOMB_INSIST === "1") throw new Error(`PLOMB_INSIST=1: ${reason}`)
    console.log(`left out: ${reason}`)
    return false
}

/** Can this program be started? */
export function hasProgram(program: string, ...args: string[]): boolean {
    const { error, status } = spawnSync(program, args, { stdio: "ignore" })
    return !error && status === 0
}

/** libsml's headers and a compiler to build a small program with. */
export function hasLibsml(): boolean {
    const present = existsSync("/usr/include/sml/sml_file.h") && hasProgram("cc", "--version")
    return requireExtra("libsml", present, "Debian packages libsml-dev and gcc")
}

/** A file or folder of the public test vectors: in PLOMB_VECTORS, or in ../shared/vectors beside the checkout. */
export function vectorPath(name: string): string {
    return join(process.env.PLOMB_VECTORS ?? "../shared/vectors", name)
}

/** Are all these files and folders of the public test vectors there? See `requireExtra`. */
export function hasVectors(...names: string[]): boolean {
    const missing = names.map(vectorPath).filter(path => !existsSync(path))
    return requireExtra(missing.join(", "), missing.length === 0, "set PLOMB_VECTORS")
}
