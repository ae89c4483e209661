import { beforeEach, describe, expect, it } from "vitest"
import { Atecc608 } from "../../hal/atecc608"
import { configurationDifference, lockData, readConfiguration, writeConfiguration } from "../../hal/atecc608-config"
import { ElementCustody } from "../../hal/keys-element"
import { codeThrown } from "../helpers/errors"
import { bitwiseCrc, FakeElement } from "../helpers/fake-element"
import { ModelTime } from "../helpers/model-time"

/** Configuration zone of a factory-fresh breakout (fact sheet, clause 1.6) with some serial number. */
const fresh = Buffer.from(
    "0123a1b200006003c4c5c6c7eec15500c0000000" +
        "832087208f20c48f8f8f8f8f9f8faf8f" +
        "0000".repeat(7) +
        "af8f" +
        "ffffffff00000000ffffffff00000000" +
        "00".repeat(16) +
        "00005555ffff000000000000" +
        "330033003300" +
        "1c00".repeat(5) +
        "3c00".repeat(7) +
        "1c00",
    "hex",
)

class PowerGone extends Error {}

let zone: Buffer
let keyValid: boolean
let writes: number
let cutAfter: number
let fake: FakeElement
let part: Atecc608

/** The configuration part of the element, from clauses 1.5 and 1.6; power goes after `cutAfter` changes. */
function answer(c: { op: number; p1: number; p2: number; data: Buffer }): Buffer | number {
    const change = (action: () => void) => {
        if (writes >= cutAfter) throw new PowerGone()
        ++writes
        action()
        return 0
    }
    if (c.op === 0x02 && c.p1 === 0x80) return zone.subarray(c.p2 * 4, c.p2 * 4 + 32)
    if (c.op === 0x12 && c.p1 === 0)
        return zone[87] === 0 || c.p2 < 4 || c.p2 === 21 ? 0x0f : change(() => c.data.copy(zone, 4 * c.p2))
    if (c.op === 0x17) {
        const at = c.p1 & 1 ? 86 : 87
        if (zone[at] === 0 || (at === 86 && zone[87] !== 0)) return 0x0f
        if (!(c.p1 & 0x80) && !bitwiseCrc(zone).equals(Buffer.from([c.p2 & 0xff, c.p2 >> 8]))) return 0x0f
        return change(() => {
            zone[at] = 0
        })
    }
    if (c.op === 0x30 && c.p1 === 1) return Buffer.from([keyValid ? 1 : 0, 0, 0, 0])
    if (c.op === 0x40 && zone[87] === 0) {
        if (c.p1 === 4) keyValid = true
        return keyValid ? Buffer.alloc(64, 0x40 + (c.p2 & 15)) : 0x0f
    }
    if (c.op === 0x24) return Buffer.from([5 + c.p1, 0, 0, 0])
    return 0x0f
}

beforeEach(() => {
    new ModelTime().install()
    zone = Buffer.from(fresh)
    keyValid = false
    writes = 0
    cutAfter = Number.POSITIVE_INFINITY
    fake = new FakeElement()
    fake.answer = answer
    part = new Atecc608(fake, 0x60)
})

const slotConfig = (slot: number) => zone.readUInt16LE(20 + 2 * slot)
const keyConfig = (slot: number) => zone.readUInt16LE(96 + 2 * slot)

describe("Configuration of the element", () => {
    it("is a fact sheet's factory zone of 128 octets to begin with", () => {
        expect(fresh).toHaveLength(128)
        expect([slotConfig(0), slotConfig(1), slotConfig(15)]).toEqual([0x2083, 0x2087, 0x8faf])
        expect([keyConfig(0), keyConfig(3), keyConfig(15)]).toEqual([0x0033, 0x001c, 0x001c])
    })

    it("gives each slot its purpose and locks", () => {
        writeConfiguration(part)
        expect([0, 1, 2].map(slotConfig)).toEqual([0x2083, 0x2087, 0x2083])
        expect([0, 1, 2].map(keyConfig)).toEqual([0x0033, 0x0033, 0x0033])
        for (let slot = 3; slot < 8; ++slot) {
            // IsSecret, WriteConfig "never", no private key.
            expect(slotConfig(slot) & 0x8080).toBe(0x8080)
            expect(keyConfig(slot) & 1).toBe(0)
        }
        for (let slot = 8; slot < 16; ++slot) expect([slotConfig(slot), keyConfig(slot)]).toEqual([0x0000, 0x003c])
        expect(zone[87]).toBe(0)
        expect(zone[86]).toBe(0x55)
        expect(configurationDifference(readConfiguration(part))).toEqual([])
    })

    it("leaves counters, serial number and lock words alone", () => {
        Buffer.from("7fffffff00000000", "hex").copy(zone, 52)
        const before = Buffer.from(zone)
        writeConfiguration(part)
        for (const [from, to] of [
            [0, 16],
            [52, 68],
            [84, 86],
            [88, 90],
        ])
            expect(zone.subarray(from, to)).toEqual(before.subarray(from, to))
    })

    it("goes on where power went, whatever the step, and never locks anything half written", () => {
        let steps = 0
        for (cutAfter = 0; ; ++cutAfter) {
            // Every word that is ours differs.
            zone = Buffer.from(fresh)
            zone.fill(0xa5, 20, 52)
            zone.fill(0xa5, 96, 128)
            writes = 0
            fake.answer = c => {
                try {
                    return answer(c)
                } catch (error) {
                    fake.awake = false
                    throw error
                }
            }
            let ended = true
            try {
                writeConfiguration(part)
            } catch (error) {
                expect(error).toBeInstanceOf(PowerGone)
                ended = false
            }
            if (ended) break
            expect(zone[87]).toBe(0x55)
            const limit = cutAfter
            cutAfter = Number.POSITIVE_INFINITY
            writeConfiguration(new Atecc608(fake, 0x60))
            cutAfter = limit
            expect(zone[87]).toBe(0)
            expect(configurationDifference(zone)).toEqual([])
            ++steps
        }
        // Sixteen words and the lock.
        expect(steps).toBe(17)
    })

    it("writes only what differs, and nothing at all the second time", () => {
        writeConfiguration(part)
        const done = writes
        expect(done).toBeLessThan(12)
        writeConfiguration(part)
        expect(writes).toBe(done)
    })

    it("refuses a part locked with other contents, for good", () => {
        zone[87] = 0
        expect(codeThrown(() => writeConfiguration(part))).toBe("ElementConfigForeign")
        expect(writes).toBe(0)
    })

    it("does not lock when the part does not keep what was written", () => {
        fake.answer = c => (c.op === 0x12 && c.p2 === 5 ? 0 : answer(c))
        zone[20] = 0
        expect(codeThrown(() => writeConfiguration(part))).toBe("ReadBackMismatch")
        expect(zone[87]).toBe(0x55)
    })

    it("notices a lock that was acknowledged and did not hold", () => {
        fake.answer = c => (c.op === 0x17 ? 0 : answer(c))
        expect(codeThrown(() => writeConfiguration(part))).toBe("ReadBackMismatch")
    })

    it("takes a lock octet that is neither open nor locked for a fault", () => {
        zone[87] = 0x54
        expect(codeThrown(() => writeConfiguration(part))).toBe("ImpossibleValue")
    })

    it("locks the data zone once, after the configuration", () => {
        expect(codeThrown(() => lockData(part))).toBe("ElementNotLocked")
        writeConfiguration(part)
        lockData(part)
        expect(zone[86]).toBe(0)
        expect(codeThrown(() => lockData(part))).toBe("ElementLocked")
    })
})

describe("Custody in the element", () => {
    const custody = () => new ElementCustody(part, 0)

    it("goes from bare over configured and key to sealed", () => {
        expect(custody().state()).toEqual({ configured: false, keyPresent: false, sealed: false })
        expect(codeThrown(() => custody().generateKey())).toBe("ElementNotLocked")
        custody().configure()
        expect(custody().state()).toEqual({ configured: true, keyPresent: false, sealed: false })
        expect(codeThrown(() => custody().publicKey())).toBe("KeyAbsent")
        expect(codeThrown(() => custody().seal())).toBe("KeyAbsent")
        expect(custody().generateKey()).toEqual(Buffer.alloc(64, 0x40))
        expect(custody().publicKey()).toEqual(Buffer.alloc(64, 0x40))
        custody().seal()
        expect(custody().state()).toEqual({ configured: true, keyPresent: true, sealed: true })
        expect(custody().protection).toBe(1)
    })

    it("tells the nine octets of the serial number", () => {
        expect(custody().serial().toString("hex")).toBe("0123a1b2c4c5c6c7ee")
    })

    it("makes the key in the slot it was given", () => {
        custody().configure()
        expect(new ElementCustody(part, 2).generateKey()).toEqual(Buffer.alloc(64, 0x42))
    })

    it("erases by making another key over the old one", () => {
        custody().configure()
        custody().generateKey()
        fake.commands.length = 0
        custody().erase()
        expect(fake.commands.filter(c => c.op === 0x40)).toEqual([{ op: 0x40, p1: 4, p2: 0, data: Buffer.alloc(0) }])
    })

    it("reads and raises its counter", () => {
        expect([custody().counter(), custody().incrementCounter()]).toEqual([5, 6])
    })

    it("does not bother the part with keys or signatures of a wrong length", () => {
        expect(custody().verify(Buffer.alloc(63), Buffer.alloc(32), Buffer.alloc(64))).toBe(false)
        expect(custody().verify(Buffer.alloc(64), Buffer.alloc(32), Buffer.alloc(65))).toBe(false)
        expect(fake.commands).toEqual([])
    })
})
