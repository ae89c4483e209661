import { createHash } from "node:crypto"
import {
    closeSync,
    fsyncSync,
    mkdirSync,
    openSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    unlinkSync,
    writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { createFile } from "../pki/files.ts"
import { type Dn, readDn } from "./dn.ts"
import type { Entry } from "./entry.ts"

/** Where the tree outlives the process. */
export interface Store {
    load(): Entry[]
    /** Returns when the entry is safe from a power cut. */
    put(entry: Entry): void
    remove(dn: Dn): void
    close(): void
}

/** Keeps nothing. */
export const noStore: Store = { load: () => [], put: () => {}, remove: () => {}, close: () => {} }

/** The folder of a store can not be used; one line for people. */
export class StoreError extends Error {}

interface Kept {
    dn: string
    /** Values in base64. */
    attributes: Record<string, string[]>
}

/**
 * One file an entry, named by the hash of its DN. Every operation of LDAP changes one entry, so a rename that is on
 * disk before the answer goes out is all that durability takes.
 */
export class FolderStore implements Store {
    constructor(private readonly folder: string) {
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        this.lock()
    }

    load(): Entry[] {
        const entries: Entry[] = []
        for (const name of readdirSync(this.folder)) {
            const path = join(this.folder, name)
            if (name.endsWith(".part")) rmSync(path)
            if (!name.endsWith(".json")) continue
            try {
                const { dn, attributes } = JSON.parse(readFileSync(path, "utf8")) as Kept
                const values = Object.entries(attributes).map(
                    ([type, list]) => [type, list.map(each => Buffer.from(each, "base64"))] as const,
                )
                entries.push({ dn: readDn(dn), attributes: new Map(values) })
            } catch (error) {
                throw new StoreError(`${path} is damaged: ${(error as Error).message}`)
            }
        }
        return entries
    }

    put({ dn, attributes }: Entry): void {
        const lists = [...attributes].map(([type, list]) => [type, list.map(each => each.toString("base64"))])
        const kept: Kept = { dn: dn.text, attributes: Object.fromEntries(lists) }
        const path = this.pathOf(dn)
        const file = openSync(`${path}.part`, "w", 0o600)
        try {
            writeFileSync(file, `${JSON.stringify(kept)}\n`)
            fsyncSync(file)
        } finally {
            closeSync(file)
        }
        renameSync(`${path}.part`, path)
        this.settle()
    }

    remove(dn: Dn): void {
        unlinkSync(this.pathOf(dn))
        this.settle()
    }

    close(): void {
        rmSync(join(this.folder, "lock"), { force: true })
    }

    private pathOf(dn: Dn): string {
        return join(this.folder, `${createHash("sha256").update(dn.key).digest("hex").slice(0, 40)}.json`)
    }

    /** Names are on disk only when their folder is. */
    private settle(): void {
        const folder = openSync(this.folder, "r")
        try {
            fsyncSync(folder)
        } finally {
            closeSync(folder)
        }
    }

    private lock(): void {
        const path = join(this.folder, "lock")
        try {
            createFile(path, `${process.pid}`)
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
            const holder = Number(readFileSync(path, "utf8"))
            if (isAlive(holder)) throw new StoreError(`process ${holder} uses ${this.folder}; remove ${path} if not`)
            rmSync(path)
            createFile(path, `${process.pid}`)
        }
    }
}

function isAlive(pid: number): boolean {
    if (!(pid > 0)) return false
    try {
        process.kill(pid, 0)
        return true
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM"
    }
}
