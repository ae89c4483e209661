import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { CompileError, compile } from "../../tools/vm/compile.ts"
import { World } from "../../tools/vm/world.ts"

const main = "probe/main.ts"

/** As `buildVariant` compiles it for boards. */
const asBuilt = { distinct: true, bareRoles: true }

/** Longest text with its quotes that the runtime's store hands out, 200 octets. */
const long = "ldaps://directory.example/".padEnd(198, "äöü€")

const values: Record<string, string> = {
    name: '"mt.example:4059"',
    naming: '"Zähler \\"€\\" \\\\ \\u00e9\\u20ac\\n𝄞"',
    long: JSON.stringify(clipped(long)),
    number: "4059",
    part: "-0.5",
    truth: "true",
    empty: '""',
    none: "null",
    broken: '"abc',
    octets: "abc",
}

/** The longest beginning that has at most 198 octets. */
function clipped(text: string): string {
    let end = text.length
    while (Buffer.byteLength(text.slice(0, end)) > 198) --end
    return text.slice(0, end)
}

/** Writes the values as they are, as a computer on the board's bus does. */
const writer = `import * as ds from "@devicescript/core"
import { settings } from "@devicescript/settings"
${Object.entries(values)
    .map(([key, text]) => `await settings.set("${key}", Buffer.from("${Buffer.from(text).toString("hex")}", "hex"))`)
    .join("\n")}
await ds.sleep(3000)
ds.restart()
`

const reader = (asked: string[]) => `import * as ds from "@devicescript/core"
import { BoardSettings } from "../hal/settings-board"
const settings = new BoardSettings()
const ask = async (key: string) => {
    const hex = Buffer.from(settings.get(key)).toString("hex")
    // Lines of the log end at 290 octets.
    console.log(key + "=" + hex.slice(0, 200))
    if (hex.length > 200) console.log(hex.slice(200, hex.length))
}
${asked.map(key => `await ask("${key}")`).join("\n")}
ds.restart()
`

/** What a program logs on a board whose flash holds the values. */
async function readBack(program: string, change?: (path: string, text: string) => string): Promise<string[]> {
    const world = new World({ clock: "virtual" })
    const board = new Board({ image: await compile(main, { files: { [main]: writer } }), world })
    await board.powerOn()
    await world.runWhile(board.exited, 60_000)
    board.program(
        await compile(main, {
            files: { [main]: program },
            ...asBuilt,
            change,
            changeName: change && "test of settings",
        }),
    )
    board.log.length = 0
    await board.powerOn()
    expect((await world.runWhile(board.exited, 60_000)).reason).toBe("restart")
    return board.log.filter(line => !line.startsWith("* "))
}

const told = (key: string, value: string) => `${key}=${Buffer.from(value).toString("hex")}`

test("a board's settings are read as they were written: addresses, numbers, long texts, texts that are not ASCII", async () => {
    const asked = ["name", "naming", "long", "number", "part", "truth"]
    expect(await readBack(reader(asked))).toEqual([
        told("name", "mt.example:4059"),
        told("naming", 'Zähler "€" \\ é€\n𝄞'),
        told("long", clipped(long)).slice(0, 205),
        told("long", clipped(long)).slice(205),
        told("number", "4059"),
        told("part", "-0.5"),
        told("truth", "true"),
    ])
})

test("a setting that is absent, empty, null or no JSON is an empty text, and so is one whose name only begins like another's", async () => {
    const asked = ["missing", "nam", "names", "empty", "none", "broken", "octets", "name"]
    expect(await readBack(reader(asked))).toEqual([
        ...asked.slice(0, -1).map(key => told(key, "")),
        told("name", "mt.example:4059"),
    ])
})

test("fibers that ask at the same time get each its own answer", async () => {
    const program = reader([]).replace(
        "ds.restart()",
        'for (const key of ["name", "number", "missing", "truth", "name"]) ask.start(key)\nawait ds.sleep(4000)\nds.restart()',
    )
    expect((await readBack(program)).sort()).toEqual(
        [
            told("missing", ""),
            told("name", "mt.example:4059"),
            told("name", "mt.example:4059"),
            told("number", "4059"),
            told("truth", "true"),
        ].sort(),
    )
})

test("where no settings service answers, a setting is an empty text after 5 s and the next question waits no longer", async () => {
    const program = reader(["name", "name"]).replace("ds.restart()", "console.log(ds.millis())\nds.restart()")
    const log = await readBack(program, (path, text) =>
        path.endsWith("settings-board.ts") ? text.replace("new ds.Settings()", "new ds.Buzzer() as any") : text,
    )
    expect(log.slice(0, 2)).toEqual([told("name", ""), told("name", "")])
    expect(Number(log[2])).toBeGreaterThan(9_990)
    expect(Number(log[2])).toBeLessThan(10_500)
})

test("a program that uses roles of the library is not compiled with bare ones", async () => {
    const text =
        'import { Button } from "@devicescript/core"\nnew Button().report().subscribe(() => { console.log("pressed") })\n'
    const refused = compile(main, { files: { [main]: text }, ...asBuilt })
    await expect(refused).rejects.toThrow(CompileError)
    await expect(refused).rejects.toThrow(
        `${main}:1:1 this program is to have bare roles, and uses the library's "report"`,
    )
    await expect(compile(main, { files: { [main]: text }, distinct: true })).resolves.toBeDefined()
})
