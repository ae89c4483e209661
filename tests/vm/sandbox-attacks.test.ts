import { readFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, describe, expect, test } from "vitest"
import { answer } from "../../tools/campaign/device/sandbox-answer"
import { compile } from "../../tools/vm/compile.ts"
import { runCases } from "../../tools/vm/harness.ts"

/** Name, what must come of it (lines of the module, or the error that ends it), source. */
const attacks = readFileSync(join(__dirname, "sandbox/attacks.txt"), "utf8")
    .split(/^=== /m)
    .slice(1)
    .map(text => {
        const title = text.slice(0, text.indexOf("\n"))
        const colon = title.lastIndexOf(": ")
        return { name: title.slice(0, colon), due: title.slice(colon + 2), source: text.slice(text.indexOf("\n") + 1) }
    })

async function load(source: string): Promise<Buffer> {
    const { bytecode } = await compile("gen/attack.ts", { files: { "gen/attack.ts": source } })
    return Buffer.concat([Buffer.of(0, 64, 0, 0), bytecode])
}

/** Attacks that are refused at load, or need the top of a module, have an image each; the others are functions of a common one. */
const alone = attacks.filter(each => each.due === "E2552" || /^(class|await) /m.test(each.source))
const together = attacks.filter(each => !alone.includes(each))

const start = 'import * as ds from "@devicescript/core"\n'

describe("a module cannot leave its place", () => {
    const inVm = new Map<string, string>()
    const inNode = new Map<string, string>()

    beforeAll(async () => {
        const functions = together.map(({ source }, i) => `function attack${i}() {\n${source}}\n`).join("")
        const table = together.map((_, i) => `    if (n === ${i}) attack${i}()\n`).join("")
        const main = "function attack(n: number) {\n" + table + "}\n;(ds as any).host.onTick(attack)\n"
        const names = [""]
        const requests = [await load(start + functions + main)]
        for (const [i, each] of together.entries()) {
            names.push(each.name)
            requests.push(Buffer.of(1, 0, 0, 0, i, 0, 0, 0))
        }
        for (const each of alone) {
            names.push(each.name)
            requests.push(await load(`${start}${each.source}\nexport {}\n`))
        }
        const outcomes = await runCases("tools/campaign/device/sandbox.ts", requests)
        outcomes.forEach((outcome, i) => {
            inVm.set(names[i], "octets" in outcome ? Buffer.from(outcome.octets).toString() : outcome.failure)
            inNode.set(names[i], answer(requests[i]).toString())
        })
    })

    test("the module itself loads", () => {
        expect(inVm.get("")).toBe("ok")
    })

    test.each(attacks.map(each => [each.name, each.due] as const))("%s: %s", (name, due) => {
        const expected = due.startsWith("E")
            ? new RegExp(`^(${due}) at -?\\d+$`)
            : new RegExp(`^${due} ?\n(ok|undefined)$`)
        expect(inVm.get(name)).toMatch(expected)
        expect(inNode.get(name)).toMatch(expected)
    })
})
