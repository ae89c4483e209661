import { describe, expect, it } from "vitest"
import { runDamage } from "../../tools/campaign/mutations.ts"
import { damage } from "../../tools/campaign/sml-mutations.ts"

describe("damaged SML files", () => {
    it("give a value or a typed error with its place, in Node", async () => {
        const { summary, failures } = await runDamage(damage, 3000, 7, "node")
        expect(failures).toEqual([])
        expect(summary[0]).toMatch(/read \d+/)
        expect(summary[0]).toMatch(/SmlLength \d+/)
    })

    it("give the same in the VM as in Node, in a bounded number of steps", async () => {
        expect((await runDamage(damage, 250, 8, "vm")).failures).toEqual([])
    })
})
