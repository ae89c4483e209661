import { Code } from "../../firmware/core/errors"
import { answer } from "./device/aead-answer.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"

interface Test extends Record<string, any> {
    tcId: number
    key: string
    iv: string
    aad?: string
    ct: string
    tag: string
}

interface Group extends Record<string, any> {
    tests: Test[]
}

interface File {
    algorithm?: string
    testGroups?: Group[]
}

/** Algorithm names -> cipher octet of the request. */
const algorithms: Record<string, number> = {
    "CHACHA20-POLY1305": 0,
    "AES-GCM": 1,
    "ACVP-AES-GCM": 1,
    "ACVP-AES-CBC": 1,
}

/**
 * ChaCha20-Poly1305 and AES-GCM: Wycheproof, and AES-GCM and AES-CBC of ACVP (the core decrypts CBC only, which each case is good for). A valid case of Wycheproof is both sealed and opened, and so is one of
 * ACVP whatever its direction; an invalid one must be refused for its tag, or for its nonce.
 */
export const aead: Format = {
    name: "ChaCha20-Poly1305, AES-GCM, AES-CBC",
    program: "tools/vectors/device/aead.ts",
    answer,
    recognises(json) {
        const file = (json ?? {}) as File
        return Array.isArray(file.testGroups) && (file.algorithm ?? "") in algorithms
    },
    cases: json => {
        const file = json as Required<File>
        return file.testGroups.flatMap(group => group.tests.flatMap(test => casesOf(file.algorithm, group, test)))
    },
}

function casesOf(algorithm: string, group: Group, test: Test): Case[] {
    const id = `tcId ${test.tcId}${test.comment ? ` (${test.comment})` : ""}`
    const keyBits = group.keySize ?? group.keyLen
    if (keyBits === 192) return [{ id, unsupported: "AES-192 is in no format of design.md" }]
    if (algorithm === "ACVP-AES-CBC") {
        const octets = Buffer.from(test.ct, "hex")
        const request = requestOf(2, 1, 0, test, octets)
        return [{ id, request, judge: reply => judgeOctets(reply, Buffer.from(test.pt, "hex")) }]
    }
    const valid = test.result ? test.result === "valid" : test.testPassed
    const plain = Buffer.from(test.msg ?? test.pt ?? "", "hex")
    const sealed = Buffer.from(test.ct + test.tag, "hex")
    const request = (op: number, octets: Buffer) =>
        requestOf(op, algorithms[algorithm], (group.tagSize ?? group.tagLen) / 8, test, octets)
    if (valid)
        return [
            { id: `${id} seal`, request: request(0, plain), judge: reply => judgeOctets(reply, sealed) },
            { id: `${id} open`, request: request(1, sealed), judge: reply => judgeOctets(reply, plain) },
        ]
    const nonceBits = group.ivSize ?? group.ivLen
    if (nonceBits === 0 || (algorithm === "CHACHA20-POLY1305" && nonceBits !== 96))
        return [
            { id: `${id} seal`, request: request(0, plain), judge: reply => judgeError(reply, Code.BadArgument) },
            { id: `${id} open`, request: request(1, sealed), judge: reply => judgeError(reply, Code.BadArgument) },
        ]
    return [{ id: `${id} open`, request: request(1, sealed), judge: reply => judgeError(reply, Code.TagMismatch) }]
}

function requestOf(op: number, cipher: number, tagLength: number, test: Test, octets: Buffer): Buffer {
    const [key, nonce, aad] = [test.key, test.iv, test.aad ?? ""].map(each => Buffer.from(each, "hex"))
    const head = Buffer.from([op, cipher, tagLength, key.length, 0, 0, 0, 0])
    head.writeUInt16LE(nonce.length, 4)
    head.writeUInt16LE(aad.length, 6)
    return Buffer.concat([head, key, nonce, aad, octets])
}

function judgeError(reply: Reply, code: number): Verdict {
    if ("error" in reply && reply.error === code) return "pass"
    const came = "error" in reply ? `E${reply.error}` : "octets" in reply ? "octets" : `escaped: ${reply.escaped}`
    return { fail: `expected a refusal with E${code}, came ${came}` }
}

/** Passes a reply of exactly these octets. */
export function judgeOctets(reply: Reply, wanted: Buffer): Verdict {
    if ("octets" in reply)
        return reply.octets.equals(wanted)
            ? "pass"
            : { fail: `expected ${wanted.toString("hex")}, came ${reply.octets.toString("hex")}` }
    return { fail: "error" in reply ? `refused with E${reply.error} at ${reply.at}` : `escaped: ${reply.escaped}` }
}
