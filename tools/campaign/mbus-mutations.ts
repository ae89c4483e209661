import { Code } from "../../firmware/core/errors"
import { WMBUS_A } from "../../firmware/core/wmbus-frame"
import type { Reply } from "../vectors/format.ts"
import { mbus } from "../vectors/mbus.ts"
import { mbusRequest, readMbusDump } from "../vectors/mbus-dump.ts"
import { askNode, replyOf } from "../vectors/run.ts"
import { runCases } from "../vm/harness.ts"
import {
    fixedFrame,
    linkEncrypted,
    meterKey,
    mode5,
    mode7,
    sampleRecords,
    wiredFrame,
    wirelessFrame,
} from "./mbus-seeds.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

type Random = (below: number) => number

/** Bytecode steps a case may take: for the start, and for each octet of the request. */
const stepsBound = (octets: number) => 40_000 + 1500 * octets

const telling = [
    0x00, 0x0d, 0x0f, 0x1f, 0x2f, 0x6c, 0x6d, 0x72, 0x7a, 0x7c, 0x7f, 0x80, 0x8c, 0x8d, 0x90, 0xfb, 0xfc, 0xfd, 0xff,
]

/** One change somewhere: a bit, a telling octet, a stretch lost, doubled or put in, the end cut off. */
function changed(octets: Buffer, random: Random): Buffer {
    const at = random(octets.length + 1)
    const end = Math.min(octets.length, at + 1 + random(4))
    const [before, middle, after] = [octets.subarray(0, at), octets.subarray(at, end), octets.subarray(end)]
    switch (random(7)) {
        case 0:
            return Buffer.concat([before, after])
        case 1:
            return Buffer.concat([before, middle, middle, after])
        case 2:
            return Buffer.concat([before, Buffer.of(telling[random(telling.length)]), middle, after])
        case 3:
            return Buffer.from(before)
        default: {
            const copy = Buffer.from(octets)
            if (at < copy.length)
                copy[at] = random(2) === 0 ? telling[random(telling.length)] : copy[at] ^ (1 << random(8))
            return copy
        }
    }
}

function payloadOf(random: Random): Buffer {
    const records = Array.from({ length: 1 + random(8) }, () => sampleRecords[random(sampleRecords.length)])
    let payload: Buffer = Buffer.from(records.join(""), "hex")
    for (let n = random(4); n > 0; --n) payload = changed(payload, random)
    return payload.subarray(0, 180)
}

/** A damaged telegram; mostly with good checksums, keys and MACs, so that the damage reaches what lies behind them. */
function damaged(random: Random): Buffer {
    const payload = payloadOf(random)
    const key = [meterKey, undefined, Buffer.alloc(0), Buffer.alloc(16)][Math.max(0, random(8) - 4)]
    const harm = (octets: Buffer) => (random(3) === 0 ? changed(octets, random) : octets)
    const kind = random(7)
    if (kind < 2)
        return mbusRequest(0, key, harm(kind === 0 ? wiredFrame(harm(payload).subarray(0, 200)) : fixedFrame()))
    const plain = Buffer.concat([Buffer.from("7a2a000000", "hex"), payload])
    const content = [
        plain,
        mode5(payload, random(256)),
        mode7(payload, random(1e9)),
        linkEncrypted(payload, random(1e8)),
    ][kind % 4]
    const format = random(3)
    const fit = harm(content).subarray(0, format === WMBUS_A ? 245 : 230)
    return mbusRequest(1 + format, key, harm(wirelessFrame(fit, format)))
}

/** A stream of telegrams with noise between, for a receiver. */
function stream(random: Random): Buffer {
    const format = random(4)
    const parts = Array.from({ length: 1 + random(4) }, () => {
        const frame =
            format === 0 ? wiredFrame(payloadOf(random)) : wirelessFrame(mode5(payloadOf(random), 1), format - 1)
        return random(2) === 0 ? changed(frame, random) : frame
    })
    return mbusRequest(4 + format, undefined, Buffer.concat([Buffer.of(1 + random(90)), ...parts]))
}

/** What a reply says in few words; what an opened telegram says must lie inside it. */
function briefly(reply: Reply, request: Buffer): { text: string; wrong?: string } {
    if ("escaped" in reply) return { text: reply.escaped, wrong: `escaped: ${reply.escaped}` }
    if ("error" in reply) {
        const placed = reply.error > 2000 && reply.at >= 0 && reply.at <= request.length
        const text = `${reply.error} at ${reply.at}`
        return { text, wrong: placed ? undefined : `error ${text} of ${request.length}` }
    }
    const text = reply.octets.toString("hex")
    if (request[0] > 3) return { text }
    const { octets, at, end, records } = readMbusDump(reply.octets)
    const inside = records.every(
        each =>
            each.start <= each.end &&
            each.dataAt + each.length <= each.end &&
            each.end <= end &&
            each.textAt + each.textLength <= end,
    )
    return { text, wrong: inside && at <= end && end <= octets.length ? undefined : "places outside of the telegram" }
}

/** `count` damaged telegrams; in the VM each answer must also equal Node's and keep within the step bound. */
export async function run(count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const random = randomFrom(seed)
    const failures: string[] = []
    const came = new Map<string, number>()
    const requests: Buffer[] = []
    const texts: string[] = []
    for (let i = 0; i < count; ++i) {
        const request = random(10) === 0 ? stream(random) : damaged(random)
        const reply = askNode(mbus, request)
        const { text, wrong } = briefly(reply, request)
        if (wrong) failures.push(`${wrong}: ${request.toString("hex")}`)
        const name = "error" in reply ? Code[reply.error] : request[0] > 3 ? "stream" : "opened"
        came.set(name, (came.get(name) ?? 0) + 1)
        if (where === "node") continue
        requests.push(request)
        texts.push(text)
    }
    let most = 0
    if (where === "vm") {
        const outcomes = await runCases(mbus.program, requests, { countSteps: true })
        outcomes.forEach((outcome, i) => {
            const { text } = briefly(replyOf(outcome), requests[i])
            if (text !== texts[i]) failures.push(`VM: ${text}, Node: ${texts[i]}: ${requests[i].toString("hex")}`)
            if (!("steps" in outcome)) return
            most = Math.max(most, outcome.steps / requests[i].length)
            if (outcome.steps > stepsBound(requests[i].length))
                failures.push(`${outcome.steps} steps: ${requests[i].toString("hex")}`)
        })
    }
    const counts = [...came].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`)
    const steps = where === "vm" ? [`at most ${Math.round(most)} steps an octet`] : []
    return { summary: [counts.join(", "), ...steps], failures }
}
