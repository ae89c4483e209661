import { createHash } from "node:crypto"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { buildVariant, ensureBuilt } from "../../tools/build/build"
import { softwareChecksum } from "../../tools/build/checksum"
import { entryText } from "../../tools/build/entry"
import { ManifestError, readManifest } from "../../tools/build/manifest"
import { overruns, sizeTable } from "../../tools/build/table"
import { Board } from "../../tools/vm/board"
import { CompileError } from "../../tools/vm/compile"
import { World } from "../../tools/vm/world"

const checkout = resolve(__dirname, "../..")
const folders: string[] = []

const manifest = {
    images: {
        probe: {
            entry: "firmware/probe/main.ts",
            version: "1.2.3",
            boards: {
                vm: { bus: "vm", custody: "element", agreement: "element", uplink: "net" },
                vm_software: { board: "vm", bus: "vm", custody: "software", agreement: "software" },
                plomb_pico: { bus: "board", custody: "element" },
            },
        },
    },
}

const probe = `import type { Machine } from "../../hal/machine"
import { platform } from "../core/platform"

export function start(machine: Machine): void {
    console.log(machine.softwareIdentification)
    console.log(machine.softwareChecksum.toString("hex"))
    console.log(machine.deviceId.toString("hex"), machine.sealOpen(), machine.settings.get("colour"))
    console.log(platform().sha256([hex\`616263\`]).toString("hex"), machine.custody.protection)
}
`

/** A checkout with one small image, in a folder of the given name. */
function makeCheckout(name: string, main = probe, rows: object = manifest): string {
    const top = mkdtempSync(join(tmpdir(), "plomb-build-"))
    folders.push(top)
    const root = join(top, name)
    mkdirSync(join(root, "firmware/probe"), { recursive: true })
    for (const part of ["hal", "boards", "services", "firmware/core"])
        cpSync(join(checkout, part), join(root, part), { recursive: true })
    writeFileSync(join(root, "firmware/probe/main.ts"), main)
    writeFileSync(join(root, "devicescript.json"), JSON.stringify(rows))
    return root
}

afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

describe("plomb build", () => {
    let here: string
    let there: string

    beforeAll(() => {
        here = makeCheckout("a")
        there = makeCheckout("another checkout with a longer name/and deeper")
    })

    test("the same sources in two folders give the same octets", async () => {
        const [one, other] = [await ensureBuilt("probe", "vm", here), await ensureBuilt("probe", "vm", there)]
        expect(one.report.sha256).toBe(other.report.sha256)
        expect(one.report).toEqual(other.report)
        const octets = readFileSync(join(one.folder, "bytecode.devs"))
        expect(createHash("sha256").update(octets).digest("hex")).toBe(one.report.sha256)
        expect(octets.includes(Buffer.from("plomb-build-"))).toBe(false)
    })

    test("an image for the VM runs, and finds what its manifest chose", async () => {
        const { image, report } = await ensureBuilt("probe", "vm", here)
        const world = new World({ clock: "virtual" })
        const board = new Board({
            image,
            world,
            deviceId: "0011223344556677",
            settings: { colour: "blue" },
            gpio: pin => (pin === 1 ? 1 : 0),
            onEnd: () => {},
        })
        await board.powerOn()
        await world.runFor(1000)
        await board.powerOff()
        world.close()
        expect(board.log.filter(line => !line.startsWith("* "))).toEqual([
            "plomb-probe 1.2.3",
            report.softwareChecksum,
            "0011223344556677 true blue",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 1",
        ])
    })

    test("the software checksum is that of the image with the checksum blank, and changes with any octet", async () => {
        const { image, report } = await ensureBuilt("probe", "vm", here)
        expect(softwareChecksum(image.bytecode, report.checksumAt).toString("hex")).toBe(report.softwareChecksum)
        const other = makeCheckout("b", probe.replace("colour", "color"))
        const changed = await ensureBuilt("probe", "vm", other)
        expect(changed.report.softwareChecksum).not.toBe(report.softwareChecksum)
    })

    test("a second build of the same sources leaves the files as they are", async () => {
        const { folder } = await ensureBuilt("probe", "vm", here)
        const before = statSync(join(folder, "bytecode.devs")).mtimeMs
        await ensureBuilt("probe", "vm", here)
        expect(statSync(join(folder, "bytecode.devs")).mtimeMs).toBe(before)
    })

    test("a build carries only the bindings its row names", async () => {
        const paths = async (board: string) => (await ensureBuilt("probe", board, here)).image.sources
        const [vm, software, pico] = [await paths("vm"), await paths("vm_software"), await paths("plomb_pico")]
        expect(vm).toContain("hal/bus-vm.ts")
        expect(vm).toContain("hal/uplink-net.ts")
        expect(vm).not.toContain("hal/keys-software.ts")
        expect(vm).toContain("hal/agreement-element.ts")
        expect(software).toContain("hal/keys-software.ts")
        expect(software).not.toContain("hal/keys-element.ts")
        expect(software).toContain("hal/agreement-software.ts")
        expect(software).not.toContain("hal/agreement-element.ts")
        expect(pico).toContain("hal/bus-board.ts")
        expect(pico).not.toContain("hal/bus-vm.ts")
        expect(pico).not.toContain("hal/uplink-net.ts")
    })

    test("rooms account for all function code", async () => {
        const { report, image } = await ensureBuilt("probe", "vm_software", here)
        const { rooms, code } = report.sizes
        const inRooms = Object.values(rooms).reduce((sum, each) => sum + each, 0)
        // Before the functions' code lie only the headers.
        expect(code - inRooms).toBe(image.sizes.header)
        expect(rooms.p256).toBeGreaterThan(1000)
        expect(rooms.app).toBeLessThan(1000)
        expect(sizeTable([report], new Map([["vm_software", "50.0"]]))).toMatch(/vm_software +.*50\.0 +[0-9a-f]{12}$/m)
    })

    test("what is above a limit is said, with the boards it concerns", async () => {
        const { report } = await ensureBuilt("probe", "vm", here)
        expect(overruns([report])).toEqual([])
        const fat = { ...report, board: "x", sizes: { image: 120_000, code: 70_000, rooms: { core: 30_000 } } }
        expect(overruns([report, fat])).toEqual([
            "probe: the code takes 68.4 KB of 64.0 KB (x)",
            "probe: the image takes 117.2 KB of 107.9 KB (x)",
            expect.stringMatching(/^probe: core takes 29\.3 KB of [0-9.]+ KB \(x\)$/),
        ])
    })

    test("sources that do not compile are refused with file, line and column, and nothing is written", async () => {
        const root = makeCheckout("c", probe.replace('get("colour")', "get(7)"))
        const failure = await ensureBuilt("probe", "vm", root).catch(error => error)
        expect(failure).toBeInstanceOf(CompileError)
        expect(failure.problems).toEqual([expect.stringMatching(/^firmware\/probe\/main\.ts:7:\d+ .*not assignable/)])
        expect(() => statSync(join(root, ".plomb/build/probe-vm/bytecode.devs"))).toThrow()
    })

    test("an image whose entry does not exist is refused by its name", async () => {
        const root = makeCheckout("d", probe, {
            images: { probe: { ...manifest.images.probe, entry: "firmware/gone/main.ts" } },
        })
        const failure = await buildVariant(readManifest(root)[0], root).catch(error => error)
        expect(failure).toBeInstanceOf(CompileError)
        expect(failure.message).toMatch(/firmware\/gone\/main/)
    })

    test("an image or board that the manifest does not have is refused with those it has", async () => {
        await expect(ensureBuilt("probe", "toaster", here)).rejects.toThrow(/vm, vm_software, plomb_pico/)
        await expect(ensureBuilt("display", "vm", here)).rejects.toThrow(/no image "display".*probe/)
    })
})

describe("devicescript.json", () => {
    const rowsOf = (rows: object) => readManifest(makeCheckout("m", probe, { images: { probe: rows } }))
    const row = manifest.images.probe

    test.each([
        ["an image without version", { entry: row.entry, boards: {} }, /needs an entry and a version/],
        ["an unknown board", { ...row, boards: { toaster: row.boards.vm } }, /no boards\/toaster\.board\.json/],
        [
            "an unknown bus",
            { ...row, boards: { vm: { bus: "spi", custody: "element" } } },
            /bus is "spi", expected one of/,
        ],
        ["no custody", { ...row, boards: { vm: { bus: "vm" } } }, /custody is "undefined"/],
        [
            "an unknown agreement",
            { ...row, boards: { vm: { bus: "vm", custody: "element", agreement: "rsa" } } },
            /agreement is "rsa", expected one of element, software/,
        ],
        [
            "agreement in an element that is not there",
            { ...row, boards: { vm: { bus: "vm", custody: "software", agreement: "element" } } },
            /needs custody "element"/,
        ],
        ["the VM's bus on a board", { ...row, boards: { plomb_pico: row.boards.vm } }, /does not exist on plomb_pico/],
        ["a board's bus in the VM", { ...row, boards: { vm: row.boards.plomb_pico } }, /does not exist on vm/],
    ])("%s is refused", (_name, rows, expected) => {
        expect(() => rowsOf(rows)).toThrow(ManifestError)
        expect(() => rowsOf(rows)).toThrow(expected)
    })

    test("the project's own names all images and all four boards", () => {
        const variants = readManifest(checkout)
        const images = new Set([
            "meter",
            "meter_master",
            "meter_calibration",
            "muc",
            "muc_field",
            "muc_modules",
            "muc_lan",
            "muc_plc",
            "muc_install",
            "display",
        ])
        expect(new Set(variants.map(each => each.image))).toEqual(images)
        const hardware = new Set(variants.map(each => each.hardware))
        expect(hardware).toEqual(new Set(["vm", "plomb_pico", "plomb_pico_w", "plomb_esp32_c3", "plomb_esp32_s3"]))
    })

    test("key agreement is in the MUC's images, which speak TLS or take sealed keys, and only there", () => {
        for (const { image, agreement } of readManifest(checkout))
            expect(agreement !== undefined, image).toBe(image.startsWith("muc"))
    })

    test("the generated entry of a MUC with field buses imports those of its row, each once, a line each", () => {
        const variant = readManifest(checkout).find(each => each.image === "muc_field" && each.board === "vm")!
        const text = entryText({ ...variant, buses: ["mbus", "mbus", "sml"] })
        expect(text).toContain("}, [startMbus, startMbus, startSml])")
        expect(text.match(/import .*field-mbus"/g)).toHaveLength(1)
        expect(text).not.toContain("wmbus")
    })

    test("the generated entry hands the board's own pins to the bus and the seal", () => {
        const variant = readManifest(checkout).find(each => each.image === "meter" && each.board === "plomb_pico")!
        const text = entryText(variant)
        expect(text).toContain('from "@dsboard/plomb_pico"')
        expect(text).toContain("new BoardBus(pins.SCL_LINE as any, pins.SDA_LINE as any)")
        expect(text).not.toContain("uplink")
        expect(text).not.toContain("agreement")
    })
})
