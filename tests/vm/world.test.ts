import { createServer } from "node:net"
import { expect, test } from "vitest"
import { I2cBusModel } from "../../tools/chips/bus.ts"
import { Mb85rc1mt } from "../../tools/chips/mb85rc1mt.ts"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

test("a virtual hour of sleeping passes and every wake-up is on time", async () => {
    const world = new World({ clock: "virtual" })
    const late: number[] = []
    const board = new Board({
        image: await compile("tests/vm/device/sleeper.ts"),
        world,
        onHostCall: (_op, a) => {
            late.push(a)
            return new Uint8Array(0)
        },
    })
    const startMs = world.nowMs()
    await board.powerOn()
    await world.runFor(3600_000)
    expect(late).toHaveLength(359)
    expect(Math.max(...late)).toBeLessThanOrEqual(10)
    expect(world.nowMs() - startMs).toBeCloseTo(3600_000, 0)
    await board.powerOff()
})

test("events of a world run in the order of their time, and a cancelled one not at all", async () => {
    const world = new World({ clock: "virtual" })
    const seen: string[] = []
    world.after(20, () => seen.push("c"))
    world.after(10, () => seen.push("a"))
    world.after(10, () => seen.push("b"))
    world.after(15, () => seen.push("never")).cancel()
    await world.runFor(19)
    expect(seen).toEqual(["a", "b"])
    await world.runFor(1)
    expect(seen).toEqual(["a", "b", "c"])
})

test("a condition that does not come true in time is an error", async () => {
    const world = new World({ clock: "virtual" })
    await expect(world.runUntil(() => false, 50)).rejects.toThrow("within 50 ms")
    expect(world.elapsedMs()).toBe(50)
})

test("a held clock stands while Node works", async () => {
    const world = new World({ clock: "virtual" })
    const release = world.hold()
    let atMs = -1
    setTimeout(() => {
        atMs = world.elapsedMs()
        release()
    }, 30)
    await world.runFor(1000)
    expect(atMs).toBe(0)
})

test("two boards share one clock and run side by side", async () => {
    const world = new World({ clock: "virtual" })
    const image = await compile("tests/vm/device/sleeper.ts")
    const order: string[] = []
    const boards = ["a", "b"].map(
        name =>
            new Board({
                image,
                world,
                onHostCall: () => {
                    order.push(name)
                    return new Uint8Array(0)
                },
            }),
    )
    for (const board of boards) await board.powerOn()
    await world.runFor(35_000)
    expect(order.join("")).toMatch(/^(ab|ba){3}$/)
    expect(boards[0].deviceId).not.toBe(boards[1].deviceId)
    for (const board of boards) await board.powerOff()
})

test("power cut by a memory model in the middle of a write: that board is off, its memory is half written, others go on", async () => {
    const world = new World({ clock: "virtual" })
    const image = await compile("tests/vm/device/writer.ts")
    const makeBoard = () => {
        const bus = new I2cBusModel(world)
        const fram = new Mb85rc1mt({ clock: world })
        bus.attach(fram)
        return { fram, board: new Board({ image, world, bus, parts: [fram], onEnd: () => {} }) }
    }
    const first = makeBoard()
    const second = makeBoard()
    first.fram.cutAfterWrites(5)
    await first.board.powerOn()
    await second.board.powerOn()
    const end = await world.runWhile(first.board.exited, 10_000)
    expect(end.reason).toBe("cut")
    expect(first.board.powered).toBe(false)
    expect([...first.fram.memory.subarray(0, 2)]).toEqual([3, 2])
    expect(first.fram.answers(0x50)).toBe(false)

    const reached = second.fram.memory[0]
    await world.runFor(1000)
    expect(second.board.powered).toBe(true)
    expect(second.fram.memory[0]).toBeGreaterThan(reached + 50)

    await first.board.powerOn()
    await world.runFor(100)
    expect(first.fram.memory[0]).toBeGreaterThan(4)
    expect(first.fram.memory[1]).toBe(first.fram.memory[0])
    await first.board.powerOff()
    await second.board.powerOff()
})

for (const clock of ["real", "virtual"] as const)
    test(`TCP works beside the bus on a ${clock} clock`, async () => {
        const server = createServer(socket => socket.on("data", octets => socket.write(octets)))
        server.listen(0, "127.0.0.1")
        await new Promise(resolve => server.once("listening", resolve))
        const { port } = server.address() as { port: number }
        const world = new World({ clock })
        const lengths: number[] = []
        let intact = 0
        const board = new Board({
            image: await compile("tests/vm/device/echo-client.ts"),
            world,
            settings: { port: String(port) },
            bus: { transfer: () => ({ status: 0, data: Uint8Array.of(0x42) }) },
            onHostCall: (_op, a, octets) => {
                lengths.push(octets.length)
                intact += a
                return new Uint8Array(0)
            },
        })
        await board.powerOn()
        const end = await world.runWhile(board.exited, 20_000)
        expect(end.reason).toBe("restart")
        expect(lengths).toEqual([1, 4, 16, 64, 256, 1024, 4096])
        expect(intact).toBe(7)
        expect(board.log).toContain("after [Buffer[1] 42]")
        world.close()
        await new Promise(resolve => server.close(resolve))
    })
