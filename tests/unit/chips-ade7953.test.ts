import { describe, expect, it } from "vitest"
import { Ade7953, type Ade7953Options } from "../../tools/chips/ade7953"
import { type BoardError, boardErrorOf, boardScale, perfectBoard } from "../../tools/chips/board-error"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { constantLoad, type LoadSource, pointOf } from "../../tools/chips/load-source"

/** Volt-amperes that fill both inputs at gain 1. */
const fullScale = boardScale.volts * boardScale.amperes

function bench(load: LoadSource, options: Partial<Ade7953Options> = {}) {
    const clock = new ManualClock()
    const bus = new I2cBusModel(clock)
    const chip = new Ade7953({ clock, load, ...options })
    bus.attach(chip)
    chip.powerOn()
    clock.advance(110)
    const widths = [1, 2, 3, 4]
    const width = (a: number) => (a === 0x702 || a === 0x800 ? 1 : widths[a >> 8])
    const write = (a: number, value: number) => {
        const octets = [a >> 8, a & 0xff]
        for (let i = width(a) - 1; i >= 0; i--) octets.push(Math.floor(value / 256 ** i) & 0xff)
        return bus.transfer(0x38, Uint8Array.from(octets), 0).status
    }
    const read = (a: number) => {
        const { status, data } = bus.transfer(0x38, Uint8Array.of(a >> 8, a & 0xff), width(a))
        expect(status).toBe(0)
        return data.reduce((sum, octet) => sum * 256 + octet, 0)
    }
    const signed = (a: number) => (width(a) === 4 ? read(a) | 0 : (read(a) << 8) >> 8)
    const unlock = () => {
        write(0x0fe, 0xad)
        write(0x120, 0x30)
    }
    return { clock, bus, chip, write, read, signed, unlock }
}

function started(load: LoadSource, board?: BoardError) {
    const b = bench(load, { board })
    b.unlock()
    return b
}

describe("ADE7953 model, access", () => {
    it("answers 100 ms after power with the documented defaults", () => {
        const clock = new ManualClock()
        const bus = new I2cBusModel(clock)
        const chip = new Ade7953({ clock, load: constantLoad(0) })
        bus.attach(chip)
        chip.powerOn()
        clock.advance(99)
        expect(bus.transfer(0x38, Uint8Array.of(1, 2), 2).status).toBe(-1)
        clock.advance(1)
        expect([...bus.transfer(0x38, Uint8Array.of(1, 2), 2).data]).toEqual([0x80, 0x04])
        const { read } = bench(constantLoad(0))
        const values = [0x004, 0x100, 0x103, 0x107, 0x203, 0x22c, 0x281, 0x290, 0x224].map(read)
        expect(values).toEqual([0x40, 0xffff, 0x3f, 0x300, 0xe419, 0x100000, 0x400000, 0x400000, 0xffffff])
        expect(read(0x702)).not.toBe(0)
    })

    it("shows one register under its 24-bit and its 32-bit address, sign-extended where signed", () => {
        const { write, read } = bench(constantLoad(0))
        write(0x280, 0x412345)
        expect(read(0x380)).toBe(0x412345)
        write(0x389, 0xfffffff0)
        expect(read(0x289)).toBe(0xfffff0)
        expect(read(0x389)).toBe(0xfffffff0)
    })

    it("takes 0x120 only directly after the key AD", () => {
        const { chip, write, read } = bench(constantLoad(0))
        write(0x120, 0x30)
        expect(read(0x120)).toBe(0)
        write(0x0fe, 0xad)
        read(0x102)
        write(0x120, 0x30)
        expect(read(0x120)).toBe(0)
        write(0x0fe, 0xae)
        write(0x120, 0x30)
        expect(chip.inSpecification).toBe(false)
        write(0x0fe, 0xad)
        write(0x120, 0x30)
        expect(read(0x120)).toBe(0x30)
        expect(chip.inSpecification).toBe(true)
    })

    it("resets by CONFIG bit 7 at once: last octet not acknowledged, silence, defaults, RESET flag", () => {
        const { clock, write, read, chip } = bench(constantLoad(0))
        write(0x280, 0x410000)
        read(0x22e)
        expect(chip.interruptLow).toBe(false)
        expect(write(0x102, 0x0084)).toBe(-2)
        expect(write(0x102, 0x0004)).toBe(-1)
        clock.advance(101)
        expect(read(0x280)).toBe(0x400000)
        expect(chip.interruptLow).toBe(true)
        expect(read(0x22d) & 0x100000).toBe(0x100000)
        expect(read(0x22e) & 0x100000).toBe(0x100000)
        expect(read(0x22d) & 0x100000).toBe(0)
    })

    it("acknowledges and ignores writes to protected registers, each width by its bit", () => {
        const { write, read } = bench(constantLoad(0))
        for (const [bit, address] of [
            [1, 0x000],
            [2, 0x101],
            [4, 0x280],
        ]) {
            const before = read(address)
            expect(write(0x040, bit)).toBe(0)
            expect(write(address, before + 5)).toBe(0)
            expect(read(address)).toBe(before)
            write(0x040, 7 - bit)
            write(address, before + 5)
            expect(read(address)).toBe(before + 5)
        }
    })

    it("keeps the last transfer for verification: operation, address, data by width", () => {
        const { write, read } = bench(constantLoad(0))
        write(0x280, 0x123456)
        expect([read(0x0fd), read(0x1fe), read(0x2ff)]).toEqual([0xca, 0x280, 0x123456])
        read(0x102)
        expect([read(0x0fd), read(0x1fe), read(0x1ff)]).toEqual([0x35, 0x102, 0x8004])
        write(0x389, 0xfffffff0)
        expect(read(0x3ff)).toBe(0xfffffff0)
    })

    it("changes its CRC when, and only when, the configuration changes", () => {
        const { write, read } = bench(constantLoad(0))
        expect(read(0x37f)).toBe(0xffffffff)
        write(0x102, 0x0104)
        const first = read(0x37f)
        read(0x22e)
        write(0x280, 0x400000)
        expect(read(0x37f)).toBe(first)
        expect(read(0x22d) & 0x200000).toBe(0)
        write(0x040, 0x07)
        expect(read(0x37f)).not.toBe(first)
        expect(read(0x22d) & 0x200000).toBe(0x200000)
    })

    it("loses its interface to a glitch unless COMM_LOCK was written 0, until a power cycle", () => {
        const { chip, write, clock } = bench(constantLoad(0))
        chip.glitch()
        expect(write(0x000, 1)).toBe(-1)
        chip.powerOff()
        chip.powerOn()
        clock.advance(110)
        expect(write(0x102, 0x0004)).toBe(0)
        chip.glitch()
        expect(write(0x000, 1)).toBe(0)
    })
})

describe("ADE7953 model, measurement", () => {
    it("gives the full-scale values of the data sheet", () => {
        const { read, signed } = started(constantLoad(fullScale, 0, boardScale.volts))
        expect([read(0x21c), read(0x21a)]).toEqual([9032007, 9032007])
        expect([signed(0x212), signed(0x214), signed(0x210)]).toEqual([4862401, 0, 4862401])
        expect(read(0x10a)).toBe(0x7fff)
    })

    it("counts 206 900 energy LSB per second at full scale and wraps after 40.5 s", () => {
        const { clock, write, read, signed } = started(constantLoad(fullScale, 0, boardScale.volts))
        write(0x004, 0x00)
        const start = signed(0x21e)
        clock.advance(10_000)
        expect(signed(0x21e) - start).toBeCloseTo(2_069_000, -1)
        expect(read(0x22d) & 0b1001).toBe(0)
        clock.advance(12_000)
        expect(read(0x22d) & 0b1001).toBe(0b0001)
        clock.advance(20_000)
        expect(signed(0x21e)).toBeLessThan(0)
        expect(read(0x22d) & 0b1000).toBe(0b1000)
    })

    it("is 1.5 % off while the reserved register is not set", () => {
        const { signed, unlock } = bench(constantLoad(10_000))
        const before = signed(0x212)
        unlock()
        expect(before / signed(0x212)).toBeCloseTo(0.985, 4)
    })

    it("gives the line period: 50 Hz is 4474", () => {
        expect(started(constantLoad(100)).read(0x10e)).toBe(4474)
    })

    it("gives the delay from voltage to current in 4.47 us steps", () => {
        const { read } = started(constantLoad(0, 1000))
        // 90 degrees at 50 Hz are 5 ms.
        expect(read(0x10c)).toBe(Math.round(5000 / 4.47))
    })

    it("applies gains, PGA and offsets", () => {
        const { write, read, signed } = started(constantLoad(2300))
        const [v, i, w] = [read(0x21c), read(0x21a), signed(0x212)]
        write(0x281, 0x440000)
        write(0x280, 0x3c0000)
        write(0x282, 0x420000)
        expect(read(0x21c) / v).toBeCloseTo(0x44 / 0x40, 5)
        expect(read(0x21a) / i).toBeCloseTo(0x3c / 0x40, 5)
        expect(signed(0x212) / w).toBeCloseTo((0x44 * 0x3c * 0x42) / 0x40 ** 3, 5)
        write(0x008, 1)
        expect(read(0x21a) / i).toBeCloseTo((2 * 0x3c) / 0x40, 4)
        const before = signed(0x212)
        write(0x289, 0xfffff6)
        expect(signed(0x212) - before).toBe(-10)
    })

    it("needs its thresholds written while no-load detection is off", () => {
        const { write, read } = started(constantLoad(0))
        write(0x203, 0x00f000)
        expect(read(0x203)).toBe(0xe419)
        write(0x001, 0x07)
        write(0x203, 0x00f000)
        write(0x001, 0x00)
        expect(read(0x203)).toBe(0xf000)
    })

    it("stops counting below the no-load threshold (1 : 10 000 by default) and flags it", () => {
        const below = started(constantLoad(fullScale / 10_500))
        below.clock.advance(60_000)
        expect(below.signed(0x21e)).toBe(0)
        expect(below.read(0x201) & (1 << 16)).toBe(1 << 16)
        expect(below.read(0x22d) & (1 << 6)).toBe(1 << 6)
        const above = started(constantLoad(fullScale / 9_500))
        above.clock.advance(60_000)
        expect(above.signed(0x21e)).toBeGreaterThan(1000)
        below.write(0x001, 1)
        below.clock.advance(60_000)
        expect(below.signed(0x21e)).toBeGreaterThan(1000)
    })

    it("accumulates signed, positive only or absolute", () => {
        const fed = constantLoad(-5000)
        const signs = [0, 1, 2].map(mode => {
            const { clock, write, signed } = started(fed)
            write(0x201, mode)
            signed(0x21e)
            clock.advance(10_000)
            return Math.sign(signed(0x21e))
        })
        expect(signs).toEqual([-1, 0, 1])
        const { read } = started(fed)
        expect(read(0x201) & (1 << 10)).toBe(1 << 10)
    })

    it("splits a change of sign exactly where it happens", () => {
        const ramp: LoadSource = {
            at: s => pointOf(1000 - 100 * s, 0, 230, 50),
            nextChange: () => Number.POSITIVE_INFINITY,
        }
        const { clock, write, signed } = started(ramp)
        write(0x001, 7)
        write(0x201, 1)
        signed(0x21e)
        const from = clock.nowMs() / 1000
        clock.advance(30_000)
        const trueWs = ((1000 - 100 * from) * (10 - from)) / 2
        expect(signed(0x21e)).toBeCloseTo((trueWs * 206_900) / fullScale, -1)
    })

    it("has a second channel with its own gain", () => {
        const { clock, write, signed } = started(constantLoad(1000))
        write(0x28e, 0x200000)
        signed(0x21e)
        signed(0x21f)
        clock.advance(100_000)
        expect(signed(0x21e) / signed(0x21f)).toBeCloseTo(2, 3)
    })
})

describe("ADE7953 model, the traps", () => {
    it("read-with-reset: a second read in one window, even by the other address, is a false zero", () => {
        const { clock, read } = started(constantLoad(5000))
        clock.advance(1000)
        expect(read(0x21e)).toBeGreaterThan(10_000)
        expect(read(0x21e)).toBe(0)
        clock.advance(1000)
        expect(read(0x31e)).toBeGreaterThan(10_000)
        expect(read(0x21e)).toBe(0)
    })

    it("read-with-reset: energy whose answer was lost on the bus is gone", () => {
        const { bus, clock, read } = started(constantLoad(5000))
        read(0x21e)
        clock.advance(1000)
        bus.faults.plan = [{ transaction: bus.transactions + 1, kind: "flip", octet: 0, bit: 7 }]
        expect(read(0x21e)).toBeGreaterThan(0x800000)
        expect(read(0x21e)).toBe(0)
    })

    it("with RSTREAD off reading takes nothing", () => {
        const { clock, write, read } = started(constantLoad(5000))
        write(0x004, 0x00)
        clock.advance(1000)
        const first = read(0x21e)
        expect(first).toBeGreaterThan(10_000)
        expect(read(0x21e)).toBe(first)
    })

    it("line-cycle mode: holds the last whole period, reads zero again until the next end", () => {
        const { clock, write, read } = started(constantLoad(5000))
        write(0x101, 100)
        write(0x004, 0x41)
        clock.advance(900)
        expect(read(0x21e)).toBe(0)
        expect(read(0x22d) & (1 << 18)).toBe(0)
        clock.advance(200)
        expect(read(0x22d) & (1 << 18)).toBe(1 << 18)
        const second = Math.trunc((5000 * 206_900) / fullScale)
        expect(Math.abs(read(0x21e) - second)).toBeLessThan(20)
        expect(read(0x21e)).toBe(0)
        clock.advance(1000)
        expect(Math.abs(read(0x21e) - second)).toBeLessThan(20)
        write(0x004, 0x01)
        clock.advance(5000)
        const held = read(0x21e)
        expect(read(0x21e)).toBe(held)
        expect(Math.abs(held - second)).toBeLessThan(20)
    })

    it("line-cycle mode: a new LINECYC counts from the end of the running period", () => {
        const { clock, write, read } = started(constantLoad(5000))
        write(0x101, 100)
        write(0x004, 0x01)
        clock.advance(500)
        write(0x101, 200)
        clock.advance(520)
        const first = read(0x21e)
        expect(first).toBeGreaterThan(0)
        clock.advance(1500)
        expect(read(0x21e)).toBe(first)
        clock.advance(520)
        expect(read(0x21e) / first).toBeCloseTo(2, 2)
    })

    it("line-cycle mode: without mains there are no cycles and no results", () => {
        const { clock, write, read } = started(constantLoad(0, 0, 0))
        write(0x101, 10)
        write(0x004, 0x01)
        clock.advance(10_000)
        expect(read(0x22d) & (1 << 18)).toBe(0)
        expect(read(0x22d) & (1 << 14)).toBe(1 << 14)
    })

    it("a current transformer's lead turns power at low power factor negative; PHCAL corrects it", () => {
        const lead = (0.5 * Math.PI) / 180
        const board = { ...perfectBoard, leadA: lead, leadB: lead }
        const nearlyPureCapacitor = pointOf(5, -1500, 230, 50)
        const load = { at: () => nearlyPureCapacitor, nextChange: () => Number.POSITIVE_INFINITY }
        const { write, signed } = started(load, board)
        const perWatt = 4_862_401 / fullScale
        expect(signed(0x212) / perWatt).toBeCloseTo(5 - 1500 * lead, 0)
        write(0x108, Math.round(lead / (1.117e-6 * 2 * Math.PI * 50)))
        // Half a step of phase is 0.0002 rad, 0.3 W of 1500 var.
        expect(Math.abs(signed(0x212) / perWatt - 5)).toBeLessThan(0.3)
        write(0x108, 0x200 | 25)
        expect(signed(0x212) / perWatt).toBeLessThan(5 - 1500 * lead)
    })

    it("can be told that the part's phase register works the other way round", () => {
        const plain = bench(constantLoad(100, 1000))
        const turned = bench(constantLoad(100, 1000), { positivePhcalDelaysCurrent: false })
        plain.write(0x108, 50)
        turned.write(0x108, 0x200 | 50)
        expect(plain.signed(0x212)).toBe(turned.signed(0x212))
    })

    it("a board's error shows in what it measures, the same for the same serial", () => {
        const error = boardErrorOf(4711)
        expect(error).toEqual(boardErrorOf(4711))
        expect(error).not.toEqual(boardErrorOf(4712))
        const right = started(constantLoad(2300)).signed(0x212)
        const wrong = started(constantLoad(2300), error).signed(0x212)
        const expected = (1 + error.voltage) * (1 + error.currentA) * Math.cos(error.leadA)
        expect(wrong / right).toBeCloseTo(expected, 5)
        for (let serial = 0; serial < 200; serial++) {
            const e = boardErrorOf(serial)
            expect(Math.max(Math.abs(e.voltage), Math.abs(e.currentA))).toBeLessThanOrEqual(0.02)
            expect(e.leadA).toBeGreaterThan(0.0017)
        }
    })
})
