import { expect, test } from "vitest"
import { compile } from "../../tools/vm/compile.ts"
import { logOf } from "../helpers/log-of.ts"

const main = "probe/main.ts"

/** Strings, in ASCII and others, and lengths of the buffers of an image. */
async function textsOf(text: string): Promise<{ strings: string[]; buffers: number[] }> {
    const image = Buffer.from((await compile(main, { files: { [main]: text } })).bytecode)
    const section = (i: number) => ({ at: image.readUInt32LE(32 + 8 * i), end: image.readUInt32LE(36 + 8 * i) })
    const data = section(7).at
    const strings: string[] = []
    const ascii = section(4)
    for (let i = 0; i + 1 < ascii.end; i += 2) {
        const at = data + image.readUInt16LE(ascii.at + i)
        strings.push(image.toString("latin1", at, image.indexOf(0, at)))
    }
    const utf8 = section(5)
    for (let i = 0; i < utf8.end; i += 4) {
        const at = data + image.readUInt32LE(utf8.at + i)
        const from = at + 4 + 2 * (image.readUInt16LE(at + 2) >> 4)
        strings.push(image.toString("utf8", from, from + image.readUInt16LE(at)))
    }
    const buffers = section(6)
    return { strings, buffers: range(buffers.end / 8).map(i => image.readUInt32LE(buffers.at + 8 * i + 4)) }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

test("strings and buffers that nothing refers to are not in the image", async () => {
    const { strings, buffers } = await textsOf(`
        const unused = hex\`00112233445566\`
        function once() { return 5 }
        function never() { return "never said" }
        console.log("said", once())
        export {}`)
    expect(strings).toContain("said {0}")
    expect(strings).not.toContain("never said")
    expect(strings).not.toContain("never")
    expect(buffers).not.toContain(8)
})

test("what stays is said as before: ASCII, other letters, long texts, buffers, names of fields", async () => {
    const program = `
        const bytes = hex\`00ff10\`
        const long = "ä long text of more than sixteen letters, ö and ü among them: ${"x".repeat(60)}"
        const object: any = { first: 1, "zweitäs": bytes }
        console.log(long, long.length, long[61], "日本語", bytes.toString("hex"), Object.keys(object).join(" "))
        const name = "fir" + "st"
        console.log(object[name], object["zweit" + "äs"].length)
        console.log("end")
        export {}`
    const plain = await logOf(program, false)
    expect(plain.join("\n")).toContain("日本語")
    expect(await logOf(program, true)).toEqual(plain)
})

test("a program without any text of its own is taken", async () => {
    await expect(compile(main, { files: { [main]: "export {}\n" } })).resolves.toBeDefined()
    const wait = 'import * as ds from "@devicescript/core"\nawait ds.sleep(1)\nexport {}\n'
    await expect(compile(main, { files: { [main]: wait } })).resolves.toBeDefined()
})
