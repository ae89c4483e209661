import { p256 } from "@noble/curves/nist.js"
import { expect, it } from "vitest"
import { Floor, floorSize } from "../../firmware/core/floor"
import { codeThrown } from "../helpers/errors.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

/** A key of these octets, as its holder shows it. */
function keyOf(fill: number) {
    const secret = new Uint8Array(32).fill(fill)
    return {
        publicKey: () => Buffer.from(p256.getPublicKey(secret, false).subarray(1)),
        sign: (digest: Buffer) => Buffer.from(p256.sign(digest, secret, { prehash: false })),
    }
}

/** Counts as the secure element does: power may go before or after it has. */
class Counter {
    count = 0
    /** Counts twice, as the element does when its answer was lost. */
    twice = false
    cutAt = Number.POSITIVE_INFINITY
    counter(): number {
        return this.count
    }
    incrementCounter(): number {
        if (this.cutAt === 0) throw new Cut()
        this.count += this.twice ? 2 : 1
        if (this.cutAt === 1) throw new Cut()
        return this.count
    }
}

function fresh() {
    const store = new MemoryStore(floorSize)
    const counter = new Counter()
    const first = keyOf(1)
    return { store, counter, first, floor: new Floor(store, 0, counter, () => first) }
}

it("rises and never falls", () => {
    const { floor, counter } = fresh()
    expect(floor.value()).toBe(0)
    floor.raise(0x010000)
    floor.raise(0x010000)
    floor.raise(0x00ff00)
    expect(floor.value()).toBe(0x010000)
    expect(counter.count).toBe(2)
    floor.raise(0x020000)
    expect(floor.value()).toBe(0x020000)
    expect(counter.count).toBe(4)
})

it("a part that counts twice for one order breaks nothing, wherever it does", () => {
    for (const pattern of [[true], [false, true], [true, true]]) {
        const { floor, counter, store, first } = fresh()
        for (let version = 1; version < 6; ++version) {
            const count = counter.incrementCounter.bind(counter)
            let calls = 0
            counter.incrementCounter = () => {
                counter.twice = pattern[calls++] ?? false
                return count()
            }
            const before = Buffer.from(store.cells)
            floor.raise(version)
            counter.incrementCounter = count
            counter.twice = false
            expect(floor.value()).toBe(version)
            const now = Buffer.from(store.cells)
            store.cells.set(before)
            expect(codeThrown(() => new Floor(store, 0, counter, () => first).value())).toBe("FloorDamaged")
            store.cells.set(now)
        }
    }
})

it("older contents of the store, none, altered ones, and those that another key signed are no floor", () => {
    const { floor, store, counter } = fresh()
    const stages: Buffer[] = []
    for (const version of [1, 2, 3]) {
        floor.raise(version)
        stages.push(Buffer.from(store.cells))
    }
    for (const cells of [stages[0], Buffer.alloc(floorSize), Buffer.alloc(floorSize, 0xff)]) {
        store.cells.set(cells)
        expect(codeThrown(() => floor.value())).toBe("FloorDamaged")
    }
    for (let bit = 0; bit < floorSize * 8; bit += 7) {
        store.cells.set(stages[2])
        store.cells[bit >> 3] ^= 1 << (bit & 7)
        let value = 3
        try {
            value = floor.value()
        } catch (e) {
            expect((e as { code: number }).code).toBe(5242)
        }
        expect(value).toBe(3)
    }
    store.cells.set(stages[2])
    expect(codeThrown(() => new Floor(store, 0, counter, () => keyOf(2)).value())).toBe("FloorDamaged")
})

it("a device made anew, with another key, begins without a floor; from then on it rises again", () => {
    const { floor, store, counter } = fresh()
    floor.raise(9)
    store.cells.fill(0)
    const made = new Floor(store, 0, counter, () => keyOf(2))
    expect(codeThrown(() => made.value())).toBe("FloorDamaged")
    made.begin()
    expect(made.value()).toBe(0)
    made.raise(1)
    expect(made.value()).toBe(1)
})

it("is signed anew before another key is in force, and holds under both until it has changed", () => {
    const { floor, store, counter } = fresh()
    const next = keyOf(2)
    floor.renew(next)
    floor.raise(7)
    floor.renew(next)
    const later = new Floor(store, 0, counter, () => next)
    expect([floor.value(), later.value(), counter.count]).toEqual([7, 7, 2])
    later.raise(8)
    expect(later.value()).toBe(8)
})

it("power cut at every octet of a raise or renewal, and on either side of the count: the old floor or the new one", () => {
    const { floor, store, counter, first } = fresh()
    const next = keyOf(2)
    let points = 0
    floor.raise(1)
    for (const version of [2, 3, 4]) {
        const before = Buffer.from(store.cells)
        const count = counter.count
        for (const after of [0, 1, 2, 3, 4, 7, 8, 9, 40, 71, "count", "counted"] as const) {
            for (const renewal of [false, true]) {
                if (renewal && typeof after === "string") continue
                store.cells.set(before)
                counter.count = count
                if (typeof after === "number") store.cutAfter = after
                else counter.cutAt = after === "count" ? 0 : 1
                expect(() => (renewal ? floor.renew(next) : floor.raise(version))).toThrow(Cut)
                store.cutAfter = Number.POSITIVE_INFINITY
                counter.cutAt = Number.POSITIVE_INFINITY
                ++points
                const found = new Floor(store, 0, counter, () => first)
                expect([version - 1, version]).toContain(found.value())
                if (renewal) expect(found.value()).toBe(version - 1)
                else found.raise(version)
                if (!renewal) expect(found.value()).toBe(version)
            }
        }
        store.cells.set(before)
        counter.count = count
        floor.raise(version)
    }
    console.log(`${points} cut points`)
})
