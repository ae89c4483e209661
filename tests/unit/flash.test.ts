import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest"
import type { Built } from "../../tools/build/build"
import { bundle, flashStore, storeSize } from "../../tools/flash/bundle"
import { baseFirmware, NoFirmware, targetOf } from "../../tools/flash/firmware"
import { compile } from "../../tools/vm/compile"
import { Wasm } from "../../tools/vm/wasm"

const checkout = resolve(__dirname, "../..")
const folder = mkdtempSync(join(tmpdir(), "plomb-flash-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const program = { files: { "probe/main.ts": 'console.log("flashed and running")\n' } }
const built = async () => ({ image: await compile("probe/main.ts", program), folder }) as Built

/** A stand-in for the runtime of an RP2040: UF2 blocks of zeros. */
function fakeUf2(octets: number): Buffer {
    const count = octets / 256
    const file = Buffer.alloc(count * 512)
    for (let i = 0; i < count; ++i) {
        const words = [0x0a324655, 0x9e5d5157, 0x2000, 0x10000000 + i * 256, 256, i, count, 0xe48bff56]
        for (const [k, word] of words.entries()) file.writeUInt32LE(word, i * 512 + 4 * k)
        file.writeUInt32LE(0x0ab16f30, i * 512 + 508)
    }
    return file
}

/** What a UF2 file writes, by address. */
function memoryOf(uf2: Buffer, start: number, length: number): Buffer {
    const memory = Buffer.alloc(length, 0xff)
    for (let at = 0; at < uf2.length; at += 512) {
        const address = uf2.readUInt32LE(at + 12) - start
        const count = uf2.readUInt32LE(at + 16)
        if (address >= 0 && address + count <= length) uf2.copy(memory, address, at + 32, at + 32 + count)
    }
    return memory
}

/** Starts a VM on a flash store alone and answers its log. */
async function logOf(store: Uint8Array): Promise<string[]> {
    const log: string[] = []
    let ms = 0
    const wasm = await Wasm.create({
        now: () => ++ms,
        random: target => target.fill(1),
        log: line => log.push(line),
        panic: () => {},
        frame: () => {},
        flashSize: store.length,
        flashLoad: target => target.set(store),
        flashSave: () => {},
        socketOpen: () => -1,
        socketWrite: () => -1,
        socketClose: () => -1,
    })
    wasm.setDeviceId("0011223344556677")
    wasm.init()
    for (let i = 0; i < 5000 && !log.some(line => /flashed/.test(line)); ++i) wasm.process()
    return log
}

describe("bundle", () => {
    test("the flash store alone starts the program", async () => {
        const { image } = await built()
        const store = await flashStore(image.bytecode, 128 * 1024)
        expect(store.length).toBe(128 * 1024)
        expect((await logOf(store)).join("\n")).toContain("flashed and running")
    })

    test("the same image gives the same flash store", async () => {
        const { image } = await built()
        const [one, other] = [await flashStore(image.bytecode, 131072), await flashStore(image.bytecode, 131072)]
        expect(Buffer.from(one).equals(Buffer.from(other))).toBe(true)
    })

    test("a Pico's file holds runtime, board definition and flash store at their addresses", async () => {
        const target = targetOf(checkout, "plomb_pico")
        const runtime = join(folder, target.name)
        writeFileSync(runtime, fakeUf2(128 * 1024))
        const file = await bundle(await built(), target, runtime)
        expect(file).toBe(join(folder, "devicescript-rp2040-plomb_pico.uf2"))
        const uf2 = readFileSync(file)
        expect(memoryOf(uf2, 0x10000000, 131072).equals(Buffer.alloc(131072))).toBe(true)
        expect(memoryOf(uf2, 0x100dc000, 4096).toString("latin1")).toContain("Plomb on Raspberry Pi Pico")
        const store = memoryOf(uf2, 0x100e0000, storeSize(target))
        expect((await logOf(store)).join("\n")).toContain("flashed and running")
    })

    test("an ESP32-C3's file holds them too, and its name says where it goes", async () => {
        const target = targetOf(checkout, "plomb_esp32_c3")
        const runtime = join(folder, target.name)
        writeFileSync(runtime, Buffer.alloc(1024 * 1024, 0xff))
        const file = await bundle(await built(), target, runtime)
        expect(file).toBe(join(folder, "devicescript-esp32c3-plomb_esp32_c3-0x0.bin"))
        const octets = readFileSync(file)
        expect(octets.subarray(0x9000, 0xa000).toString("latin1")).toContain("Plomb on ESP32-C3")
        expect(storeSize(target)).toBe(256 * 1024)
        const store = octets.subarray(0x1c0000, 0x1c0000 + storeSize(target))
        expect((await logOf(store)).join("\n")).toContain("flashed and running")
    })

    test("a file that is no runtime is refused", async () => {
        const runtime = join(folder, "not-a.uf2")
        writeFileSync(runtime, Buffer.alloc(200_000))
        await expect(bundle(await built(), targetOf(checkout, "plomb_pico"), runtime)).rejects.toThrow(/not a UF2/)
    })
})

describe("base firmware", () => {
    const target = targetOf(checkout, "plomb_pico")
    let root: string
    beforeEach(() => {
        root = mkdtempSync(join(folder, "root-"))
    })

    test("is taken from the cache without asking the network", async () => {
        const file = join(root, ".devicescript/cache", target.name)
        mkdirSync(join(root, ".devicescript/cache"), { recursive: true })
        writeFileSync(file, fakeUf2(128 * 1024))
        const asked = vi.spyOn(globalThis, "fetch")
        expect(await baseFirmware(root, target, false)).toBe(file)
        expect(asked).not.toHaveBeenCalled()
        asked.mockRestore()
    })

    test.each([
        [
            "no network",
            () => Promise.reject(new TypeError("fetch failed", { cause: new Error("ENOTFOUND") })),
            /ENOTFOUND/,
        ],
        ["a server that says no", async () => new Response("gone", { status: 404 }), /says 404/],
        ["an error page", async () => new Response("sign in first"), /only 13 octets/],
    ])("%s ends with what to do by hand, and leaves nothing behind", async (_name, answer, reason) => {
        const asked = vi.spyOn(globalThis, "fetch").mockImplementation(answer)
        const failure = await baseFirmware(root, target, false).catch(error => error)
        asked.mockRestore()
        expect(failure).toBeInstanceOf(NoFirmware)
        expect(failure.message).toMatch(reason)
        expect(failure.message).toContain(target.url)
        expect(existsSync(join(root, ".devicescript"))).toBe(false)
    })

    test("a broken file in the cache is named, not used", async () => {
        mkdirSync(join(root, ".devicescript/cache"), { recursive: true })
        writeFileSync(join(root, ".devicescript/cache", target.name), "half")
        await expect(baseFirmware(root, target, false)).rejects.toThrow(/only 4 octets/)
    })
})

describe("plomb flash", () => {
    const flash = (...words: string[]) => {
        const done = spawnSync(process.execPath, [join(checkout, "tools/plomb.mjs"), "flash", ...words])
        return { status: done.status, error: done.stderr.toString().trim() }
    }

    test.each([
        ["no image", [], 2, /which image/],
        ["no board", ["meter"], 2, /which board/],
        ["the VM", ["meter_calibration", "--board", "vm"], 2, /plomb run meter_calibration/],
        ["an unknown image", ["toast", "--board", "vm"], 1, /no image "toast"/],
        ["an unknown board", ["meter", "--board", "toaster"], 1, /not built for "toaster"/],
    ])("%s is refused in one line", (_name, words, status, expected) => {
        const answer = flash(...words)
        expect(answer.status).toBe(status)
        expect(answer.error).toMatch(expected)
        expect(answer.error.split("\n")).toHaveLength(1)
    })
})
