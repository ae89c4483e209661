import { p256 } from "@noble/curves/nist.js"
import { describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { SoftwareCustody } from "../../hal/keys-software"
import { codeThrown } from "../helpers/errors"
import { Cut, MemoryStore } from "../helpers/memory-store"

const digest = Buffer.alloc(32, 0x42)

function made(store: MemoryStore): Buffer {
    const custody = new SoftwareCustody(store, 0)
    custody.configure()
    return custody.generateKey()
}

/** The private key a store holds, found by its public key in one of the copies. */
function privateKeys(store: MemoryStore, publicKey: Buffer): Buffer[] {
    const found: Buffer[] = []
    for (let at = store.cells.indexOf(publicKey); at >= 0; at = store.cells.indexOf(publicKey, at + 1))
        found.push(Buffer.from(store.cells.subarray(at - 32, at)))
    return found
}

describe("Software custody", () => {
    it("goes through the steps of an element: configured, key, sealed", () => {
        const store = new MemoryStore(512)
        const custody = new SoftwareCustody(store, 0)
        expect(custody.state()).toEqual({ configured: false, keyPresent: false, sealed: false })
        expect(codeThrown(() => custody.generateKey())).toBe("ElementNotLocked")
        custody.configure()
        expect(codeThrown(() => custody.seal())).toBe("KeyAbsent")
        expect(codeThrown(() => custody.publicKey())).toBe("KeyAbsent")
        expect(codeThrown(() => custody.sign(digest))).toBe("KeyAbsent")
        custody.generateKey()
        custody.seal()
        expect(new SoftwareCustody(store, 0).state()).toEqual({ configured: true, keyPresent: true, sealed: true })
        expect(custody.protection).toBe(0)
        expect(custody.serial()).toEqual(Buffer.alloc(0))
    })

    it("signs with the key it has published, before and after a restart", () => {
        const store = new MemoryStore(512)
        const key = made(store)
        for (const custody of [new SoftwareCustody(store, 0), new SoftwareCustody(store, 0)]) {
            const signature = custody.sign(digest)
            expect(custody.publicKey()).toEqual(key)
            expect(custody.verify(key, digest, signature)).toBe(true)
            expect(custody.verify(key, Buffer.alloc(32), signature)).toBe(false)
            const point = Buffer.concat([Buffer.from([4]), key])
            expect(p256.verify(signature, digest, point, { prehash: false, lowS: false })).toBe(true)
        }
    })

    it("leaves nothing of an erased or replaced key in the store", () => {
        for (const action of ["erase", "generateKey"] as const) {
            const store = new MemoryStore(512)
            const key = made(store)
            const [secret] = privateKeys(store, key)
            expect(Buffer.from(p256.getPublicKey(secret, false)).subarray(1)).toEqual(key)
            new SoftwareCustody(store, 0)[action]()
            expect(store.cells.includes(secret)).toBe(false)
            expect(new SoftwareCustody(store, 0).state().keyPresent).toBe(action === "generateKey")
        }
    })

    it("has erased all of it once it is asked again, wherever power went", () => {
        const store = new MemoryStore(512)
        const key = made(store)
        const [secret] = privateKeys(store, key)
        for (let cut = 0; ; ++cut) {
            const copy = new MemoryStore(512)
            store.cells.copy(copy.cells)
            copy.cutAfter = cut
            let ended = true
            try {
                new SoftwareCustody(copy, 0).erase()
            } catch (error) {
                expect(error).toBeInstanceOf(Cut)
                ended = false
            }
            copy.cutAfter = Number.POSITIVE_INFINITY
            const after = new SoftwareCustody(copy, 0)
            if (after.state().keyPresent) expect(after.publicKey()).toEqual(key)
            else expect(copy.cells.includes(secret)).toBe(false)
            if (ended) break
        }
    })

    it("keeps the counter over erase, key change and power cuts; it never goes down", () => {
        const store = new MemoryStore(512)
        made(store)
        const custody = new SoftwareCustody(store, 0)
        expect([custody.counter(), custody.incrementCounter(), custody.incrementCounter()]).toEqual([0, 1, 2])
        custody.erase()
        custody.generateKey()
        expect(new SoftwareCustody(store, 0).counter()).toBe(2)
        for (let cut = 0; cut < 110; cut += 7) {
            const before = new SoftwareCustody(store, 0).counter()
            store.cutAfter = cut
            try {
                new SoftwareCustody(store, 0).incrementCounter()
            } catch (error) {
                expect(error).toBeInstanceOf(Cut)
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            expect([before, before + 1]).toContain(new SoftwareCustody(store, 0).counter())
        }
    })

    it("says that the record is damaged, and never shows a key in an error", () => {
        const store = new MemoryStore(512)
        const key = made(store)
        const [secret] = privateKeys(store, key)
        for (let at = 0; at < 211; ++at) {
            store.cells[at] ^= 0x10
            try {
                new SoftwareCustody(store, 0).sign(digest)
            } catch (error) {
                if (!(error instanceof PlombError)) throw error
                expect(error.code).toBe(Code.RecordDamaged)
                expect(`${error.message} ${error.stack}`).not.toContain(secret.toString("hex").slice(0, 16))
            }
            store.cells[at] ^= 0x10
        }
    })
})
