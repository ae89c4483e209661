import { expect, test } from "vitest"
import { logOf } from "../helpers/log-of.ts"
import { randomProgram } from "../helpers/programs.ts"

const seeds = [...Array(Number(process.env.PLOMB_PROGRAMS ?? 2))].map((_, i) => i + Number(process.env.PLOMB_SEED ?? 1))

test.each(seeds)("programs made at random log the same, optimised or not (seed %i)", async seed => {
    const text = randomProgram(seed, 12)
    const plain = await logOf(text, false)
    expect(plain.length).toBeGreaterThan(100)
    expect(await logOf(text, true)).toEqual(plain)
})
