import { Code } from "../../firmware/core/errors"
import { answer } from "./device/mbus-answer.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"
import { mbusRequest } from "./mbus-dump.ts"

type Test = Record<string, any>

interface File {
    algorithm?: string
    testGroups?: (Test & { tests: Test[] })[]
}

/** AES-CMAC with 128 and 256 bits: Wycheproof and ACVP, which both also have tags that must not hold. */
export const cmac: Format = {
    name: "AES-CMAC",
    program: "tools/vectors/device/mbus.ts",
    answer,
    recognises(json) {
        const { algorithm, testGroups } = (json ?? {}) as File
        return Array.isArray(testGroups) && (algorithm === "AES-CMAC" || algorithm === "CMAC-AES")
    },
    cases: json => (json as Required<File>).testGroups.flatMap(group => group.tests.map(test => caseOf(group, test))),
}

function caseOf(group: Test, test: Test): Case {
    const id = `tcId ${test.tcId}${test.comment ? ` (${test.comment})` : ""}`
    const key = Buffer.from(test.key, "hex")
    if (key.length === 24) return { id, unsupported: "AES-192 is in no format of design.md" }
    const tag = Buffer.from(test.tag ?? test.mac, "hex")
    const valid = test.result ? test.result === "valid" : (test.testPassed ?? true)
    const length = (group.tagSize ?? group.macLen) / 8
    const request = mbusRequest(8, key, Buffer.from(test.msg ?? test.message, "hex"))
    return { id, request, judge: reply => judge(reply, key.length, tag, length, valid) }
}

function judge(reply: Reply, keyLength: number, tag: Buffer, length: number, valid: boolean): Verdict {
    if (keyLength !== 16 && keyLength !== 32)
        return "error" in reply && reply.error === Code.BadArgument
            ? "pass"
            : { fail: "a key of another length was taken" }
    if (!("octets" in reply)) return { fail: JSON.stringify(reply) }
    const holds = reply.octets.subarray(0, length).equals(tag)
    return holds === valid ? "pass" : { fail: `expected the tag ${valid ? "to hold" : "not to hold"}` }
}
