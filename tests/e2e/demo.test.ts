import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it, vi } from "vitest"
import { main } from "../../tools/cli/main.ts"

const folder = join(mkdtempSync(join(tmpdir(), "plomb-demo-")), "demo")

afterAll(() => rmSync(join(folder, ".."), { recursive: true, force: true }))

/** Exit code and lines of one command. */
async function heard(words: string[]): Promise<{ code: number; lines: string[] }> {
    const lines: string[] = []
    const spy = vi.spyOn(console, "log").mockImplementation((text = "") => {
        lines.push(...String(text).split("\n"))
    })
    try {
        return { code: await main(words), lines }
    } finally {
        spy.mockRestore()
    }
}

describe("npm start", () => {
    it("proves one reading, refuses the changed one, and prints verdict commands that come to the same", async () => {
        const { code, lines } = await heard(["demo", "--folder", folder])
        expect(code).toBe(0)
        expect(lines.filter(line => line.startsWith("=> "))).toEqual([
            expect.stringMatching(/^=> PROOF\. /),
            expect.stringMatching(/^=> NOT PROOF\. /),
        ])
        // The failed checks come first and are the two signatures alone: of the answer as a whole and of the list in it.
        expect(lines.filter(line => line.startsWith("   X "))).toEqual([
            expect.stringMatching(/^ {3}X answer's signature: /),
            expect.stringMatching(/^ {3}X signature: /),
        ])
        expect(lines.filter(line => line.length > 100 && !line.includes(folder))).toEqual([])

        const [proof, forgery] = lines
            .filter(line => line.includes("npx plomb verify"))
            .map(line => line.trim().split(" ").slice(2))
        expect((await heard(proof)).code).toBe(0)
        expect((await heard(forgery)).code).toBe(1)
    }, 180_000)
})
