import { expect, test } from "vitest"
import { disturbed, playStreet } from "../../tools/bench/field-buses.ts"

test("250 meters on four buses, disturbed: an hour's readings are read, signed by the MUC, forwarded and proved", async () => {
    const { rows, notes } = await playStreet("disturbed", disturbed, 1)
    const wrong = rows.flatMap(({ names, cells }) =>
        cells.filter(({ state }) => state !== "expected").map(({ text, why }) => [...names, text, why]),
    )
    expect(wrong).toEqual([])
    expect(rows).toHaveLength(6)
    const heap = Number(/least free heap of the MUC between questions ([0-9.]+) KB/.exec(notes[0])?.[1])
    expect(heap).toBeGreaterThan(16)
}, 600_000)
