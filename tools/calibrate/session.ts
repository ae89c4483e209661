import { existsSync, mkdirSync, rmSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline/promises"
import { replaceFile } from "../pki/files.ts"

/** Where records go is found out before a board is touched. */
export function makeWritable(folder: string): void {
    const probe = join(folder, `.${process.pid}.probe`)
    try {
        mkdirSync(folder, { recursive: true })
        replaceFile(probe, "")
        rmSync(probe)
    } catch (error) {
        throw new Error(`--out ${folder} can not be written (${(error as NodeJS.ErrnoException).code})`)
    }
}

/** The record that an interrupted run has left, if there is one. */
export async function readPartial<T>(path: string): Promise<Partial<T> | undefined> {
    if (!existsSync(path)) return undefined
    try {
        return JSON.parse(await readFile(path, "utf8"))
    } catch {
        throw new Error(`${path} is damaged: remove it, the board keeps its own count of the steps`)
    }
}

/** Asks the person at the terminal; `stopping` ends it, and Ctrl-C aborts that. */
export async function question(text: string, stopping: AbortController): Promise<string> {
    if (!process.stdin.isTTY) throw new Error(`${text} Nobody is here to answer: pass --yes`)
    // On standard error: standard output may be a JSON file's.
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    terminal.once("SIGINT", () => stopping.abort())
    try {
        return await terminal.question(text, { signal: stopping.signal })
    } finally {
        terminal.close()
    }
}

/** Goes on only after a yes. */
export async function confirm(text: string, stopping: AbortController): Promise<void> {
    const answer = await question(`${text} Go on? [y/N] `, stopping)
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error("stopped before anything was changed")
}
