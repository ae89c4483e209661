import { expect, it } from "vitest"
import { codeOctets } from "../../tools/perf/p256.ts"
import { compile } from "../../tools/vm/compile.ts"
import { runCases } from "../../tools/vm/harness.ts"
import { ask, commandDevice } from "../helpers/command-desk.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import { actors, authorityModel, numbers, RandomCommands } from "../helpers/random-commands.ts"
import { entries, storeSize } from "../vm/device/command-device.ts"

/** Requests to a device: random commands and what happens around them. The model only says what to ask. */
async function conversation(commands: number, seed: number): Promise<Buffer[]> {
    const all = await actors()
    const model = authorityModel(entries)
    const random = new RandomCommands(all, numbers(seed))
    const hold = () => ask.hold(random.held().map(each => each.made))
    const requests = [hold()]
    model.held = random.held().map(each => each.facts)
    for (let i = 0; i < commands; ++i) {
        const { time, hold: held, command, file } = random.step(model)
        if (time !== undefined) {
            requests.push(ask.time(time))
            model.now = time
        }
        if (held) {
            requests.push(hold())
            model.held = held.map(each => each.facts)
        }
        requests.push(command.relayed ? ask.relayed(file) : ask.command(file))
        model.command(command)
        if (i % 10 === 0) requests.push(ask.head(), ask.table(), ask.entry(model.log.newest))
    }
    return requests
}

it("in the VM: every command of a long conversation is answered as in Node, octet for octet", async () => {
    const requests = await conversation(100, 4)
    const inNode = commandDevice(new MemoryStore(storeSize))
    const expected = requests.map(each => {
        const reply = inNode.answer(each)
        return (reply.length > 0 ? reply : Buffer.of(0)).toString("hex")
    })
    const outcomes = await runCases("tests/vm/device/command.ts", requests, { countSteps: true })
    const came = outcomes.map(each => ("failure" in each ? each.failure : Buffer.from(each.octets).toString("hex")))
    expect(came).toEqual(expected)
    const steps = outcomes.map(each => ("failure" in each ? 0 : each.steps))
    console.log(`${requests.length} requests, the longest ${Math.max(...steps)} steps`)
}, 300_000)

it("the rooms stay within 6 KB of bytecode", async () => {
    const image = await compile("tests/vm/device/command.ts")
    const rooms = ["command.ts", "access.ts", "signers.ts", "logbook.ts", "command-answer.ts"]
    const octets = rooms.map(room => codeOctets(image, [room]))
    console.log(rooms.map((room, i) => `${room} ${octets[i]}`).join(", "))
    expect(octets.reduce((a, b) => a + b)).toBeLessThan(5400)
})
