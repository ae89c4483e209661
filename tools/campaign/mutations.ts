import { Code } from "../../firmware/core/errors"
import type { Format, Reply } from "../vectors/format.ts"
import { askNode, replyOf } from "../vectors/run.ts"
import { runCases } from "../vm/harness.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

export type Random = (below: number) => number

/** A protocol whose telegrams are damaged: each must give a value or a typed error with its place, the same in Node and in the VM. */
export interface Damage {
    format: Format
    /** A damaged telegram, mostly with good checksums, keys and MACs, so that the damage reaches what lies behind them. */
    request(random: Random): Buffer
    /** What an answer was, in a word. */
    name(request: Buffer): string
    /** What an answer has wrong in itself; undefined = nothing. */
    wrong?(octets: Buffer, request: Buffer): string | undefined
    /** Bytecode steps a request of so many octets may take. */
    stepsBound(octets: number): number
}

/** One change somewhere: a bit, a telling octet, a stretch lost, doubled or put in from `donor`, the end cut off. */
export function changed(data: Buffer, random: Random, telling: number[], donor = data): Buffer {
    const at = random(data.length + 1)
    const end = Math.min(data.length, at + 1 + random(random(4) === 0 ? 40 : 4))
    const [before, middle, after] = [data.subarray(0, at), data.subarray(at, end), data.subarray(end)]
    switch (random(8)) {
        case 0:
            return Buffer.concat([before, after])
        case 1:
            return Buffer.concat([before, middle, middle, after])
        case 2: {
            const from = random(donor.length)
            return Buffer.concat([before, donor.subarray(from, from + 1 + random(20)), after])
        }
        case 3:
            return Buffer.concat([before, Buffer.of(telling[random(telling.length)]), middle, after])
        case 4:
            return Buffer.from(before)
        default: {
            const copy = Buffer.from(data)
            if (at < copy.length)
                copy[at] = random(2) === 0 ? telling[random(telling.length)] : copy[at] ^ (1 << random(8))
            return copy
        }
    }
}

/** What a reply says in few words, and what is wrong with it: an error must be of the data or of a proof, and lie in the telegram. */
function briefly(damage: Damage, reply: Reply, request: Buffer): { text: string; wrong?: string } {
    if ("escaped" in reply) return { text: reply.escaped, wrong: `escaped: ${reply.escaped}` }
    if ("octets" in reply) return { text: reply.octets.toString("hex"), wrong: damage.wrong?.(reply.octets, request) }
    const text = `${reply.error} at ${reply.at}`
    const placed = reply.error > 2000 && reply.at >= 0 && reply.at <= request.length
    return { text, wrong: placed ? undefined : `error ${text} of ${request.length}` }
}

/** `count` damaged telegrams; in the VM each answer must also equal Node's and keep within the bound of steps. */
export async function runDamage(damage: Damage, count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const random = randomFrom(seed)
    const failures: string[] = []
    const came = new Map<string, number>()
    const requests: Buffer[] = []
    const texts: string[] = []
    for (let i = 0; i < count; ++i) {
        const request = damage.request(random)
        const reply = askNode(damage.format, request)
        const { text, wrong } = briefly(damage, reply, request)
        if (wrong) failures.push(`${wrong}: ${request.toString("hex")}`)
        const name = "error" in reply ? Code[reply.error] : damage.name(request)
        came.set(name, (came.get(name) ?? 0) + 1)
        if (where === "node") continue
        requests.push(request)
        texts.push(text)
    }
    let most = 0
    if (where === "vm") {
        const outcomes = await runCases(damage.format.program, requests, { countSteps: true })
        outcomes.forEach((outcome, i) => {
            const request = requests[i]
            const { text } = briefly(damage, replyOf(outcome), request)
            if (text !== texts[i]) failures.push(`VM: ${text}, Node: ${texts[i]}: ${request.toString("hex")}`)
            if (!("steps" in outcome)) return
            most = Math.max(most, outcome.steps / request.length)
            if (outcome.steps > damage.stepsBound(request.length))
                failures.push(`${outcome.steps} steps: ${request.toString("hex")}`)
        })
    }
    const counts = [...came].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`)
    const steps = where === "vm" ? [`at most ${Math.round(most)} steps an octet`] : []
    return { summary: [counts.join(", "), ...steps], failures }
}
