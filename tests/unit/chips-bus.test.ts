import { describe, expect, it } from "vitest"
import { I2cBusModel, type I2cDevice, type Transaction } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { formatTransaction, parseTrace, replay, TraceError } from "../../tools/chips/trace"

class Memory implements I2cDevice {
    octets: number[] = []
    wakes = 0
    low = 0
    constructor(readonly at: number) {}
    answers(address: number) {
        return address === this.at
    }
    write(_address: number, data: Uint8Array) {
        const room = data.subarray(0, 4)
        this.octets = [...room]
        return room.length
    }
    read(_address: number, length: number) {
        return Uint8Array.from({ length }, (_, i) => this.octets[i] ?? 0xff)
    }
    generalCall() {
        this.wakes++
    }
    otherTraffic(microseconds: number) {
        this.low = Math.max(this.low, microseconds)
    }
    powerOff() {}
    powerOn() {}
}

function bench() {
    const clock = new ManualClock()
    const bus = new I2cBusModel(clock)
    const device = new Memory(0x20)
    const other = new Memory(0x21)
    bus.attach(device)
    bus.attach(other)
    return { clock, bus, device, other }
}

describe("I2C bus model", () => {
    it("carries a write and a read with repeated START", () => {
        const { bus } = bench()
        expect(bus.transfer(0x20, Uint8Array.of(1, 2), 3)).toEqual({ status: 0, data: Uint8Array.of(1, 2, 0xff) })
    })

    it("tells an unacknowledged address from an unacknowledged data octet", () => {
        const { bus } = bench()
        expect(bus.transfer(0x30, Uint8Array.of(1), 0).status).toBe(-1)
        expect(bus.transfer(0x20, Uint8Array.of(1, 2, 3, 4, 5), 1)).toEqual({ status: -2, data: new Uint8Array(0) })
    })

    it("hands a general call to every part and reports the missing acknowledge", () => {
        const { bus, device, other } = bench()
        expect(bus.transfer(0, new Uint8Array(0), 0).status).toBe(-1)
        expect([device.wakes, other.wakes]).toEqual([1, 1])
    })

    it("stays stuck until nine clocks", () => {
        const { bus } = bench()
        bus.faults = { plan: [{ transaction: 2, kind: "stuck" }] }
        const one = () => bus.transfer(0x20, Uint8Array.of(1), 0).status
        expect([one(), one(), one()]).toEqual([0, -3, -3])
        bus.nineClocks()
        expect(one()).toBe(0)
    })

    it("follows a fault plan by transaction, by address, by octet and by bit", () => {
        const { bus, device } = bench()
        bus.faults = {
            nackAddress: new Set([0x21]),
            plan: [
                { transaction: 2, address: 0x20, kind: "nackData", octet: 1 },
                { transaction: 4, kind: "flip", octet: 1, bit: 7 },
                { transaction: 5, kind: "nackAddress", times: 2 },
            ],
        }
        const write = () => bus.transfer(0x20, Uint8Array.of(1, 2, 3), 3)
        expect(bus.transfer(0x21, new Uint8Array(0), 1).status).toBe(-1)
        expect(write().status).toBe(0)
        expect(write().status).toBe(-2)
        expect(device.octets).toEqual([1])
        expect(write()).toEqual({ status: 0, data: Uint8Array.of(1, 0x82, 3) })
        expect([write().status, write().status, write().status]).toEqual([-1, -1, 0])
    })

    it("counts the time a transaction takes and can move a virtual clock by it", () => {
        const { bus, clock } = bench()
        bus.onElapsed = ms => clock.advance(ms)
        bus.transfer(0x20, Uint8Array.of(1, 2), 2)
        // START, address, 2 octets, START, address, 2 octets, STOP at 10 us a bit.
        expect(bus.busyMs).toBeCloseTo(0.56, 6)
        expect(clock.nowMs()).toBeCloseTo(0.56, 6)
    })

    it("shows other parts how long SDA was low on end", () => {
        const { bus, other } = bench()
        bus.transfer(0x20, Uint8Array.of(0, 0), 0)
        // 0x40: six zeros and the acknowledge, then 2 x 9 zeros = 25 bits of 10 us.
        expect(other.low).toBeCloseTo(250, 6)
    })

    it("writes a trace that replays without difference, and shows a changed octet", () => {
        const first = bench()
        const lines: string[] = []
        first.bus.onTransaction = (t: Transaction) => lines.push(formatTransaction(t))
        first.bus.transfer(0x20, Uint8Array.of(1, 2), 3)
        first.bus.transfer(0x22, new Uint8Array(0), 1)
        expect(lines).toEqual(["0 20 0102 3 -> 0 0102ff", "0 22 - 1 -> -1 -"])
        const trace = parseTrace(`# a part\n${lines.join("\n")}\n`)
        expect(replay(trace, bench().bus, () => {})).toEqual([])
        trace[0].data[2] = 0
        expect(replay(trace, bench().bus, () => {}).map(d => d.recorded.number)).toEqual([1])
    })

    it("names the line of a damaged trace", () => {
        expect(() => parseTrace("0 20 - 1 -> 0 ff\n0 20 0 1 -> 0 ff")).toThrow(TraceError)
        expect(() => parseTrace("0 20 - 1 -> 0 ff\n0 20 0 1 -> 0 ff")).toThrow("trace line 2")
    })
})
