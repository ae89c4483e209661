import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { runFormat } from "../../tools/vectors/run.ts"
import { tls } from "../../tools/vectors/tls.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const present = hasVectors("tls13-botan")

/** File, cases that are run, and those that are not. */
const files: [string, number, number][] = [
    ["tls13-botan/transcripts.vec", 2, 0],
    ["tls13-botan/hello.json", 11, 1],
]

async function run(file: string, where: "node" | "vm") {
    const path = vectorPath(file)
    const text = readFileSync(path, "utf8")
    const json = file.endsWith(".json") ? JSON.parse(text) : undefined
    expect(tls.recognises(json, path)).toBe(true)
    const results = await runFormat(tls, tls.cases(json, path), where)
    const unsupported = results.filter(({ verdict }) => typeof verdict === "object" && "unsupported" in verdict)
    const rest = results.filter(each => each.verdict !== "pass" && !unsupported.includes(each))
    return { cases: results.length - unsupported.length, unsupported: unsupported.length, rest }
}

describe.skipIf(!present)("handshakes of RFC 8448 and hellos", () => {
    for (const [file, cases, unsupported] of files)
        for (const where of ["node", "vm"] as const)
            it(`${file}: every case holds in ${where === "vm" ? "the VM" : "Node"}`, async () => {
                expect(await run(file, where)).toEqual({ cases, unsupported, rest: [] })
            })
})
