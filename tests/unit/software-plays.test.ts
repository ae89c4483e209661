import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { Code } from "../../firmware/core/errors"
import { packagesAt } from "../../firmware/meter/layout"
import { Installer } from "../../tools/bench/cases/installer"
import { NodeGround } from "../../tools/bench/cases/node-ground"
import { run as download } from "../../tools/bench/cases/software-download"
import { run as rollback } from "../../tools/bench/cases/software-rollback"
import { cellsIn, passed, type Report } from "../../tools/bench/report"
import { makePackages } from "../../tools/campaign/software-changes"
import { run as cuts } from "../../tools/campaign/software-cuts"
import { digestOf } from "../../tools/package/delivery"
import { faultsOf, shownBy } from "../../tools/within/after-cut"
import { shipped } from "../../tools/within/built-in"

beforeAll(() => void vi.spyOn(console, "log").mockImplementation(() => {}))
afterAll(() => void vi.restoreAllMocks())

/** Of each line of the matrix: what it is about, and the code that came. */
function refusals(report: Report): [string, string][] {
    return report.matrices[1].rows.map(({ names, cells }) => [names[0], cells[0].text.slice(0, 5)])
}

function wrong(report: Report): string[] {
    return cellsIn(report, "unexpected").map(({ place, cell }) => `${place}: ${cell.why}`)
}

describe("software of a meter, the meter's program in Node", () => {
    test("download in the paper's order; every other package is refused, told and measures nothing", async () => {
        const report = await download({ where: "node" })
        expect(wrong(report)).toEqual([])
        expect(passed(report, true)).toBe(true)
        const rows = new Map(refusals(report))
        expect(rows.get("for other hardware")).toBe(`E${Code.SoftwareHardware}`)
        for (const signer of [
            "manufacturer's ES256",
            "manufacturer's HSS/LMS",
            "institute's ES256",
            "institute's HSS/LMS",
        ]) {
            expect(rows.get(`${signer} missing`)).toBe(`E${Code.PackageSigner}`)
            expect(rows.get(`${signer} broken`)).toBe(`E${Code.PackageSignature}`)
            expect(rows.has(`${signer} by the wrong party`)).toBe(true)
        }
        expect(rows.get("institute's ES256 revoked")).toBe(`E${Code.ChainRevoked}`)
        expect(report.counts?.refusals).toBeGreaterThanOrEqual(4)
    })

    test("what does not hold ends with the version before, and the reason", async () => {
        const report = await rollback({ where: "node" })
        expect(wrong(report)).toEqual([])
        const ends = report.matrices[1].rows.map(({ cells }) => cells[1].text)
        for (const code of [Code.ModuleThrew, Code.ModuleSteps, Code.ModuleMemory, Code.SoftwareSelfTest])
            expect(ends).toContain(`failed E${code}`)
        for (const code of [Code.SoftwareUnconfirmed, Code.SoftwareStarts, Code.SoftwarePutBack])
            expect(ends).toContain(`failed E${code}`)
    })

    test("the power cut at some writes of each change", async () => {
        const { failures, cases, summary } = await cuts(3, 1, "node")
        expect(failures).toEqual([])
        // Ten changes of a meter, nine of a MUC.
        expect(cases).toBe(57)
        expect(summary.at(-1)).toBe("57 cut points in all")
    })

    test("the campaign's judge notices other contents, registers that went back, a meter that stands still", async () => {
        const ground = await NodeGround.open(true)
        try {
            const operator = await ground.certify("operator", "operator")
            const installer = new Installer(ground, operator, await ground.certify("inspector", "inspector"))
            const packages = await makePackages(ground)
            const files = new Map([[digestOf(packages.second).toString("hex"), packages.second]])
            const proved = { builtIn: await shipped(), files }
            await installer.deliver(packages.second)
            const { running } = ground
            const shown = shownBy(running)
            expect(faultsOf(running, shown, proved)).toEqual([])
            const more = shown.registers.map(each => each + 1)
            expect(faultsOf(running, { ...shown, registers: more }, proved)[0]).toMatch(/^register 0 went back/)
            expect(faultsOf(running, { ...shown, entries: 99 }, proved)[0]).toMatch(/^entries of the logbook are gone/)
            expect(faultsOf(running, shown, { ...proved, files: new Map() })[0]).toMatch(/nobody sent/)
            running.store.cells[packagesAt + 100] ^= 1
            expect(faultsOf(running, shown, proved)).toEqual(["slot 1 is Verified with other contents"])
            running.meter.rule = undefined
            expect(faultsOf(running, shown, proved)).toContain("nothing measures")
        } finally {
            await ground.close()
        }
    })
})
