import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { describe, expect, test } from "vitest"
import { readManifest } from "../../tools/build/manifest"
import { compile } from "../../tools/vm/compile"

const checkout = resolve(__dirname, "../..")
const folder = join(checkout, "boards")
const ids = readdirSync(folder)
    .filter(name => name.endsWith(".board.json"))
    .map(name => name.replace(".board.json", ""))

const read = (id: string) => JSON.parse(readFileSync(join(folder, id + ".board.json"), "utf8"))

/** Pins the chip keeps for itself (flash, radio, USB, start-up): nothing of ours may be there. */
const taken: Record<string, number[]> = {
    rp2040: [23, 24, 25, 29],
    rp2040w: [23, 24, 25, 29],
    esp32c3: [2, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21],
    esp32s3: [0, 3, 19, 20, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 43, 44, 45, 46],
}

test("the four boards are there", () => {
    expect(ids.sort()).toEqual(["plomb_esp32_c3", "plomb_esp32_s3", "plomb_pico", "plomb_pico_w"])
})

describe.each(ids)("%s", id => {
    const board = read(id)

    test("has the bus at the rate at which the secure element hears its wake pulse", () => {
        expect(board.i2c).toEqual({ pinSDA: "SDA", pinSCL: "SCL", kHz: 100 })
    })

    test("has the names that bindings use, none of them on a pin the chip needs for itself", () => {
        const always = ["SCL", "SCL_LINE", "SDA", "SDA_LINE", "SEAL", "STATUS"]
        const spi = ["SPI_CS", "SPI_MISO", "SPI_MOSI", "SPI_SCK"]
        const ethernet = readManifest(checkout).some(row => row.hardware === id && row.spi === "board")
        expect(Object.keys(board.pins).sort()).toEqual([...always, ...(ethernet ? spi : [])].sort())
        const pins = Object.values<number>(board.pins)
        expect(new Set(pins).size).toBe(pins.length)
        expect(pins.filter(pin => taken[board.archId].includes(pin))).toEqual([])
    })

    test("has its bus on pins that share an I2C block (RP2040: SDA even, SCL the next)", () => {
        if (!board.archId.startsWith("rp2040")) return expect(board.pins.SDA).not.toBe(board.pins.SCL)
        expect(board.pins.SDA % 2).toBe(0)
        expect(board.pins.SCL).toBe(board.pins.SDA + 1)
    })

    test("has a product identifier of its own", () => {
        const all = ids.map(each => read(each).productId)
        expect(board.productId).toMatch(/^0x3[0-9a-f]{7}$/)
        expect(all.filter(each => each === board.productId)).toHaveLength(1)
    })

    test("has a page whose pins are those of the definition", () => {
        const page = readFileSync(join(folder, id + ".md"), "utf8")
        for (const [name, gpio] of Object.entries<number>(board.pins)) {
            const row = new RegExp(`^\\| ${name} \\| (?:GP|GPIO )(\\d+)(?: |\\b)`, "m").exec(page)
            expect(row && Number(row[1]), name).toBe(gpio)
        }
        for (const address of ["0x60", "0x38", "0x68", "0x50", "0x4D", "0x3C"]) expect(page).toContain(address)
    })

    test("is taken by the compiler, with the free pins as pins", async () => {
        const main = "probe/main.ts"
        const { bytecode } = await compile(main, {
            files: {
                [main]: [
                    `import { pins } from "@dsboard/${id}"`,
                    'import { BoardBus } from "../hal/bus-board"',
                    'import { sealOpenAt, startSeal } from "../hal/pin-board"',
                    "startSeal(pins.SEAL as any)",
                    "const bus = new BoardBus(pins.SCL_LINE as any, pins.SDA_LINE as any)",
                    "console.log(sealOpenAt(pins.SEAL as any), pins.STATUS, bus.transfer(0x60, hex`00`, 4))",
                ].join("\n"),
            },
        })
        for (const name of ["SEAL", "SCL_LINE", "SDA_LINE", "STATUS"])
            expect(Buffer.from(bytecode).includes(name), name).toBe(true)
    })

    test("does not let a program take the pins of the bus", async () => {
        const main = "probe/main.ts"
        const files = { [main]: `import { pins } from "@dsboard/${id}"\nconsole.log(pins.SDA)` }
        await expect(compile(main, { files })).rejects.toThrow(/SDA.* does not exist|Property 'SDA'/)
    })
})
