import fc from "fast-check"
import { beforeEach, describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { Ade7953 } from "../../hal/ade7953"
import type { Calibration } from "../../hal/ports"
import { codeThrown } from "../helpers/errors"
import { FakeBus } from "../helpers/fake-bus"
import { ModelTime } from "../helpers/model-time"

const calibration: Calibration = {
    voltageGain: 0x410000,
    currentGain: 0x3f0000,
    activePowerGain: 0x400123,
    phase: 0x215,
    nanovoltsPerLsb: 38793,
    nanoamperesPerLsb: 9786,
    microwattSecondsPerLsb: 149691,
}

/** Registers by address with the 32-bit form folded onto the 24-bit one; defaults of the data sheet. */
let registers: Map<number, number>
/** Register 120 and its unlock, WRITE_PROTECT and the no-load thresholds, as the data sheet words them. */
let unlocked: boolean
let writes: string[]
let lastData: number
let spoil: (register: number, value: number) => number
let onRead: (register: number) => void
let front: Ade7953
let time: ModelTime

function reset() {
    registers = new Map([
        [0x004, 0x40],
        [0x102, 0x8004],
        [0x203, 0x00e419],
        [0x22d, 0x100000],
        [0x280, 0x400000],
        [0x281, 0x400000],
        [0x282, 0x400000],
    ])
}

beforeEach(() => {
    reset()
    writes = []
    spoil = (_, value) => value
    onRead = () => {}
    time = new ModelTime()
    time.install()
    const bus = new FakeBus({
        56: (write, length) => {
            const address = write.readUInt16BE(0)
            const register = (address & 0xf00) === 0x300 ? address - 0x100 : address
            if (write.length > 2) {
                const value = write.readUIntBE(2, write.length - 2)
                writes.push(`${address.toString(16)}=${value.toString(16)}`)
                const isProtected = (registers.get(0x040) ?? 0) !== 0 && register !== 0x040
                const isLocked = register === 0x120 && !unlocked
                const isThreshold = register === 0x203 && ((registers.get(0x001) ?? 0) & 1) === 0
                unlocked = register === 0x0fe && value === 0xad
                if (!isProtected && !isLocked && !isThreshold) registers.set(register, value)
                return new Uint8Array(0)
            }
            unlocked = false
            onRead(register)
            let value = register === 0x2ff ? lastData : (registers.get(register === 0x22e ? 0x22d : register) ?? 0)
            if (register === 0x22e) registers.set(0x22d, 0)
            if (register !== 0x2ff && length === 3) lastData = value
            const signed = length === 4 && [0x212].includes(register) && value & 0x800000
            value = spoil(address, signed ? value + 0xff000000 : value)
            const octets = Buffer.alloc(length)
            octets.writeUIntBE(value, 0, length)
            return octets
        },
    })
    front = new Ade7953(bus)
})

const energy = (value: number) => registers.set(0x21e, value & 0xffffff)

describe("ADE7953 driver: start", () => {
    it("waits for the part, unlocks it, sets and protects what it measures with", () => {
        front.start(calibration)
        expect(time.ms).toBeGreaterThanOrEqual(100)
        const at = (write: string) => writes.indexOf(write)
        expect(at("120=30")).toBe(at("fe=ad") + 1)
        expect(registers.get(0x120)).toBe(0x30)
        // Accumulators are never reset by reading, interface locked, signed accumulation.
        expect([registers.get(0x004), registers.get(0x102), registers.get(0x201)]).toEqual([0, 0x0004, 0])
        expect([0x281, 0x280, 0x282, 0x108].map(r => registers.get(r))).toEqual([0x410000, 0x3f0000, 0x400123, 0x215])
        expect(at("303=e419")).toBeGreaterThan(at("1=7"))
        expect(at("1=0")).toBeGreaterThan(at("303=e419"))
        expect(writes.at(-1)).toBe("40=7")
        expect(registers.get(0x22d)).toBe(0)
    })

    it("starts again on a part that is still protected from the last run", () => {
        front.start(calibration)
        front.start({ ...calibration, voltageGain: 0x420000 })
        expect(registers.get(0x281)).toBe(0x420000)
    })

    it.each([
        ["unlock", 0x120],
        ["accumulation", 0x004],
        ["gain", 0x381],
        ["phase", 0x108],
        ["mode", 0x301],
        ["threshold", 0x303],
        ["protection", 0x040],
    ])("refuses a part that does not hold its %s", (_, address) => {
        spoil = (read, value) => (read === address ? value ^ 1 : value)
        expect(codeThrown(() => front.start(calibration))).toBe("ReadBackMismatch")
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
    })

    it("does not mind the state bits beside the accumulation mode", () => {
        registers.set(0x201, 0x010400)
        spoil = (read, value) => (read === 0x301 ? value | 0x010400 : value)
        expect(codeThrown(() => front.start(calibration))).toBe("none")
    })

    it.each([
        { voltageGain: 0x1fffff },
        { currentGain: 0x600001 },
        { activePowerGain: 4194304.5 },
        { phase: 0x400 },
        { phase: 384 },
        { phase: -1 },
        { microwattSecondsPerLsb: 0 },
        { microwattSecondsPerLsb: 0x20000001 },
        { microwattSecondsPerLsb: 0.5 },
    ])("refuses constants out of range: %o", wrong => {
        expect(codeThrown(() => front.start({ ...calibration, ...wrong }))).toBe("BadArgument")
        expect(writes).toEqual([])
    })

    it("says that the part is not there", () => {
        expect(codeThrown(() => new Ade7953(new FakeBus({})).start(calibration))).toBe("PartAbsent")
    })
})

describe("ADE7953 driver: energy", () => {
    it("is the exact sum whatever the register does, over its wrap, in both directions", () => {
        fc.assert(
            fc.property(
                fc.integer({ min: 0, max: 0xffffff }),
                fc.array(fc.integer({ min: -0x7fffff, max: 0x7fffff }), { maxLength: 20 }),
                (from, steps) => {
                    reset()
                    energy(from)
                    front.start(calibration)
                    let at = from
                    for (const step of steps) {
                        at += step
                        energy(at)
                        time.advance(30)
                        expect(front.takeEnergy()).toBe(step * 149691)
                    }
                },
            ),
            { numRuns: 30 },
        )
    })

    it("is an exact integer at the end of its range", () => {
        front.start({ ...calibration, microwattSecondsPerLsb: 0x20000000 })
        energy(0x7fffff)
        expect(BigInt(front.takeEnergy())).toBe(0x7fffffn * 0x20000000n)
    })

    it("loses nothing when an answer is lost on the bus", () => {
        front.start(calibration)
        energy(1000)
        let lost = 2
        spoil = (read, value) => {
            if (read === 0x21e && lost-- > 0) return value ^ 0x40000
            return value
        }
        expect(front.takeEnergy()).toBe(1000 * 149691)
        energy(1500)
        spoil = (read, value) => (read === 0x21e ? value ^ 0x40000 : value)
        expect(codeThrown(() => front.takeEnergy())).toBe("ReadBackMismatch")
        spoil = (_, value) => value
        expect(front.takeEnergy()).toBe(500 * 149691)
    })

    it("goes on over a new start of a part that still counts, in spite of bus faults before it", () => {
        front.start(calibration)
        energy(1000)
        spoil = () => {
            throw new PlombError(Code.BusAddressNack, -1, "", "")
        }
        expect(codeThrown(() => front.takeEnergy())).toBe("BusAddressNack")
        expect(codeThrown(() => front.start(calibration))).toBe("PartAbsent")
        spoil = (read, value) => (read === 0x303 ? 0 : value)
        expect(codeThrown(() => front.start(calibration))).toBe("ReadBackMismatch")
        spoil = (_, value) => value
        energy(1500)
        front.start({ ...calibration, phase: 3 })
        energy(1700)
        expect(front.takeEnergy()).toBe(1700 * 149691)
    })

    it("begins at nothing where the part was reset in the midst of a new start", () => {
        front.start(calibration)
        energy(1000)
        onRead = register => {
            if (register === 0x040) {
                reset()
                onRead = () => {}
            }
        }
        front.start(calibration)
        energy(20)
        expect(front.takeEnergy()).toBe(20 * 149691)
    })

    it("does not take one damaged transfer for a reset", () => {
        front.start(calibration)
        for (const address of [0x120, 0x32d]) {
            energy(500)
            let struck = false
            spoil = (read, value) => {
                if (read !== address || struck) return value
                struck = true
                return value ^ 0x100000 ^ (address === 0x120 ? 0x100010 : 0)
            }
            expect(front.takeEnergy()).toBe(500 * 149691)
            front.start(calibration)
            spoil = (_, value) => value
            energy(0)
            front.takeEnergy()
        }
    })

    it("is not guessed after a reset, nor later without a new start", () => {
        front.start(calibration)
        energy(1000)
        reset()
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
        expect(codeThrown(() => front.measure())).toBe("FrontEndReset")
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
        front.start(calibration)
        energy(7)
        expect(front.takeEnergy()).toBe(7 * 149691)
    })

    it.each([
        ["before its interrupt flag shows", () => registers.set(0x22d, 0)],
        ["even where only the flag shows", () => registers.set(0x120, 0x30)],
    ])("is not guessed after a reset %s", (_, state) => {
        front.start(calibration)
        reset()
        state()
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
    })

    it("notices a reset between reading energy and checking", () => {
        front.start(calibration)
        energy(5)
        onRead = register => {
            if (register === 0x2ff) reset()
        }
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
    })

    it("is taken after 40 s at most: later the register may have wrapped unseen", () => {
        front.start(calibration)
        time.advance(40000)
        energy(3)
        expect(front.takeEnergy()).toBe(3 * 149691)
        time.advance(40001)
        energy(10)
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndOverdue")
        energy(12)
        expect(front.takeEnergy()).toBe(2 * 149691)
    })
})

describe("ADE7953 driver: present values", () => {
    it("scales full scale, both directions, by the figures of the data sheet", () => {
        front.start(calibration)
        registers.set(0x21c, 9032007)
        registers.set(0x21a, 9032007)
        registers.set(0x212, 4862401)
        registers.set(0x10e, 4474)
        // 350.4 V and 88.4 A rms: 30,971 W.
        expect(front.measure()).toEqual({
            millivolts: 350379,
            milliamperes: 88387,
            milliwatts: 30971068,
            millihertz: 50000,
            noLoad: false,
        })
        registers.set(0x212, 0x1000000 - 4862401)
        expect(front.measure().milliwatts).toBe(-30971068)
    })

    it("has no frequency where there is no line, and tells no-load", () => {
        front.start(calibration)
        registers.set(0x201, 0x010000)
        expect(front.measure()).toEqual({ millivolts: 0, milliamperes: 0, milliwatts: 0, millihertz: 0, noLoad: true })
    })

    it.each([
        [0x31c, 0x01000000],
        [0x31a, 0xffffffff],
        [0x312, 0x00800000],
        [0x312, 0xff000000],
    ])("takes register %d = %d for a fault", (address, value) => {
        front.start(calibration)
        spoil = (read, was) => (read === address ? value : was)
        expect(codeThrown(() => front.measure())).toBe("ImpossibleValue")
    })
})
