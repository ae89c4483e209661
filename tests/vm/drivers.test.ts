import { p256 } from "@noble/curves/nist.js"
import { beforeAll, expect, test } from "vitest"
import { writeFile } from "../../firmware/core/sml-transport"
import { Ade7953 } from "../../tools/chips/ade7953"
import { Atecc608b } from "../../tools/chips/atecc608b"
import { I2cBusModel } from "../../tools/chips/bus"
import { Ds3231 } from "../../tools/chips/ds3231"
import { constantLoad } from "../../tools/chips/load-source"
import { Mb85rc1mt } from "../../tools/chips/mb85rc1mt"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 } from "../../tools/chips/sc16is752"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

/** Words of the line of log that begins with `name`. */
let said: (name: string) => string[]
const request = writeFile([Buffer.from("7605", "hex")])
const answer = writeFile([Buffer.alloc(700, 0x33)])

beforeAll(async () => {
    const world = new World({ clock: "virtual" })
    const bus = new I2cBusModel(world)
    const uart = new Sc16is752({ clock: world })
    const parts = [
        new Ade7953({ clock: world, load: constantLoad(1000) }),
        new Atecc608b({ clock: world }),
        new Ds3231({ clock: world }),
        new Mb85rc1mt({ clock: world }),
        uart,
    ]
    for (const part of parts) bus.attach(part)
    const wire = new Rs485Wire({ clock: world })
    uart.channels[0].connect(wire, { echo: true })
    let heard = Buffer.alloc(0)
    const tap = wire.tap({
        onOctets: (octets, atMs) => {
            heard = Buffer.concat([heard, octets])
            if (heard.equals(request)) tap.send(answer, atMs + 5)
        },
    })
    const board = new Board({ image: await compile("tests/vm/device/drivers.ts"), world, bus, parts })
    await board.powerOn()
    await world.runUntil(() => board.log.some(line => line === "done") || !board.powered, 120_000)
    said = name => (board.log.find(line => line.startsWith(`${name} `)) ?? board.log.join("\n")).split(" ").slice(1)
    await board.powerOff()
    world.close()
})

test("FRAM keeps a block across its halves", () => expect(said("fram")).toEqual(["600"]))

test("records are found again", () => expect(said("journal")).toEqual(["70", "70", "000102030405060708090a0b0c0d0e0f"]))

test("the clock is believed only after it was set", () => {
    const [before, seconds, running, quarters] = said("clock")
    expect([before, running]).toEqual(["false", "true"])
    expect(Number(seconds) - 1795356355).toBeLessThanOrEqual(1)
    expect(Number(quarters)).toBe(100)
})

test("the front end accumulates 1 kW for ten seconds", () => {
    const [energy, millivolts, milliwatts, millihertz] = said("energy").map(Number)
    expect(Math.abs(energy / 1e6 - 10000)).toBeLessThan(60)
    expect(Math.abs(millivolts - 230000)).toBeLessThan(1000)
    expect(Math.abs(milliwatts - 1e6)).toBeLessThan(5000)
    expect(Math.abs(millihertz - 50000)).toBeLessThan(20)
})

test("a request goes out, and its answer is complete though it came during signatures", () => {
    expect(said("line")).toEqual(["sent"])
    expect(said("answer")).toEqual(["true", String(answer.length), "0", "1"])
})

test("the element makes a key, is sealed, signs and verifies", () => {
    const [good, isSealed, key, counter] = said("element")
    expect([good, isSealed, counter]).toEqual(["5", "true", "1"])
    expect(() => p256.Point.fromHex(`04${key}`).assertValidity()).not.toThrow()
})
