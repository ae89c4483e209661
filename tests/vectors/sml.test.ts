import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import type { Case, Reply, Verdict } from "../../tools/vectors/format.ts"
import { askNode, askVm } from "../../tools/vectors/run.ts"
import { safe } from "../../tools/vectors/safe.ts"
import { sml } from "../../tools/vectors/sml.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const folders = ["sml-libsml-testing", "sml-smartmeter-obis", "safe-transparenzsoftware"]
const present = hasVectors(...folders)

const paths = present
    ? folders.map(vectorPath).flatMap(folder =>
          readdirSync(folder)
              .filter(name => name.endsWith(".expected.json"))
              .map(name => join(folder, name)),
      )
    : []

function failures(cases: Case[], replies: Reply[]): string[] {
    const failed = (verdict: Verdict) => (verdict === "pass" ? [] : [JSON.stringify(verdict)])
    return cases.flatMap((each, i) =>
        "unsupported" in each ? [] : failed(each.judge(replies[i])).map(text => each.id + " " + text),
    )
}

const all: Case[] = paths.flatMap(path => {
    const json = JSON.parse(readFileSync(path, "utf8"))
    return (sml.recognises(json, path) ? sml : safe).cases(json, path).filter(each => "request" in each)
})
const requests = all.map(each => ("request" in each ? each.request : new Uint8Array(1)))

describe.skipIf(!present)("octets of real meters", () => {
    it("are all there: 149 good files of meters, 5 telegrams of charging meters", () => {
        const files = all.filter(each => each.id.includes(": file at"))
        const damaged = files.filter(each => "judge" in each && each.judge({ error: 1, at: 0 }) === "pass")
        expect([files.length, damaged.length]).toEqual([161, 7])
    })

    it("every good file gives its values, every damaged one is refused, in pieces of any size, in Node", () => {
        expect(
            failures(
                all,
                requests.map(each => askNode(sml, each)),
            ),
        ).toEqual([])
    })

    it("the same in the VM", async () => {
        expect(failures(all, await askVm(sml, requests))).toEqual([])
    })
})
