import fc from "fast-check"
import { beforeEach, describe, expect, it } from "vitest"
import { Ds3231 } from "../../hal/ds3231"
import { codeThrown } from "../helpers/errors"
import { FakeBus, registerPart } from "../helpers/fake-bus"

const registers = new Uint8Array(0x13)
let bus: FakeBus
let clock: Ds3231

beforeEach(() => {
    registers.fill(0)
    // Power-on state of the data sheet: control 1C, status 88.
    registers.set([0x1c, 0x88], 0x0e)
    const part = registerPart(registers)
    bus = new FakeBus({ 104: part })
    clock = new Ds3231(bus)
})

function setFields(hex: string) {
    registers.set(Buffer.from(hex, "hex"))
    registers[0x0f] = 0
}

describe("DS3231 driver", () => {
    it("reads 2026-11-22 14:05:55 from its registers", () => {
        setFields("55051407221126")
        expect(clock.read()).toEqual({ utcSeconds: Date.UTC(2026, 10, 22, 14, 5, 55) / 1000, running: true })
    })

    it("agrees with the calendar of the host for every second it can hold", () => {
        fc.assert(
            fc.property(fc.integer({ min: 946684800, max: 4102444799 }), seconds => {
                clock.set(seconds)
                expect(clock.read()).toEqual({ utcSeconds: seconds, running: true })
                const date = new Date(seconds * 1000)
                const bcd = [5, 4, 2].map(at => registers[at].toString(16)).join("/")
                expect(bcd).toBe([date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours()].join("/"))
                // Monday is day 1.
                expect(registers[3]).toBe(date.getUTCDay() === 0 ? 7 : date.getUTCDay())
            }),
        )
    })

    it("takes the first and the last day of each month of a leap year and a common year", () => {
        for (const year of [2000, 2023, 2024, 2099])
            for (let month = 0; month < 12; ++month)
                for (const [m, day] of [
                    [month, 1],
                    [month + 1, 0],
                ]) {
                    const seconds = Date.UTC(year, m, day, 23, 59, 59) / 1000
                    clock.set(seconds)
                    expect(clock.read().utcSeconds).toBe(seconds)
                }
    })

    it("does not believe a time whose oscillator flag is set, and reading does not clear the flag", () => {
        setFields("55051407221126")
        registers[0x0f] = 0x80
        expect(clock.read().running).toBe(false)
        expect(clock.read().utcSeconds).toBe(Date.UTC(2026, 10, 22, 14, 5, 55) / 1000)
        clock.start()
        clock.temperatureQuarters()
        expect(registers[0x0f]).toBe(0x80)
        expect(bus.log.filter(line => line.endsWith("> "))).toEqual([])
    })

    it.each([
        ["seconds 60", "60051407221126"],
        ["no BCD minutes", "555f1407221126"],
        ["hour 24", "55052407221126"],
        ["12 hour form", "55056507221126"],
        ["day 0", "55051407001126"],
        ["31 November", "55051407311126"],
        ["29 February of a common year", "55051407290226"],
        ["month 13", "55051407221326"],
        ["century bit", "55051407228126"],
        ["year a0", "550514072211a0"],
        ["a bus that reads FF", "ffffffffffffff"],
    ])("does not believe fields that are no date: %s", (_, fields) => {
        setFields(fields)
        expect(clock.read()).toEqual({ utcSeconds: 0, running: false })
    })

    it("reads again what the bus damaged, and gives up a time that does not go on", () => {
        setFields("55051407221126")
        const whole = registerPart(registers)
        for (let struck = 0; struck < 3; ++struck) {
            let n = 0
            const noisy = new FakeBus({
                104: (write, length) => {
                    const octets = Buffer.from(whole(write, length) as Uint8Array)
                    if (n++ === struck) octets[1] ^= 0x10
                    return octets
                },
            })
            const { utcSeconds } = new Ds3231(noisy).read()
            expect(utcSeconds).toBe(Date.UTC(2026, 10, 22, 14, 5, 55) / 1000)
        }
        let minute = 0
        const wild = new FakeBus({
            104: (write, length) => {
                const octets = Buffer.from(whole(write, length) as Uint8Array)
                octets[1] = ++minute
                return octets
            },
        })
        expect(codeThrown(() => new Ds3231(wild).read())).toBe("ImpossibleValue")
    })

    it("clears the oscillator flag in the last write of a set, leaving alarm flags and 32 kHz output", () => {
        registers[0x0f] = 0x8a
        clock.set(1795356355)
        const writes = bus.log.filter(line => line.endsWith("> "))
        expect(writes.at(-1)).toBe("68 < 0f0b > ")
        expect(writes.filter(line => line.startsWith("68 < 0f"))).toHaveLength(1)
        expect(registers[0x0e]).toBe(0x1c)
    })

    it("leaves a time that is not believed when power goes before the last write", () => {
        let writes = 0
        const whole = registerPart(registers)
        const cutting = new Ds3231(
            new FakeBus({ 104: (write, length) => (write.length > 1 && ++writes > 2 ? -1 : whole(write, length)) }),
        )
        expect(codeThrown(() => cutting.set(1795356355))).toBe("BusAddressNack")
        expect(clock.read()).toEqual({ utcSeconds: 1795356355, running: false })
    })

    it("says so when the time just set is not there, or its oscillator does not run", () => {
        const deaf = new Ds3231(new FakeBus({ 104: (_, length) => new Uint8Array(length) }))
        expect(codeThrown(() => deaf.set(1795356355))).toBe("ReadBackMismatch")
        const whole = registerPart(registers)
        const stopped = new Ds3231(
            new FakeBus({
                104: (write, length) => {
                    const answer = whole(write, length)
                    registers[0x0f] |= 0x80
                    return answer
                },
            }),
        )
        expect(codeThrown(() => stopped.set(1795356355))).toBe("ReadBackMismatch")
    })

    it.each([-1, 946684799, 4102444800, 1795356355.5, Number.NaN])("refuses to set %d", seconds => {
        expect(codeThrown(() => clock.set(seconds))).toBe("BadArgument")
        expect(bus.log).toEqual([])
    })

    it.each([
        ["19c0", 103],
        ["0000", 0],
        ["ff40", -3],
        ["e700", -100],
    ])("reads temperature %s as %d quarters", (octets, quarters) => {
        registers.set(Buffer.from(octets, "hex"), 0x11)
        expect(clock.temperatureQuarters()).toBe(quarters)
    })

    it("tells an absent part from a disturbed and from a stuck bus", () => {
        expect(codeThrown(() => new Ds3231(new FakeBus({})).start())).toBe("PartAbsent")
        expect(codeThrown(() => new Ds3231(new FakeBus({})).read())).toBe("BusAddressNack")
        expect(codeThrown(() => new Ds3231(new FakeBus({ 104: () => -2 })).start())).toBe("BusDataNack")
        expect(codeThrown(() => new Ds3231(new FakeBus({ 104: () => -3 })).start())).toBe("BusStuck")
    })
})
