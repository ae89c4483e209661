import { describe, expect, test } from "vitest"
import { metrologyCalls } from "../../firmware/sandbox/metrology-calls"
import { pollingCalls } from "../../firmware/sandbox/polling-calls"
import type { Sandbox, SandboxHost } from "../../firmware/sandbox/sandbox"
import { compile, type Image } from "../../tools/vm/compile.ts"
import { type Inputs, inputsOf, metrologyModule, parametersOf, sandboxOf } from "../helpers/modules"

const limits = { work: 20_000, memory: 4096 }

/** A host that keeps registers as a meter would. */
class MeterHost implements SandboxHost {
    readonly calls = metrologyCalls
    readonly inputs = Buffer.alloc(32)
    readonly state = Buffer.alloc(32)
    readonly registers = new Array(10).fill(0)
    readonly said: string[] = []
    constructor(readonly parameters: Buffer) {}

    log(line: string): void {
        this.said.push(line)
    }

    call(index: number, a: any, b: any, c: any): any {
        const name = this.calls[index].split(":")[0]
        if (name === "inputs" || name === "parameters" || name === "state") return this[name]
        if (name === "register") return Math.floor(this.registers[a] / 360_000_000)
        if (name === "add") this.registers[a] += b
        else if (name === "profile") this.said.push(`profile ${a} ${b} ${c}`)
        else if (name !== "power" && name !== "status") this.said.push(`${name} ${a}`)
    }
}

function start(image: Image, host: MeterHost): Sandbox {
    const box = sandboxOf(image.bytecode, host, limits)
    box.start()
    return box
}

function tick(box: Sandbox, host: MeterHost, inputs: Inputs): number {
    host.inputs.set(inputsOf(inputs))
    return box.call("onTick")
}

const everyDay = 127

describe("metrological module", () => {
    test("counts energy in all and under the tariff of the time of day", async () => {
        const host = new MeterHost(parametersOf([[360, everyDay, 2], [1320, everyDay, 1]])) // biome-ignore format: a table
        const box = start(await metrologyModule(1), host)
        for (let seconds = 21_590; seconds < 21_610; ++seconds)
            expect(tick(box, host, { counts: 5000, seconds })).toBe(0)
        expect(host.said).toEqual(["tariff 1", "tariff 2", "profile 50 5000 0"])
        expect(host.registers.slice(0, 3)).toEqual([100_000_000, 50_000_000, 50_000_000])
    })

    test("energy fed in has its own register, and nothing is counted below the threshold of no load", async () => {
        const host = new MeterHost(parametersOf([]))
        const box = start(await metrologyModule(1), host)
        tick(box, host, { counts: -5000, seconds: 5 })
        tick(box, host, { counts: 19, seconds: 6 })
        tick(box, host, { counts: -19, seconds: 7 })
        expect(host.registers[9]).toBe(5_000_000)
        expect(host.registers[0]).toBe(0)
    })

    test("a period of the load profile is handed over with its energy, peak and flags", async () => {
        const host = new MeterHost(parametersOf([]))
        const box = start(await metrologyModule(1), host)
        tick(box, host, { counts: 3000, seconds: 890 })
        tick(box, host, { counts: 7000, seconds: 891, volts: 170 })
        tick(box, host, { counts: 1000, seconds: 900 })
        expect(host.said).toEqual(["tariff 1", "profile 10 7000 1"])
    })

    test("what the profile has counted lives on in the state over a restart", async () => {
        const host = new MeterHost(parametersOf([]))
        const image = await metrologyModule(1)
        tick(start(image, host), host, { counts: 4000, seconds: 100 })
        const box = start(image, host)
        tick(box, host, { counts: 4000, seconds: 101 })
        tick(box, host, { counts: 0, seconds: 900 })
        expect(host.said.at(-1)).toBe("profile 8 4000 0")
    })

    test("without a trusted time all is counted under tariff 1, and the status says so", async () => {
        const host = new MeterHost(parametersOf([[0, everyDay, 2]]))
        const box = start(await metrologyModule(1), host)
        expect(tick(box, host, { counts: 4000, seconds: 100, quality: 1 })).toBe(16)
        expect(host.registers.slice(0, 3)).toEqual([4_000_000, 4_000_000, 0])
    })

    test("low and high voltage, overload and a fault of the front end are told", async () => {
        const host = new MeterHost(parametersOf([]))
        const box = start(await metrologyModule(1), host)
        expect(tick(box, host, { counts: 0, seconds: 1, volts: 183 })).toBe(1)
        expect(tick(box, host, { counts: 0, seconds: 2, volts: 265, amperes: 61 })).toBe(6)
        expect(tick(box, host, { counts: 0, seconds: 3, status: 0x20000 })).toBe(8)
    })

    test("the self-test finds damaged parameters and tariffs that this version does not have; version 2 has one more", async () => {
        const three = parametersOf([[0, everyDay, 1], [360, everyDay, 3]]) // biome-ignore format: a table
        const [one, two] = [await metrologyModule(1), await metrologyModule(2)]
        expect(start(one, new MeterHost(parametersOf([[0, everyDay, 2]]))).call("onSelfTest")).toBe(0)
        expect(start(one, new MeterHost(three)).call("onSelfTest")).toBe(4)
        const host = new MeterHost(three)
        const box = start(two, host)
        expect(box.call("onSelfTest")).toBe(0)
        tick(box, host, { counts: 4000, seconds: 40_000 })
        expect(host.registers[3]).toBe(4_000_000)
        const damaged = Buffer.from(three)
        damaged[5] ^= 1
        expect(start(two, new MeterHost(damaged)).call("onSelfTest")).toBe(1)
        expect(start(two, new MeterHost(parametersOf([], 0))).call("onSelfTest")).toBe(2)
    })
})

describe("polling module", () => {
    test("gives each meter its turn, asks silent ones again later and later, and batteries seldom", async () => {
        const silent: string[] = []
        const host: SandboxHost = {
            calls: pollingCalls,
            log: () => {},
            call: (index, a, b) => {
                const name = pollingCalls[index]
                if (name === "meters:") return 3
                if (name === "period:") return 900
                if (name === "medium:n") return a === 2 ? 7 : 1
                silent.push(`${a} ${b}`)
            },
        }
        const image = await compile("firmware/modules/polling.ts")
        const box = sandboxOf(image.bytecode, host, limits)
        box.start()
        expect(box.call("onSelfTest")).toBe(0)
        const asked: Record<number, number[]> = { 0: [], 1: [], 2: [] }
        for (let seconds = 0; seconds < 4000; ++seconds) {
            const next = box.call("onNext", seconds)
            if (next < 0) continue
            asked[next].push(seconds)
            box.call("onAnswer", next, seconds, next === 1 ? 0 : 1)
        }
        expect(asked[0]).toEqual([0, 900, 1800, 2700, 3600])
        expect(asked[1].slice(0, 6)).toEqual([300, 310, 330, 370, 450, 610])
        expect(asked[2]).toEqual([600])
        expect(silent).toEqual(["1 5"])
    })
})
