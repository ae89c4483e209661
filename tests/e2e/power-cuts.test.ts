import { expect, test } from "vitest"
import { run } from "../../tools/campaign/power-cuts.ts"

test("power cut at 40 FRAM writes: no register goes back, nothing is signed twice, one second is lost at most", async () => {
    const { summary, failures } = await run(40, 7)
    expect(failures).toEqual([])
    expect(summary[0]).toMatch(/^40 cuts/)
}, 600_000)
