import { createServer, type Server, type Socket } from "node:net"
import { afterEach, expect, test } from "vitest"
import { Board } from "../../tools/vm/board"
import { compile } from "../../tools/vm/compile"
import { World } from "../../tools/vm/world"

const open: Server[] = []
afterEach(() => {
    for (const server of open.splice(0)) server.close()
})

/** A peer on a free port that treats each connection with `serve`. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
    const server = createServer(serve)
    open.push(server)
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    return (server.address() as { port: number }).port
}

/** Runs a program that has an uplink `up` and the peer's `port`, until it logs "end"; what it logged. */
async function run(port: number, body: string, settings: Record<string, string> = {}): Promise<string[]> {
    const main = "probe/main.ts"
    const text = `import { sleep } from "@devicescript/core"
import { NetUplink } from "../hal/uplink-net"
import { VmBus } from "../hal/bus-vm"
import { VmSettings } from "../hal/settings-vm"
import { PlombError } from "../firmware/core/errors"
const up = new NetUplink(0)
const settings = new VmSettings()
const port = ${port}
function codeOf(work: () => void): number {
    try {
        work()
    } catch (e: any) {
        if (e instanceof PlombError) return e.code
        throw e
    }
    return 0
}
${body}
console.log("end")
`
    const world = new World()
    const board = new Board({
        image: await compile(main, { files: { [main]: text } }),
        world,
        settings,
        onEnd: () => {},
    })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("end") || !board.powered, 20_000)
    await board.powerOff()
    world.close()
    return board.log.filter(line => !line.startsWith("* "))
}

test("what is sent comes back whole, also when it is more than one piece", async () => {
    const port = await listen(socket => socket.pipe(socket))
    const log = await run(
        port,
        `up.connect("127.0.0.1", port, 5000)
const out = Buffer.alloc(5000)
for (let i = 0; i < 5000; ++i) out[i] = i & 0xff
up.send(out)
let at = 0
let wrong = 0
while (at < 5000) {
    const b = up.receive(5000)
    if (!b) break
    for (let i = 0; i < b.length; ++i) if (b[i] !== ((at + i) & 0xff)) wrong++
    at += b.length
}
console.log(at, wrong)`,
    )
    expect(log).toEqual(["5000 0", "end"])
})

test("silence is undefined, and the peer's close is null after everything that had come", async () => {
    const port = await listen(socket => setTimeout(() => socket.end("last words"), 400))
    const log = await run(
        port,
        `up.connect("127.0.0.1", port, 5000)
console.log(up.receive(100) === undefined)
const b = up.receive(5000)
console.log(b.toString("utf8"))
console.log(up.receive(5000) === null, up.receive(5000) === null)`,
    )
    expect(log).toEqual(["true", "last words", "true true", "end"])
})

test("a refused connection, and sending without one, have codes of their own", async () => {
    const log = await run(
        1,
        `console.log(codeOf(() => up.connect("127.0.0.1", port, 5000)))
console.log(codeOf(() => up.send(hex\`00\`)))
console.log(up.receive(10) === null)`,
    )
    expect(log).toEqual(["4900", "4902", "true", "end"])
})

test("a second connection works after the first was closed by the peer or by us", async () => {
    let count = 0
    const port = await listen(socket => socket.end("n" + ++count))
    const log = await run(
        port,
        `for (let i = 0; i < 3; ++i) {
    up.connect("127.0.0.1", port, 5000)
    console.log(up.receive(5000).toString("utf8"))
    if (i === 1) up.close()
}`,
    )
    expect(log).toEqual(["n1", "n2", "n3", "end"])
})

test("calls to the host go on while the connection is open and after it is closed", async () => {
    const port = await listen(socket => socket.pipe(socket))
    const log = await run(
        port,
        `console.log(settings.get("a"))
up.connect("127.0.0.1", port, 5000)
console.log(settings.get("a"))
up.send(hex\`4142\`)
console.log(settings.get("a"), up.receive(5000).toString("utf8"))
up.close()
console.log(settings.get("a"))`,
        { a: "1" },
    )
    expect(log).toEqual(["1", "1", "1 AB", "1", "end"])
})

test("a peer that sends more than anybody takes loses the connection; what had come before stays", async () => {
    const port = await listen(socket => {
        socket.on("error", () => {})
        socket.write(Buffer.alloc(100_000))
    })
    const log = await run(
        port,
        `up.connect("127.0.0.1", port, 5000)
await sleep(3000)
let came = 0
let b = up.receive(1000)
while (b) {
    came += b.length
    b = up.receive(1000)
}
console.log(b === null, came > 4000, came <= 8192)`,
    )
    expect(log).toEqual(["true true true", "end"])
})

test("a peer that sends octet by octet what nobody takes loses the connection before it has the heap", async () => {
    const port = await listen(async socket => {
        socket.on("error", () => {})
        socket.setNoDelay(true)
        for (let i = 0; i < 2000 && !socket.destroyed; ++i) {
            socket.write(Buffer.of(i))
            await new Promise(resolve => setImmediate(resolve))
        }
    })
    const log = await run(
        port,
        `up.connect("127.0.0.1", port, 5000)
await sleep(4000)
let came = 0
let b = up.receive(1000)
while (b) {
    came += b.length
    b = up.receive(1000)
}
console.log(b === null, came)`,
    )
    expect(log).toHaveLength(2)
    const [lost, came] = log[0].split(" ")
    expect(lost).toBe("true")
    expect(Number(came)).toBeLessThan(2000)
})
