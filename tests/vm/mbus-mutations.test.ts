import { describe, expect, it } from "vitest"
import { damage } from "../../tools/campaign/mbus-mutations.ts"
import { runDamage } from "../../tools/campaign/mutations.ts"

describe("damaged telegrams of meters", () => {
    it("give a value or a typed error with its place, in Node", async () => {
        const { summary, failures } = await runDamage(damage, 5000, 7, "node")
        expect(failures).toEqual([])
        for (const name of ["opened", "MbusRecordTruncated", "MbusWrongKey", "MbusMac", "MbusMode"])
            expect(summary[0]).toContain(name)
    })

    it("give the same in the VM as in Node, in a bounded number of steps", async () => {
        expect((await runDamage(damage, 250, 8, "vm")).failures).toEqual([])
    }, 300_000)
})
