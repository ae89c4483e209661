import { beforeEach, expect, test } from "vitest"
import { installPlatform } from "../../firmware/core/platform"
import { clockOf, dateOf, utcSeconds } from "../../firmware/core/time"
import { produceIdentity } from "../../firmware/meter/calibration"
import { Step } from "../../firmware/meter/identity"
import { Panel } from "../../firmware/meter/panel"
import { Ssd1306Strips } from "../../hal/ssd1306"
import { Ssd1306 } from "../../tools/chips/ssd1306"
import { nodePlatform } from "../../tools/node/platform.ts"
import { noon } from "../helpers/certificates"
import { CutStore, Device } from "../helpers/meter-device"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { read } from "../helpers/seen"

class Bench {
    readonly device = new Device(new CutStore())
    readonly chip = new Ssd1306()
    readonly time = new ModelTime()
    readonly bus = new ModelBus(this.time, [this.chip])
    /** Octets of each transfer to the panel. */
    readonly sent: number[] = []
    readonly panel: Panel

    constructor() {
        const { bus, sent } = this
        const watched = {
            transfer: (address: number, write: Buffer, readLength: number) => {
                sent.push(write.length)
                return bus.transfer(address, write, readLength)
            },
        }
        this.panel = new Panel(new Ssd1306Strips(watched), this.device.meter)
        this.device.meter.face = this.panel
    }

    calibrate(): void {
        const { identity, time } = this.device.meter
        produceIdentity(identity, 1, Buffer.from("m"))
        identity.reach(Step.Calibrated)
        time.set(noon)
    }

    second(): void {
        this.device.meter.tick()
        this.panel.show(false)
    }

    /** What a person reads: heading, line below it, large line, the four others. */
    seen(): string[] {
        const small = [0, 1, 4, 5, 6, 7].map(page => read(this.chip, page, 1))
        return [small[0], small[1], read(this.chip, 2, 2), ...small.slice(2)]
    }

    /** All pages of one turn by their headings, each as it was when it was lit first. */
    pages(seconds = 130): Map<string, string[]> {
        const pages = new Map<string, string[]>()
        for (let i = 0; i < seconds; ++i) {
            this.second()
            const seen = this.seen()
            if (this.chip.visible && !pages.has(seen[0])) pages.set(seen[0], seen)
        }
        return pages
    }
}

let bench: Bench
beforeEach(() => {
    installPlatform(nodePlatform)
    bench = new Bench()
})

test("the pages of a calibrated meter: registers, time, status, software, who it is", () => {
    bench.calibrate()
    const pages = bench.pages()
    expect([...pages.keys()]).toEqual([
        "1-0:1.8.0 kWh",
        ...[1, 2, 3, 4].map(tariff => `1-0:1.8.${tariff} kWh`),
        "1-0:2.8.0 kWh",
        "UTC",
        "0a01504c420100000001",
        "Fixed part SHA-256",
        "Module SHA-256",
    ])
    for (const page of pages.values()) expect(page[6]).toBe("")
    expect(pages.get("UTC")!.slice(1, 3)).toEqual([dateOf(noon), clockOf(noon)])
    // Before the first list of a run its status word says that power was lost.
    expect(pages.get("0a01504c420100000001")!.slice(1, 4)).toEqual(["calibrated", "OK", "power lost no load"])
    expect(pages.get("Fixed part SHA-256")!.slice(1, 3)).toEqual(["test", "07070707"])
    expect(pages.get("Module SHA-256")!.slice(1, 3)).toEqual(["test", "07070707"])
})

test("the register shown is the durable one, and never above it or another's", () => {
    bench.calibrate()
    const values = new Map<string, number[]>()
    for (let i = 0; i < 300; ++i) {
        bench.second()
        if (!bench.chip.visible) continue
        const [head, , large] = bench.seen()
        const register = ["1-0:1.8.0 kWh", "1-0:1.8.1 kWh", "1-0:1.8.2 kWh"].indexOf(head)
        if (register < 0) continue
        const durable = bench.device.meter.registers.register(register) / 10_000
        // The energy of a second is 0.001 kWh here, and a line may be one second behind.
        expect(Number(large)).toBeLessThanOrEqual(durable)
        expect(Number(large)).toBeGreaterThan(durable - 0.04)
        values.set(head, [...(values.get(head) ?? []), Number(large)])
    }
    expect(values.size).toBe(3)
    expect(new Set(values.get("1-0:1.8.0 kWh")).size).toBeGreaterThan(10)
})

test.each([
    [0, "0.000"],
    [9, "0.000"],
    [19_999, "1.999"],
    [999_999_990, "99999.999"],
    [1_234_567_890, "123456.78"],
    [2 ** 52, "450359962"],
])("a register of %i tenths of a watt-hour reads %s: cut off, not rounded", (units, text) => {
    bench.calibrate()
    bench.device.meter.registers.register = () => units
    const whole = bench.pages(12).get("1-0:1.8.0 kWh")![2]
    expect(whole).toBe(text)
})

test("what is not as it should be stands in words, and below every other page", () => {
    const { meter } = bench.device
    meter.machine.sealOpen = () => true
    meter.rule = undefined
    const pages = bench.pages()
    const status = pages.get("0a01504c420100000000")!
    expect(status.slice(1, 3)).toEqual(["not calibrated", "CHECK"])
    expect(status.slice(3).join(" ").trim()).toBe("seal open  no module part fault no time power lost no load")
    expect(pages.get("UTC")!.slice(1, 3)).toEqual(["time not set", ""])
    expect(pages.get("1-0:1.8.0 kWh")![6]).toBe("? not calibrated")
    expect(pages.get("Module SHA-256")!.slice(1, 3)).toEqual(["none", ""])
})

test("a Jacdac packet's octets a second at most, and none where nothing changes", () => {
    bench.calibrate()
    let most = 0
    let idle = 0
    for (let i = 0; i < 400; ++i) {
        bench.sent.length = 0
        bench.second()
        if (bench.sent.length === 0) ++idle
        most = Math.max(
            most,
            bench.sent.reduce((sum, octets) => sum + octets, 0),
        )
    }
    expect(most).toBeLessThanOrEqual(232)
    expect(idle).toBeGreaterThan(50)
})

test("an absent panel disturbs nobody, is looked for once a minute and shows its pages when it has come", () => {
    bench.calibrate()
    bench.chip.powerOff()
    for (let i = 0; i < 125; ++i) bench.second()
    expect(bench.sent).toHaveLength(3)
    bench.chip.powerOn()
    for (let i = 0; i < 70; ++i) bench.second()
    expect(bench.chip.visible).toBe(true)
    expect(bench.seen()[0]).toBe("1-0:1.8.0 kWh")
})

test("a panel that fails at any transfer, or is torn off and plugged in again, shows whole pages afterwards; the meter counts on", () => {
    for (let failing = 1; failing <= 14; ++failing) {
        bench = new Bench()
        bench.calibrate()
        let until = failing
        let lit = 0
        for (let i = 0; i < 110; ++i) {
            if (bench.sent.length >= until) {
                bench.chip.powerOff()
                bench.second()
                bench.chip.powerOn()
                until = Number.POSITIVE_INFINITY
            } else bench.second()
            if (!bench.chip.visible) continue
            ++lit
            const [head, , large] = bench.seen()
            expect(head).toMatch(/^(1-0:[12]\.8\.\d kWh|UTC|0a0150.*|(Fixed part|Module) SHA-256)$/)
            if (head.startsWith("1-0:")) expect(large).toMatch(/^\d+\.\d{3}$/)
        }
        // It was away for a minute.
        expect(lit).toBeGreaterThan(20)
        expect(bench.device.meter.registers.register(0)).toBeGreaterThanOrEqual(110 * 36)
    }
})

test("a panel that a disturbance has reset is right again with the next page", () => {
    bench.calibrate()
    for (let i = 0; i < 14; ++i) bench.second()
    expect(bench.chip.visible).toBe(true)
    bench.chip.reset()
    const pages = bench.pages(12)
    expect([...pages.keys()]).toEqual(["1-0:1.8.1 kWh"])
})

test("while something long is done it is dark: nothing old is to be seen", () => {
    bench.calibrate()
    for (let i = 0; i < 14; ++i) bench.second()
    bench.panel.show(true)
    expect(bench.chip.visible).toBe(false)
    for (let i = 0; i < 4; ++i) bench.second()
    expect(bench.chip.visible).toBe(true)
})

test("the calendar is the one of the dates it is made from", () => {
    const known: [number, number, number][] = [
        [1970, 1, 1],
        [1999, 12, 31],
        [2000, 2, 29],
        [2024, 2, 29],
        [2026, 11, 23],
        [2100, 3, 1],
    ]
    for (const [year, month, day] of known) {
        const seconds = utcSeconds(year, month, day, 23, 59, 58)
        const iso = new Date(seconds * 1000).toISOString()
        expect(`${dateOf(seconds)}T${clockOf(seconds)}.000Z`).toBe(iso)
    }
    for (let seconds = 0; seconds < 4e9; seconds += 86400 * 37 + 4321)
        expect(`${dateOf(seconds)}T${clockOf(seconds)}.000Z`).toBe(new Date(seconds * 1000).toISOString())
})
