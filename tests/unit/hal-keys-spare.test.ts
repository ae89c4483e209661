import { p256 } from "@noble/curves/nist.js"
import { beforeEach, describe, expect, it } from "vitest"
import { accessAt } from "../../firmware/meter/layout"
import { Atecc608 } from "../../hal/atecc608"
import { ElementCustody } from "../../hal/keys-element"
import { SoftwareCustody } from "../../hal/keys-software"
import type { KeyCustody } from "../../hal/ports"
import { Atecc608b } from "../../tools/chips/atecc608b"
import { codeThrown } from "../helpers/errors"
import { Cut, MemoryStore } from "../helpers/memory-store"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"

/** The second key of a meter, into which its key rolls over: beside the first one, in the same part or the same store. */

const digest = Buffer.from("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "hex")
/** Where the bindings put the second key. */
const spareSlot = 2
const softwareAt = 0x00800
const spareAt = 0x00900

/** By a second hand. */
function holds(publicKey: Buffer, signature: Buffer): boolean {
    return p256.verify(signature, digest, Buffer.concat([Buffer.of(4), publicKey]), { prehash: false, lowS: false })
}

describe("The spare key of an element", () => {
    const time = new ModelTime()
    let model: Atecc608b

    beforeEach(() => {
        time.install()
        model = new Atecc608b({ clock: time, serial: 0x4711 })
    })

    /** Both custodies on one driver, as an image has them. */
    function started(): [ElementCustody, ElementCustody] {
        const part = new Atecc608(new ModelBus(time, [model]), 0x60)
        return [new ElementCustody(part, 0), new ElementCustody(part, spareSlot)]
    }

    function sealed(): { custody: ElementCustody; spare: ElementCustody; key: Buffer } {
        const [custody, spare] = started()
        custody.configure()
        const key = custody.generateKey()
        custody.seal()
        return { custody, spare, key }
    }

    /** Private keys in the part, as only the model can show them. */
    function secrets(): string[] {
        const { slots } = JSON.parse(Buffer.from(model.save()).toString("utf8"))
        return [0, spareSlot].map(slot => String(slots[slot]).slice(8, 72))
    }

    it("is made on a part that was sealed without it, and each signs under its own key", () => {
        const { custody, spare, key } = sealed()
        expect(spare.state()).toEqual({ configured: true, keyPresent: false, sealed: true })
        expect(codeThrown(() => spare.publicKey())).toBe("KeyAbsent")
        expect(codeThrown(() => spare.sign(digest))).toBe("ElementExecution")
        const next = spare.generateKey()
        expect(next).not.toEqual(key)
        expect([custody.publicKey(), spare.publicKey()]).toEqual([key, next])
        const [before, after] = [custody.sign(digest), spare.sign(digest)]
        expect([holds(key, before), holds(next, after)]).toEqual([true, true])
        expect([holds(key, after), holds(next, before)]).toEqual([false, false])
    })

    it("is not made before the configuration is locked", () => {
        const [, spare] = started()
        expect(codeThrown(() => spare.generateKey())).toBe("ElementNotLocked")
        expect(codeThrown(() => spare.erase())).toBe("ElementNotLocked")
    })

    it("stays what it is while the former key is destroyed on the sealed part, back and forth", () => {
        const { custody, spare, key } = sealed()
        let [now, other]: KeyCustody[] = [custody, spare]
        let former = key
        for (let times = 0; times < 6; ++times) {
            const next = other.generateKey()
            const secret = secrets()[now === custody ? 0 : 1]
            expect(secret).toMatch(/^[0-9a-f]{64}$/)
            now.erase()
            expect(secrets()).not.toContain(secret)
            expect(holds(former, now.sign(digest))).toBe(false)
            expect(now.publicKey()).not.toEqual(former)
            expect(other.publicKey()).toEqual(next)
            expect(holds(next, other.sign(digest))).toBe(true)
            ;[now, other] = [other, now]
            former = next
        }
        expect(custody.state()).toEqual({ configured: true, keyPresent: true, sealed: true })
    })

    it("is there again after a loss of power, as the first one is", () => {
        const { spare, key } = sealed()
        const next = spare.generateKey()
        model.powerOff()
        const [first, second] = started()
        expect([first.publicKey(), second.publicKey()]).toEqual([key, next])
        expect(holds(next, second.sign(digest))).toBe(true)
    })
})

describe("The spare key in a store", () => {
    /** Octets of a record. */
    const size = 211

    function made(): MemoryStore {
        const store = new MemoryStore(0x1000)
        for (const custody of both(store)) {
            custody.configure()
            custody.generateKey()
        }
        return store
    }

    function both(store: MemoryStore): [SoftwareCustody, SoftwareCustody] {
        return [new SoftwareCustody(store), new SoftwareCustody(store, spareAt)]
    }

    it("lies beside the first one, in the place that the map keeps for both", () => {
        const store = made()
        const used = [...store.cells.keys()].filter(at => store.cells[at] !== 0)
        const inside = (at: number) => [softwareAt, spareAt].some(from => at >= from && at < from + size)
        expect(used.filter(at => !inside(at))).toEqual([])
        expect(spareAt).toBeGreaterThanOrEqual(softwareAt + size)
        expect(accessAt).toBeGreaterThanOrEqual(spareAt + size)
        const [custody, spare] = both(store)
        expect(holds(custody.publicKey(), custody.sign(digest))).toBe(true)
        expect(holds(spare.publicKey(), spare.sign(digest))).toBe(true)
        expect(custody.publicKey()).not.toEqual(spare.publicKey())
    })

    it("changes nothing of the other key, wherever power goes while one is made or erased", () => {
        const store = made()
        const keys = both(store).map(custody => custody.publicKey())
        let cuts = 0
        for (const which of [0, 1])
            for (const action of ["generateKey", "erase"] as const)
                for (let cut = 0; ; cut += 5) {
                    const copy = new MemoryStore(store.size)
                    store.cells.copy(copy.cells)
                    copy.cutAfter = cut
                    let ended = true
                    try {
                        both(copy)[which][action]()
                    } catch (error) {
                        if (!(error instanceof Cut)) throw error
                        ended = false
                    }
                    copy.cutAfter = Number.POSITIVE_INFINITY
                    const after = both(copy)
                    expect(after[1 - which].publicKey()).toEqual(keys[1 - which])
                    // Once the former key has gone nothing of it is left.
                    const state = after[which].state()
                    const isFormer = state.keyPresent && after[which].publicKey().equals(keys[which])
                    expect(copy.cells.includes(keys[which])).toBe(isFormer)
                    ++cuts
                    if (ended) {
                        expect(isFormer).toBe(false)
                        break
                    }
                }
        expect(cuts).toBeGreaterThan(80)
    })
})
