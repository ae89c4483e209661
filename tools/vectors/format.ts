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
    /** Longest request that the program takes, in octets, where a suite has longer ones: they do not fit a board's heap. */
    capacity?: number
}
