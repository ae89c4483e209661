import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import type { Format } from "../../tools/vectors/format.ts"
import { runFormat } from "../../tools/vectors/run.ts"
import { hasVectors, vectorPath } from "../extras.ts"

/** Every case of the files (name, cases, how many of them are not supported) holds, in Node and in the VM in one boot. */
export function describeVectors(title: string, format: Format, files: [string, number, number][]): void {
    const present = hasVectors(...files.map(([file]) => file))

    describe.skipIf(!present)(title, () => {
        const read = () =>
            files.map(([file, count, unsupported]) => {
                const path = vectorPath(file)
                const json = JSON.parse(readFileSync(path, "utf8"))
                expect(format.recognises(json, path)).toBe(true)
                const cases = format.cases(json, path)
                expect([file, cases.length]).toEqual([file, count])
                expect([file, cases.filter(each => "unsupported" in each).length]).toEqual([file, unsupported])
                return cases.map(each => ({ ...each, id: `${file} ${each.id}` }))
            })

        for (const where of ["node", "vm"] as const)
            it(`every case that is supported holds in ${where === "vm" ? "the VM" : "Node"}`, async () => {
                const results = await runFormat(format, read().flat(), where)
                expect(results.filter(({ verdict }) => verdict !== "pass" && "fail" in verdict)).toEqual([])
                const unsupported = files.reduce((sum, file) => sum + file[2], 0)
                expect(results.filter(({ verdict }) => verdict === "pass").length).toBe(results.length - unsupported)
            }, 300_000)
    })
}
