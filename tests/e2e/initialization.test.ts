import { expect, test } from "vitest"
import { run } from "../../tools/bench/initialization.ts"
import { cellsIn, reportText } from "../../tools/bench/report.ts"

test("after initialisation every device holds what design.md section 6 says, and nothing more", async () => {
    const log: string[] = []
    const report = await run(line => log.push(line))
    expect(cellsIn(report, "unexpected"), `${reportText(report)}\n${log.join("\n")}`).toEqual([])
    const [inventory, keys, memories, outside] = report.matrices
    const holders = [...new Set(inventory.rows.map(({ names }) => names[0]))]
    expect(holders).toEqual(["meter 1", "meter 2", "MUC", "concentrator"])
    const what = (holder: string) =>
        inventory.rows.filter(({ names }) => names[0] === holder).map(({ names }) => names[1])
    expect(what("meter 1")).toEqual([
        "CERT_EM",
        "its issuer, calibration authority",
        "institute root",
        "CERT_MFC",
        "CERT_SM",
        "revocation list of ca-root",
        "revocation list of security-management",
        "anything else",
    ])
    expect(what("MUC").length).toBe(5 + 4 + 5 + 1)
    expect(keys.rows.map(({ names }) => names[1])).toEqual(["SK_EM", "SK_EM", "SK_MUC", "SK_CN", "SK_CN"])
    expect(memories.rows.length).toBe(3 * 5 + 1)
    expect(outside.rows.map(({ names }) => names[0])).toEqual([
        "RS-485 line",
        "what the boards print",
        "the provider's store",
    ])
    for (const { cells } of outside.rows) expect(cells[0].text).toMatch(/^none in \d{3,} octets$/)
}, 600_000)
