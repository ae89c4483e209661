import { expect, it } from "vitest"
import { runAt } from "../../tools/campaign/mucs.ts"
import { run } from "../../tools/campaign/plugs.ts"

it("300 MUCs behind one concentrator, six of them dumb: all others are read, all come back when all break at once", async () => {
    const { failures, summary } = await runAt({ least: 50, most: 300, everyMs: 5000 }, 300, 1)
    expect(failures).toEqual([])
    expect(summary.join()).toMatch(/600 connections, 300 of them resumed/)
})

it("a line reset, dark, half open; the concentrator and the head-end killed: what was acknowledged arrives, and once", async () => {
    const { failures, summary } = await run(5, 85, "node", { each: 0 })
    expect(failures).toEqual([])
    expect(summary[0]).toBe(
        "TCP reset 1, silent drop 1, half-open 1, concentrator killed 1, head-end killed 1, both killed 0, " +
            "directory down 0, MUC without power 0",
    )
    expect(summary[2]).toBe("0 lost, 0 twice")
})
