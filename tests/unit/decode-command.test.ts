import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, it, vi } from "vitest"
import { mbusLongFrame } from "../../firmware/core/mbus-frame"
import { UsageError } from "../../tools/cli/usage.ts"
import { run } from "../../tools/decode/command.ts"
import { around, envelope } from "../helpers/sml-oracle"
import { absent, list, octets, file as oracleFile, signed, unsigned } from "../helpers/tlv"

const folder = mkdtempSync(join(tmpdir(), "plomb-decode-"))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => vi.restoreAllMocks())

/** Exit code and what was printed. */
async function call(...args: string[]) {
    const out = vi.spyOn(console, "log").mockImplementation(() => {})
    const err = vi.spyOn(console, "error").mockImplementation(() => {})
    const code = await run(args)
    return { code, out: out.mock.calls.flat(), err: err.mock.calls.flat() }
}

function listFile(value: Buffer, time: Buffer = absent): Buffer {
    const entry = list(octets("0100010800ff"), absent, time, unsigned(1, 30), signed(1, -1), value, absent)
    const body = list(absent, octets("0a01"), absent, absent, list(entry), absent, absent)
    return oracleFile(...around(envelope(0x0701, body)))
}

describe("plomb decode sml", () => {
    it("takes a file of octets, a file of hex digits and hex digits alike", async () => {
        const raw = listFile(unsigned(8, 2n ** 60n))
        const [binary, text] = [join(folder, "a.bin"), join(folder, "a.hex")]
        writeFileSync(binary, raw)
        writeFileSync(text, raw.toString("hex").replace(/(.{32})/g, "$1\n") + "\n")
        for (const input of [binary, text, raw.toString("hex")]) {
            const { code, out, err } = await call("sml", input)
            expect([code, out.length, err]).toEqual([0, 1, []])
            const decoded = JSON.parse(out[0])
            expect(decoded.files.length).toBe(1)
            const [entry] = decoded.files[0].messages[1].body.valList
            expect(entry).toMatchObject({
                obis: "1-0:1.8.0*255",
                unitName: "Wh",
                raw: "1152921504606846976",
                value: "115292150460684697.6",
            })
            vi.restoreAllMocks()
        }
    })

    it("several files in one input, with the junk between them counted", async () => {
        const raw = listFile(unsigned(1, 5))
        const { out } = await call("sml", Buffer.concat([raw, Buffer.from([1, 2, 3]), raw]).toString("hex"))
        const { files, junkOctets } = JSON.parse(out[0])
        expect(files.map((each: any) => each.offset)).toEqual([0, raw.length + 3])
        expect(junkOctets).toBe(3)
    })

    it("a quirk is named in the tolerant profile and a problem in the strict one, which then prints nothing", async () => {
        const raw = listFile(unsigned(1, 5), unsigned(4, 7)).toString("hex")
        const tolerant = await call("sml", raw)
        expect(JSON.parse(tolerant.out[0]).files[0].quirks).toEqual(["bare-time"])
        vi.restoreAllMocks()
        const strict = await call("sml", raw, "--profile", "strict")
        expect([strict.code, strict.out]).toEqual([1, []])
        expect(strict.err.length).toBe(1)
        expect(strict.err[0]).toContain("SmlType")
    })

    it("wrong words are a usage error", async () => {
        for (const args of [
            [],
            ["gas", "00"],
            ["dlms", "00", "--key", "00"],
            ["dlms", "00", "--last", "x"],
            ["p1", "00", "--auth-key", "00".repeat(16)],
            ["sml"],
            ["sml", "xyz"],
            ["sml", "00", "11"],
            ["sml", "00", "--profile", "lax"],
            ["dlms", folder],
        ])
            await expect(call(...args)).rejects.toBeInstanceOf(UsageError)
        await expect(call("mbus", "68030")).rejects.toThrow("odd number of hex digits")
    })

    it("an empty file is told by its name", async () => {
        const path = join(folder, "empty")
        writeFileSync(path, "")
        await expect(call("mbus", path)).rejects.toThrow(`${path} is empty`)
    })

    it("a reader at the end of a pipe gets all of it, however long", () => {
        const path = join(folder, "long")
        writeFileSync(path, Buffer.alloc(300_000, "no meter says this"))
        const command = `"${process.execPath}" tools/plomb.mjs decode iec62056 ${path} | cat`
        const { stdout } = spawnSync("sh", ["-c", command], { encoding: "utf8", maxBuffer: 2 ** 24 })
        expect(JSON.parse(stdout).telegrams[0].hex.length).toBe(600_000)
    })

    it("a reader that has seen enough ends the command without complaint", () => {
        const path = join(folder, "readout")
        writeFileSync(path, `/ABC5 x\r\n\r\n${"1-0:1.8.0(000123.4*kWh)\r\n".repeat(20_000)}!\r\n`)
        const command = `"${process.execPath}" tools/plomb.mjs decode iec62056 ${path} | head -n 1`
        const { stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" })
        expect([stdout, stderr]).toEqual(["{\n", ""])
    })
})

describe("plomb decode dlms", () => {
    it("wired M-Bus frames without a whole APDU: why there is none", async () => {
        const frame = (ci: number) =>
            mbusLongFrame(8, 1, Buffer.from([ci, 0, 1, 0x0f, 0x40, 0, 0, 0, 0])).toString("hex")
        for (const [hex, name] of [
            ["68030368", "MbusFrame"],
            [frame(0x10).replace(/..16$/, "0016"), "MbusChecksum"],
            [frame(0x72), "MbusControlInformation"],
            [frame(0x00), "MbusControlInformation"],
        ]) {
            const { code, out, err } = await call("dlms", hex)
            expect([code, out.length, err.length]).toEqual([1, 1, 1])
            expect(JSON.parse(out[0])).toMatchObject({ apdus: [], error: { name } })
            expect(err[0]).toContain(name)
            vi.restoreAllMocks()
        }
    })
})
