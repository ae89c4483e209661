import { describe, expect, it } from "vitest"
import { run } from "../../tools/campaign/sandbox-mutations.ts"

describe("damaged images of modules", () => {
    it("are refused or run within their budgets, in Node", async () => {
        const { summary, failures } = await run(1500, 7, "node")
        expect(failures).toEqual([])
        for (const name of ["went on", "ModuleCode", "ModuleImage", "ModuleUnsupported", "ModuleThrew"])
            expect(summary[0]).toContain(name)
    })

    it("do the same in the VM, where no canary dies and nothing panics", async () => {
        expect((await run(250, 8, "vm")).failures).toEqual([])
    })
})
