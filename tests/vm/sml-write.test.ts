import { describe, expect, it } from "vitest"
import { decodeSml } from "../../tools/decode/sml.ts"
import { runCases } from "../../tools/vm/harness.ts"
import { samples } from "./device/sml-samples"

describe("the SML writers", () => {
    it("give the same octets in the VM as in Node, for every message and the extremes of every integer", async () => {
        const [outcome] = await runCases("tests/vm/device/sml-write.ts", [Buffer.from([1])])
        if ("failure" in outcome) throw new Error(outcome.failure)
        const expected = samples()
        expect(Buffer.from(outcome.octets).toString("hex")).toBe(expected.toString("hex"))
        const { files, problems } = decodeSml(expected, "strict")
        expect([files.map(each => each.messages.length), problems]).toEqual([[6, 6], []])
    })
})
