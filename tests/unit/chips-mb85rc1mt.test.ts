import { describe, expect, it } from "vitest"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { Mb85rc1mt } from "../../tools/chips/mb85rc1mt"
import { PowerCut } from "../../tools/chips/power-cut"

function bench(options = {}) {
    const clock = new ManualClock()
    const bus = new I2cBusModel(clock)
    const fram = new Mb85rc1mt({ clock, ...options })
    bus.attach(fram)
    fram.powerOn()
    const write = (address: number, ...octets: number[]) => bus.transfer(address, Uint8Array.from(octets), 0).status
    const read = (address: number, at: number[], n: number) => [...bus.transfer(address, Uint8Array.from(at), n).data]
    return { clock, bus, fram, write, read }
}

describe("MB85RC1MT model", () => {
    it("keeps two banks apart by the lowest address bit", () => {
        const { write, read } = bench()
        write(0x50, 0x12, 0x34, 1)
        write(0x51, 0x12, 0x34, 2)
        expect(read(0x50, [0x12, 0x34], 1)).toEqual([1])
        expect(read(0x51, [0x12, 0x34], 1)).toEqual([2])
    })

    it("crosses 0x0FFFF upwards and rolls from 0x1FFFF to 0, writing and reading", () => {
        const { write, read, fram } = bench()
        write(0x50, 0xff, 0xff, 1, 2)
        expect([fram.memory[0xffff], fram.memory[0x10000]]).toEqual([1, 2])
        write(0x51, 0xff, 0xff, 3, 4)
        expect(read(0x51, [0xff, 0xff], 2)).toEqual([3, 4])
        expect(fram.memory[0]).toBe(4)
    })

    it("goes on at the last address + 1 in a current-address read, whatever bank the read names", () => {
        const { bus, write, read } = bench()
        write(0x50, 0, 0, 1, 2, 3)
        expect(read(0x50, [0, 0], 1)).toEqual([1])
        expect([...bus.transfer(0x51, new Uint8Array(0), 2).data]).toEqual([2, 3])
    })

    it("answers device identification 00 A7 58 for its own device octet only", () => {
        const { bus, read } = bench()
        expect(read(0x7c, [0xa0], 3)).toEqual([0x00, 0xa7, 0x58])
        expect(read(0x7c, [0xa2], 3)).toEqual([0x00, 0xa7, 0x58])
        expect(bus.transfer(0x7c, Uint8Array.of(0xa4), 3).status).toBe(-2)
        expect(bus.transfer(0x7c, new Uint8Array(0), 3).status).toBe(-1)
    })

    it("listens to the addresses its pins say", () => {
        const { bus } = bench({ pins: 3 })
        const ask = (a: number) => bus.transfer(a, Uint8Array.of(0, 0), 1).status
        expect([0x50, 0x56, 0x57].map(ask)).toEqual([-1, 0, 0])
    })

    it("drops writes under WP though it acknowledges them, or refuses them when told to", () => {
        const { fram, write, read } = bench()
        fram.writeProtect = true
        expect(write(0x50, 0, 5, 9)).toBe(0)
        expect(read(0x50, [0, 5], 1)).toEqual([0])
        const strict = bench({ wpNacks: true })
        strict.fram.writeProtect = true
        expect(strict.write(0x50, 0, 5, 9)).toBe(-2)
        expect(strict.read(0x50, [0, 5], 1)).toEqual([0])
    })

    it("loses power after exactly n stored octets, leaving a prefix of the burst", () => {
        const { fram, write, clock } = bench()
        write(0x50, 0, 0, 9, 9, 9, 9)
        fram.cutAfterWrites(2)
        expect(() => write(0x50, 0, 0, 1, 2, 3, 4)).toThrow(PowerCut)
        fram.powerOff()
        expect([...fram.memory.subarray(0, 4)]).toEqual([1, 2, 9, 9])
        const next = new Mb85rc1mt({ clock })
        next.load(fram.save())
        expect([...next.memory.subarray(0, 4)]).toEqual([1, 2, 9, 9])
    })

    it("can lose power before the first octet, at an octet, and after a whole transaction", () => {
        const { fram, write } = bench()
        fram.cutAfterWrites(0)
        expect(() => write(0x50, 0, 0, 1)).toThrow(PowerCut)
        expect(fram.writes).toBe(0)
        fram.cutAtWrite(2)
        expect(() => write(0x50, 0, 0, 1, 2)).toThrow(PowerCut)
        expect([fram.writes, fram.memory[0], fram.memory[1]]).toEqual([1, 1, 0])
        fram.cutAfterWrites(2, "transaction")
        expect(write(0x50, 0, 0, 5, 6)).toBe(0)
        expect(() => write(0x50, 0, 2, 7, 8)).toThrow(PowerCut)
        expect([...fram.memory.subarray(0, 4)]).toEqual([5, 6, 7, 8])
        expect(write(0x50, 0, 0, 1)).toBe(0)
    })

    it("does not count setting an address as a write", () => {
        const { fram, read } = bench()
        fram.cutAfterWrites(0)
        read(0x50, [0, 0], 4)
        expect([fram.writes, fram.writeTransactions]).toEqual([0, 0])
    })

    it("sleeps on F8, device octet, 86, wakes on being addressed and is ready 400 us later", () => {
        const { bus, clock, write } = bench()
        expect(bus.transfer(0x43, new Uint8Array(0), 0).status).toBe(-1)
        bus.transfer(0x7c, Uint8Array.of(0xa0), 0)
        expect(bus.transfer(0x43, new Uint8Array(0), 0).status).toBe(0)
        expect(write(0x50, 0, 0, 1)).toBe(-1)
        clock.advance(0.3)
        expect(write(0x50, 0, 0, 1)).toBe(-1)
        clock.advance(0.2)
        expect(write(0x50, 0, 0, 1)).toBe(0)
    })

    it("answers nothing without power and refuses a state of the wrong size", () => {
        const { fram, write } = bench()
        fram.powerOff()
        expect(write(0x50, 0, 0, 1)).toBe(-1)
        expect(() => fram.load(new Uint8Array(3))).toThrow("131072")
    })
})
