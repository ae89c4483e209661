import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import {
    blockSize,
    receivingSize,
    SlotState,
    Slots,
    slotCount,
    slotSize,
    slotsSize,
    trialSeconds,
} from "../../firmware/core/slots"
import { codeThrown } from "../helpers/errors.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"
import "../helpers/seed.ts"

const sha256 = (octets: Uint8Array) => createHash("sha256").update(octets).digest()
const receivingAt = 0x400
const slotsAt = 0x1000

function open(store: MemoryStore): Slots {
    return new Slots(store, 0, receivingAt, slotsAt)
}

function fresh() {
    const store = new MemoryStore(slotsAt + slotCount * slotSize)
    return { store, slots: open(store) }
}

/** Octets that differ with `seed`, and all that a delivery needs of them. */
function packageOf(seed: number, length = 2 * blockSize + 76) {
    const octets = Buffer.alloc(length)
    for (let i = 0; i < length; ++i) octets[i] = (i * 31 + seed * 101 + (i >> 8)) & 0xff
    const blocks: Buffer[] = []
    for (let at = 0; at < length; at += blockSize) blocks.push(octets.subarray(at, at + blockSize))
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    const announce = Buffer.concat([head, sha256(octets), ...blocks.map(block => sha256(block).subarray(0, 16))])
    return {
        octets,
        announce,
        digest: sha256(octets),
        blocks: blocks.map((b, i) => Buffer.concat([Buffer.of(0, i), b])),
    }
}
type Package = ReturnType<typeof packageOf>

function deliver(slots: Slots, pack: Package): number {
    slots.announce(pack.announce)
    for (const block of pack.blocks) slots.block(block)
    return slots.whole()
}

/** Delivered, proved, and run as version `version`. */
function install(slots: Slots, pack: Package, version: number): number {
    const slot = deliver(slots, pack)
    slots.verified(slot, version)
    slots.begin(slot)
    slots.confirm(slot)
    return slot
}

const states = (slots: Slots) => [0, 1, 2].map(slot => SlotState[slots.state(slot)])

describe("software slots", () => {
    it("a package arrives in blocks of any order, each twice if it must, and is whole with the last", () => {
        const { slots } = fresh()
        const pack = packageOf(1)
        slots.announce(pack.announce)
        expect([...slots.blocks()]).toEqual([0, 0, 0])
        for (const i of [2, 0, 2]) {
            slots.block(pack.blocks[i])
            expect(slots.whole()).toBe(-1)
        }
        expect([...slots.blocks()]).toEqual([1, 0, 1])
        slots.block(pack.blocks[1])
        const slot = slots.whole()
        expect(slots.read(slot, 0, slots.length(slot))).toEqual(pack.octets)
        expect(slots.digest(slot)).toEqual(pack.digest)
    })

    it("a delivery goes on after a restart where it stopped, also when it is announced anew", () => {
        const { store, slots } = fresh()
        const pack = packageOf(1)
        slots.announce(pack.announce)
        slots.block(pack.blocks[1])
        const again = open(store)
        expect([...again.blocks()]).toEqual([0, 1, 0])
        again.announce(pack.announce)
        expect([...again.blocks()]).toEqual([0, 1, 0])
    })

    it("refuses each block that is not as announced, and each announcement that is none", () => {
        const { slots } = fresh()
        const pack = packageOf(1)
        expect(codeThrown(() => slots.block(pack.blocks[0]))).toBe("SlotIdle")
        for (const announce of [
            Buffer.alloc(0),
            pack.announce.subarray(0, 35),
            pack.announce.subarray(0, -1),
            Buffer.concat([pack.announce, Buffer.alloc(16)]),
            Buffer.concat([Buffer.of(0, 0, 0, 0), sha256(Buffer.alloc(0))]),
            packageOf(1, slotSize + 1).announce,
            Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0xff), Buffer.alloc(32 + 16)]),
        ])
            expect(
                codeThrown(() => slots.announce(announce)),
                announce.toString("hex"),
            ).toBe("SlotForm")
        slots.announce(pack.announce)
        const first = pack.blocks[0]
        for (const block of [Buffer.alloc(0), Buffer.of(0), Buffer.of(0, 0), first.subarray(0, -1)])
            expect(codeThrown(() => slots.block(block))).toBe("SlotForm")
        expect(codeThrown(() => slots.block(Buffer.concat([Buffer.of(0, 3), first.subarray(2)])))).toBe("SlotForm")
        expect(codeThrown(() => slots.block(Buffer.concat([Buffer.of(0, 1), first.subarray(2)])))).toBe("SlotBlock")
        for (let bit = 16; bit < first.length * 8; bit += 997) {
            const bad = Buffer.from(first)
            bad[bit >> 3] ^= 1 << (bit & 7)
            expect(codeThrown(() => slots.block(bad))).toBe("SlotBlock")
        }
        expect([...slots.blocks()]).toEqual([0, 0, 0])
    })

    it("blocks that do not make up the digest announced are never whole", () => {
        const { slots } = fresh()
        const pack = packageOf(1)
        const announce = Buffer.from(pack.announce)
        announce[4] ^= 1
        slots.announce(announce)
        for (const block of pack.blocks) slots.block(block)
        expect(codeThrown(() => slots.whole())).toBe("PackageHash")
        expect(states(slots)).toEqual(["Receiving", "Empty", "Empty"])
    })

    it("what runs and what ran before it stay while the next arrives; on trial only the active one stays beside", () => {
        const { slots } = fresh()
        install(slots, packageOf(1), 1)
        install(slots, packageOf(2), 2)
        expect(states(slots)).toEqual(["Former", "Active", "Empty"])
        const third = deliver(slots, packageOf(3))
        slots.verified(third, 3)
        expect(states(slots)).toEqual(["Former", "Active", "Verified"])
        // Another takes the place of what was never activated.
        expect(deliver(slots, packageOf(4))).toBe(third)
        slots.verified(third, 4)
        slots.begin(third)
        expect(deliver(slots, packageOf(5))).toBe(0)
        slots.verified(0, 5)
        expect(codeThrown(() => slots.begin(0))).toBe("SlotState")
        slots.confirm(third)
        expect(states(slots)).toEqual(["Verified", "Former", "Active"])
    })

    it("what is here already needs no delivery", () => {
        const { slots } = fresh()
        install(slots, packageOf(1), 1)
        slots.announce(packageOf(1).announce)
        expect(states(slots)).toEqual(["Active", "Empty", "Empty"])
        expect(slots.blocks().length).toBe(0)
    })

    it("a fault on trial leaves the active one; a fault of that brings the former back", () => {
        const { slots } = fresh()
        install(slots, packageOf(1), 1)
        const second = install(slots, packageOf(2), 2)
        const third = deliver(slots, packageOf(3))
        slots.verified(third, 3)
        slots.begin(third)
        slots.fail(third, 2564)
        expect(states(slots)).toEqual(["Former", "Active", "Failed"])
        slots.fail(second, 2560)
        expect(states(slots)).toEqual(["Active", "Failed", "Failed"])
        slots.fail(0, 2560)
        expect(states(slots)).toEqual(["Failed", "Failed", "Failed"])
    })

    it("a trial has three starts and its time of running, over restarts too", () => {
        const { store, slots } = fresh()
        const slot = deliver(slots, packageOf(1))
        slots.verified(slot, 1)
        slots.begin(slot)
        expect([slots.start(), open(store).start(), open(store).start(), open(store).start()]).toEqual([
            true,
            true,
            true,
            false,
        ])
        expect(open(store).spend(trialSeconds - 1)).toBe(true)
        expect(open(store).spend(1)).toBe(false)
    })
})

it("power cut at every octet of every write: the old state or the new one, and the same again completes it", () => {
    const { store } = fresh()
    const [one, two, three] = [packageOf(1, 1100), packageOf(2, 1100), packageOf(3, 1100)]
    let points = 0
    const step = (
        name: string,
        act: (slots: Slots) => void,
        between: (before: string[], now: string[]) => boolean = () => false,
    ) => {
        const before = Buffer.from(store.cells)
        const old = open(store)
        const written = store.written
        act(old)
        const length = store.written - written
        const after = Buffer.from(store.cells)
        const made = look(open(store))
        store.cells.set(before)
        const was = look(open(store))
        const wasStates = states(open(store))
        for (let cut = 0; cut < length; ++cut) {
            store.cells.set(before)
            store.cutAfter = cut
            expect(() => act(open(store))).toThrow(Cut)
            store.cutAfter = Number.POSITIVE_INFINITY
            ++points
            const now = open(store)
            const found = look(now)
            if (found !== was && found !== made && !between(wasStates, states(now)))
                expect.fail(`${name}, cut after ${cut} of ${length} octets: ${found}; before ${was}, after ${made}`)
            try {
                act(now)
            } catch (e) {
                // Done already, so it can not be done again.
                if (!(e instanceof PlombError) || found !== made) throw e
            }
            expect(look(open(store)), `${name}, cut after ${cut}, again`).toBe(made)
        }
        store.cells.set(after)
    }
    // Its slot is given up before the next announcement stands.
    const emptied = (before: string[], now: string[]) =>
        now.every((state, i) => state === before[i] || state === "Empty") &&
        now.filter(state => state === "Active" || state === "Former" || state === "Trial").length ===
            before.filter(state => state === "Active" || state === "Former" || state === "Trial").length
    let slot = -1
    const take = (pack: Package, version: number) => {
        step(`announce ${version}`, slots => slots.announce(pack.announce), emptied)
        pack.blocks.forEach((block, i) => {
            step(`block ${i}`, slots => {
                slots.block(block)
                slot = slots.whole()
            })
        })
        step("verified", slots => slots.verified(slot, version))
        step("begin", slots => slots.begin(slot))
    }
    take(one, 1)
    step("start", slots => {
        if (slots.octets()[2] === 0) slots.start()
    })
    step("spend", slots => {
        if (slots.octets().readUInt16BE(0) === trialSeconds) slots.spend(60)
    })
    step("confirm", slots => slots.confirm(slots.named(one.digest, SlotState.Trial)))
    take(two, 2)
    step("confirm", slots => slots.confirm(slots.named(two.digest, SlotState.Trial)))
    take(three, 3)
    step("trial ends", slots => slots.fail(slots.named(three.digest, SlotState.Trial), 2564))
    step("put back", slots => slots.fail(slots.named(two.digest, SlotState.Active), 5241))
    expect(states(open(store))).toEqual(["Active", "Failed", "Failed"])
    console.log(`${points} cut points`)
    expect(points).toBeGreaterThan(6000)
}, 120_000)

/** All that is known of the slots, as one text. */
function look(slots: Slots): string {
    return `${slots.octets().toString("hex")} ${slots.blocks().toString("hex")}`
}

it("any order of announcements, blocks, faults and restarts: what runs is never lost and never half there", () => {
    const packs = [1, 2, 3, 4].map(seed => packageOf(seed, 1000 + seed * 300))
    fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(7), fc.nat(3)), { maxLength: 60 }), acts => {
            const { store } = fresh()
            let slots = open(store)
            // The model: contents of the slots in force.
            let active: Package | undefined
            let trial: Package | undefined
            let former: Package | undefined
            for (const [what, which] of acts) {
                const pack = packs[which]
                try {
                    if (what === 0) slots.announce(pack.announce)
                    else if (what < 4) {
                        slots.block(pack.blocks[what % pack.blocks.length])
                        const slot = slots.whole()
                        if (slot >= 0) slots.verified(slot, which + 1)
                    } else if (what === 4) {
                        slots.begin(slots.named(pack.digest, SlotState.Verified))
                        trial = pack
                    } else if (what === 5) {
                        slots.confirm(slots.named(pack.digest, SlotState.Trial))
                        former = active
                        active = trial
                        trial = undefined
                    } else if (what === 6 && which > 1 && trial) {
                        slots.fail(slots.find(SlotState.Trial), 1)
                        trial = undefined
                    } else if (what === 6 && which === 1 && active) {
                        slots.fail(slots.find(SlotState.Active), 1)
                        active = former
                        former = undefined
                    } else slots = open(store)
                } catch (e) {
                    if (!(e instanceof PlombError)) throw e
                }
                // Making room for the next beside a trial takes what was before the active one.
                if (trial && slots.find(SlotState.Former) < 0) former = undefined
                const held = (state: SlotState) =>
                    slots.find(state) < 0
                        ? undefined
                        : slots.read(slots.find(state), 0, slots.length(slots.find(state))).toString("hex")
                expect(held(SlotState.Active)).toBe(active?.octets.toString("hex"))
                expect(held(SlotState.Trial)).toBe(trial?.octets.toString("hex"))
                expect(held(SlotState.Former)).toBe(former?.octets.toString("hex"))
            }
        }),
        { numRuns: Number(process.env.PLOMB_RUNS ?? 300) },
    )
})

it("its records keep to their places", () => {
    expect(2 * (slotsSize + 4) + 1).toBeLessThanOrEqual(receivingAt)
    expect(receivingAt + receivingSize).toBeLessThanOrEqual(slotsAt)
})
