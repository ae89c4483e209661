import { describe, expect, test } from "vitest"
import { passed, reportText } from "../../tools/bench/report.ts"
import { scenarios } from "../../tools/bench/scenarios.ts"
import { run as cuts } from "../../tools/campaign/authority-cuts.ts"
import { run as commands } from "../../tools/campaign/commands.ts"

describe("each use case of the paper's chapter 5, on the running images", () => {
    for (const { name, useCase, load } of scenarios)
        if (useCase)
            test(`${name}: ${useCase}`, async () => {
                const report = await (await load()).run({})
                expect(passed(report, true), reportText(report)).toBe(true)
                expect(report.counts?.refusals).toBeGreaterThan(0)
            }, 300_000)
})

test("random commands do to a meter what the model says", async () => {
    const { failures, cases } = await commands(40, 7)
    expect(failures).toEqual([])
    expect(cases).toBe(40)
}, 300_000)

test("a power cut within a change leaves the old state or the new one", async () => {
    const { failures, cases } = await cuts(3)
    expect(failures).toEqual([])
    expect(cases).toBeGreaterThanOrEqual(10)
}, 600_000)
