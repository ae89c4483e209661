import { randomBytes } from "node:crypto"
import {
    closeSync,
    existsSync,
    fsyncSync,
    mkdirSync,
    openSync,
    readdirSync,
    readFileSync,
    readSync,
    rmSync,
} from "node:fs"
import { type FileHandle, open, truncate } from "node:fs/promises"
import { join } from "node:path"
import { writeAtomically } from "../evidence/format.ts"
import { type Collected, pack, readRecords } from "./record.ts"

/** The journal cannot take or give what it should; one line for people. */
export class JournalError extends Error {}

/** The journal holds as much as it may: nothing is lost, nothing more is taken. */
export class JournalFull extends JournalError {}

/** Where an entry stands. */
interface Place {
    seq: number
    segment: Segment
    at: number
    length: number
}

interface Segment {
    path: string
    octets: number
    last: number
}

interface State {
    /** Hex, made with the journal: a cursor of another journal is none of this one. */
    journal: string
    /** Numbers up to this one have been used, whatever files are left. */
    used: number
    /** By provider: the newest entry it holds durably. */
    acknowledged: Record<string, number>
}

/** How a journal works. */
export interface JournalOptions {
    folder: string
    /** Who must have acknowledged an entry before it goes. */
    providers: readonly string[]
    /** Most octets on disk. */
    limit: number
    log(line: string): void
}

const largestSegment = 4 * 1024 * 1024

/**
 * What was collected, in order, until every provider has acknowledged it. An entry counts from the moment `append`
 * resolves: it is on disk then, flushed. Many that come together share one flush. Files of a few megabytes, each
 * named by its first entry's number; one whose entries are all acknowledged is deleted. What a crash tore at the end
 * of the last file was never counted; it is moved aside.
 */
export class Journal {
    private readonly places: Place[] = []
    private readonly segments: Segment[] = []
    private readonly lastOfMeters = new Map<string, Place[]>()
    private readonly statePath: string
    private readonly lockPath: string
    private readonly segmentOctets: number
    private state: State
    private next = 1
    private file: FileHandle | undefined
    private waiting: { entry: Omit<Collected, "seq">; resolve(seq: number): void; reject(error: Error): void }[] = []
    private writing: Promise<void> | undefined
    private broken = ""

    constructor(private readonly options: JournalOptions) {
        const { folder, providers, limit } = options
        mkdirSync(folder, { recursive: true })
        this.segmentOctets = Math.min(largestSegment, Math.ceil(limit / 8))
        this.statePath = join(folder, "state.json")
        this.lockPath = join(folder, "lock")
        this.lock()
        this.state = this.readState()
        // Who is no provider any more does not hold entries back; a new one begins with the oldest there is.
        const acknowledged = Object.fromEntries(providers.map(each => [each, this.state.acknowledged[each] ?? 0]))
        const used = Math.max(this.state.used, ...Object.values(this.state.acknowledged))
        this.next = used + 1
        this.state = { journal: this.state.journal, used, acknowledged }
        this.saveState()
        this.recover()
        this.forget()
    }

    /** Hex. */
    get id(): string {
        return this.state.journal
    }

    /** Octets on disk. */
    get octets(): number {
        return this.segments.reduce((sum, { octets }) => sum + octets, 0)
    }

    /** Nothing more is taken until providers have acknowledged. */
    get full(): boolean {
        return this.octets >= this.options.limit
    }

    /** Entries that `provider` has not acknowledged. */
    pending(provider: string): number {
        return this.places.length - this.firstFor(provider)
    }

    /** Resolves with the entry's number when it is on disk. Rejects with `JournalFull` or `JournalError`: then it is not kept. */
    append(entry: Omit<Collected, "seq">): Promise<number> {
        return new Promise((resolve, reject) => {
            if (this.broken) reject(new JournalError(this.broken))
            else if (this.full)
                reject(new JournalFull(`the journal holds ${this.octets} octets, it may ${this.options.limit}`))
            else {
                this.waiting.push({ entry, resolve, reject })
                this.writing ??= this.writeAll()
            }
        })
    }

    /** The oldest entries that `provider` has not acknowledged, in order: at least one if there is one, up to `most` octets. */
    read(provider: string, most: number): Collected[] {
        const entries: Collected[] = []
        let octets = 0
        for (let i = this.firstFor(provider); i < this.places.length; ++i) {
            octets += this.places[i].length
            if (entries.length > 0 && octets > most) break
            entries.push(this.entryAt(this.places[i]))
        }
        return entries
    }

    /** The last entries of each meter that were here when the journal was opened, the newest first. */
    *newest(): Iterable<Collected> {
        for (const places of this.lastOfMeters.values())
            for (const place of places) if (this.segments.includes(place.segment)) yield this.entryAt(place)
    }

    /** `provider` holds everything up to `seq` durably; so noted, on disk, when this returns. Going back changes nothing. */
    acknowledge(provider: string, seq: number): void {
        const { acknowledged } = this.state
        if (acknowledged[provider] === undefined) throw new JournalError(`${provider} is no provider of this journal`)
        if (seq <= acknowledged[provider]) return
        if (seq >= this.next) throw new JournalError(`entry ${seq} was never given out`)
        acknowledged[provider] = seq
        this.saveState()
        this.forget()
    }

    async close(): Promise<void> {
        while (this.writing) await this.writing
        this.broken = "the journal is closed"
        await this.file?.close()
        this.file = undefined
        rmSync(this.lockPath, { force: true })
    }

    private firstFor(provider: string): number {
        const after = this.state.acknowledged[provider] ?? 0
        let [low, high] = [0, this.places.length]
        while (low < high) {
            const middle = (low + high) >> 1
            if (this.places[middle].seq > after) high = middle
            else low = middle + 1
        }
        return low
    }

    private async writeAll(): Promise<void> {
        while (this.waiting.length > 0) {
            const batch = this.waiting
            this.waiting = []
            try {
                await this.write(batch.map(({ entry }) => entry))
                batch.forEach(({ resolve }, i) => {
                    resolve(this.next - batch.length + i)
                })
            } catch (error) {
                for (const { reject } of batch) reject(new JournalError(`not kept: ${(error as Error).message}`))
            }
        }
        // In the same breath as the last look: who comes later starts anew.
        this.writing = undefined
    }

    private async write(entries: Omit<Collected, "seq">[]): Promise<void> {
        const segment = await this.segmentFor()
        const records = entries.map((entry, i) => pack({ ...entry, seq: this.next + i }))
        const data = Buffer.concat(records)
        const file = this.file!
        try {
            const { bytesWritten } = await file.write(data, 0, data.length, segment.octets)
            if (bytesWritten !== data.length) throw new JournalError(`${bytesWritten} of ${data.length} octets written`)
        } catch (error) {
            // As before: what was not written whole must not stand before what follows.
            await truncate(segment.path, segment.octets).catch(worse => {
                this.broken = `${segment.path} cannot be cut back: ${worse.message}`
            })
            throw error
        }
        try {
            await file.sync()
        } catch (error) {
            // After a failed flush nobody knows what is on disk, and another one may say all is well.
            this.broken = `${segment.path} cannot be flushed: ${(error as Error).message}`
            throw error
        }
        for (const record of records) {
            this.places.push({ seq: this.next, segment, at: segment.octets, length: record.length })
            segment.octets += record.length
            segment.last = this.next++
        }
    }

    private async segmentFor(): Promise<Segment> {
        const last = this.segments[this.segments.length - 1]
        if (last && this.file && last.octets < this.segmentOctets) return last
        await this.file?.close()
        this.file = undefined
        if (last && last.octets < this.segmentOctets) {
            this.file = await open(last.path, "r+")
            return last
        }
        const path = join(this.options.folder, `${String(this.next).padStart(16, "0")}.log`)
        // Left by a first write that failed.
        this.file = await open(path, "w+", 0o600)
        syncFolder(this.options.folder)
        const segment = { path, octets: 0, last: 0 }
        this.segments.push(segment)
        return segment
    }

    private entryAt({ segment, at, length }: Place): Collected {
        const file = openSync(segment.path, "r")
        try {
            const data = Buffer.alloc(length)
            readSync(file, data, 0, length, at)
            const [found] = readRecords(data).records
            if (!found) throw new JournalError(`${segment.path}: the entry at ${at} is not as it was written`)
            return found.entry
        } finally {
            closeSync(file)
        }
    }

    /** Takes up what is there. */
    private recover(): void {
        const { folder, log } = this.options
        // Begun by a process that was killed: nothing that counts.
        for (const name of readdirSync(folder)) if (name.endsWith(".part")) rmSync(join(folder, name))
        const names = readdirSync(folder).filter(name => /^\d{16}\.log$/.test(name))
        names.sort().forEach((name, i) => {
            const path = join(folder, name)
            const data = readFileSync(path)
            const { records, end } = readRecords(data)
            if (end < data.length) {
                if (i < names.length - 1) throw new JournalError(`${path}: damaged at ${end}; nothing was changed`)
                const torn = `${path}.torn-${end}`
                writeAtomically(torn, data.subarray(end), 0o600)
                writeAtomically(path, data.subarray(0, end), 0o600)
                log(`${path}: ${data.length - end} octets at its end were never counted, they are in ${torn}`)
            }
            if (end === 0) {
                rmSync(path)
                return
            }
            const segment = { path, octets: end, last: 0 }
            this.segments.push(segment)
            for (const { at, length, entry } of records) {
                const before = this.places[this.places.length - 1]
                if (before && entry.seq !== before.seq + 1)
                    throw new JournalError(`${path}: entry ${entry.seq} follows ${before.seq}`)
                const place = { seq: entry.seq, segment, at, length }
                this.places.push(place)
                // The newest may be a chain, which has no number.
                const [newest] = this.lastOfMeters.get(entry.serverId) ?? []
                this.lastOfMeters.set(entry.serverId, newest ? [place, newest] : [place])
                segment.last = entry.seq
                this.next = Math.max(this.next, entry.seq + 1)
            }
        })
    }

    /** Deletes files whose entries all providers have. */
    private forget(): void {
        const least = Math.min(...Object.values(this.state.acknowledged))
        const kept = this.places.findIndex(({ seq }) => seq > least)
        this.places.splice(0, kept < 0 ? this.places.length : kept)
        while (this.segments.length > 0 && this.segments[0].last <= least) {
            const [first] = this.segments
            // The file that is written to stays until it is worth it.
            const current = this.segments.length === 1
            if (current && (first.octets < this.segmentOctets / 2 || this.writing)) break
            if (current) {
                this.file?.close().catch(() => {})
                this.file = undefined
            }
            this.segments.shift()
            rmSync(first.path, { force: true })
        }
    }

    private readState(): State {
        if (!existsSync(this.statePath)) return { journal: randomBytes(8).toString("hex"), used: 0, acknowledged: {} }
        try {
            const state = JSON.parse(readFileSync(this.statePath, "utf8")) as State
            const whole = /^[0-9a-f]{16}$/.test(state.journal) && Number.isSafeInteger(state.used)
            if (whole && typeof state.acknowledged === "object") return state
        } catch (error) {
            if (!(error instanceof SyntaxError)) throw error
        }
        throw new JournalError(`${this.statePath} is damaged; without it nobody knows what was delivered`)
    }

    private saveState(): void {
        writeAtomically(this.statePath, `${JSON.stringify(this.state)}\n`, 0o600)
    }

    /** One process at a time. */
    private lock(): void {
        if (existsSync(this.lockPath)) {
            const holder = Number(readFileSync(this.lockPath, "utf8"))
            if (holder !== process.pid && isAlive(holder))
                throw new JournalError(`process ${holder} works on it; remove ${this.lockPath} if it does not`)
        }
        writeAtomically(this.lockPath, `${process.pid}`, 0o600)
    }
}

function isAlive(pid: number): boolean {
    try {
        return pid > 0 && process.kill(pid, 0)
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM"
    }
}

function syncFolder(path: string): void {
    const folder = openSync(path, "r")
    try {
        fsyncSync(folder)
    } finally {
        closeSync(folder)
    }
}
