import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { SignedListFields, signedListRes, writeSignedList } from "../../firmware/core/signed-list"
import { attentionRes, closeRes, getProcParameterRes, openRes } from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { hasLibsml } from "../extras.ts"

const { SmlFile } = createRequire(import.meta.url)("open-sml")

const folder = mkdtempSync(join(tmpdir(), "plomb-sml-"))
afterAll(() => rmSync(folder, { recursive: true }))

const serverId = Buffer.from("0a01504c420100000001", "hex")
const id = (n: number) => Buffer.from([n])
const signature = Buffer.from(Array.from({ length: 64 }, (_, i) => i + 1))

function fields(): SignedListFields {
    return Object.assign(new SignedListFields(), {
        serverId,
        pagination: 4711,
        secondsIndex: 99,
        timeQuality: 2,
        seconds: 1790000000,
        drawn: 1234567890123,
        drawn2: 3,
        drawn3: 2,
        drawn4: 1,
        fedIn: 17,
        power: -4321,
        status: 0x82000101,
        software: Buffer.from("plomb-meter 0.1.0"),
        checksum: Buffer.alloc(32, 0xcc),
        keyProtection: 1,
        module: Buffer.from("metrology 1.0.0"),
        moduleChecksum: Buffer.alloc(32, 0xee),
        previous: Buffer.alloc(32, 0xdd),
    })
}

const path = [Buffer.from("8181c78201ff", "hex")]
const messages = [
    openRes(id(1), undefined, Buffer.from("1"), serverId, [1, 99]),
    signedListRes(id(2), id(9), writeSignedList(fields()), signature),
    getProcParameterRes(id(4), serverId, path, [path[0], [1, [0x64, 5]], undefined]),
    closeRes(id(3)),
]

/** Entries that are numbers: obis, unit (-1 none), scaler, value. */
const numbers = [
    ["8181c7f002ff", -1, 0, "4711"],
    ["810060080001", -1, 0, "99"],
    ["8181c7f003ff", -1, 0, "2"],
    ["0100010800ff", 30, -1, "1234567890123"],
    ["0100010801ff", 30, -1, "0"],
    ["0100010802ff", 30, -1, "3"],
    ["0100010803ff", 30, -1, "2"],
    ["0100010804ff", 30, -1, "1"],
    ["0100020800ff", 30, -1, "17"],
    ["0100100700ff", 27, -1, "-4321"],
    ["0100600500ff", -1, 0, "2181038337"],
    ["8181c7f004ff", -1, 0, "1"],
]

const source = fileURLToPath(new URL("libsml-list.c", import.meta.url))
const libsml = hasLibsml()

describe("what the core writes is read with equal values", () => {
    it.skipIf(!libsml)("by libsml", () => {
        const program = join(folder, "libsml-list")
        const file = join(folder, "list.sml")
        const attention = attentionRes(id(5), serverId, 0xfe03, "gone")
        writeFileSync(file, writeFile([...messages.slice(0, 3), attention, messages[3]]))
        expect(spawnSync("cc", ["-o", program, source, "-lsml", "-lm"]).stderr.toString()).toBe("")
        const { stdout, status } = spawnSync(program, [file])
        expect(status).toBe(0)
        const lines = stdout.toString().trim().split("\n")
        expect(lines.filter(each => each.startsWith("message"))).toEqual([
            "message 0101",
            "message 0701",
            "message 0501",
            "message ff01",
            "message 0201",
        ])
        expect(lines).toContain(`serverId ${serverId.toString("hex")}`)
        expect(lines).toContain("time 1790000000")
        expect(lines).toContain(`signature ${signature.toString("hex")}`)
        expect(lines).toContain(`8181c7f005ff -1 0 ${"dd".repeat(32)}`)
        expect(lines).toContain(`8181c7f006ff -1 0 ${Buffer.from("metrology 1.0.0").toString("hex")}`)
        expect(lines).toContain(`8181c7f007ff -1 0 ${"ee".repeat(32)}`)
        for (const number of numbers) expect(lines).toContain(number.join(" "))
    })

    it.skipIf(!libsml)("by libsml, of a meter in which no module measures", () => {
        const none = Object.assign(fields(), { module: Buffer.alloc(0), moduleChecksum: Buffer.alloc(32) })
        const file = join(folder, "none.sml")
        writeFileSync(
            file,
            writeFile([messages[0], signedListRes(id(2), id(9), writeSignedList(none), signature), closeRes(id(3))]),
        )
        const { stdout, status } = spawnSync(join(folder, "libsml-list"), [file])
        expect(status).toBe(0)
        expect(stdout.toString()).toContain(`8181c7f006ff -1 0 -\n8181c7f007ff -1 0 ${"00".repeat(32)}`)
    })

    it("by open-sml (which cannot read an Attention without details)", () => {
        const parsed = new SmlFile()
        parsed.parse(writeFile(messages))
        expect(parsed.valid).toBe(true)
        const bodies = parsed.messages.map((each: any) => each.getMessageBody())
        expect(parsed.messages.map((each: any) => each.getMessageTag())).toEqual([0x0101, 0x0701, 0x0501, 0x0201])
        const list = bodies[1]
        expect(list.getServerId().toString("hex")).toBe(serverId.toString("hex"))
        expect(list.listSignature.toString("hex")).toBe(signature.toString("hex"))
        const entries = list.getValList().listEntries
        expect(entries.length).toBe(18)
        for (const [obis, unit, scaler, value] of numbers) {
            const entry = entries.find((each: any) => each.objName.toString("hex") === obis)
            expect([obis, entry.unit ?? -1, entry.scaler ?? 0, String(entry.value)]).toEqual([
                obis,
                unit,
                scaler,
                value,
            ])
        }
    })
})
