import { describe, expect, it } from "vitest"
import { dlms } from "../../tools/vectors/dlms.ts"
import { readVectorFile, vectorFiles } from "../../tools/vectors/files.ts"
import { runFormat } from "../../tools/vectors/run.ts"
import { hasVectors, vectorPath } from "../extras.ts"

/** Folder, and how many questions its cases come to. */
const sources: [string, number][] = [
    ["iec62056-21-amshan", 316],
    ["iec62056-21-dsmr-parser", 529],
    ["iec62056-21-energomera", 3408],
    ["iec62056-21-pwitab", 5],
    ["iec62056-21-smartmeter-obis", 12],
    ["dlms-amshan", 527],
    ["dlms-cosem-pwitab", 324],
]

const present = hasVectors(...sources.map(([source]) => source))

describe.skipIf(!present)("telegrams of IEC 62056-21, P1 and DLMS", () => {
    for (const where of ["node", "vm"] as const)
        it(`everything is as expected in ${where === "vm" ? "the VM" : "Node"}`, async () => {
            // One program answers for all: one boot in the VM.
            const cases = sources.flatMap(([source, count]) => {
                const files = vectorFiles([vectorPath(source)]).map(readVectorFile)
                const found = files.flatMap(file => ("cases" in file ? file.cases : []))
                expect([source, found.length]).toEqual([source, count])
                return found.map(each => ({ ...each, id: `${source}: ${each.id}` }))
            })
            const results = await runFormat(dlms, cases, where)
            expect(results.filter(each => each.verdict !== "pass")).toEqual([])
        }, 600_000)
})
