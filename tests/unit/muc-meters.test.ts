import { expect, test } from "vitest"
import { MeterList } from "../../firmware/muc/meters"
import { codeThrown } from "../helpers/errors"
import { MemoryStore } from "../helpers/memory-store"

const id = (n: number) => Buffer.from(`0a01504c4201000000${n.toString(16).padStart(2, "0")}`, "hex")

test("a device with another kind of server id is passed over and does not end a discovery", () => {
    const list = new MeterList(new MemoryStore(1024))
    for (const foreign of [Buffer.alloc(0), Buffer.alloc(7), Buffer.alloc(11)]) expect(list.add(foreign)).toBe(false)
    expect(list.add(id(1))).toBe(true)
    expect(list.add(id(1))).toBe(false)
    expect(list.count()).toBe(1)
})

test("at most 32 meters, found again after a restart", () => {
    const store = new MemoryStore(1024)
    const list = new MeterList(store)
    for (let n = 1; n <= 32; ++n) list.add(id(n))
    expect(codeThrown(() => list.add(id(33)))).toBe("TooManyMeters")
    expect(new MeterList(store).idAt(31)).toEqual(id(32))
})

test("a damaged list is empty, and holds again what is added", () => {
    const store = new MemoryStore(1024)
    new MeterList(store).add(id(1))
    store.cells[3] ^= 1
    const list = new MeterList(store)
    expect(list.count()).toBe(0)
    expect(list.add(id(2))).toBe(true)
    expect(new MeterList(store).idAt(0)).toEqual(id(2))
})
