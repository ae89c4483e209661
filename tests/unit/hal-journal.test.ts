import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RecordRing, SwitchedRecord } from "../../firmware/core/journal"
import { codeThrown } from "../helpers/errors"
import { Cut, MemoryStore } from "../helpers/memory-store"

const size = 12
const record = (n: number) => Buffer.alloc(size, n)

function filled(count: number, records: number): MemoryStore {
    const store = new MemoryStore(count * (size + 8))
    const ring = new RecordRing(store, 0, count, size)
    for (let i = 1; i <= records; ++i) ring.append(record(i))
    return store
}

/** Runs `action` with power going at every octet it writes, on a copy of `store` each time. */
function atEachCut(store: MemoryStore, action: (store: MemoryStore) => void, check: (store: MemoryStore) => void) {
    for (let cut = 0; ; ++cut) {
        const copy = new MemoryStore(store.size)
        store.cells.copy(copy.cells)
        copy.cutAfter = cut
        let ended = true
        try {
            action(copy)
        } catch (error) {
            if (!(error instanceof Cut)) throw error
            ended = false
        }
        copy.cutAfter = Number.POSITIVE_INFINITY
        check(copy)
        if (ended) return cut
    }
}

describe("Ring of records", () => {
    it("is empty on a blank store, whatever blank is", () => {
        for (const blank of [0, 0xff, 0x55]) {
            const ring = new RecordRing(new MemoryStore(200, blank), 20, 4, size)
            expect(ring.latest()).toBeUndefined()
            expect(ring.append(record(1))).toBe(1)
        }
    })

    it("finds its newest record again after any number of appends", () => {
        for (let count = 2; count <= 5; ++count)
            for (let n = 1; n <= 12; ++n) {
                const ring = new RecordRing(filled(count, n), 0, count, size)
                expect(ring.newest).toBe(n)
                expect(ring.latest()).toEqual(record(n))
                expect(ring.torn).toBe(0)
            }
    })

    it("gives back each record that still fits and no other", () => {
        const ring = new RecordRing(filled(4, 10), 0, 4, size)
        for (let n = 7; n <= 10; ++n) expect(ring.read(n)).toEqual(record(n))
        for (const n of [-1, 0, 1, 6, 11, 2 ** 31, Number.NaN]) expect(ring.read(n)).toBeUndefined()
    })

    it("keeps all older records when power goes at any octet of an append", () => {
        for (let count = 2; count <= 4; ++count)
            for (let before = 0; before <= 2 * count; ++before) {
                const cuts = atEachCut(
                    filled(count, before),
                    store => void new RecordRing(store, 0, count, size).append(record(before + 1)),
                    store => {
                        const ring = new RecordRing(store, 0, count, size)
                        expect([before, before + 1]).toContain(ring.newest)
                        expect(ring.latest()).toEqual(ring.newest === 0 ? undefined : record(ring.newest))
                        for (let n = Math.max(1, before + 2 - count); n <= before; ++n)
                            expect(ring.read(n)).toEqual(record(n))
                        expect(ring.append(record(99))).toBe(ring.newest)
                        expect(new RecordRing(store, 0, count, size).latest()).toEqual(record(99))
                    },
                )
                expect(cuts).toBe(size + 8)
            }
    })

    it("never answers with octets nobody appended, for any damage to one octet", () => {
        fc.assert(
            fc.property(fc.nat(4 * (size + 8) - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
                const store = filled(4, 9)
                store.cells[at] ^= flip
                const ring = new RecordRing(store, 0, 4, size)
                expect([8, 9]).toContain(ring.newest)
                expect(ring.latest()).toEqual(record(ring.newest))
            }),
        )
    })

    it("does not go back for what one damaged transfer on the bus shows", () => {
        const store = filled(4, 9)
        const read = store.read.bind(store)
        for (let struck = 0; struck < 8; ++struck)
            for (let at = 0; at < size + 8; ++at) {
                let n = 0
                store.read = (address, length) => {
                    const octets = read(address, length)
                    if (n++ === struck && at < length) octets[at] ^= 0x40
                    return octets
                }
                const ring = new RecordRing(store, 0, 4, size)
                expect(ring.newest).toBe(9)
                expect(ring.latest()).toEqual(record(9))
            }
    })

    it("counts the damaged record it passes over, so that a fault is not silent", () => {
        const store = filled(4, 9)
        store.cells[(9 % 4) * (size + 8) + 6] ^= 1
        expect(new RecordRing(store, 0, 4, size).torn).toBe(1)
    })

    it("does not take a record of another place for its own", () => {
        const store = new MemoryStore(200)
        new RecordRing(store, 0, 2, size).append(record(1))
        const moved = new MemoryStore(200)
        store.cells.copy(moved.cells, 100, 0, 2 * (size + 8))
        expect(new RecordRing(moved, 100, 2, size).newest).toBe(0)
    })

    it("says so when its newest record is damaged while it runs, and does not begin anew", () => {
        const store = filled(4, 9)
        const ring = new RecordRing(store, 0, 4, size)
        store.cells[(9 % 4) * (size + 8) + 6] ^= 1
        expect(codeThrown(() => ring.latest())).toBe("RecordDamaged")
        expect(new RecordRing(store, 0, 4, size).damaged(true)).toBe(false)
        store.cells[(8 % 4) * (size + 8) + 6] ^= 1
        expect(new RecordRing(store, 0, 4, size).damaged(false)).toBe(true)
    })

    it("knows that a ring once used is lost", () => {
        const ring = new RecordRing(new MemoryStore(200, 0xff), 0, 4, size)
        expect(ring.damaged(true)).toBe(true)
        expect(ring.damaged(false)).toBe(false)
    })

    it("does not count a record the store did not keep, and appends it again", () => {
        const store = filled(4, 9)
        const ring = new RecordRing(store, 0, 4, size)
        const write = store.write.bind(store)
        store.write = (address, data) => write(address, data.fill(1, 5, 6))
        expect(codeThrown(() => ring.append(record(10)))).toBe("ReadBackMismatch")
        expect(ring.latest()).toEqual(record(9))
        store.write = write
        expect(ring.append(record(10))).toBe(10)
    })

    it("ends at 2^31 - 1 and does not write beyond", () => {
        const store = filled(4, 3)
        const ring = new RecordRing(store, 0, 4, size)
        ring.newest = 0x7fffffff
        const before = Buffer.from(store.cells)
        expect(codeThrown(() => ring.append(record(1)))).toBe("OutOfRange")
        expect(store.cells).toEqual(before)
    })

    it("refuses data of another size", () => {
        const ring = new RecordRing(filled(2, 1), 0, 2, size)
        expect(codeThrown(() => ring.append(Buffer.alloc(size - 1)))).toBe("BadArgument")
        expect(ring.latest()).toEqual(record(1))
    })
})

describe("Switched record", () => {
    const place = 3
    const blank = () => new MemoryStore(place + 2 * (size + 4) + 1)
    const open = (store: MemoryStore) => new SwitchedRecord(store, place, size)

    it("holds nothing before the first save", () => {
        for (const octet of [0, 0xff, 0x55])
            expect(open(new MemoryStore(place + 2 * (size + 4) + 1, octet)).load()).toBeUndefined()
    })

    it("holds the old value or the new one when power goes at any octet of a save", () => {
        const store = blank()
        let before: Buffer | undefined
        for (let n = 1; n <= 4; ++n) {
            const old = before
            atEachCut(
                store,
                cut => open(cut).save(record(n)),
                after => expect([old, record(n)]).toContainEqual(open(after).load()),
            )
            open(store).save(record(n))
            expect(open(store).load()).toEqual(record(n))
            before = record(n)
        }
    })

    it("reports damage instead of going back to an older value", () => {
        const store = blank()
        open(store).save(record(1))
        open(store).save(record(2))
        const at = store.cells.indexOf(record(2))
        store.cells[at] ^= 1
        expect(codeThrown(() => open(store).load())).toBe("RecordDamaged")
        store.cells[at] ^= 1
        for (const lost of [0xa5 ^ 4, 0, 0xff]) {
            store.cells[place] = lost
            expect(codeThrown(() => open(store).load())).toBe("RecordDamaged")
        }
    })

    it("reads again what one damaged transfer on the bus shows", () => {
        const store = blank()
        open(store).save(record(1))
        const read = store.read.bind(store)
        for (let struck = 0; struck < 3; ++struck) {
            let n = 0
            store.read = (address, length) => {
                const octets = read(address, length)
                if (n++ === struck) octets[0] ^= 0x42
                return octets
            }
            expect(open(store).load()).toEqual(record(1))
        }
    })

    it("notices a store that does not keep what is written", () => {
        const store = blank()
        store.write = () => {}
        expect(codeThrown(() => open(store).save(record(1)))).toBe("ReadBackMismatch")
    })
})
