import { readFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, describe, expect, test } from "vitest"
import { answer } from "../../tools/campaign/device/sandbox-answer"
import { Board } from "../../tools/vm/board.ts"
import { compile, type Image } from "../../tools/vm/compile.ts"
import { runCases } from "../../tools/vm/harness.ts"
import { World } from "../../tools/vm/world.ts"

const programs = readFileSync(join(__dirname, "sandbox/corpus.txt"), "utf8")
    .split(/^=== /m)
    .slice(1)
    .map(text => ({ name: text.slice(0, text.indexOf("\n")), source: text.slice(text.indexOf("\n") + 1) }))

/** Programs share an image: compiling is what takes the time. */
const group = 6

/** One image of several programs, each of which says its name first. */
function compileGroup(first: number): Promise<Image> {
    const files: Record<string, string> = { "gen/main.ts": "" }
    programs.slice(first, first + group).forEach(({ name, source }, i) => {
        files[`gen/p${i}.ts`] = `console.log("=== ${name}")\n${source}\nexport {}\n`
        files["gen/main.ts"] += `import "./p${i}"\n`
    })
    return compile("gen/main.ts", { files })
}

/** Lines a program prints in the VM itself. */
async function linesOf(image: Image): Promise<string> {
    const world = new World({ clock: "virtual" })
    const board = new Board({ image, world })
    await board.powerOn()
    await world.runFor(50)
    await board.powerOff()
    world.close()
    return board.log.join("\n")
}

/** What each program of the groups said, by name. */
function byName(outputs: string[]): Map<string, string> {
    const found = new Map<string, string>()
    for (const output of outputs)
        for (const part of output.split("=== ").slice(1))
            found.set(part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trimEnd())
    return found
}

describe("programs give the same output in the sandbox as in the VM itself", () => {
    let natively: Map<string, string>
    let inside: Map<string, string>
    let inNode: string[]

    beforeAll(async () => {
        const images: Image[] = []
        for (let i = 0; i < programs.length; i += group) images.push(await compileGroup(i))
        const lines: string[] = []
        for (const image of images) lines.push(await linesOf(image))
        natively = byName(lines)
        const requests = images.map(({ bytecode }) => Buffer.concat([Buffer.of(0, 64, 0, 0), bytecode]))
        const outcomes = await runCases("tools/campaign/device/sandbox.ts", requests)
        inside = byName(
            outcomes.map(each =>
                "octets" in each ? Buffer.from(each.octets).toString().replace(/\nok$/, "") : each.failure,
            ),
        )
        inNode = requests.map(request => answer(request).toString())
    })

    test("there are at least 60", () => {
        expect(natively.size).toBe(programs.length)
        expect(programs.length).toBeGreaterThanOrEqual(60)
    })

    test.each(programs.map(each => each.name))("%s", name => {
        expect(natively.get(name)).toMatch(/./)
        expect(inside.get(name)).toBe(natively.get(name))
    })

    test("all of them end well in Node too", () => {
        expect(inNode.filter(each => !each.endsWith("\nok"))).toEqual([])
    })
})
