import { beforeAll, expect, test } from "vitest"
import { Code } from "../../firmware/core/errors"
import { I2cBusModel } from "../../tools/chips/bus"
import { IecMeter } from "../../tools/chips/iec-meter"
import { Mb85rc1mt } from "../../tools/chips/mb85rc1mt"
import { meterContent, meterIdentification } from "../../tools/chips/mbus-content"
import { MbusLine, type MbusSlaveOptions } from "../../tools/chips/mbus-line"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 } from "../../tools/chips/sc16is752"
import { WmbusModule } from "../../tools/chips/wmbus-module"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

/** Words of the line of log that begins with `name`. */
let said: (name: string) => string[]
let log: string[] = []
const data = "1.8.0(000123.45*kWh)\r\n"
const pushed = "/ABC5meter\r\n\r\n1-0:1.8.0(000123.45*kWh)\r\n!\r\n"
const telegram = Buffer.from("1144932693630000010378000102030405060708".slice(0, 36), "hex")

function meter(primary: number, number: number, telegrams = 1): MbusSlaveOptions {
    const secondary = meterIdentification(number)
    return {
        primary,
        secondary,
        telegrams: () => Array.from({ length: telegrams }, (_, i) => meterContent(secondary, i, i < telegrams - 1)),
    }
}

beforeAll(async () => {
    telegram[0] = telegram.length - 1
    const world = new World({ clock: "virtual" })
    const bus = new I2cBusModel(world, 400_000)
    const parts = [new Sc16is752({ clock: world }), new Sc16is752({ clock: world, a1: "VDD", a0: "VDD" })]
    const memory = new Mb85rc1mt({ clock: world })
    for (const part of [...parts, memory]) bus.attach(part)
    const wires = [0, 1, 2, 3].map(() => new Rs485Wire({ clock: world }))
    for (const [i, wire] of wires.entries()) parts[i >> 1].channels[i & 1].connect(wire, { echo: i < 2 })
    new MbusLine(wires[0], 2400, [meter(7, 12345678), meter(8, 4712, 3), meter(9, 1), meter(9, 2)])
    new IecMeter(wires[1], { address: "1", identification: "ABC5meter", data: () => data })
    const radio = new WmbusModule(wires[2], world, "amb8465")
    const push = wires[3].tap({ format: { baud: 2400, dataBits: 7, parity: "even", stopBits: 1 } })
    const image = await compile("tests/vm/device/field-buses.ts")
    const board = new Board({ image, world, bus, parts: [...parts, memory] })
    await board.powerOn()
    const until = (line: string) => world.runUntil(() => board.log.includes(line) || !board.powered, 300_000)
    await until("listening")
    radio.air(telegram, 0xf0)
    await until("pushed")
    push.send(Buffer.from(pushed))
    await until("done")
    log = board.log
    said = name => (log.find(line => line.startsWith(`${name} `)) ?? log.join("\n")).split(" ").slice(1)
    await board.powerOff()
    world.close()
}, 120_000)

test("wired M-Bus: reads a meter by its address, without the converter's echo", () => {
    const [count, echoes, octets] = said("primary")
    expect([count, echoes]).toEqual(["2", "3"])
    expect(octets.slice(12, -4)).toBe(Buffer.from(meter(7, 12345678).telegrams()[0]).toString("hex"))
})

test("wired M-Bus: reads several telegrams of one meter", () => expect(said("several")[0]).toBe("3"))

test("wired M-Bus: says that nobody answers", () => expect(said("silent")).toEqual([String(Code.MeterSilent), "3"]))

test("wired M-Bus: finds meters, and tells two at one address", () => {
    const found = said("scan").filter(word => word !== "")
    expect(found.map(word => word.split(":")[0])).toEqual(["7", "8", "9"])
    expect(found[2]).toBe("9:several")
})

test("wired M-Bus: reads the meter it selected", () =>
    expect(said("selected")[0].slice(14, 30)).toBe("785634128f410102"))

test("schedule of 250 meters is found again", () => expect(said("schedule")).toEqual(["2", "5000", "true"]))

test("IEC 62056-21: signs on, changes the rate, reads", () =>
    expect(said("iec")).toEqual(["C", String(data.length), "0"]))

test("wireless M-Bus: sets up its module and hands up a telegram", () =>
    expect(said("radio")).toEqual([telegram.toString("hex"), "-82"]))

test("mode D: takes a telegram that was sent unasked", () => expect(said("push")).toEqual([String(pushed.length)]))
