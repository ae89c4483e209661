/** What came of one case. */
export type Verdict = "pass" | { fail: string } | { unsupported: string }

/**
 * What the core made of a request: its octets, a typed error (`PlombError`), or anything else that escaped,
 * which no case may accept as a refusal.
 */
export type Reply = { octets: Buffer } | { error: number; at: number } | { escaped: string }

/** One case of a vector file: either a question to the core with a judge of the reply, or a reason for not asking. */
export type Case =
    | { id: string; request: Uint8Array; judge(reply: Reply): Verdict }
    | { id: string; unsupported: string }

/**
 * One family of vector files. `answer` is a portable function (it imports only `firmware/core`), so that the same
 * request is put to the core in Node by a call, and in the VM by the device program, which calls the same function.
 */
export interface Format {
    /** As printed: "ECDSA P-256". */
    name: string
    /** Is this file ours? `json` is undefined for files that are not JSON. */
    recognises(json: unknown, path: string): boolean
    /** The cases of a recognised file; throws an Error with one clear line for a file that is broken. */
    cases(json: unknown, path: string): Case[]
    /** Puts one request to the core. May throw. */
    answer(request: Buffer): Buffer
    /** The VM program, relative to the repository: "tools/vectors/device/ecdsa.ts"; it calls `serve(answer)`. */
    program: string
}

/** The VM asks for the next request by this host call and gets none (0 octets) at the end. */
export const nextRequest = 16
/** The VM hands over a reply by this host call: kind 0 octets, 1 error code U32 LE and offset I32 LE, 2 text. */
export const giveReply = 17
