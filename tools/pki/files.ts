import { randomBytes } from "node:crypto"
import {
    closeSync,
    existsSync,
    fsyncSync,
    mkdirSync,
    openSync,
    readFileSync,
    renameSync,
    rmSync,
    writeSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

/** The PKI's folder, a request or a certificate is not as it must be; one line for people. */
export class PkiError extends Error {}

/** Creates a file that was not there, on disk when this returns; a private one is born with mode 600. */
export function createFile(path: string, content: string | Uint8Array, secret = false): void {
    const file = openSync(path, "wx", secret ? 0o600 : 0o644)
    try {
        writeSync(file, typeof content === "string" ? Buffer.from(content) : content)
        fsyncSync(file)
    } finally {
        closeSync(file)
    }
}

/** Replaces a file whole: readers see the old content or the new one. */
export function replaceFile(path: string, content: string | Uint8Array): void {
    const next = `${path}.${randomBytes(4).toString("hex")}`
    createFile(next, content)
    renameSync(next, path)
}

/**
 * Makes a folder whole or not at all: `fill` writes into a folder beside it (mode 700), which then gets its
 * name. Refuses where the name is taken.
 */
export async function createFolder<T>(path: string, fill: (folder: string) => Promise<T>): Promise<T> {
    if (existsSync(path)) throw new PkiError(`${path} is there already; nothing was changed`)
    if (!existsSync(dirname(path))) throw new PkiError(`there is no folder ${dirname(path)}`)
    const partial = join(dirname(path), `.${randomBytes(6).toString("hex")}.partial`)
    mkdirSync(partial, { mode: 0o700 })
    try {
        const made = await fill(partial)
        renameSync(partial, path)
        return made
    } catch (error) {
        rmSync(partial, { recursive: true, force: true })
        throw error
    }
}

/** Text of a file of the PKI, with a plain reason where it can not be read. */
export function readText(path: string): string {
    try {
        return readFileSync(path, "utf8")
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        throw new PkiError(code === "ENOENT" ? `there is no ${path}` : `${path} can not be read (${code})`)
    }
}

/** How long one that wants to change a PKI waits for another. */
const lockMs = 3000

/** Runs `work` while nobody else changes this PKI; waits for those who do, as calibration stations side by side. */
export async function locked<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const path = join(folder, ".lock")
    const until = Date.now() + lockMs
    for (let attempt = 0; ; )
        try {
            createFile(path, `${process.pid}`)
            break
        } catch (error) {
            const code = (error as NodeJS.ErrnoException).code
            if (code === "ENOENT") throw new PkiError(`there is no folder ${folder}`)
            if (code !== "EEXIST") throw new PkiError(`${folder} can not be written (${code})`)
            const holder = holderOf(path)
            if (holder === undefined) continue
            if (isAlive(holder) && Date.now() < until) {
                await sleep(20)
                continue
            }
            if (++attempt > 1 || isAlive(holder))
                throw new PkiError(`process ${holder} works on ${folder}; remove ${path} if it does not`)
            rmSync(path, { force: true })
        }
    try {
        return await work()
    } finally {
        rmSync(path, { force: true })
    }
}

/** The process of a lock; undefined where it was released meanwhile. */
function holderOf(path: string): number | undefined {
    try {
        return Number(readFileSync(path, "utf8"))
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
        throw error
    }
}

function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0)
        return true
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM"
    }
}
