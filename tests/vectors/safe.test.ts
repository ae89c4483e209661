import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { judgeTelegram } from "../../tools/verify/edl40.ts"
import { judge } from "../../tools/verify/judge.ts"
import { hasVectors, vectorPath } from "../extras.ts"
import { withChecksums } from "../helpers/tlv.ts"

const folder = vectorPath("safe-transparenzsoftware")
const present = hasVectors("safe-transparenzsoftware")

const unaltered = "signed by the key that came with it"

/** Upstream claims only the structure of these; that they verify was found by rebuilding their blocks. */
const signedSml: Record<string, string> = {
    "NewEHZSML.xml": unaltered,
    "edl-40-01.xml": unaltered,
    "isa-edl-40p-ok.xml": unaltered,
    "isa-edl-40p-sign-fail.xml": "not proof",
    "isa-edl-40p-data-fail.xml": "not proof",
}

interface Expected {
    values: { kind: string; payload?: string; curve?: string; verifies?: boolean }[]
}

function judged(name: string) {
    return judge(name, readFileSync(join(folder, name)), { anchors: [] })
}

function result(name: string, check: string) {
    return judged(name)[0].findings.filter(each => each.check === check && each.result !== "proved")
}

/** The telegram and the key of a file with one value. */
function telegramOf(name: string): { sml: Buffer; key: Buffer } {
    const text = readFileSync(join(folder, name), "utf8")
    const inner = (tag: string) => new RegExp(`<${tag}[^>]*>([^<]*)<`).exec(text)![1].replace(/\s/g, "")
    return { sml: Buffer.from(inner("signedData"), "hex"), key: Buffer.from(inner("publicKey"), "hex") }
}

describe.skipIf(!present)("SAFE transparency software files", () => {
    for (const file of present ? readdirSync(folder).filter(name => name.endsWith(".expected.json")) : []) {
        const expected: Expected = JSON.parse(readFileSync(join(folder, file), "utf8"))
        const name = file.replace(".expected.json", ".xml")
        it(`${name}: each value gets the expected verdict`, () => {
            const verdicts = judged(name)
            expect(verdicts.length).toBe(expected.values.length)
            expected.values.forEach((value, i) => {
                const wanted = value.kind === "OCMF" ? (value.verifies ? unaltered : "not proof") : signedSml[name]
                expect(verdicts[i].name).toBe(wanted)
                if (value.kind === "OCMF") expect(verdicts[i].proof?.signed.toString("utf8")).toBe(value.payload)
            })
        })
    }

    it("tells an invalid key from a damaged telegram and from a wrong signature", () => {
        expect(result("isa-edl-40p-sign-fail.xml", "public key")[0].came).toContain("not a point")
        expect(result("isa-edl-40p-sign-fail.xml", "transport CRC")).toEqual([])
        expect(judged("isa-edl-40p-sign-fail.xml")[0].statement).toContain("the key is not valid")

        expect(result("isa-edl-40p-data-fail.xml", "transport CRC")[0].result).toBe("failed")
        expect(result("isa-edl-40p-data-fail.xml", "signed block")[0].expected).toContain("ESTH")
        expect(result("isa-edl-40p-data-fail.xml", "public key")).toEqual([])
        expect(judged("isa-edl-40p-data-fail.xml")[0].statement).toContain("damaged")

        // No file upstream has a wrong signature under a valid key: one octet of the value changed, checksums made right.
        const { sml, key } = telegramOf("isa-edl-40p-ok.xml")
        const changed = Buffer.from(sml)
        const value = changed.indexOf("0f544b92", 0, "hex")
        changed[value + 3] ^= 1
        const start = changed.indexOf("76050000001c", 0, "hex")
        const crcAt = changed.indexOf("0076050000001d", 0, "hex") - 2
        const { findings } = judgeTelegram(withChecksums(changed, [[start, crcAt]]), key)
        expect(findings.open.map(each => each.check)).toEqual(["signature"])
    })

    it("the telegram of sign-fail verifies with the right key, and data-fail once its octet is put back", () => {
        const { key } = telegramOf("isa-edl-40p-ok.xml")
        expect(judgeTelegram(telegramOf("isa-edl-40p-sign-fail.xml").sml, key).findings.open).toEqual([])
        const { sml } = telegramOf("isa-edl-40p-data-fail.xml")
        sml.writeUInt8(1, sml.indexOf("81808161", 0, "hex") + 4)
        expect(judgeTelegram(sml, key).findings.open).toEqual([])
    })

    it("each octet of the telegram that is signed counts", () => {
        const { sml, key } = telegramOf("edl-40-01.xml")
        const good = judgeTelegram(sml, key).proof!.signed
        let blocks = 0
        for (let at = 51; at < 270; ++at) {
            const changed = Buffer.from(sml)
            changed[at] ^= 0x01
            const { findings, proof } = judgeTelegram(changed, key)
            const signature = findings.list.find(each => each.check === "signature")
            if (proof && !proof.signed.equals(good)) {
                expect(signature?.result).toBe("failed")
                ++blocks
            }
        }
        expect(blocks).toBeGreaterThan(40)
    })
})
