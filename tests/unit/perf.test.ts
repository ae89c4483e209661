import { afterEach, describe, expect, it, vi } from "vitest"
import { main } from "../../tools/cli/main.ts"
import { marks } from "../../tools/perf/marks.ts"
import { p256Steps } from "../../tools/perf/p256.ts"
import { ratioOf, reached, type Section } from "../../tools/perf/row.ts"
import { sectionText, tableWidth } from "../../tools/perf/table.ts"

afterEach(() => vi.restoreAllMocks())

async function plomb(...args: string[]) {
    const out = vi.spyOn(console, "log").mockImplementation(() => {})
    const err = vi.spyOn(console, "error").mockImplementation(() => {})
    const progress = vi.spyOn(process.stderr, "write").mockImplementation(() => true)
    const code = await main(["perf", ...args])
    return { code, out: out.mock.calls.flat().join("\n"), err: err.mock.calls.flat(), progress: progress.mock.calls }
}

const section: Section = {
    group: "p256",
    title: "P-256 in the stock VM",
    rows: [
        { what: "sign", unit: "steps", ours: 751_778, peer: 70_979_403, peerName: "schoolbook", mark: marks.signSteps },
        { what: "code", unit: "octets", ours: 14_304, mark: marks.p256Code },
        { what: "verify", unit: "/s", ours: 50, peer: 200, peerName: "node:crypto" },
        { what: "read", unit: "us", ours: 27.1, peerName: "not run: libsml is not installed" },
    ],
    grid: { title: "element", head: ["", "steps"], lines: [["sign", 22_714]] },
    notes: [`A long note ${"with many words ".repeat(20)}at its end.`],
}

describe("plomb perf", () => {
    it("shows ratio, both figures, peers and marks in at most 110 columns", () => {
        const lines = sectionText(section).split("\n")
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(tableWidth)
        expect(tableWidth).toBe(110)
        const lineOf = (what: string) => lines.find(line => line.startsWith(`  ${what}`))
        expect(lineOf("sign")).toMatch(/ 94 x +751,778 +steps +70,979,403 a +755,000 b +reached$/)
        expect(lineOf("code")).toMatch(/ 14,304 +octets +12,300 b +MISSED$/)
        expect(lineOf("verify")).toMatch(/ 0\.25 x +50 +\/s +200 c$/)
        expect(lineOf("read")).toMatch(/ 27\.1 +us +- d$/)
        expect(lines).toContain("  d  not run: libsml is not installed")
    })

    it("counts a higher rate and a smaller cost as better", () => {
        const faster = { what: "", ours: 200, peer: 100, mark: { value: 150, from: "" } }
        expect([ratioOf({ ...faster, unit: "/s" }), reached({ ...faster, unit: "/s" })]).toEqual([2, true])
        expect([ratioOf({ ...faster, unit: "ms" }), reached({ ...faster, unit: "ms" })]).toEqual([0.5, false])
    })

    it("--json is JSON and nothing else on standard output, with what it was measured on", async () => {
        // What is measured takes its time on a busy machine; how it is said is the matter here.
        vi.doMock("../../tools/perf/sml.ts", () => ({ smlSection: async () => section }))
        const { code, out, err } = await plomb("sml", "--json")
        vi.doUnmock("../../tools/perf/sml.ts")
        expect([code, err]).toEqual([0, []])
        const { node, stress, groups } = JSON.parse(out)
        expect([node, stress]).toEqual([`Node ${process.version}`, "GC stress off"])
        expect(groups).toHaveLength(1)
        expect(groups[0].rows[0]).toMatchObject({ ...section.rows[0], ratio: 70_979_403 / 751_778, reached: true })
        expect(groups[0].rows[1].reached).toBe(false)
        expect(groups[0].rows[2].ratio).toBe(0.25)
    })

    it("an unknown group is a usage error that names the groups, before anything is measured", async () => {
        const { code, err, progress } = await plomb("sml", "moon")
        expect([code, progress]).toEqual([2, []])
        expect(err).toEqual([
            'plomb perf: there is no group "moon"; there are p256, lms, sml, reading, tls, image, verify',
        ])
    })

    it("P-256 in the VM takes no more steps than the marks, signing in the median of its blinding", async () => {
        const { sign, verify } = await p256Steps()
        expect([marks.signSteps.value, marks.verifySteps.value]).toEqual([755_000, 3_430_000])
        expect(sign).toBeLessThanOrEqual(marks.signSteps.value)
        expect(verify).toBeLessThanOrEqual(marks.verifySteps.value)
    })
})
