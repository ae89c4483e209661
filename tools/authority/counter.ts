import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs"
import { dirname } from "node:path"

/** A counter file can not be used; one line for people. */
export class CounterError extends Error {}

const format = "plomb-counter/1"
const mostCounter = 0xffffffff
const lockMs = 3000
const pauseMs = 10

function codeOf(error: unknown): string | undefined {
    return (error as NodeJS.ErrnoException).code
}

function writeDurably(path: string, flags: string, text: string): void {
    const file = openSync(path, flags, 0o600)
    try {
        writeSync(file, text)
        fsyncSync(file)
    } finally {
        closeSync(file)
    }
}

function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0)
        return true
    } catch (error) {
        return codeOf(error) === "EPERM"
    }
}

/** Runs `work` while no other process does so with this file; waits for those that do. A lock whose process is gone is taken over. */
function locked<T>(path: string, work: () => T): T {
    const lock = `${path}.lock`
    const until = Date.now() + lockMs
    const clock = new Int32Array(new SharedArrayBuffer(4))
    for (;;)
        try {
            writeDurably(lock, "wx", `${process.pid}`)
            break
        } catch (error) {
            if (codeOf(error) !== "EEXIST") throw new CounterError(`${path} can not be written (${codeOf(error)})`)
            let holder = ""
            try {
                holder = readFileSync(lock, "utf8")
            } catch (gone) {
                if (codeOf(gone) !== "ENOENT") throw gone
                continue
            }
            // Empty: its process is just about to write its number.
            if (holder !== "" && !isAlive(Number(holder))) rmSync(lock, { force: true })
            else if (Date.now() > until)
                throw new CounterError(`process ${holder} holds ${path}; remove ${lock} if it does not`)
            else Atomics.wait(clock, 0, 0, pauseMs)
        }
    try {
        return work()
    } finally {
        rmSync(lock, { force: true })
    }
}

/**
 * The next counter of the key `id` (hex), higher than every one before and never below the seconds since 1970, so that a lost file is no
 * lost key. It is on disk before this returns, whatever other processes take from the same file. Throws `CounterError`.
 */
export function nextCounter(path: string, id: string, nowSeconds: number): number {
    return locked(path, () => {
        let last = 0
        let text: string | undefined
        try {
            text = readFileSync(path, "utf8")
        } catch (error) {
            if (codeOf(error) !== "ENOENT") throw new CounterError(`${path} can not be read (${codeOf(error)})`)
        }
        if (text !== undefined) {
            let held: { format?: unknown; key?: unknown; last?: unknown }
            try {
                held = JSON.parse(text)
            } catch {
                throw new CounterError(`${path} is damaged: no JSON`)
            }
            if (held?.format !== format || !Number.isSafeInteger(held.last))
                throw new CounterError(`${path} is no counter file (${format})`)
            if (held.key !== id) throw new CounterError(`${path} counts for another key, ${held.key}`)
            last = held.last as number
        }
        const next = counterAfter(last, nowSeconds)
        const beside = `${path}.next`
        writeDurably(beside, "w", `${JSON.stringify({ format, key: id, last: next })}\n`)
        renameSync(beside, path)
        const folder = openSync(dirname(path), "r")
        try {
            fsyncSync(folder)
        } finally {
            closeSync(folder)
        }
        return next
    })
}

/** The counter after `last`. */
export function counterAfter(last: number, nowSeconds: number): number {
    const next = Math.max(last + 1, Math.floor(nowSeconds))
    if (!(next <= mostCounter)) throw new CounterError(`the counter is used up at ${last}`)
    return next
}
