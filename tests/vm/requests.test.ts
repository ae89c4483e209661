import { expect, test } from "vitest"
import { run } from "../../tools/campaign/requests.ts"

test("no request by line or TCP makes a meter or a MUC panic, restart, lose heap or fall silent", async () => {
    const { failures } = await run(60, 3)
    expect(failures).toEqual([])
}, 600_000)
