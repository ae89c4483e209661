import "../node/platform.ts"
import { PlombError } from "../../firmware/core/errors"
import { answer } from "../vectors/device/x509-answer"
import { replyOf } from "../vectors/run.ts"
import { runCases } from "../vm/harness.ts"
import { randomFrom } from "./outcome.ts"
import { seeds } from "./x509-seeds.ts"

/** What a campaign saw; anything in `escaped` is a defect. */
export interface Outcome {
    runs: number
    /** Mutated octets that were still a sound object. */
    values: number
    /** Typed errors by code. */
    errors: Record<number, number>
    /** What was neither a value nor a typed error with an offset inside the octets, with the octets in hex. */
    escaped: string[]
    /** Most bytecode steps of one object; 0 in Node, where none are counted. */
    mostSteps: number
}

/** Any parser of the core has answered one object of a few hundred octets within this many steps. */
export const stepBound = 131_072

/**
 * Puts `count` mutated certificates, revocation lists and requests to the parsers of the core, in Node or as
 * bytecode in the stock VM. The same seed makes the same changes; the keys are fresh, so a defect is reported with its octets.
 */
export async function run(count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const below = randomFrom(seed)
    const originals = await seeds()
    const outcome: Outcome = { runs: 0, values: 0, errors: {}, escaped: [], mostSteps: 0 }
    const requests = function* () {
        for (let i = 0; i < count; ++i) {
            const [kind, der] = originals[below(originals.length)]
            yield Buffer.concat([Buffer.from([kind]), mutate(der, below)])
        }
    }
    if (where === "node") for (const request of requests()) note(outcome, request, inNode(request))
    else {
        const all = [...requests()]
        const replies = await runCases("tools/campaign/device/x509.ts", all, { countSteps: true })
        replies.forEach((reply, i) => {
            const steps = "steps" in reply ? reply.steps : 0
            outcome.mostSteps = Math.max(outcome.mostSteps, steps)
            if (steps > stepBound) outcome.escaped.push(`${steps} steps: ${all[i].toString("hex")}`)
            note(outcome, all[i], replyOf(reply))
        })
    }
    return outcome
}

type Answer = ReturnType<typeof replyOf>

function inNode(request: Buffer): Answer {
    try {
        return { octets: answer(request) }
    } catch (error) {
        if (error instanceof PlombError) return { error: error.code, at: error.at }
        return { escaped: String(error) }
    }
}

function note(outcome: Outcome, request: Buffer, reply: Answer): void {
    outcome.runs++
    if ("octets" in reply) outcome.values++
    else if ("error" in reply && reply.at >= 0 && reply.at < request.length)
        outcome.errors[reply.error] = (outcome.errors[reply.error] ?? 0) + 1
    else outcome.escaped.push(`${JSON.stringify(reply)}: ${request.toString("hex")}`)
}

/** One to four changes: a bit, an octet, octets cut out, put in or moved, the end cut off, a length bent. */
function mutate(der: Buffer, below: (limit: number) => number): Buffer {
    let octets = Buffer.from(der)
    for (let changes = 1 + below(4); changes > 0 && octets.length > 0; --changes) {
        const at = below(octets.length)
        const length = 1 + below(8)
        switch (below(7)) {
            case 0:
                octets[at] ^= 1 << below(8)
                break
            case 1:
                octets[at] = below(256)
                break
            case 2:
                octets = Buffer.concat([octets.subarray(0, at), octets.subarray(at + length)])
                break
            case 3:
                octets = Buffer.concat([octets.subarray(0, at), Buffer.alloc(length, below(256)), octets.subarray(at)])
                break
            case 4:
                octets.copyWithin(at, below(octets.length), below(octets.length))
                break
            case 5:
                octets = octets.subarray(0, at)
                break
            default:
                octets[at] = [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff][below(8)]
        }
    }
    return octets
}
