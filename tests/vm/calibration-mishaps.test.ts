import { expect, it } from "vitest"
import { run } from "../../tools/campaign/calibration.ts"

// All of them: plomb campaign calibration.
it("a calibration struck by a lost packet or a power cut is ended by running the station again", async () => {
    const { failures } = await run(12, 5)
    expect(failures).toEqual([])
}, 240_000)
