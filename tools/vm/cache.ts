import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** The checkout: where `node_modules`, `boards` and `services` lie. */
export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..")

/** SHA-256 in hex. */
export function hashOf(...parts: (string | Uint8Array)[]): string {
    const hash = createHash("sha256")
    // Lengths keep parts apart: ("ab", "c") is not ("a", "bc").
    for (const part of parts) hash.update(`${part.length}:`).update(part)
    return hash.digest("hex")
}

function fileOf(name: string): string {
    return join(checkout, ".plomb/cache", name)
}

/** What was kept under `name`, or undefined. */
export function recall(name: string): Buffer | undefined {
    try {
        return readFileSync(fileOf(name))
    } catch {
        return undefined
    }
}

/** Keeps `octets` under `name`; another process sees all of it or nothing. Failing to is no error. */
export function keep(name: string, octets: string | Uint8Array): void {
    const file = fileOf(name)
    const fresh = `${file}.${process.pid}`
    try {
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(fresh, octets)
        renameSync(fresh, file)
    } catch {
        // A read-only checkout only costs time.
    }
}
