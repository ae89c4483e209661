import { PlombError } from "../../firmware/core/errors"
import { type CaseOutcome, runCases } from "../vm/harness.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"

/** A case with what came of it. */
export interface Result {
    id: string
    verdict: Verdict
}

/** Puts a request to the core in this process. */
export function askNode(format: Format, request: Uint8Array): Reply {
    try {
        return { octets: format.answer(Buffer.from(request)) }
    } catch (error) {
        if (error instanceof PlombError) return { error: error.code, at: error.at }
        return { escaped: String(error) }
    }
}

/** What the program's answer (`device/serve.ts`) says; a panic is an escape. */
export function replyOf(outcome: CaseOutcome): Reply {
    if ("failure" in outcome) return { escaped: outcome.failure }
    const framed = Buffer.from(outcome.octets)
    if (framed[0] === 0) return { octets: framed.subarray(1) }
    if (framed[0] === 1) return { error: framed.readUInt32LE(1), at: framed.readInt32LE(5) }
    return { escaped: framed.toString("utf8", 1) }
}

/** Puts requests to the core in the stock VM, through the format's program. */
export async function askVm(format: Format, requests: Uint8Array[]): Promise<Reply[]> {
    return requests.length === 0 ? [] : (await runCases(format.program, requests)).map(replyOf)
}

/** Runs all cases of a format, in order. */
export async function runFormat(format: Format, cases: Case[], where: "node" | "vm"): Promise<Result[]> {
    if (where === "vm") cases = cases.map(each => fitting(each, format.capacity))
    const requests = cases.flatMap(each => ("request" in each ? [each.request] : []))
    const replies = where === "vm" ? await askVm(format, requests) : requests.map(each => askNode(format, each))
    let next = 0
    return cases.map(each => ({
        id: each.id,
        verdict: "request" in each ? each.judge(replies[next++]) : { unsupported: each.unsupported },
    }))
}

/** In the VM a request that no board could hold is no question. */
function fitting(each: Case, capacity = Number.POSITIVE_INFINITY): Case {
    if (!("request" in each) || each.request.length <= capacity) return each
    return { id: each.id, unsupported: `${each.request.length} octets do not fit the 64 KB heap of a board` }
}
