import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { type Decoded, decodeSml } from "../../tools/decode/sml.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const folders = ["sml-libsml-testing", "sml-smartmeter-obis"]
const present = hasVectors(...folders)

/** "obis#value#unit" of every number, as libsml's server prints them. */
function lines({ files }: Decoded): string[] {
    const lists = files.flatMap(file => file.messages.filter(each => each.type === "GetList.Res"))
    return lists.flatMap(list =>
        (list.body as any).valList
            .filter((entry: any) => entry.raw !== undefined)
            .map((entry: any) => `${entry.obis}#${Number(entry.value)}#${entry.unitName ?? ""}`),
    )
}

/** libsml's lines of numbers; it marks warnings with "! ". */
function printed(text: string): string[] {
    return text
        .split("\n")
        .map(line => line.replace(/^! .*$/, "").split("#"))
        .filter(([, value, unit]) => /^-?[\d.]+$/.test(value ?? "") && unit !== "")
        .map(([obis, value, unit]) => `${obis}#${Number(value)}#${unit}`)
}

describe.skipIf(!present)("plomb decode sml", () => {
    const names = present
        ? folders.map(vectorPath).flatMap(folder =>
              readdirSync(folder)
                  .filter(name => name.endsWith(".bin"))
                  .map(name => join(folder, name)),
          )
        : []

    it("prints libsml's numbers for every recording whose files are all whole, DZG's wrong sign put right", () => {
        let compared = 0
        for (const path of names) {
            const { frames } = JSON.parse(readFileSync(path.replace(".bin", ".expected.json"), "utf8"))
            if (frames.some((frame: any) => frame.complete && frame.crc !== "x25")) continue
            const ours = lines(decodeSml(readFileSync(path), "tolerant"))
            const libsml = printed(readFileSync(path.replace(".bin", ".libsml.txt"), "utf8"))
            expect(libsml.length).toBeGreaterThan(0)
            // Where its printing stops early, the lines before that are compared.
            expect([path, ours.filter(line => !line.endsWith("#")).slice(0, libsml.length)]).toEqual([path, libsml])
            compared += libsml.length
        }
        expect(compared).toBeGreaterThan(400)
    })

    it("reports what is damaged and counts every octet", () => {
        for (const path of names) {
            const octets = readFileSync(path)
            const { frames } = JSON.parse(readFileSync(path.replace(".bin", ".expected.json"), "utf8"))
            const { files, problems, junkOctets } = decodeSml(octets, "strict")
            expect(files.reduce((sum, file) => sum + file.length, junkOctets)).toBe(octets.length)
            for (const frame of frames.filter((each: any) => each.crc !== "x25"))
                expect(problems.map(each => each.offset)).toContain(frame.offset)
        }
    })
})
