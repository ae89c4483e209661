import { describe, expect, test, vi } from "vitest"
import {
    cellsIn,
    expected,
    type Matrix,
    notRun,
    passed,
    type Report,
    reportText,
    unexpected,
} from "../../tools/bench/report"
import { main } from "../../tools/cli/main"

const matrix = (...cells: Matrix["rows"][0]["cells"]): Report => ({
    matrices: [{ title: "a table", head: ["", "full", "resumed"], rows: [{ names: ["OpenSSL"], cells }] }],
    notes: ["a note"],
})

describe("a bench report", () => {
    test("passes where everything came out as it must", () => {
        expect(passed(matrix(expected("ok"), expected("-")), true)).toBe(true)
    })

    test("fails on one unexpected trial, and says which and why", () => {
        const report = matrix(expected("ok"), unexpected("E2910", "no close_notify came"))
        expect(passed(report, false)).toBe(false)
        expect(cellsIn(report, "unexpected").map(each => each.place)).toEqual(["OpenSSL, resumed"])
        expect(reportText(report)).toContain("NO: E2910")
        expect(reportText(report)).toContain("OpenSSL, resumed: no close_notify came")
    })

    test("names what was not run, and fails where nothing may be left out", () => {
        const report = matrix(
            notRun("GnuTLS (Debian package gnutls-bin)"),
            notRun("GnuTLS (Debian package gnutls-bin)"),
        )
        expect([passed(report, false), passed(report, true)]).toEqual([true, false])
        expect(reportText(report).match(/not run: GnuTLS \(Debian package gnutls-bin\)/g)).toHaveLength(1)
    })

    test("has its columns one below the other", () => {
        const lines = reportText(matrix(expected("ok"), expected("ok"))).split("\n")
        expect(lines[1].indexOf("full")).toBe(lines[2].indexOf("ok"))
        expect(lines[1].indexOf("resumed")).toBe(lines[2].lastIndexOf("ok"))
    })
})

test("plomb bench --list has the use cases in the order of the paper's chapter 5, and bench knows no others", async () => {
    const out = vi.spyOn(console, "log").mockImplementation(() => {})
    const err = vi.spyOn(console, "error").mockImplementation(() => {})
    expect(await main(["bench", "--list"])).toBe(0)
    const names = out.mock.calls.flat().map(line => `${line}`.trim().split(" ")[0])
    expect(names.slice(0, 8)).toEqual([
        "reading",
        "maintenance",
        "replacement",
        "provider-change",
        "provider-refuses",
        "software-download",
        "software-rollback",
        "data-collection",
    ])
    expect(names).toContain("tls-interop")
    expect(await main(["bench", "nothing"])).toBe(2)
    expect(err.mock.calls.flat().join("\n")).toContain("tls-interop")
    expect(await main(["bench", "reading", "--in", "node"])).toBe(2)
    expect(err.mock.calls.flat().join("\n")).toContain("reading plays in the VM only")
    vi.restoreAllMocks()
})
