import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ensureBuilt } from "../../tools/build/build.ts"
import { Directory } from "../../tools/directory/directory.ts"
import { heard } from "../helpers/heard.ts"

const home = process.cwd()
let folder: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-calibrate-"))
    process.chdir(folder)
    writeFileSync("secret", "open sesame\n")
    writeFileSync("wrong", "open barley\n")
    await heard("pki init pki --passphrase-file secret")
})

afterAll(() => {
    process.chdir(home)
    rmSync(folder, { recursive: true, force: true })
})

/** The chips as they are kept, to see that nothing was changed. */
function chips(meter: string): string[] {
    const state = join(".plomb", "state", meter)
    return existsSync(state) ? readdirSync(state).map(file => readFileSync(join(state, file), "latin1")) : []
}

const station = "calibrate --board vm --pki pki --yes"

describe("plomb calibrate", () => {
    it("asks for what it needs later before anything final is done", async () => {
        expect(await heard(`${station} --serial 1 --passphrase-file wrong`)).toMatchObject({
            code: 1,
            error: expect.stringMatching(/wrong passphrase$/),
        })
        expect(JSON.parse(readFileSync(join(".plomb", "state", "meter-1", "atecc608b.json"), "utf8"))).toBeTruthy()
        expect(existsSync(join("pki", "meters"))).toBe(false)
        writeFileSync("file", "")
        expect(await heard(`${station} --serial 2 --out file/x`)).toMatchObject({
            code: 1,
            error: expect.stringMatching(/--out .* can not be written/),
        })
        expect(chips("meter-2")).toEqual([])
    }, 60_000)

    it("calibrates and publishes, and refuses the meter a second time with one line and nothing changed", async () => {
        writeFileSync("writer", "may write\n")
        const directory = new Directory({ writerPassword: "may write" })
        await directory.listen()
        const to = `--publish ${directory.url} --writer-password-file writer`
        await heard(`pki publish pki --to ${directory.url} --writer-password-file writer`)
        const first = await heard(`${station} --serial 1 --passphrase-file secret --json ${to}`)
        const shown = await heard(`directory show --url ${directory.url} 0a01504c420100000001`)
        await directory.close()
        expect(shown.out).toContain("userCertificate;binary: CN=0a01504c420100000001, 2.5.4.5=1")
        expect(first).toMatchObject({ code: 0, error: "" })
        expect(JSON.parse(first.out)).toMatchObject({ serial: 1, keyProtection: "secure element" })
        const protocols = readdirSync("calibration")
        expect(protocols.sort()).toEqual([
            "0a01504c420100000001.attestation.evidence.json",
            "0a01504c420100000001.calibration.html",
            "0a01504c420100000001.calibration.json",
        ])
        const { software } = JSON.parse(first.out)
        const { report } = await ensureBuilt("meter", "vm")
        expect(software).toEqual({ identification: report.identification, checksum: report.softwareChecksum })
        const anchor = join("pki", "institute-root", "cert.pem")
        const proof = await heard(`verify calibration/${protocols[0]} --anchor ${anchor}`)
        expect(proof.out).toContain("attest its software: answered")
        expect(proof.code).toBe(0)
        const before = readFileSync(join("pki", "calibration-authority", "index.json"), "utf8")
        const second = await heard(`${station} --serial 1 --passphrase-file secret`)
        expect(second.code).toBe(1)
        expect(second.error).toMatch(/^plomb calibrate: meter 1 is calibrated already[^\n]*$/)
        expect(readFileSync(join("pki", "calibration-authority", "index.json"), "utf8")).toBe(before)
    }, 120_000)

    it("refuses a bare board under the number of a meter that is certified, before it makes a key", async () => {
        const other = await heard(`${station} --serial 1 --passphrase-file secret --state elsewhere`)
        expect(other).toMatchObject({ code: 1, error: expect.stringMatching(/a certificate for meter 1 is in force/) })
    }, 60_000)

    it("says of a board without a secure element that its key is not protected, calibrated though not published", async () => {
        const words = "--yes --serial 3 --passphrase-file secret --publish ldaps://127.0.0.1:1"
        const { code, out, error } = await heard(`calibrate --board vm_software --pki pki ${words}`)
        expect(code).toBe(1)
        expect(error).toMatch(/^plomb calibrate: done, but not published .*meters\/0a01504c420100000003 --to/)
        expect(out).toContain("KEY PROTECTION: NONE")
        const stem = join("calibration", "0a01504c420100000003.calibration")
        expect(JSON.parse(readFileSync(`${stem}.json`, "utf8")).keyProtection).toBe("none")
        expect(readFileSync(`${stem}.html`, "utf8")).toContain("This meter has no secure element")
    }, 120_000)

    it("goes through a batch past a meter that fails, and skips what is done", async () => {
        writeFileSync("line.csv", "serial,board\n5,vm\n5,vm\n")
        expect(await heard("calibrate --batch line.csv --pki pki")).toMatchObject({
            code: 1,
            error: "plomb calibrate: line.csv:3: serial number 5 stands in line 2 already",
        })
        writeFileSync("meters.csv", "serial,board\n1,vm\n4,vm_none\n5,vm\n")
        const { code, out } = await heard("calibrate --batch meters.csv --pki pki --yes --passphrase-file secret")
        expect(code).toBe(1)
        expect(out).toContain("was calibrated before")
        expect(out).toMatch(/meter 4 failed: .*vm_none/)
        expect(out).toContain("2 of 3 meters are calibrated")
    }, 120_000)
})
