import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board"
import { compile } from "../../tools/vm/compile"
import { World } from "../../tools/vm/world"

const patterns = [
    "1b1b1b1b01010101",
    "1b1b1b1b1a000000",
    "1b1b1b1b1b1b1b1b",
    "1b1b1b1b02020202",
    "1b1b1b00",
    "1b00",
    "00",
]

/** Feeds receivers of 4 KB one piece of 24 KB each: nothing but starts, ends, escapes, single 1B, other octets. */
const text = `import { SmlReceiver } from "../firmware/core/sml-receive"
import { platform } from "../firmware/core/platform"
import { installDevicePlatform } from "../hal/runtime"
installDevicePlatform(() => false)
const piece = Buffer.alloc(24000)
let files = 0
function feed(pattern: Buffer): void {
    const receiver = new SmlReceiver(4096, false, () => { files++ }, () => {})
    for (let i = 0; i + pattern.length <= piece.length; i += pattern.length) {
        piece.blitAt(i, pattern, 0, pattern.length)
        if ((i & 255) === 0) platform().yieldNow()
    }
    platform().yieldNow()
    receiver.feed(piece)
    receiver.timeout()
    console.log(pattern.toString("hex"))
}
${patterns.map(each => `feed(hex\`${each}\`)`).join("\n")}
console.log("end", files)
`

test("a receiver outlives any large piece within the VM's step budget", async () => {
    const main = "probe/main.ts"
    const world = new World()
    const board = new Board({ image: await compile(main, { files: { [main]: text } }), world, onEnd: () => {} })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("end 0") || !board.powered, 30_000)
    await board.powerOff()
    world.close()
    expect(board.log.filter(line => !line.startsWith("* "))).toEqual([...patterns, "end 0"])
})
