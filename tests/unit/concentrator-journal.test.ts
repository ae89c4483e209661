import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Journal, JournalError, JournalFull } from "../../tools/concentrator/journal.ts"
import type { Collected } from "../../tools/concentrator/record.ts"

let folder: string
let log: string[]
let journal: Journal

beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-journal-"))
    log = []
    open()
})

afterEach(async () => {
    await journal.close()
    rmSync(folder, { recursive: true })
})

function open(providers = ["a"], limit = 1_000_000): void {
    journal = new Journal({ folder, providers, limit, log: line => log.push(line) })
}

function entry(n: number, octets = 20): Omit<Collected, "seq"> {
    const [request, response] = [Buffer.from(`ask ${n}`), Buffer.alloc(octets, n)]
    return { receivedAtMs: 1000 + n, serverId: "0a01", muc: "05aa", request, response }
}

const numbers = (provider: string, most = 1e6) => journal.read(provider, most).map(({ seq }) => seq)
const logs = () => readdirSync(folder).filter(name => name.endsWith(".log"))

describe("the concentrator's journal", () => {
    it("gives back what was put in, octet for octet, in order", async () => {
        const seqs = await Promise.all([1, 2, 3].map(n => journal.append(entry(n))))
        expect(seqs).toEqual([1, 2, 3])
        expect(journal.read("a", 1e6)).toEqual([1, 2, 3].map(n => ({ ...entry(n), seq: n })))
        expect(numbers("a", 1)).toEqual([1])
    })

    it("reading moves nothing, acknowledging moves this provider's cursor alone, and only forward", async () => {
        await journal.close()
        open(["a", "b"])
        for (let n = 1; n <= 3; ++n) await journal.append(entry(n))
        expect([numbers("a"), numbers("a")]).toEqual([
            [1, 2, 3],
            [1, 2, 3],
        ])
        journal.acknowledge("a", 2)
        journal.acknowledge("a", 1)
        expect([numbers("a"), numbers("b"), journal.pending("a"), journal.pending("b")]).toEqual([[3], [1, 2, 3], 1, 3])
        expect(() => journal.acknowledge("a", 4)).toThrow(JournalError)
        expect(() => journal.acknowledge("c", 1)).toThrow(JournalError)
    })

    it("after a kill all that counted is there, and cursors and numbers go on", async () => {
        for (let n = 1; n <= 5; ++n) await journal.append(entry(n))
        journal.acknowledge("a", 2)
        const dead = journal
        const { id } = dead
        // As after a kill: nothing was closed or said. The lock names this process, which may take it over.
        open()
        expect(journal.id).toBe(id)
        expect(numbers("a")).toEqual([3, 4, 5])
        expect(await journal.append(entry(6))).toBe(6)
        await dead.close()
    })

    it("a number is never used twice, also after everything was delivered and deleted", async () => {
        await journal.close()
        open(["a"], 400)
        for (let n = 1; n <= 3; ++n) await journal.append(entry(n))
        journal.acknowledge("a", 3)
        await journal.close()
        open(["b"], 400)
        await journal.close()
        open(["b"], 400)
        expect(await journal.append(entry(4))).toBe(4)
    })

    it("what a kill tore at any octet of the last write is moved aside, all before it stays", async () => {
        for (let n = 1; n <= 3; ++n) await journal.append(entry(n))
        await journal.close()
        const path = join(folder, logs()[0])
        const whole = readFileSync(path)
        const length = whole.length / 3
        for (let cut = 2 * length; cut < whole.length; ++cut) {
            writeFileSync(path, whole.subarray(0, cut))
            open()
            expect(numbers("a")).toEqual([1, 2])
            await journal.close()
        }
        writeFileSync(path, whole)
        appendFileSync(path, Buffer.alloc(100))
        open()
        expect(numbers("a")).toEqual([1, 2, 3])
        expect(log[log.length - 1]).toContain("never counted")
    })

    it("damage before the last file is no torn write: it does not start, and changes nothing", async () => {
        await journal.close()
        open(["a"], 4000)
        for (let n = 1; n <= 12; ++n) await journal.append(entry(n, 200))
        await journal.close()
        const [first] = logs()
        const data = readFileSync(join(folder, first))
        data[100] ^= 1
        writeFileSync(join(folder, first), data)
        expect(logs().length).toBeGreaterThan(1)
        expect(() => open(["a"], 4000)).toThrow(/damaged at 0/)
        expect(readFileSync(join(folder, first))).toEqual(data)
    })

    it("is full at its limit and takes again what fits after delivery; nothing kept is dropped", async () => {
        await journal.close()
        open(["a"], 2000)
        const kept: number[] = []
        await expect(
            (async () => {
                for (;;) kept.push(await journal.append(entry(1, 200)))
            })(),
        ).rejects.toThrow(JournalFull)
        expect(numbers("a")).toEqual(kept)
        journal.acknowledge("a", kept[kept.length - 2])
        expect(await journal.append(entry(2, 200))).toBe(kept.length + 1)
        expect(numbers("a")).toEqual([kept.length, kept.length + 1])
    })

    it("knows after a start which were the last of each meter, as far as they are still here", async () => {
        await journal.close()
        open(["a"], 2000)
        for (let n = 1; n <= 6; ++n) await journal.append({ ...entry(n, 300), serverId: n % 2 ? "0a01" : "0a02" })
        await journal.close()
        open(["a"], 2000)
        expect([...journal.newest()].map(({ serverId, seq }) => [serverId, seq])).toEqual([
            ["0a01", 5],
            ["0a01", 3],
            ["0a02", 6],
            ["0a02", 4],
        ])
        journal.acknowledge("a", 5)
        expect([...journal.newest()].map(({ seq }) => seq)).toEqual([6])
    })

    it("deletes files that every provider has, and not before", async () => {
        await journal.close()
        open(["a", "b"], 8000)
        for (let n = 1; n <= 20; ++n) await journal.append(entry(n, 200))
        const before = logs().length
        journal.acknowledge("a", 20)
        expect(logs().length).toBe(before)
        journal.acknowledge("b", 20)
        expect(logs().length).toBeLessThanOrEqual(1)
    })
})
