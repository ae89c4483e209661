import type { Case, Reply, Verdict } from "./format.ts"

/** A case that must be answered; `compare` throws an Error where something is not as expected. */
export function answered(id: string, request: Buffer, compare: (octets: Buffer) => void): Case {
    return {
        id,
        request,
        judge(reply) {
            try {
                compare(octetsOf(reply))
                return "pass"
            } catch (error) {
                return { fail: (error as Error).message }
            }
        },
    }
}

/** A case that must be refused, with one of the codes where there are some. */
export function refused(id: string, request: Buffer, ...codes: number[]): Case {
    return { id, request, judge: reply => judgeRefusal(reply, codes) }
}

function judgeRefusal(reply: Reply, codes: number[]): Verdict {
    if ("error" in reply && (codes.length === 0 || codes.includes(reply.error))) return "pass"
    return { fail: `expected a refusal ${codes.join(", ")}, came ${"error" in reply ? reply.error : "something else"}` }
}

function octetsOf(reply: Reply): Buffer {
    if ("octets" in reply) return reply.octets
    throw new Error("error" in reply ? `refused with E${reply.error} at ${reply.at}` : `"${reply.escaped}" escaped`)
}

export function same(what: string, came: unknown, expected: unknown): void {
    const [left, right] = [JSON.stringify(came ?? null), JSON.stringify(expected ?? null)]
    if (left !== right) throw new Error(`${what}: expected ${right}, came ${left}`)
}

/** Numbers printed with 6 decimals, or computed in floating point. */
export function close(what: string, came: string | undefined, expected: number, factor = 1): void {
    const number = Number(came) * factor
    const allowed = Math.max(0.5000001e-6, Math.abs(expected) * 1e-6)
    if (came === undefined || !(Math.abs(number - expected) <= allowed))
        throw new Error(`${what}: expected ${expected}, came ${came}`)
}
