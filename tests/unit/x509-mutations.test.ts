import { describe, expect, it } from "vitest"
import { run } from "../../tools/campaign/x509-mutations.ts"

describe("Mutated certificates, revocation lists and requests", () => {
    it("are a value or a typed error with an offset inside (a short sample of plomb campaign)", async () => {
        const outcome = await run(3000, 20_261_122, "node")
        expect(outcome.escaped).toEqual([])
        expect(outcome.runs).toBe(3000)
        // The mutations reach past the outer form: many codes, and some objects that are still sound
        expect(Object.keys(outcome.errors).length).toBeGreaterThan(10)
        expect(outcome.values).toBeGreaterThan(10)
    })
})
