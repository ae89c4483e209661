import { describe, expect, it } from "vitest"
import { cmac } from "../../tools/vectors/cmac.ts"
import { readVectorFile, vectorFiles } from "../../tools/vectors/files.ts"
import { runFormat } from "../../tools/vectors/run.ts"
import { hasVectors, vectorPath } from "../extras.ts"

/** Folder or file, and how many questions its cases come to. */
const sources: [string, number][] = [
    ["mbus-libmbus", 50],
    ["mbus-mbusparser", 29],
    ["oms-annex-n-exmbus", 1],
    ["wmbus-lvogt-parser", 13],
    ["wmbus-scambus", 4],
    ["wmbus-kamstrup-tobiasrask", 2],
    ["wmbus-solostec", 552],
    ["wycheproof/aes_cmac_test.json", 55],
    ["nist-acvp/CMAC-AES.json", 84],
]

const present = hasVectors(...sources.map(([source]) => source.split("/")[0]))

async function run(source: string, where: "node" | "vm") {
    const rest: string[] = []
    let passed = 0
    // All files of a folder are in one format, so that one program in the VM answers for all.
    const files = vectorFiles([vectorPath(source)]).map(readVectorFile)
    const cases = files.flatMap(file => ("cases" in file ? file.cases : []))
    const format = files.flatMap(file => ("format" in file ? [file.format] : []))[0] ?? cmac
    for (const { id, verdict } of await runFormat(format, cases, where))
        if (verdict === "pass") ++passed
        else rest.push(`${id}: ${JSON.stringify(verdict)}`)
    return { passed, rest }
}

describe.skipIf(!present)("telegrams of real meters, examples of OMS, and AES-CMAC", () => {
    for (const [source, passed] of sources) {
        it(`${source}: everything is as expected in Node`, async () => {
            expect(await run(source, "node")).toEqual({ passed, rest: [] })
        })

        it(`${source}: everything is as expected in the VM`, async () => {
            expect(await run(source, "vm")).toEqual({ passed, rest: [] })
        }, 600_000)
    }
})
