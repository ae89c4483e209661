import { createHash } from "node:crypto"
import { describe, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { Event, Logbook, logbookSize, logEntrySize, none } from "../../firmware/core/logbook"
import { codeThrown } from "../helpers/errors.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

const count = 20
const clock = { secondsIndex: () => 4711, utcSeconds: () => 1_900_000_000, quality: () => 2 }
const operator = { role: 4, id: Buffer.from("0102030405060708", "hex") }
const detail = Buffer.from("was->is")

function fresh(keeps: "log" | "ring" = "log") {
    const store = new MemoryStore(logbookSize(count))
    return { store, log: new Logbook(store, 0, count, keeps, clock) }
}

const again = (store: MemoryStore, keeps: "log" | "ring" = "log") => new Logbook(store, 0, count, keeps, clock)

/** All entries, and their chain checked. */
function entries(log: Logbook): Buffer[] {
    const head = log.head()
    const [total, first] = [head.readUInt32BE(0), head.readUInt32BE(4)]
    const found: Buffer[] = []
    for (let number = first; number < first + total; ++number) found.push(log.read(number)!)
    let previous: Buffer | undefined
    for (const [i, entry] of found.entries()) {
        const sound = entry?.length === logEntrySize && entry.readUInt32BE(0) === first + i
        if (!sound || (previous && !entry.subarray(42).equals(sha256(previous))))
            throw new Error(`entry ${first + i} is missing, or not chained to the one before`)
        previous = entry
    }
    if (!head.subarray(8, 40).equals(previous ? sha256(previous) : Buffer.alloc(32)))
        throw new Error("the head is not that of the newest entry")
    return found
}

function sha256(octets: Buffer): Buffer {
    return createHash("sha256").update(octets).digest()
}

const add = (log: Logbook, code = 0) => log.append(Event.parameterSet, 3, operator, code, detail)
const attempts = (log: Logbook) => [log.head().readUInt32BE(40), log.head().readUInt32BE(44)]

describe("logbook", () => {
    it("an entry holds number, times, event, function, role, code, signer, detail and the hash of the one before", () => {
        const { log } = fresh()
        expect(add(log)).toBe(1)
        expect(log.append(Event.accessChanged, 13, operator, 77, Buffer.alloc(20, 0xee))).toBe(2)
        const [first, second] = entries(log)
        expect(first.toString("hex")).toBe(
            `0000000100001267${(1_900_000_000).toString(16)}02020304` +
                `0000${operator.id.toString("hex")}${detail.toString("hex")}${"00".repeat(9)}${"00".repeat(32)}`,
        )
        expect(second.subarray(12, 18).toString("hex")).toBe("02040d04004d")
        // Of a longer detail the first 16 octets.
        expect(second.subarray(26, 42)).toEqual(Buffer.alloc(16, 0xee))
    })

    it("a full log refuses what is to be announced and never overwrites; attempts and the reset still find their places", () => {
        const { log } = fresh()
        for (let i = 0; i < count - 8; ++i) {
            expect(log.full()).toBe(false)
            add(log)
        }
        expect(log.full()).toBe(true)
        expect(codeThrown(() => add(log))).toBe("LogbookFull")
        log.refused(3, undefined, Code.NotSigned, detail)
        expect(attempts(log)).toEqual([1, 0])
        for (let i = 0; i < 7; ++i) log.refused(3, operator, Code.FunctionDenied, detail)
        expect(entries(log)).toHaveLength(count - 1)
        log.refused(3, operator, Code.FunctionDenied, detail)
        log.refused(3, operator, Code.FunctionDenied, detail)
        expect(attempts(log)).toEqual([1, 2])
        expect(entries(log)).toHaveLength(count - 1)
        log.reset(6, operator, count - 1)
        expect(entries(log)).toHaveLength(1)
        expect(log.full()).toBe(false)
    })

    it("attempts of nobody: one entry a kind, 16 kinds at most, all others counted; anew after a reset and kept over a restart", () => {
        const store = new MemoryStore(logbookSize(60))
        const open = () => new Logbook(store, 0, 60, "log", clock)
        let log = open()
        for (let i = 0; i < 1000; ++i) log.refused(none, undefined, 3000 + (i % 3), detail)
        expect(log.newest()).toBe(3)
        expect(attempts(log)).toEqual([997, 0])
        log = open()
        log.refused(none, undefined, 3001, detail)
        expect(log.newest()).toBe(3)
        for (let i = 0; i < 100; ++i) log.refused(none, undefined, 3000 + i, detail)
        expect(log.newest()).toBe(16)
        expect(attempts(log)).toEqual([998 + 87, 0])
        for (const entry of entries(log)) expect(entry.subarray(13, 16).toString("hex")).toBe("0affff")
        log.reset(6, operator, 16)
        expect(attempts(log)).toEqual([0, 0])
        log.refused(none, undefined, 3000, detail)
        log.refused(none, undefined, 3000, detail)
        expect(log.newest()).toBe(18)
        expect(attempts(log)).toEqual([1, 0])
        expect(attempts(open())).toEqual([1, 0])
    })

    it("is reset by who has seen its newest entry: the first of the new log tells of the old one and is chained to it", () => {
        const { store, log } = fresh()
        for (let i = 0; i < 5; ++i) add(log)
        const head = log.head().subarray(8, 40)
        for (const seen of [0, 4, 6]) expect(codeThrown(() => log.reset(6, operator, seen))).toBe("LogbookNotSeen")
        expect(entries(log)).toHaveLength(5)
        log.reset(6, operator, 5)
        for (const each of [log, again(store)]) {
            const [first] = entries(each)
            expect(each.head().readUInt32BE(4)).toBe(6)
            expect(first[13]).toBe(Event.logbookReset)
            expect(first.subarray(26, 34).toString("hex")).toBe("0000000500000001")
            expect(first.subarray(42)).toEqual(head)
            for (let number = 0; number < 6; ++number) expect(each.read(number)).toBeUndefined()
        }
        add(log)
        log.reset(6, operator, 7)
        expect(entries(again(store))[0].subarray(26, 34).toString("hex")).toBe("0000000200000006")
    })

    it("goes through resets without end, each time with all places", () => {
        const { store, log } = fresh()
        for (let round = 0; round < 7; ++round) {
            while (!log.full()) add(log)
            log.reset(6, operator, log.newest())
        }
        expect(entries(log)).toHaveLength(1)
        expect(entries(again(store))).toEqual(entries(log))
    })

    it("as ring the oldest make room, and what remains is still chained", () => {
        const { store, log } = fresh("ring")
        for (let i = 0; i < 3 * count + 5; ++i) {
            expect(log.full()).toBe(false)
            add(log)
        }
        for (const each of [log, again(store, "ring")]) {
            const found = entries(each)
            expect(found).toHaveLength(count)
            expect(found[0].readUInt32BE(0)).toBe(2 * count + 6)
        }
        log.refused(none, undefined, 3000, detail)
        log.refused(none, undefined, 3000, detail)
        expect(attempts(log)).toEqual([1, 0])
        log.reset(11, operator, log.newest())
        expect(entries(again(store, "ring"))).toHaveLength(1)
        expect(attempts(log)).toEqual([0, 0])
        for (let i = 0; i < 3 * count; ++i) add(log)
        log.refused(none, undefined, 3000, detail)
        expect(entries(again(store, "ring"))).toHaveLength(count)
    })

    it("an entry that was changed, or is missing, shows in the chain", () => {
        const { store, log } = fresh()
        for (let i = 0; i < 5; ++i) add(log)
        store.cells[2 * 82 + 20] ^= 1
        expect(again(store).read(2)).toBeUndefined()
        expect(again(store).read(3)).toBeDefined()
    })

    it("after a power cut at any octet of an entry, a count or a reset the log is the one before or the one after", () => {
        let cuts = 0
        const steps: [string, (log: Logbook) => void][] = [
            ["entry", log => add(log)],
            ["attempt", log => log.refused(3, operator, Code.FunctionDenied, detail)],
            ["count", log => log.refused(none, undefined, 3000, detail)],
            ["reset", log => log.reset(6, operator, log.newest())],
        ]
        for (const [name, step] of steps)
            for (const [keeps, filled] of [
                ["log", 0],
                ["log", 4],
                ["log", count - 10],
                ["ring", count + 3],
            ] as const) {
                const prepare = () => {
                    const made = fresh(keeps)
                    made.log.refused(none, undefined, 3000, detail)
                    made.log.refused(none, undefined, 3000, detail)
                    for (let i = 0; i < filled; ++i) add(made.log)
                    return made
                }
                const state = (log: Logbook) => [
                    log.head().toString("hex"),
                    ...entries(log).map(each => each.toString("hex")),
                ]
                const whole = prepare()
                const old = state(whole.log)
                const from = whole.store.written
                step(whole.log)
                const changed = state(whole.log)
                const writes = whole.store.written - from
                for (let cut = 0; cut <= writes; ++cut) {
                    const { store, log } = prepare()
                    store.cutAfter = cut
                    let came: unknown
                    try {
                        step(log)
                    } catch (error) {
                        came = error
                    }
                    expect([name, came instanceof Cut]).toEqual([name, cut < writes])
                    store.cutAfter = Number.POSITIVE_INFINITY
                    const after = again(store, keeps)
                    const now = state(after)
                    // A ring loses its oldest entry with the first octet of the one that takes its place.
                    const overwritten = keeps === "ring" && name !== "count" && cut > 0 && cut < writes
                    if (!overwritten) expect(now).toEqual(cut < writes ? old : changed)
                    else expect(now.slice(1)).toEqual(old.slice(2))
                    after.refused(3, operator, 3999, detail)
                    entries(again(store, keeps))
                    ++cuts
                }
            }
        console.log(`${cuts} cuts`)
        expect(cuts).toBeGreaterThan(900)
    })
})
