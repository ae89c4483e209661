import { answer } from "./device/ecdsa-answer.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"

interface Group {
    type?: string
    curve?: string
    hashAlg?: string
    sha?: string
    componentTest?: boolean
    conformance?: string
    encoding?: string
    publicKey?: { curve: string; uncompressed: string }
    d?: string
    qx?: string
    qy?: string
    tests: Record<string, any>[]
}

interface File {
    algorithm?: string
    mode?: string
    schema?: string
    testGroups?: Group[]
}

const wycheproof: Record<string, (group: Group, test: Record<string, any>) => Case> = {
    EcdsaVerify: (group, test) => verifyCase(group, test, 1),
    EcdsaP1363Verify: (group, test) => verifyCase(group, test, 0),
    EcdhEcpointTest: (group, test) => ecdhCase(group, test, 3),
    EcdhTest: (group, test) => ecdhCase(group, test, 4),
}

/** ECDSA and ECDH on P-256: Wycheproof (DER, r|s, ECDH) and ACVP (SigVer, DetECDSA SigGen). */
export const ecdsa: Format = {
    name: "ECDSA and ECDH P-256",
    program: "tools/vectors/device/ecdsa.ts",
    answer,
    recognises(json) {
        const file = (json ?? {}) as File
        if (!Array.isArray(file.testGroups)) return false
        if (file.schema) return file.testGroups.some(group => wycheproof[group.type ?? ""] !== undefined)
        return (
            (file.algorithm === "ECDSA" && file.mode === "sigVer") ||
            (file.algorithm === "DetECDSA" && file.mode === "sigGen")
        )
    },
    cases: json => {
        const file = json as File & { testGroups: Group[] }
        return file.testGroups.flatMap(group =>
            group.tests.map(test => {
                if (file.schema)
                    return wycheproof[group.type ?? ""]?.(group, test) ?? foreign(test, `group type ${group.type}`)
                return file.mode === "sigVer" ? acvpVerify(group, test) : acvpSign(group, test)
            }),
        )
    },
}

const foreign = (test: Record<string, any>, what: string): Case => ({
    id: `tcId ${test.tcId}`,
    unsupported: `${what}: design.md section 5 has P-256 with SHA-256 only`,
})

/** A number in hex as 32 octets big endian; undefined if it does not fit. */
function number32(digits: string): Buffer | undefined {
    const stripped = digits.replace(/^0+/, "")
    return stripped.length > 64 ? undefined : Buffer.from(stripped.padStart(64, "0"), "hex")
}

function judgeBoolean(reply: Reply, wanted: boolean): Verdict {
    if ("escaped" in reply) return { fail: `escaped: ${reply.escaped}` }
    const came = "octets" in reply && reply.octets[0] === 1
    if (came === wanted) return "pass"
    return { fail: "error" in reply ? `refused with E${reply.error} at ${reply.at}` : came ? "accepted" : "refused" }
}

function judgeOctets(reply: Reply, wanted: Buffer): Verdict {
    if ("octets" in reply)
        return reply.octets.equals(wanted)
            ? "pass"
            : { fail: `expected ${wanted.toString("hex")}, came ${reply.octets.toString("hex")}` }
    return { fail: "error" in reply ? `refused with E${reply.error} at ${reply.at}` : `escaped: ${reply.escaped}` }
}

function verifyCase(group: Group, test: Record<string, any>, kind: 0 | 1): Case {
    const { curve, uncompressed } = group.publicKey!
    if (curve !== "secp256r1" || group.sha !== "SHA-256") return foreign(test, `${curve} with ${group.sha}`)
    const key = Buffer.from(uncompressed, "hex").subarray(1)
    const signature = Buffer.from(test.sig, "hex")
    const id = `tcId ${test.tcId} (${test.comment})`
    const judge = (reply: Reply) => judgeBoolean(reply, test.result === "valid")
    const message = Buffer.from(test.msg, "hex")
    if (kind === 0 && signature.length !== 64)
        // The request has room for 64 octets only: the length is refused before the core is asked.
        return { id, request: Buffer.concat([Buffer.from([1]), key, Buffer.from([0, 0]), message]), judge }
    const length = kind === 1 ? Buffer.from([signature.length & 0xff, signature.length >> 8]) : Buffer.alloc(0)
    return { id, request: Buffer.concat([Buffer.from([kind]), key, length, signature, message]), judge }
}

function ecdhCase(group: Group, test: Record<string, any>, kind: 3 | 4): Case {
    if (group.curve !== "secp256r1") return foreign(test, group.curve ?? "?")
    const id = `tcId ${test.tcId} (${test.comment})`
    const secret = number32(test.private)
    if (!secret) return { id, unsupported: "a private key above 256 bits" }
    const request = Buffer.concat([Buffer.from([kind]), secret, Buffer.from(test.public, "hex")])
    const shared = Buffer.from(test.shared, "hex")
    return {
        id,
        request,
        judge(reply) {
            const refused = "error" in reply
            if (test.result === "invalid") return refused ? "pass" : { fail: "accepted" }
            return test.result === "acceptable" && refused ? "pass" : judgeOctets(reply, shared)
        },
    }
}

function acvpGroup(group: Group, test: Record<string, any>): Case | undefined {
    if (group.curve === "P-256" && group.hashAlg === "SHA2-256" && !group.componentTest) return undefined
    return foreign(test, `${group.curve} with ${group.hashAlg}${group.componentTest ? ", component test" : ""}`)
}

function acvpVerify(group: Group, test: Record<string, any>): Case {
    const numbers = [test.qx ?? group.qx, test.qy ?? group.qy, test.r, test.s].map(number32)
    const refused = acvpGroup(group, test)
    if (refused) return refused
    const id = `tcId ${test.tcId} (${test.reason ?? "valid"})`
    if (numbers.some(each => !each)) return { id, unsupported: "a number above 256 bits" }
    const request = Buffer.concat([Buffer.from([0]), ...(numbers as Buffer[]), Buffer.from(test.message, "hex")])
    return { id, request, judge: reply => judgeBoolean(reply, test.testPassed) }
}

function acvpSign(group: Group, test: Record<string, any>): Case {
    const refused = acvpGroup(group, test)
    if (refused) return refused
    if (group.conformance)
        return {
            id: `tcId ${test.tcId}`,
            unsupported: `${group.conformance}: randomised hashing is in no format of design.md`,
        }
    const [d, ...wanted] = [group.d, test.r, test.s, group.qx, group.qy].map(each => number32(each)!)
    return {
        id: `tcId ${test.tcId}`,
        request: Buffer.concat([Buffer.from([2]), d, Buffer.from(test.message, "hex")]),
        judge: reply => judgeOctets(reply, Buffer.concat(wanted)),
    }
}
