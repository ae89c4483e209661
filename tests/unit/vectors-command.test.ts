import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it, vi } from "vitest"
import { main } from "../../tools/cli/main.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-vectors-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: unknown): string {
    const path = join(folder, name)
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
    return path
}

async function plomb(...args: string[]) {
    const out = vi.spyOn(console, "log").mockImplementation(() => {})
    const err = vi.spyOn(console, "error").mockImplementation(() => {})
    const code = await main(["vectors", ...args])
    const said = { code, out: out.mock.calls.flat().join("\n"), err: err.mock.calls.flat() }
    vi.restoreAllMocks()
    return said
}

const zeros = "00".repeat(32)
const key = { curve: "secp256r1", uncompressed: "04" + zeros + zeros }
const test = { tcId: 1, comment: "no point", msg: "", sig: "3006020101020101", result: "invalid" }
const group = { type: "EcdsaVerify", sha: "SHA-256", publicKey: key, tests: [test] }
const suite = { schema: "ecdsa_verify_schema_v1.json", algorithm: "ECDSA", testGroups: [group] }

describe("plomb vectors", () => {
    it("passes a case that must be refused, and fails with its id and exit code 1 where the file says otherwise", async () => {
        expect(await plomb(file("good.json", suite))).toMatchObject({ code: 0, err: [] })
        const wrong = { ...suite, testGroups: [{ ...group, tests: [{ ...test, result: "valid" }] }] }
        const { code, out } = await plomb(file("wrong.json", wrong))
        expect(code).toBe(1)
        expect(out).toContain("FAILED tcId 1 (no point): refused")
        const { out: json } = await plomb(join(folder, "wrong.json"), "--json")
        expect(JSON.parse(json)).toMatchObject({ passed: 0, failed: 1, in: "node" })
    })

    it("names a format of later work with its reason, exit code 0", async () => {
        const sealed = { algorithm: "AES-CCM", testGroups: [] }
        const { code, out } = await plomb(file("aes.json", sealed), join(folder, "good.json"), file("ccm.json", sealed))
        expect(code).toBe(0)
        expect(out).toMatch(/not supported: the core has no AES.*\n +aes.json, ccm.json\n/)
        expect(out).toMatch(/1 passed, 0 failed, 0 not supported, in Node; 2 files wait for later work$/)
    })

    it("says one line and exits with 1 for a file in no known format, broken JSON, or nothing there", async () => {
        for (const path of [file("odd.json", { hello: 1 }), file("broken.json", "{"), join(folder, "absent")]) {
            const { code, err } = await plomb(path)
            expect(code).toBe(1)
            expect(err.length).toBe(1)
            expect(err[0]).toContain(path)
            expect(err[0]).not.toContain("\n")
        }
    })

    it("exits with 2 for wrong words", async () => {
        expect((await plomb()).code).toBe(2)
        expect((await plomb("x", "--in", "moon")).code).toBe(2)
        expect((await plomb("x", "--of")).code).toBe(2)
    })
})
