import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { UsageError } from "../../tools/cli/usage.ts"
import { run } from "../../tools/run/command.ts"

test("plomb run boots the meter image, ends in time and keeps its state in a folder", async () => {
    const state = mkdtempSync(join(tmpdir(), "plomb-run-"))
    onTestFinished(() => rmSync(state, { recursive: true }))
    const words = ["meter", "--clock", "virtual", "--for", "3", "--serial", "7", "--state", state]
    expect(await run(words)).toBe(0)
    for (const file of ["flash.bin", "mb85rc1mt.bin", "ds3231.json", "atecc608b.json"])
        expect(existsSync(join(state, file))).toBe(true)
    expect(await run(words)).toBe(0)
}, 240_000)

test.each([
    [[]],
    [["meter", "muc"]],
    [["meter", "--clock", "sundial"]],
    [["meter", "--for", "soon"]],
    [["meter", "--set", "no-value"]],
    [["meter", "--set", "a-key-too-long=1"]],
    [["meter", "--what"]],
    [["muc", "--panel"]],
])("plomb run refuses the words %j before anything is built", async words => {
    await expect(run(words)).rejects.toThrow(UsageError)
})
