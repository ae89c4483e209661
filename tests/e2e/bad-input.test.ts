import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { main } from "../../tools/cli/main.ts"

const home = process.cwd()
let folder: string

beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-bad-"))
    writeFileSync(join(folder, "noise.bin"), Buffer.from("this is not what you want, whatever you want"))
    writeFileSync(join(folder, "empty"), "")
    process.chdir(folder)
})

afterAll(() => {
    process.chdir(home)
    rmSync(folder, { recursive: true, force: true })
})

/** Words, exit code, and what the one line must say. */
const cases: [string, number, RegExp][] = [
    ["nonsense", 2, /there is no command "nonsense"/],
    ["build nonsense", 2, /there is no image "nonsense"/],
    ["build meter --board nonsense", 2, /nonsense/],
    ["build --nonsense", 2, /nonsense/],
    ["flash", 2, /./],
    ["flash meter", 2, /--board/],
    ["flash meter --board nonsense", 1, /nonsense/],
    ["run", 2, /./],
    ["run nonsense", 1, /nonsense/],
    ["run meter --set novalue", 2, /KEY=VALUE/],
    ["run meter --for -3", 2, /for/],
    ["calibrate", 2, /./],
    ["calibrate --board vm --serial 1 --pki nowhere", 2, /nowhere/],
    ["calibrate --board vm --serial 0 --pki pki", 2, /serial|PKI/],
    ["pki", 2, /./],
    ["pki init", 2, /./],
    ["pki show nowhere", 1, /nowhere/],
    ["pki issue nonsense", 2, /./],
    ["pki revoke", 2, /./],
    ["headend", 2, /--listen/],
    ["headend --listen 99999 --store s", 2, /99999/],
    ["verify", 2, /./],
    ["verify nowhere.evidence.json", 2, /nowhere/],
    ["verify empty", 1, /./],
    ["verify noise.bin --anchor nowhere.pem", 2, /nowhere/],
    ["decode", 2, /./],
    ["decode nonsense noise.bin", 2, /nonsense/],
    ["decode sml noise.bin", 1, /./],
    ["decode sml nowhere.bin", 2, /nowhere/],
    ["vectors", 2, /./],
    ["vectors nowhere.json", 1, /nowhere/],
    ["vectors noise.bin", 1, /noise/],
    ["campaign", 2, /./],
    ["campaign nonsense", 2, /which campaign/],
    ["campaign sml-mutations --count many", 2, /many/],
    ["perf nonsense", 2, /nonsense/],
    ["demo --nonsense", 2, /nonsense/],
]

/** Runs the command line in this process; what it printed and its exit code. */
async function plomb(words: string): Promise<{ code: number; out: string; err: string }> {
    const out: string[] = []
    const err: string[] = []
    const keep = (where: string[]) => (text: unknown) => {
        where.push(`${text}`.replace(/\n$/, ""))
        return true
    }
    const spies = [
        vi.spyOn(console, "log").mockImplementation(keep(out)),
        vi.spyOn(console, "error").mockImplementation(keep(err)),
        vi.spyOn(process.stdout, "write").mockImplementation(keep(out)),
        vi.spyOn(process.stderr, "write").mockImplementation(keep(err)),
    ]
    try {
        return { code: await main(words.split(" ")), out: out.join("\n"), err: err.join("\n") }
    } finally {
        for (const spy of spies) spy.mockRestore()
    }
}

describe("bad input to each command ends with one clear line", () => {
    it.each(cases)("plomb %s", async (words, code, says) => {
        const before = readdirSync(folder).sort()
        const { code: came, out, err } = await plomb(words)
        expect(came, err).toBe(code)
        // A verdict or a list of failures stands on standard output; a complaint is one line on standard error.
        if (err !== "" || !/^(verify|decode|vectors)/.test(words)) expect(err.split("\n")).toHaveLength(1)
        expect(err + out).toMatch(says)
        expect(err).not.toMatch(/\n\s+at /)
        expect(readdirSync(folder).sort()).toEqual(before)
    })
})
