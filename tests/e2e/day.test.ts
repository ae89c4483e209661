import { expect, test } from "vitest"
import { run } from "../../tools/campaign/day.ts"

test("two hours of a household: energy is the truth, each period has its row, no second is lost, the heap stays", async () => {
    const { summary, failures } = await run(2, 5)
    expect(failures).toEqual([])
    expect(summary.join("\n")).toContain("8 rows")
}, 600_000)
