import { beforeEach, describe, expect, it } from "vitest"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { codeThrown } from "../helpers/errors"
import { FakeBus, type Handler } from "../helpers/fake-bus"

const cells = new Uint8Array(0x20000)
let writeProtected: boolean
let bus: FakeBus
let fram: Mb85rc1mt

/** One half of the array, as the data sheet describes write and random read. */
function half(base: number): Handler {
    let pointer = 0
    return (write, length) => {
        if (write.length + length > 256 + 2) throw new Error("transaction above the limit")
        if (write.length >= 2) pointer = base + write[0] * 256 + write[1]
        for (const octet of write.subarray(2)) {
            if (!writeProtected) cells[pointer] = octet
            pointer = (pointer + 1) & 0x1ffff
        }
        return Uint8Array.from({ length }, () => cells[pointer++ & 0x1ffff])
    }
}

beforeEach(() => {
    cells.fill(0)
    writeProtected = false
    const id: Handler = (write, length) =>
        write.toString("hex") === "a0" && length === 3 ? Buffer.from("00a758", "hex") : -1
    bus = new FakeBus({ 80: half(0), 81: half(0x10000), 124: id })
    fram = new Mb85rc1mt(bus, 0x50)
})

describe("MB85RC1MT driver", () => {
    it("knows the part by its device ID and writes nothing at start", () => {
        cells[0] = 7
        fram.start()
        expect(bus.log).toEqual(["50 < 0000 > 07", "7c < a0 > 00a758"])
    })

    it("tells no part, another part and a silent ID apart from each other", () => {
        expect(codeThrown(() => new Mb85rc1mt(new FakeBus({}), 0x50).start())).toBe("PartAbsent")
        const other = { 80: half(0), 124: () => Buffer.from("00a510", "hex") }
        expect(codeThrown(() => new Mb85rc1mt(new FakeBus(other), 0x50).start())).toBe("PartMismatch")
        expect(codeThrown(() => new Mb85rc1mt(new FakeBus({ 80: () => -3 }), 0x50).start())).toBe("BusStuck")
    })

    it("keeps each octet of a long block across the halves, and its neighbours", () => {
        cells.fill(0x11)
        const data = Buffer.alloc(3000, 0)
        for (let i = 0; i < data.length; ++i) data[i] = (i * 31) & 0xff
        fram.write(0x10000 - 700, data)
        expect(Buffer.from(cells.subarray(0x10000 - 700, 0x10000 + 2300))).toEqual(data)
        expect(cells[0x10000 - 701]).toBe(0x11)
        expect(cells[0x10000 + 2300]).toBe(0x11)
        expect(fram.read(0x10000 - 700, 3000)).toEqual(data)
        expect(bus.log.every(line => line.length < 2 * 600)).toBe(true)
    })

    it("reads and writes the last octet, and refuses what lies beyond", () => {
        fram.write(0x1ffff, Buffer.from([9]))
        expect(fram.read(0x1ffff, 1)).toEqual(Buffer.from([9]))
        expect(fram.read(0x1ffff, 0)).toEqual(Buffer.alloc(0))
        const count = bus.log.length
        for (const [at, length] of [
            [0x1ffff, 2],
            [-1, 1],
            [0x20000, 1],
            [0, -1],
            [Number.NaN, 1],
        ])
            expect(codeThrown(() => fram.read(at, length))).toBe("BadArgument")
        expect(codeThrown(() => fram.write(0x1ffff, Buffer.alloc(2)))).toBe("BadArgument")
        expect(codeThrown(() => fram.write(-1, Buffer.alloc(1)))).toBe("BadArgument")
        expect(bus.log.length).toBe(count)
    })

    it("finds the write protection pin high at the first write that would change something", () => {
        writeProtected = true
        fram.write(5, Buffer.from([0, 0]))
        expect(codeThrown(() => fram.write(5, Buffer.from([1, 2])))).toBe("FramWriteProtected")
    })

    it("reads back until one write has changed an octet, then trusts the pin", () => {
        fram.write(5, Buffer.from([0, 0]))
        fram.write(5, Buffer.from([1, 2]))
        const count = bus.log.length
        fram.write(5, Buffer.from([3, 4]))
        expect(bus.log.slice(count)).toEqual(["50 < 00050304 > "])
    })

    it("tells a cell that holds something else from write protection", () => {
        const stuckBit: Handler = (write, length) => {
            if (write.length > 2) write[2] |= 0x80
            return half(0)(write, length)
        }
        const faulty = new Mb85rc1mt(new FakeBus({ 80: stuckBit }), 0x50)
        expect(codeThrown(() => faulty.write(5, Buffer.from([1])))).toBe("ReadBackMismatch")
    })
})
