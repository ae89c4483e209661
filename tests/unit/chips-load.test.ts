import { describe, expect, it } from "vitest"
import { household } from "../../tools/chips/household"
import { LoadProfileError, parseLoadProfile } from "../../tools/chips/load-profile"
import { constantLoad, energyBetween, wattsOf } from "../../tools/chips/load-source"

describe("load profile", () => {
    const text = "# a ramp\nsecond, watts, var, volts, hertz\n0, 0\n100, 1000, 500, 231, 49.9\n100, -200\n200, -200\n"

    it("interpolates power between rows and holds it outside", () => {
        const load = parseLoadProfile(text)
        expect(wattsOf(load.at(50))).toBeCloseTo(500, 6)
        expect(load.at(50).angle).toBeCloseTo(Math.atan2(250, 500), 9)
        expect(wattsOf(load.at(-10))).toBeCloseTo(0, 6)
        expect(wattsOf(load.at(100))).toBeCloseTo(-200, 6)
        expect(wattsOf(load.at(1e6))).toBeCloseTo(-200, 6)
        expect([load.at(100).volts, load.at(99).volts]).toEqual([230, 230])
    })

    it("integrates exactly, drawn apart from fed in", () => {
        const load = parseLoadProfile(text)
        expect(energyBetween(load, 0, 200).drawnWs).toBeCloseTo(50_000, 6)
        expect(energyBetween(load, 0, 200).fedWs).toBeCloseTo(20_000, 6)
        const crossing = parseLoadProfile("0,100\n10,-300\n")
        expect(energyBetween(crossing, 0, 10).drawnWs).toBeCloseTo(125, 9)
        expect(energyBetween(crossing, 0, 10).fedWs).toBeCloseTo(1125, 9)
    })

    it("can start at any world second", () => {
        const load = parseLoadProfile("0,0\n10,100\n", 1_000_000)
        expect(wattsOf(load.at(1_000_005))).toBeCloseTo(50, 6)
        expect(load.nextChange(1_000_005)).toBe(1_000_010)
    })

    it.each([
        ["0,1\n0,x\n", 2, "a number"],
        ["0,1\n\n# c\n5\n", 4, "2 to 5 fields"],
        ["10,1\n5,1\n", 2, "a second of 10 or later"],
        ["0,1,0,0\n", 1, "1 to 500 volts"],
        ["0,1,0,230,400\n", 1, "40 to 70 hertz"],
        ["0,1e9\n", 1, "at most 1000000 VA"],
        ["0,1\nsecond,watts\n", 2, "a number"],
        ["# nothing\n", 1, "at least one row"],
        ["0,0x10\n", 1, "a number"],
        ["0,\n", 1, "a number"],
    ])("refuses %j and names line and reason", (bad, line, expected) => {
        expect.assertions(3)
        try {
            parseLoadProfile(bad)
        } catch (error) {
            expect(error).toBeInstanceOf(LoadProfileError)
            expect((error as LoadProfileError).line).toBe(line)
            expect((error as LoadProfileError).expected).toContain(expected)
        }
    })
})

describe("household", () => {
    const day = 86_400

    it("is the same for the same seed and another for another", () => {
        const sum = (seed: number) => energyBetween(household({ seed }), 0, day).drawnWs
        expect(sum(7)).toBe(sum(7))
        expect(sum(7)).not.toBe(sum(8))
    })

    it("draws a believable day and feeds nothing in without photovoltaics", () => {
        for (const seed of [1, 2, 3]) {
            const { drawnWs, fedWs } = energyBetween(household({ seed }), 5 * day, 6 * day)
            expect(drawnWs / 3.6e6).toBeGreaterThan(3)
            expect(drawnWs / 3.6e6).toBeLessThan(15)
            expect(fedWs).toBe(0)
        }
    })

    it("feeds in at noon with photovoltaics", () => {
        const load = household({ seed: 1, pvPeakWatts: 5000 })
        expect(energyBetween(load, 10 * 3600, 14 * 3600).fedWs / 3.6e6).toBeGreaterThan(4)
        expect(energyBetween(load, 0, 5 * 3600).fedWs).toBe(0)
    })

    it("gives the same energy in one step or in many", () => {
        const load = household({ seed: 3 })
        const whole = energyBetween(load, 100, 5000).drawnWs
        let parts = 0
        for (let s = 100; s < 5000; s += 7) parts += energyBetween(load, s, Math.min(5000, s + 7)).drawnWs
        expect(parts).toBeCloseTo(whole, 5)
    })
})

describe("constant load", () => {
    it("has the power asked for", () => {
        expect(wattsOf(constantLoad(-100, 50).at(0))).toBeCloseTo(-100, 9)
    })
})
