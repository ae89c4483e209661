import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { heard } from "../helpers/heard.ts"

const home = process.cwd()
const id = "054d4300000001"
const key = "00112233445566778899aabbccddeeff"
let folder: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-commission-"))
    process.chdir(folder)
    writeFileSync("secret", "open sesame\n")
    writeFileSync("password", "correct horse\n")
    writeFileSync("key2", `${"5a".repeat(32)}\n`)
    await heard("pki init pki --passphrase-file secret")
})

afterAll(() => {
    process.chdir(home)
    rmSync(folder, { recursive: true, force: true })
})

const station = "commission muc --pki pki --passphrase-file secret --yes"
const installation = "--password-file password --key1plc random --key2plc key2"

describe("plomb commission muc", () => {
    it.each([
        ["commission", 2, /takes one kind: muc/],
        ["commission muc", 2, /expected --board/],
        [`${station} --board toaster`, 2, /expected vm, vm:SERIAL or serial:PORT/],
        [`${station} --board vm --pki nowhere`, 2, /there is no PKI in "nowhere"/],
        [`${station} --board vm --key1plc random`, 2, /needs --password-file, --key1plc and --key2plc/],
        [`${station} --board vm --board vm:2 ${installation}`, 2, /one at a time/],
        [`${station} --board vm ${installation} --mbus-key 12=${key}`, 2, /ADDRESS=HEX/],
        [`${station} --board vm ${installation} --mbus-key 2423785634121b07=0011`, 2, /expected 32 or 64 hex digits/],
        [`${station} --board vm ${installation.replace("key2plc key2", "key2plc password")}`, 2, /64 hex digits/],
        [`${station} --board vm --passphrase-file password`, 1, /wrong passphrase/],
    ])("refuses `%s` with one line before it makes a key", async (words, code, line) => {
        const { code: came, error } = await heard(words)
        expect(came).toBe(code)
        expect(error).toMatch(line)
        expect(error.split("\n")).toHaveLength(1)
        expect(error).not.toContain(key)
        expect(existsSync(join("pki", "mucs"))).toBe(false)
    })

    it("produces two in a row, and says of each how it stands", async () => {
        const { code, out, error } = await heard(`${station} --board vm --board vm:2`)
        expect([code, error]).toEqual([0, ""])
        expect(out).toMatch(/\[2\/2\] vm:2[\s\S]*2 of 2 MUCs are done/)
        expect(readdirSync("commissioning").sort()).toEqual([
            `${id}.commissioning.json`,
            "054d4300000002.commissioning.json",
        ])
        const again = await heard(`${station} --board vm`)
        expect(again).toMatchObject({ code: 1, error: expect.stringMatching(/is produced already; to install it/) })
    }, 120_000)

    it("installs, keeps the key it made for the adapter alone, and refuses the MUC a second time", async () => {
        const words = `${station} --board vm ${installation} --local --mbus-key 2423785634121b07=${key}`
        const { code, out, error } = await heard(`${words} --json`)
        expect([code, error]).toEqual([0, ""])
        const record = JSON.parse(out)
        expect(record).toMatchObject({ serverId: id, state: "installed", keyProtection: "secure element" })
        expect(record.held.map((held: { kind: number }) => held.kind).sort()).toEqual([32, 33, 34, 35])
        const kept = join("commissioning", `${id}.key1plc`)
        expect(statSync(kept).mode & 0o777).toBe(0o600)
        const made = readFileSync(kept, "utf8").trim()
        const memory = readFileSync(join(".plomb", "state", "muc-1", "mb85rc1mt.bin"))
        for (const value of [made, "5a".repeat(32), key]) {
            expect(memory.includes(Buffer.from(value, "hex"))).toBe(true)
            expect(out).not.toContain(value)
        }
        expect(memory.includes("correct horse")).toBe(false)
        const second = await heard(words)
        expect(second).toMatchObject({ code: 1, error: expect.stringMatching(/is installed already/) })
        expect(readFileSync(join(".plomb", "state", "muc-1", "mb85rc1mt.bin"))).toEqual(memory)
    }, 120_000)
})

it("plomb run muc makes an installed MUC at the first time, and it connects to a TLS server of its CA", async () => {
    await heard("pki init open")
    const peer = new UplinkPeer("open")
    await peer.listen()
    try {
        let connections = 0
        const words = `run muc --pki open --state board --set uplink=localhost:${peer.port} --clock virtual`
        for (let i = 0; i < 2; ++i) {
            const running = heard(`${words} --for 120`)
            const watch = setInterval(() => {
                if (!peer.connected()) return
                ++connections
                peer.socket?.destroy()
                peer.socket = undefined
            }, 20)
            const { code, out } = await running
            clearInterval(watch)
            expect(code).toBe(0)
            expect(out).toContain(`MUC ${id}, installed`)
            expect(out).toContain(`uplink localhost:${peer.port} open`)
            expect(connections).toBeGreaterThan(i)
        }
    } finally {
        await peer.close()
    }
}, 180_000)
