import { expect, it } from "vitest"
import { run } from "../../tools/campaign/commissioning.ts"

// All of them: plomb campaign commissioning.
it("a commissioning struck by a lost packet or a power cut is ended by running the command again", async () => {
    const { failures } = await run(12, 5)
    expect(failures).toEqual([])
}, 240_000)
