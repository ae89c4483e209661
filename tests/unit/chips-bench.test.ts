import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { crc16 } from "../../tools/chips/atecc608b-memory"
import { type ChipBench, meterBench, mucBench } from "../../tools/chips/bench"
import { ManualClock } from "../../tools/chips/clock"
import { constantLoad } from "../../tools/chips/load-source"
import { PowerCut } from "../../tools/chips/power-cut"
import { Rs485Wire } from "../../tools/chips/rs485-wire"

const folders: string[] = []
function folder(): string {
    const dir = mkdtempSync(join(tmpdir(), "plomb-chips-"))
    folders.push(dir)
    return dir
}
afterEach(() => {
    for (const dir of folders.splice(0)) rmSync(dir, { recursive: true })
})

const present = (bench: ChipBench) =>
    [0x38, 0x4d, 0x50, 0x51, 0x60, 0x68].filter(a => bench.bus.transfer(a, Uint8Array.of(0), 1).status === 0)

function command(bench: ChipBench, opcode: number, p1 = 0, p2 = 0, data: number[] = []): void {
    const body = Uint8Array.of(7 + data.length, opcode, p1, p2 & 0xff, p2 >> 8, ...data)
    const crc = crc16(body)
    expect(bench.bus.transfer(0x60, Uint8Array.of(3, ...body, crc & 0xff, crc >> 8), 0).status).toBe(0)
}

function wake(bench: ChipBench, clock: ManualClock): void {
    bench.bus.transfer(0x60, Uint8Array.of(2), 0)
    bench.bus.transfer(0, new Uint8Array(0), 0)
    clock.advance(2)
}

describe("boards of chip models", () => {
    it("has all parts of a meter and of a MUC at their addresses, once powered", () => {
        const clock = new ManualClock()
        const meter = meterBench({ clock, serial: 1 })
        const muc = mucBench({ clock, serial: 1 })
        expect(present(meter)).toEqual([])
        for (const bench of [meter, muc]) {
            bench.powerOn()
            clock.advance(200)
            wake(bench, clock)
        }
        expect(present(meter)).toEqual([0x38, 0x4d, 0x50, 0x51, 0x60, 0x68])
        expect(present(muc)).toEqual([0x4d, 0x50, 0x51, 0x60, 0x68])
        expect(meter.secureElement.serialNumber).not.toEqual(muc.secureElement.serialNumber)
    })

    it("keeps non-volatile memory in a folder only the owner can read, replaced in one step", () => {
        const clock = new ManualClock()
        const stateDir = join(folder(), "meter")
        const first = meterBench({ clock, serial: 7, stateDir })
        first.powerOn()
        first.bus.transfer(0x50, Uint8Array.of(0, 0, 0xca, 0xfe), 0)
        first.bus.transfer(0x68, Uint8Array.of(0, 0x30, 0x15, 0x12, 1, 1, 1, 0x26), 0)
        wake(first, clock)
        command(first, 0x17, 0x80)
        clock.advance(50)
        first.powerOff()
        first.save()
        first.save()
        expect(readdirSync(stateDir).sort()).toEqual(["atecc608b.json", "ds3231.json", "mb85rc1mt.bin"])
        expect(statSync(join(stateDir, "atecc608b.json")).mode & 0o777).toBe(0o600)
        clock.advance(30_000)
        const second = meterBench({ clock, serial: 7, stateDir })
        second.powerOn()
        expect([...second.bus.transfer(0x50, Uint8Array.of(0, 0), 2).data]).toEqual([0xca, 0xfe])
        expect(second.bus.transfer(0x68, Uint8Array.of(0), 2).data[1]).toBe(0x16)
        expect(second.secureElement.locked.config).toBe(true)
    })

    it("names the part whose state file is damaged", () => {
        const stateDir = folder()
        writeFileSync(join(stateDir, "mb85rc1mt.bin"), "short")
        expect(() => meterBench({ clock: new ManualClock(), serial: 7, stateDir })).toThrow("MB85RC1MT")
    })

    it("gives meters of different serials different errors and households", () => {
        const clock = new ManualClock()
        const [a, b] = [1, 2].map(serial => meterBench({ clock, serial }))
        expect(a.source.at(1000).amperes).not.toBe(b.source.at(1000).amperes)
    })

    it("lets a power cut in the FRAM reach whoever drives the bus, and starts again from what was stored", () => {
        const clock = new ManualClock()
        const bench = meterBench({ clock, serial: 1, load: constantLoad(100) })
        bench.powerOn()
        bench.fram.cutAfterWrites(3)
        expect(() => bench.bus.transfer(0x50, Uint8Array.of(0, 0, 1, 2, 3, 4, 5), 0)).toThrow(PowerCut)
        bench.powerOff()
        bench.powerOn()
        expect([...bench.bus.transfer(0x50, Uint8Array.of(0, 0), 5).data]).toEqual([1, 2, 3, 0, 0])
    })

    it("is freed from a stuck bus by a power cycle", () => {
        const bench = mucBench({ clock: new ManualClock(), serial: 1 })
        bench.powerOn()
        bench.bus.faults.stuck = true
        expect(bench.bus.transfer(0x68, Uint8Array.of(0), 1).status).toBe(-3)
        bench.powerOff()
        bench.powerOn()
        expect(bench.bus.transfer(0x68, Uint8Array.of(0), 1).status).toBe(0)
    })

    it("loses octets of a telegram that arrives while only the secure element is waited for", () => {
        const clock = new ManualClock()
        const wire = new Rs485Wire({ clock })
        const bench = meterBench({ clock, serial: 1, wire })
        bench.powerOn()
        const uart = (register: number, ...octets: number[]) =>
            bench.bus.transfer(0x4d, Uint8Array.of(register << 3, ...octets), 0)
        uart(2, 0x01)
        uart(3, 0x80)
        uart(0, 96)
        uart(1, 0)
        uart(3, 0x03)
        uart(15, 0x30)
        wake(bench, clock)
        command(bench, 0x17, 0x80)
        clock.advance(50)
        wire.tap().send(new Uint8Array(300))
        wake(bench, clock)
        command(bench, 0x40, 0x04, 0)
        clock.advance(116)
        expect(bench.bus.transfer(0x60, new Uint8Array(0), 67).data[0]).toBe(67)
        expect([...bench.bus.transfer(0x4d, Uint8Array.of(9 << 3), 1).data]).toEqual([64])
        expect(bench.bus.transfer(0x4d, Uint8Array.of(5 << 3), 1).data[0] & 0x02).toBe(0x02)
    })
})
