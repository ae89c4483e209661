import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { writeEvidence } from "../../tools/evidence/format.ts"
import { rawSignature } from "../../tools/verify/certificate.ts"
import { run } from "../../tools/verify/command.ts"
import { derSignature } from "../../tools/verify/curves.ts"
import { hasLibsml, hasProgram, requireExtra } from "../extras.ts"
import { makeWorld, reading, serverId, type World } from "../helpers/readings.ts"

let folder: string
let world: World

beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-extract-"))
    world = makeWorld()
    writeEvidence(join(folder, "good.evidence.json"), reading(world, { drawn: 0x7fffffffffffffffn, power: -1234 }))
    writeFileSync(join(folder, "root.pem"), world.root.pem)
})

afterAll(() => rmSync(folder, { recursive: true }))

async function extracted(name: string): Promise<string> {
    const into = join(folder, name)
    const log = console.log
    console.log = () => {}
    try {
        const words = [join(folder, "good.evidence.json"), "--anchor", join(folder, "root.pem"), "--extract", into]
        expect(await run(words)).toBe(0)
    } finally {
        console.log = log
    }
    return into
}

const openssl = requireExtra("openssl", hasProgram("openssl", "version"), "Debian package openssl")
const source = fileURLToPath(new URL("libsml-list.c", import.meta.url))
const libsml = hasLibsml()

describe("what plomb verify --extract writes", () => {
    it("is everything another tool needs, in a new folder", async () => {
        const into = await extracted("new")
        const names = ["chain.pem", "key.pem", "reading.sml", "signature.der", "signed.bin"]
        expect(readdirSync(into).sort()).toEqual(names)
        await expect(run([join(folder, "good.evidence.json"), "--extract", into])).rejects.toThrow("not empty")
    })

    it.skipIf(!openssl)("verifies with plain openssl, signature and chain", async () => {
        const cwd = await extracted("openssl")
        const verify = () =>
            spawnSync("openssl", "dgst -sha256 -verify key.pem -signature signature.der signed.bin".split(" "), { cwd })
        expect(verify().stdout.toString()).toBe("Verified OK\n")
        const chain = ["verify", "-CAfile", join(folder, "root.pem"), "-untrusted", "chain.pem", "chain.pem"]
        expect(spawnSync("openssl", chain, { cwd }).stdout.toString()).toBe("chain.pem: OK\n")
        const signed = readFileSync(join(cwd, "signed.bin"))
        signed[100] ^= 1
        writeFileSync(join(cwd, "signed.bin"), signed)
        expect(verify().status).not.toBe(0)
    })

    it.skipIf(!libsml)("parses with libsml, with equal values", async () => {
        const into = await extracted("libsml")
        const program = join(folder, "libsml-list")
        const compiled = spawnSync("cc", ["-o", program, source, "-lsml", "-lm"])
        expect(compiled.stderr.toString()).toBe("")
        const { stdout, status } = spawnSync(program, [join(into, "reading.sml")])
        expect(status).toBe(0)
        const lines = stdout.toString().trim().split("\n")
        expect(lines.slice(0, 2)).toEqual(["message 0101", "message 0701"])
        expect(lines).toContain(`serverId ${serverId}`)
        expect(lines).toContain("listName 0100620affff")
        expect(lines).toContain(`time ${Date.UTC(2026, 10, 22, 14) / 1000}`)
        expect(lines).toContain("8181c7f002ff -1 0 1")
        expect(lines).toContain("0100010800ff 30 -1 9223372036854775807")
        expect(lines).toContain("0100100700ff 27 -1 -1234")
        expect(lines).toContain(`8181c7f001ff -1 0 ${Buffer.from("PLOMB-SL/1").toString("hex")}`)
        const signature = lines.find(line => line.startsWith("signature "))!.slice(10)
        expect(derSignature(Buffer.from(signature, "hex")).equals(readFileSync(join(into, "signature.der")))).toBe(true)
        expect(lines.length).toBe(3 + 4 + 14)
    })
})

describe("r|s and DER", () => {
    it("convert into each other for all widths of r and s, leading zeros and high bits included", () => {
        for (let i = 0; i < 10_000; ++i) {
            const raw = Buffer.alloc(64)
            for (const half of [0, 32]) {
                const zeros = (i * 7 + half) % 31
                for (let at = zeros; at < 32; ++at) raw[half + at] = (i * 31 + at * 97 + half) & 255
                raw[half + 31] |= 1
            }
            expect(rawSignature(derSignature(raw), 32)?.equals(raw)).toBe(true)
        }
    })
})
