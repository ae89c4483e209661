import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { Board, type BoardEnd } from "../../tools/vm/board.ts"
import { CompileError, compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

async function endOf(how: number, board: Partial<ConstructorParameters<typeof Board>[0]> = {}) {
    const world = new World({ clock: "virtual" })
    const image = await compile("tests/vm/device/panic.ts")
    const one = new Board({ image, world, onHostCall: () => Uint8Array.of(how), ...board })
    await one.powerOn()
    const end = await world.runWhile(one.exited, 60_000)
    return { board: one, world, end }
}

test("a program boots and says its device id", async () => {
    const world = new World({ clock: "virtual" })
    const board = new Board({ image: await compile("tests/vm/device/hello.ts"), world, deviceId: "0102030405060708" })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("hello 0102030405060708"), 1000)
    await board.powerOff()
    expect(board.powered).toBe(false)
})

test("settings, bus and host calls reach the host and come back, and a refusal is a typed error", async () => {
    const world = new World()
    const asked: number[] = []
    const board = new Board({
        image: await compile("tests/vm/device/calls.ts"),
        world,
        settings: { name: "Zähler" },
        bus: {
            transfer: (address, write, length) =>
                address === 0x50
                    ? { status: 0, data: Uint8Array.of(...write, ...write).slice(0, length) }
                    : { status: -1, data: new Uint8Array(0) },
        },
        onHostCall: (op, a, write) => {
            asked.push(op, a)
            return Uint8Array.from(write).reverse()
        },
    })
    await board.powerOn()
    expect((await world.runWhile(board.exited, 5000)).reason).toBe("restart")
    expect(board.log).toContain("setting Zähler")
    expect(board.log).toContain("read [Buffer[4] 00100010]")
    expect(board.log.find(line => line.startsWith("code 4600"))).toBeDefined()
    expect(board.log).toContain("reply [Buffer[3] 030201]")
    expect(asked).toEqual([16, 7])
    world.close()
})

test("a program that does not compile is reported with file and line, whatever the current folder", async () => {
    const files = { "made/bad.ts": "const a: number = 1\nconst b: string = a\nconsole.log(b)\n" }
    const refused = compile("made/bad.ts", { files })
    await expect(refused).rejects.toThrow(CompileError)
    await expect(refused).rejects.toThrow("made/bad.ts:2:7 Type 'number' is not assignable to type 'string'.")
    await expect(compile("made/none.ts")).rejects.toThrow("made/none.ts:1")
})

test.each([
    [1, 60005, "fails (tests/vm/device/panic.ts:10:"],
    [2, 60001, "fails (tests/vm/device/panic.ts:11:"],
    [3, 60006, "deep (tests/vm/device/panic.ts:5:"],
    [4, 60004, "fails (tests/vm/device/panic.ts:15:"],
])("panic %i is reported with code %i and the line of the program", async (how, code, place) => {
    const { board, end } = await endOf(how)
    expect(end.reason).toBe("panic")
    expect(end.code).toBe(code)
    expect(board.panic?.code).toBe(code)
    expect(board.log.join("\n")).toContain("at " + place)
    expect(board.powered).toBe(false)
})

test("a restart and a reboot of the program are reported, not continued", async () => {
    for (const [how, reason] of [
        [5, "restart"],
        [6, "reboot"],
    ] as const) {
        const { board, end } = await endOf(how)
        expect(end.reason).toBe(reason)
        expect(board.log.filter(line => line === "how " + how)).toHaveLength(1)
    }
})

test("with restart a board goes on as a real one does, and each panic is told", async () => {
    const ends: BoardEnd[] = []
    const world = new World({ clock: "virtual" })
    const board = new Board({
        image: await compile("tests/vm/device/panic.ts"),
        world,
        restart: true,
        onHostCall: () => Uint8Array.of(ends.length < 2 ? 1 : 0),
        onEnd: end => ends.push(end),
    })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("how 0"), 60_000)
    expect(ends.map(end => end.code)).toEqual([60005, 60005])
    await board.powerOff()
})

test("a panic nobody watches for fails the run", async () => {
    const world = new World({ clock: "virtual" })
    const image = await compile("tests/vm/device/panic.ts")
    const board = new Board({ image, world, onHostCall: () => Uint8Array.of(1) })
    await board.powerOn()
    await expect(world.runFor(1000)).rejects.toThrow("panic 60005")
})

test("an error thrown by host code ends the board as a fault with its cause", async () => {
    const cause = new Error("the bench is broken")
    const { end } = await endOf(0, {
        onHostCall: () => {
            throw cause
        },
    })
    expect(end.reason).toBe("fault")
    expect(end.cause).toBe(cause)
})

test("a program that loops around sleep(0) for ever does not hang the host", async () => {
    const files = { "made/loop.ts": `import { sleep } from "@devicescript/core"\nwhile (true) await sleep(0)\n` }
    const world = new World({ clock: "virtual" })
    const board = new Board({ image: await compile("made/loop.ts", { files }), world, stuckMs: 300 })
    await board.powerOn()
    const end = await world.runWhile(board.exited, 60_000)
    expect(end.reason).toBe("fault")
    expect(end.message).toContain("on and on")
})

test("flash in a file survives the board, so settings do", async () => {
    const folder = mkdtempSync(join(tmpdir(), "plomb-flash-"))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const flash = join(folder, "flash.bin")
    const text = [
        'import { readSetting, writeSetting } from "@devicescript/settings"',
        'import * as ds from "@devicescript/core"',
        'const count: number = (await readSetting("count", 0)) + 1',
        'await writeSetting("count", count)',
        'console.log("count", count)',
        "await ds.sleep(2000)",
        "ds.restart()",
    ]
    const image = await compile("made/flash.ts", { files: { "made/flash.ts": text.join("\n") } })
    for (const count of [1, 2, 3]) {
        const world = new World({ clock: "virtual" })
        const board = new Board({ image, world, flash })
        await board.powerOn()
        await world.runWhile(board.exited, 60_000)
        expect(board.log).toContain("count " + count)
    }
})

test("the free heap is what a program's own allocations leave", async () => {
    const world = new World({ clock: "virtual" })
    const free: (number | undefined)[] = []
    for (const octets of [0, 10_000]) {
        const text = `const keep = Buffer.alloc(${octets})\nsetInterval(() => { keep.length }, 10)\n`
        const files = { "made/heap.ts": `import { setInterval } from "@devicescript/core"\n` + text }
        const board = new Board({ image: await compile("made/heap.ts", { files }), world })
        await board.powerOn()
        await world.runFor(1000)
        const figure = board.heap()
        expect(figure?.total).toBe(65_524)
        expect(figure?.largest).toBeLessThanOrEqual(figure?.free ?? 0)
        free.push(figure?.free)
        await board.powerOff()
    }
    expect(free[0]).toBeGreaterThan(64_000)
    expect((free[0] ?? 0) - (free[1] ?? 0)).toBe(10_000)
})
