import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import type { Case, Reply, Verdict } from "../../tools/vectors/format.ts"
import { sml } from "../../tools/vectors/sml.ts"
import { runCases } from "../../tools/vm/harness.ts"

const root = process.env.PLOMB_VECTORS ?? "../shared/vectors"
const folders = ["sml-libsml-testing", "sml-smartmeter-obis"].map(name => join(root, name))
const present = folders.every(existsSync)
if (!present) console.log(`left out: ${folders.join(", ")} (set PLOMB_VECTORS)`)

const paths = present
    ? folders.flatMap(folder =>
          readdirSync(folder)
              .filter(name => name.endsWith(".expected.json"))
              .map(name => join(folder, name)),
      )
    : []

function askNode(request: Uint8Array): Reply {
    try {
        return { octets: sml.answer(Buffer.from(request)) }
    } catch (error) {
        if (error instanceof PlombError) return { error: error.code, at: error.at }
        return { escaped: String(error) }
    }
}

/** The VM's replies: kind 0 octets, 1 code and offset, 2 text. */
async function askVm(requests: Uint8Array[]): Promise<Reply[]> {
    const outcomes = await runCases(sml.program, requests)
    return outcomes.map(outcome => {
        if ("failure" in outcome) return { escaped: outcome.failure }
        const framed = Buffer.from(outcome.octets)
        if (framed[0] === 0) return { octets: framed.subarray(1) }
        if (framed[0] === 1) return { error: framed.readUInt32LE(1), at: framed.readInt32LE(5) }
        return { escaped: framed.toString("utf8", 1) }
    })
}

function failures(cases: Case[], replies: Reply[]): string[] {
    const failed = (verdict: Verdict) => (verdict === "pass" ? [] : [JSON.stringify(verdict)])
    return cases.flatMap((each, i) =>
        "unsupported" in each ? [] : failed(each.judge(replies[i])).map(text => each.id + " " + text),
    )
}

const all: Case[] = paths.flatMap(path => sml.cases(JSON.parse(readFileSync(path, "utf8")), path))
const requests = all.map(each => ("request" in each ? each.request : new Uint8Array(1)))

describe.skipIf(!present)("octets of real meters", () => {
    it("are all there: 22 dumps, 149 good files", () => {
        expect(paths.length).toBe(22)
        const frames = paths.flatMap(path => JSON.parse(readFileSync(path, "utf8")).frames)
        expect(frames.filter(frame => frame.crc === "x25").length).toBe(149)
    })

    it("every good file gives its values, every damaged one is refused, in pieces of any size, in Node", () => {
        expect(failures(all, requests.map(askNode))).toEqual([])
    })

    it("the same in the VM", async () => {
        expect(failures(all, await askVm(requests))).toEqual([])
    })
})
