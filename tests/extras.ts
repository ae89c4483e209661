import { spawnSync } from "node:child_process"

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
