import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

// Bodies around the lengths at which a jump takes another octet: forward 248 and 256, backward 256.
const sizes = Array.from({ length: 30 }, (_, i) => 20 + i).concat([600])

function functionOf(size: number): string {
    const body = Array.from({ length: size }, (_, i) => `        s = s + ${i % 7}`).join("\n")
    return `function f${size}(n: number): number {
    let s = 0
    const add = (x: number) => { s = s + x }
    for (let i = 0; i < n; ++i) {
        try {
            if (i === 1) continue
            if (i === 4) throw new Error("four")
${body}
        } catch (e: any) {
            add(1000000)
        }
    }
    return s
}`
}

test("jumps of every length go where they should, out of loops and handlers too", async () => {
    const main = "probe/main.ts"
    const text = [
        ...sizes.map(functionOf),
        ...sizes.map(size => `console.log(f${size}(6))`),
        'console.log("end")',
    ].join("\n")
    const world = new World({ clock: "virtual" })
    const board = new Board({ image: await compile(main, { files: { [main]: text } }), world, onEnd: () => {} })
    await board.powerOn()
    await world.runUntil(() => board.log.includes("end") || !board.powered, 20_000)
    await board.powerOff()
    world.close()
    const sumOf = (size: number) => Array.from({ length: size }, (_, i) => i % 7).reduce((a, b) => a + b, 0)
    expect(board.log.filter(line => !line.startsWith("* "))).toEqual([
        ...sizes.map(size => `${4 * sumOf(size) + 1000000}`),
        "end",
    ])
})
