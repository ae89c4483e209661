import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { main } from "../../tools/cli/main.ts"
import { EvidenceError, parseEvidence, readEvidence, writeEvidence } from "../../tools/evidence/format.ts"
import { hashOf, makeWorld, noon, reading, type World } from "../helpers/readings.ts"

let folder: string
let world: World

beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-verify-"))
    world = makeWorld()
    const good = reading(world)
    writeEvidence(join(folder, "good.json"), good)
    writeEvidence(join(folder, "next.json"), reading(world, { pagination: 2, at: noon + 1, previousHash: hashOf({}) }))
    writeEvidence(join(folder, "third.json"), reading(world, { pagination: 3, at: noon + 2 }))
    const sml = Buffer.from(good.sml)
    sml[sml.indexOf("000000000001e240", 0, "hex") + 7] ^= 1
    writeEvidence(join(folder, "flipped.json"), { ...good, sml })
    writeFileSync(join(folder, "root.pem"), world.root.pem)
})

afterAll(() => rmSync(folder, { recursive: true }))

async function plomb(...words: string[]) {
    const out: string[] = []
    const err: string[] = []
    const { log, error } = console
    console.log = text => void out.push(text)
    console.error = text => void err.push(text)
    try {
        const status = await main([
            "verify",
            ...words.map(word => (/^\w+\.\w+$/.test(word) ? join(folder, word) : word)),
        ])
        return { status, stdout: out.join("\n"), stderr: err.join("\n") }
    } finally {
        Object.assign(console, { log, error })
    }
}

describe("plomb verify", () => {
    it("exits 0 for proof, with the statement for a person first", async () => {
        const { status, stdout } = await plomb("good.json", "--anchor", "root.pem")
        expect(status).toBe(0)
        expect(stdout.split("\n")[1]).toBe("PROOF")
    })

    it("exits 1 for a changed reading, and --json names check, clause, place, expected and came", async () => {
        const { status, stdout } = await plomb("flipped.json", "--anchor", "root.pem", "--json")
        expect(status).toBe(1)
        const [verdict] = JSON.parse(stdout).verdicts
        expect(verdict).toMatchObject({ verdict: "not proof", proof: false })
        const failed = verdict.findings.filter((each: { result: string }) => each.result === "failed")
        expect(failed.map((each: { check: string }) => each.check)).toEqual([
            "transport CRC",
            "message CRC",
            "signature",
        ])
        expect(Object.keys(failed[0]).sort()).toEqual([
            "came",
            "check",
            "clause",
            "expected",
            "needed",
            "place",
            "result",
        ])
    })

    it("judges several files as a series, and a gap makes exit 1", async () => {
        expect((await plomb("next.json", "good.json", "--anchor", "root.pem")).status).toBe(0)
        const { status, stdout } = await plomb("good.json", "third.json", "--anchor", "root.pem")
        expect(status).toBe(1)
        expect(stdout).toContain("2 is not among these files")
    })

    it("answers wrong words with one clear line and exit 2, and writes nothing", async () => {
        const wrong = [
            [],
            ["absent.json"],
            ["good.json", "--what"],
            ["good.json", "--at", "yesterday"],
            ["good.json", "--anchor", "good.json"],
            ["good.json", "--anchor", "absent.pem"],
            ["good.json", "--key", "0011"],
            ["."],
            ["good.json", "--extract", folder],
        ]
        const before = readdirSync(folder)
        for (const words of wrong) {
            const { status, stderr, stdout } = await plomb(...words)
            expect([words, status, stdout]).toEqual([words, 2, ""])
            expect(stderr.trim().split("\n").length).toBe(1)
        }
        expect(readdirSync(folder)).toEqual(before)
    })
})

describe("the evidence file", () => {
    it("is read back as written, and refuses what it is not with field, expected and came", () => {
        const good = readEvidence(join(folder, "good.json"))
        expect(good).toEqual(reading({ ...world }, {}, { sml: good.sml }))
        const fields = JSON.parse(readFileSync(join(folder, "good.json"), "utf8"))
        const wrong: [string, object][] = [
            ["format", { format: "plomb-evidence/2" }],
            ["sml", { sml: "1b1" }],
            ["sml", { sml: "00".repeat(70_000) }],
            ["request", { request: 5 }],
            ["chain", { chain: "x" }],
            ["chain[1]", { chain: [fields.chain[0], "x"] }],
            ["chain", { chain: Array(9).fill(fields.chain[0]) }],
            ["crls[0]", { crls: [fields.chain[0]] }],
            ["receivedAt", { receivedAt: "2026-11-22 14:00" }],
            ["source", { source: [] }],
        ]
        for (const [field, change] of wrong) {
            try {
                parseEvidence(JSON.stringify({ ...fields, ...change }))
                expect.unreachable(field)
            } catch (error) {
                expect(error).toBeInstanceOf(EvidenceError)
                expect((error as EvidenceError).field).toBe(field)
            }
        }
    })

    it("is not left half-written: a refused content leaves no file", () => {
        const path = join(folder, "refused.json")
        expect(() => writeEvidence(path, { ...reading(world), receivedAt: "now" })).toThrow(EvidenceError)
        expect(() => writeEvidence(join(folder, "absent", "a.json"), reading(world))).toThrow()
        expect(existsSync(path)).toBe(false)
        expect(readdirSync(folder).filter(name => name.endsWith(".part"))).toEqual([])
    })
})
