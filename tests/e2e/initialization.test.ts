import { expect, test } from "vitest"
import { run } from "../../tools/bench/initialization.ts"
import { cellsIn, passed, reportText } from "../../tools/bench/report.ts"

test("after initialisation every device holds what design.md section 6 says, and nothing more", async () => {
    const report = await run()
    expect(cellsIn(report, "unexpected"), reportText(report)).toEqual([])
    expect(passed(report, true)).toBe(true)
    const [inventory, keys, memories] = report.matrices
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
}, 600_000)
