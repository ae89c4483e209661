import { answer } from "./device/lms-answer.ts"
import type { Case, Format } from "./format.ts"

/** HSS 0, LMS 1, LM-OTS 2 as `device/lms-answer.ts` counts them. */
const kinds = ["HSS", "LMS", "LM-OTS"]

interface Plain {
    kind: string
    name: string
    publicKey: string
    message: string
    signature: string
    expected: string
}

interface Acvp {
    algorithm: string
    mode: string
    testGroups: {
        lmsMode: string
        lmOtsMode: string
        publicKey: string
        tests: { tcId: number; message: string; signature: string; testPassed?: boolean; reason?: string }[]
    }[]
}

/** HSS, LMS and LM-OTS verification: lists of cases with a `kind`, and ACVP sigVer and sigGen (whose signatures must hold). */
export const lms: Format = {
    name: "HSS/LMS",
    program: "tools/vectors/device/lms.ts",
    capacity: 16384,
    answer,
    recognises: json => plain(json) !== undefined || acvp(json) !== undefined,
    cases(json) {
        const list = plain(json)
        if (list)
            return list.map(each =>
                question(
                    each.name,
                    each.kind,
                    each.publicKey,
                    each.message,
                    each.signature,
                    each.expected === "accept",
                ),
            )
        return acvp(json)!.testGroups.flatMap(({ lmsMode, lmOtsMode, publicKey, tests }) =>
            tests.map(({ tcId, message, signature, testPassed, reason }) => {
                const id = `tcId ${tcId} (${lmsMode}, ${lmOtsMode}${reason ? `, ${reason}` : ""})`
                if (!/SHA256/.test(lmsMode) || !/SHA256/.test(lmOtsMode))
                    return { id, unsupported: "SHAKE: the runtime has SHA-256 only" }
                return question(id, "LMS", publicKey, message, signature, testPassed ?? true)
            }),
        )
    },
}

function plain(json: unknown): Plain[] | undefined {
    const cases = (json as { cases?: Plain[] } | undefined)?.cases
    return Array.isArray(cases) && kinds.includes(cases[0]?.kind) && cases[0].signature !== undefined
        ? cases
        : undefined
}

function acvp(json: unknown): Acvp | undefined {
    const file = json as Acvp | undefined
    return file?.algorithm === "LMS" && Array.isArray(file.testGroups) ? file : undefined
}

function question(
    id: string,
    kind: string,
    publicKey: string,
    message: string,
    signature: string,
    wanted: boolean,
): Case {
    return {
        id,
        request: lmsRequest(kinds.indexOf(kind), ...hexes(publicKey, message, signature)),
        judge(reply) {
            if ("escaped" in reply) return { fail: `escaped: ${reply.escaped}` }
            const came = "octets" in reply && reply.octets[0] === 1
            if (came === wanted) return "pass"
            return { fail: "error" in reply ? `refused with E${reply.error}` : came ? "accepted" : "refused" }
        },
    }
}

const hexes = (...texts: [string, string, string]) =>
    texts.map(text => Buffer.from(text, "hex")) as [Buffer, Buffer, Buffer]

/** A request of `device/lms-answer.ts`. */
export function lmsRequest(kind: number, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Buffer {
    const head = Buffer.alloc(5)
    head[0] = kind
    head.writeUInt16BE(publicKey.length, 1)
    head.writeUInt16BE(message.length, 3)
    return Buffer.concat([head, publicKey, message, signature])
}
