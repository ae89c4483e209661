import { createHash } from "node:crypto"
import { Code } from "../../firmware/core/errors"
import { judgeOctets } from "./aead.ts"
import { answer } from "./device/kdf-answer.ts"
import type { Case, Format } from "./format.ts"

type Test = Record<string, any>

interface File {
    algorithm?: string
    testGroups?: (Record<string, any> & { tests: Test[] })[]
}

/** Names of the secrets in ACVP's and in our own files, in the order of the reply. */
const secrets = [
    "earlySecret",
    "clientEarlyTrafficSecret",
    "earlyExporterMasterSecret",
    "handshakeSecret",
    "clientHandshakeTrafficSecret",
    "serverHandshakeTrafficSecret",
    "masterSecret",
    "clientApplicationTrafficSecret",
    "serverApplicationTrafficSecret",
    "exporterMasterSecret",
    "resumptionMasterSecret",
]

const families: Record<string, (group: Record<string, any>, test: Test) => Case[]> = {
    HMACSHA256: macCases,
    "HMAC-SHA2-256": macCases,
    "HKDF-SHA-256": hkdfCases,
    "TLS-v1.3": scheduleCases,
}

/**
 * HMAC-SHA-256 (Wycheproof, ACVP), HKDF (Wycheproof) and the key schedule of TLS 1.3 (ACVP, and what is derived in
 * RFC 8448, as far as it needs no messages).
 */
export const kdf: Format = {
    name: "HMAC, HKDF and TLS 1.3 key schedule",
    program: "tools/vectors/device/kdf.ts",
    answer,
    recognises(json) {
        const file = (json ?? {}) as File & Record<string, any>
        return isDerived(file) || (Array.isArray(file.testGroups) && (file.algorithm ?? "") in families)
    },
    cases: json => {
        const file = json as Required<File>
        if (isDerived(file)) return Object.entries(file).flatMap(([name, trace]) => derivedCases(name, trace as Test))
        return file.testGroups.flatMap(group => group.tests.flatMap(test => families[file.algorithm](group, test)))
    },
}

const isDerived = (json: object) => "Simple_1RTT_Handshake" in json

const octets = (digits: string | undefined) => Buffer.from(digits ?? "", "hex")

function requestOf(kind: number, ...fields: Buffer[]): Buffer {
    const parts = fields.flatMap(field => [Buffer.from([field.length & 0xff, field.length >> 8]), field])
    return Buffer.concat([Buffer.from([kind]), ...parts])
}

function macCases(group: Record<string, any>, test: Test): Case[] {
    const id = `tcId ${test.tcId}${test.comment ? ` (${test.comment})` : ""}`
    const wanted = octets(test.tag ?? test.mac)
    const length = (group.tagSize ?? test.macLen) / 8
    return [
        {
            id,
            request: requestOf(0, octets(test.key), octets(test.msg)),
            judge: reply => {
                if (!("octets" in reply) || reply.octets.length !== 32) return { fail: "no MAC of 32 octets" }
                const verdict = judgeOctets({ octets: reply.octets.subarray(0, length) }, wanted)
                if (test.result !== "invalid") return verdict
                return verdict === "pass" ? { fail: "the changed tag holds" } : "pass"
            },
        },
    ]
}

function hkdfCases(_group: Record<string, any>, test: Test): Case[] {
    const size = Buffer.from([test.size & 0xff, test.size >> 8])
    return [
        {
            id: `tcId ${test.tcId} (${test.comment})`,
            request: requestOf(1, octets(test.ikm), octets(test.salt), octets(test.info), size),
            judge: reply => {
                if (test.result === "valid") return judgeOctets(reply, octets(test.okm))
                return "error" in reply && reply.error === Code.BadArgument ? "pass" : { fail: "not refused" }
            },
        },
    ]
}

/** `hashes`: transcript hashes up to ClientHello, ServerHello, server Finished, client Finished. Only secrets that `wanted` has are judged. */
function schedule(id: string, psk: Buffer, dhe: Buffer, hashes: Buffer[], wanted: Test): Case {
    return {
        id,
        request: requestOf(2, psk, dhe, ...hashes),
        judge: reply => {
            if (!("octets" in reply)) return judgeOctets(reply, Buffer.alloc(0))
            for (const [i, name] of secrets.entries()) {
                if (!wanted[name]) continue
                const came = reply.octets.subarray(32 * i, 32 * i + 32)
                if (!came.equals(octets(wanted[name])))
                    return { fail: `${name}: expected ${wanted[name]}, came ${came.toString("hex")}` }
            }
            return "pass"
        },
    }
}

function scheduleCases(group: Record<string, any>, test: Test): Case[] {
    const id = `tcId ${test.tcId} (${group.runningMode})`
    if (group.hmacAlg !== "SHA2-256") return [{ id, unsupported: `${group.hmacAlg}: design.md has SHA-256 only` }]
    const transcript = createHash("sha256")
    const hashes = ["helloClientRandom", "helloServerRandom", "finishedServerRandom", "finishedClientRandom"].map(
        name => transcript.update(octets(test[name])).copy().digest(),
    )
    return [schedule(id, octets(test.psk), octets(test.dhe), hashes, test)]
}

function derivedCases(name: string, trace: Test): Case[] {
    const hello = octets(trace.transcriptHashServerHello)
    const hashes = [hello, hello, octets(trace.transcriptHashServerFinished), hello]
    const keys = [
        ["serverHandshake", trace.serverHandshakeTrafficSecret],
        ["serverApp", trace.serverApplicationTrafficSecret],
        ["clientApp", trace.clientApplicationTrafficSecret],
    ].filter(([party]) => trace[`${party}Key`])
    return [
        schedule(`${name} secrets`, Buffer.alloc(32), octets(trace.dhe), hashes, trace),
        ...keys.map(([party, secret]) => ({
            id: `${name} ${party} key and nonce`,
            request: requestOf(3, octets(secret)),
            judge: (reply: Parameters<typeof judgeOctets>[0]) =>
                judgeOctets(reply, octets(trace[`${party}Key`] + trace[`${party}Iv`])),
        })),
    ]
}
