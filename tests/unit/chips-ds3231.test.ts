import { describe, expect, it } from "vitest"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { Ds3231, type Ds3231Options } from "../../tools/chips/ds3231"

function bench(options: Partial<Ds3231Options> = {}) {
    const clock = new ManualClock()
    const bus = new I2cBusModel(clock)
    const rtc = new Ds3231({ clock, ...options })
    bus.attach(rtc)
    rtc.powerOn()
    const write = (...octets: number[]) => bus.transfer(0x68, Uint8Array.from(octets), 0).status
    const read = (from: number, n: number) =>
        Buffer.from(bus.transfer(0x68, Uint8Array.of(from), n).data).toString("hex")
    return { clock, bus, rtc, write, read }
}

const minute = 60_000
const day = 86_400_000

describe("DS3231 model", () => {
    it("wakes with control 1C, status 88 and the stop flag set", () => {
        expect(bench().read(0x0e, 3)).toMatch(/^1c8c00$/)
        const { clock, read } = bench()
        clock.advance(1000)
        expect(read(0x0e, 2)).toBe("1c88")
    })

    it("counts BCD through a leap day, the year and the century", () => {
        const { clock, write, read } = bench()
        write(0, 0x59, 0x59, 0x23, 3, 0x28, 0x02, 0x24)
        clock.advance(1000)
        expect(read(0, 7)).toBe("00000004290224")
        clock.advance(day)
        expect(read(0, 7)).toBe("00000005010324")
        write(0, 0x58, 0x59, 0x23, 7, 0x31, 0x12, 0x99)
        clock.advance(2000)
        expect(read(0, 7)).toBe("00000001018100")
        write(0, 0x00, 0x00, 0x00, 1, 0x28, 0x02, 0x25)
        clock.advance(day)
        expect(read(4, 3)).toBe("010325")
    })

    it("takes 2100 for a leap year, as the part does", () => {
        const { clock, write, read } = bench()
        write(0, 0, 0, 0, 1, 0x28, 0x82, 0x00)
        clock.advance(day)
        expect(read(4, 3)).toBe("298200")
    })

    it("jumps years at once", () => {
        const { clock, write, read } = bench()
        write(0, 0, 0, 0, 1, 0x01, 0x01, 0x26)
        clock.advance((365 + 365 + 366) * day)
        expect(read(4, 3)).toBe("010129")
    })

    it("keeps 12-hour mode: 11 PM to 12 AM, 12 PM to 1 PM", () => {
        const { clock, write, read } = bench()
        write(0, 0x59, 0x59, 0x71, 1, 1, 1, 0x26)
        clock.advance(1000)
        expect(read(0, 5)).toBe("0000520202")
        write(0, 0x59, 0x59, 0x72, 1, 1, 1, 0x26)
        clock.advance(1000)
        expect(read(2, 1)).toBe("61")
    })

    it("latches the time at START and again when the pointer wraps to 0", () => {
        const { bus, clock, write, rtc } = bench({ celsius: 25.25 })
        write(0, 0x59, 0x59, 0x23, 1, 1, 1, 0x26)
        bus.transfer(0x68, Uint8Array.of(0x12), 0)
        clock.advance(1000)
        expect(Buffer.from(rtc.read(0x68, 4)).toString("hex")).toBe("40000000")
    })

    it("starts a new second when the seconds are written", () => {
        const { clock, write, read } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        clock.advance(900)
        write(0, 0x10)
        clock.advance(900)
        expect(read(0, 1)).toBe("10")
        clock.advance(100)
        expect(read(0, 1)).toBe("11")
    })

    it("clears a flag only by writing 0, never sets one by writing 1", () => {
        const { clock, write, read } = bench()
        clock.advance(1000)
        write(0x0f, 0xff)
        expect(read(0x0f, 1)).toBe("88")
        write(0x0f, 0x00)
        expect(read(0x0f, 1)).toBe("00")
        write(0x0f, 0x83)
        expect(read(0x0f, 1)).toBe("00")
    })

    it("does not clear the stop flag when the time is set", () => {
        const { write, read } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0x80)
    })

    it("runs on on battery", () => {
        const { clock, write, read, rtc } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        write(0x0f, 0)
        rtc.powerOff()
        clock.advance(90 * minute)
        rtc.powerOn()
        expect(read(0, 3)).toBe("003001")
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0)
    })

    it("loses the time and raises the stop flag when the battery is taken while the supply is off", () => {
        const { clock, write, read, rtc } = bench()
        write(0, 0x30, 0x30, 0x12, 1, 1, 1, 0x26)
        write(0x0f, 0)
        rtc.powerOff()
        rtc.setBattery(false)
        clock.advance(minute)
        rtc.setBattery(true)
        clock.advance(minute)
        rtc.powerOn()
        expect(read(0, 7)).toBe("00000001010100")
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0x80)
    })

    it("survives a battery change under supply, and a loss of supply without battery stops it", () => {
        const { write, read, rtc } = bench()
        write(0x0f, 0)
        rtc.setBattery(false)
        rtc.setBattery(true)
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0)
        rtc.setBattery(false)
        rtc.powerOff()
        rtc.powerOn()
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0x80)
    })

    it("stops on battery with EOSC# set, runs on supply all the same", () => {
        const { clock, write, read, rtc } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        write(0x0e, 0x9c, 0)
        clock.advance(5000)
        expect(read(0, 1)).toBe("05")
        rtc.powerOff()
        clock.advance(5000)
        rtc.powerOn()
        expect(read(0, 1)).toBe("05")
        expect(Number.parseInt(read(0x0f, 1), 16) & 0x80).toBe(0x80)
    })

    it("drifts by ppm and is slowed by positive aging", () => {
        const fast = bench({ driftPpm: 100 })
        fast.write(0, 0, 0, 0, 1, 1, 1, 0x26)
        fast.clock.advance(10_000_000)
        expect(fast.read(0, 3)).toBe("414602")
        fast.write(0x10, 127)
        fast.write(0, 0, 0, 0, 1, 1, 1, 0x26)
        fast.clock.advance(100_000_000)
        // 100 000 s x (100 - 12.7) ppm = 8.73 s ahead: 27:46:48 since midnight.
        expect(fast.read(0, 3)).toBe("484603")
    })

    it("gives the temperature in signed quarters, converted every 64 s or on demand", () => {
        const { clock, write, read, rtc } = bench({ celsius: -5.25 })
        expect(read(0x11, 2)).toBe("fac0")
        rtc.celsius = 25.5
        clock.advance(1000)
        expect(read(0x11, 2)).toBe("fac0")
        clock.advance(64_000)
        expect(read(0x11, 2)).toBe("1980")
        rtc.celsius = 0.25
        clock.advance(1000)
        write(0x0e, 0x3c)
        expect(read(0x0e, 2)).toBe("3c8c")
        clock.advance(300)
        expect(read(0x0e, 2)).toBe("1c88")
        expect(read(0x11, 2)).toBe("0040")
    })

    it("raises an alarm flag on match even with the interrupt off, and across a jump", () => {
        const { clock, write, read, rtc } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        write(0x07, 0x30, 0x15, 0x12, 0x05)
        write(0x0b, 0x80, 0x80, 0x80)
        write(0x0f, 0)
        clock.advance(3 * day + 1000)
        expect(read(0x0f, 1)).toBe("02")
        expect(rtc.interruptLow).toBe(false)
        clock.advance(2 * day)
        expect(read(0x0f, 1)).toBe("03")
        write(0x0e, 0x05)
        expect(rtc.interruptLow).toBe(true)
        write(0x0f, 0xfe)
        expect(rtc.interruptLow).toBe(false)
    })

    it("is saved and loaded with its running second, and runs on between sessions", () => {
        const { clock, write, rtc } = bench()
        write(0, 0, 0, 0, 1, 1, 1, 0x26)
        clock.advance(1500)
        rtc.powerOff()
        const state = rtc.save()
        clock.advance(500)
        const bus = new I2cBusModel(clock)
        const next = new Ds3231({ clock })
        next.load(state)
        bus.attach(next)
        next.powerOn()
        expect([...bus.transfer(0x68, Uint8Array.of(0), 1).data]).toEqual([2])
    })

    it("reads registers singly without a latch: the hour of a later read may not fit the minute of an earlier", () => {
        const { clock, write, read } = bench()
        write(0, 0x59, 0x59, 0x09, 1, 1, 1, 0x26)
        const minutes = read(1, 1)
        clock.advance(1000)
        expect([minutes, read(2, 1)]).toEqual(["59", "10"])
    })
})
