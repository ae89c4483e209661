import { beforeEach, describe, expect, it } from "vitest"
import { MBUS_SELECTED, MbusMaster } from "../../hal/mbus-master"
import { Sc16is752 } from "../../hal/sc16is752"
import { meterContent, meterIdentification } from "../../tools/chips/mbus-content"
import { MbusLine, type MbusSlaveOptions } from "../../tools/chips/mbus-line"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

let time: ModelTime

beforeEach(() => {
    time = new ModelTime()
    time.install()
})

/** Numbers from 0 to 1. */
function randomOf(seed: number): () => number {
    const { below } = seeded(seed)
    return () => below(1e9) / 1e9
}

/** A master and the slaves of its line. */
function bus(slaves: MbusSlaveOptions[], { echo = false, baud = 2400 } = {}) {
    const wire = new Rs485Wire({ clock: time })
    const model = new Sc16Model({ clock: time })
    model.channels[0].connect(wire, { echo })
    const part = new Sc16is752(new ModelBus(time, [model], 400_000), 0x4d, 14745600)
    part.start()
    const master = new MbusMaster(part.port(0), baud)
    master.open()
    return { line: new MbusLine(wire, baud, slaves), master, model, wire }
}

function meter(primary: number, number = 10_000_000 + primary, more: Partial<MbusSlaveOptions> = {}): MbusSlaveOptions {
    const secondary = meterIdentification(number)
    return { primary, secondary, telegrams: () => [meterContent(secondary, number * 3)], ...more }
}

/** Telegrams of one readout, from the CI field on. */
function readout(master: MbusMaster, address: number): Buffer[] {
    const came: Buffer[] = []
    master.read(address, frame => came.push(frame.subarray(6, frame.length - 2)))
    return came
}

function identificationOf(frame: Buffer | undefined): string {
    return frame ? frame.subarray(7, 15).toString("hex") : "several"
}

describe("wired M-Bus master", () => {
    it.each([
        [300, false],
        [2400, false],
        [2400, true],
        [9600, true],
    ])("reads a meter at %d Bd, echo of the converter: %s", (baud, echo) => {
        const { master } = bus([meter(1), meter(7)], { baud, echo })
        for (let round = 0; round < 3; ++round)
            expect(readout(master, 7)).toEqual([Buffer.from(meterContent(meterIdentification(10_000_007), 30_000_021))])
        expect(master.line.echoes).toBe(echo ? 4 : 0)
        expect([master.silent, master.garbled, master.line.collisions]).toEqual([0, 0, 0])
    })

    it("takes an answer at either end of the standard's window, and none behind it", () => {
        const { master, line } = bus([meter(1, 11, { delayBits: 11 }), meter(2, 12, { delayBits: 330, delayMs: 50 })])
        expect(readout(master, 1).length).toBe(1)
        expect(readout(master, 2).length).toBe(1)
        expect(master.silent).toBe(0)
        line.slaves[1].delayMs = 700
        expect(codeThrown(() => readout(master, 2))).toMatch(/Meter(Silent|Garbled)/)
        expect(readout(master, 1).length).toBe(1)
        master.patienceMs = 800
        expect(readout(master, 2).length).toBe(1)
    })

    it("reads all telegrams of a meter with several, and each again that came damaged", () => {
        const secondary = meterIdentification(5)
        const telegrams = [0, 1, 2, 3].map(n => meterContent(secondary, n, n < 3))
        const { master, line } = bus([{ primary: 3, secondary, telegrams: () => telegrams }])
        let n = 0
        line.damage = { answers: 0.5, chance: () => (++n % 3 === 0 ? 0.1 : 0.6) }
        for (let round = 0; round < 3; ++round) expect(readout(master, 3)).toEqual(telegrams.map(t => Buffer.from(t)))
        expect(master.garbled).toBeGreaterThan(0)
    })

    it("asks a silent meter three times, then says so in bounded time", () => {
        const { master } = bus([meter(1)])
        const from = time.ms
        expect(codeThrown(() => readout(master, 9))).toBe("MeterSilent")
        expect([master.asked, master.silent]).toEqual([3, 3])
        expect(time.ms - from).toBeLessThan(4 * 300)
    })

    it("tells two meters at one address", () => {
        const { master } = bus([meter(5, 111), meter(5, 222), meter(6)])
        expect(codeThrown(() => readout(master, 5))).toBe("MeterGarbled")
        expect(readout(master, 6).length).toBe(1)
        const seen: string[] = []
        master.scanPrimary(1, 8, (address, frame) => seen.push(`${address} ${identificationOf(frame)}`))
        expect(seen).toEqual(["5 several", `6 ${Buffer.from(meterIdentification(10_000_006)).toString("hex")}`])
    })

    it("tells two meters at one address that answer one behind the other", () => {
        const { master } = bus([meter(5, 111), meter(5, 222, { delayBits: 300 })])
        const seen: string[] = []
        master.scanPrimary(4, 6, (address, frame) => seen.push(`${address} ${identificationOf(frame)}`))
        expect(seen).toEqual(["5 several"])
    })

    it("reads a meter by its identification", () => {
        const { master } = bus([meter(0, 12345678), meter(0, 12345679)])
        for (const number of [12345678, 12345679, 12345678]) {
            master.select(Buffer.from(meterIdentification(number)))
            expect(readout(master, MBUS_SELECTED)[0].subarray(1, 9).toString("hex")).toBe(
                Buffer.from(meterIdentification(number)).toString("hex"),
            )
        }
        expect(codeThrown(() => master.select(Buffer.from(meterIdentification(12345670))))).toBe("MeterSilent")
    })

    it.each([false, true])(
        "finds all meters by wildcards, also those that differ in type or version only; damage: %s",
        damaged => {
            const random = randomOf(6)
            const numbers = Array.from({ length: 30 }, (_, i) => (i < 15 ? 70_000_100 + i : Math.floor(random() * 1e8)))
            const slaves = numbers.map(number => meter(0, number, { delayBits: 20 + Math.floor(random() * 200) }))
            const other = (at: number, value: number) => {
                const secondary = meterIdentification(70_000_100)
                secondary[at] = value
                return { primary: 0, secondary, telegrams: () => [meterContent(secondary, 1)] }
            }
            slaves.push(other(7, 3), other(6, 9))
            const { master, line } = bus(slaves, { baud: 9600, echo: true })
            if (damaged) line.damage = { answers: 0.05, requests: 0.02, chance: random }
            const seen: string[] = []
            master.scanSecondary((_, frame) => seen.push(identificationOf(frame)))
            expect(seen.sort()).toEqual(slaves.map(s => Buffer.from(s.secondary).toString("hex")).sort())
            expect(line.slaves.some(s => s.selected)).toBe(false)
        },
    )

    it("tells of two meters with one identification, and ends", () => {
        const { master } = bus([meter(0, 4711), meter(0, 4711, { delayBits: 90 }), meter(0, 4712)], { baud: 9600 })
        const seen: string[] = []
        master.scanSecondary((mask, frame) =>
            seen.push(`${mask.subarray(0, 4).toString("hex")} ${frame ? 1 : "several"}`),
        )
        expect(seen.sort()).toEqual(["11470000 several", "ff"].slice(0, 1).concat(seen.filter(s => s.endsWith(" 1"))))
        expect(seen.length).toBe(2)
    })

    it("gives up a line that never falls silent, and reads on once it does", () => {
        const { master, wire } = bus([meter(1)])
        const noise = wire.tap({ format: { baud: 2400, dataBits: 8, parity: "even", stopBits: 1 } })
        noise.send(new Uint8Array(3000))
        expect(codeThrown(() => readout(master, 1))).toBe("LineBusy")
        time.advance(15_000)
        time.advance(1)
        for (let i = 0; i < 3 && codeThrown(() => readout(master, 1)) !== "none"; ++i) time.advance(100)
        expect(readout(master, 1).length).toBe(1)
    })

    it("reads on after the UART was reset", () => {
        const { master, model } = bus([meter(1)])
        expect(readout(master, 1).length).toBe(1)
        model.channels[0].reset()
        const codes = [1, 2].map(() => codeThrown(() => readout(master, 1)))
        expect(codes).toContain("none")
    })

    it("survives any noise on the line with a telegram or a typed error", () => {
        const random = randomOf(9)
        const { master, wire } = bus([meter(1)], { baud: 9600, echo: true })
        const codes = new Set<string>()
        for (let i = 0; i < 60; ++i) {
            wire.noise = { seed: i, flip: 0.02 * random(), insert: 0.02 * random(), drop: 0.02 * random() }
            codes.add(codeThrown(() => expect(readout(master, 1)[0].length).toBeGreaterThan(20)))
        }
        wire.noise = undefined
        expect([...codes].filter(code => !/^(none|MeterSilent|MeterGarbled|MeterRefused)$/.test(code))).toEqual([])
        expect(readout(master, 1).length).toBe(1)
    })
})
