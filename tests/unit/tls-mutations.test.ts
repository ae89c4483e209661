import { expect, test } from "vitest"
import { run } from "../../tools/campaign/tls-mutations"

// All of them: `plomb campaign tls-mutations`; in the VM with `--in vm`.

test("no handshake is completed in which a bit of a message was flipped or a message cut", async () => {
    const { failures, cases } = await run(500, 2, "node")
    expect(failures).toEqual([])
    expect(cases).toBe(500)
})
