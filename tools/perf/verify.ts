import { createHash, createPublicKey, verify as nodeVerify } from "node:crypto"
import { p256 } from "@noble/curves/nist.js"
import { publicKeyP256, signP256, verifyP256 } from "../../firmware/core/ecdsa"
import { evidenceText, parseEvidence } from "../evidence/format.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import { marks } from "./marks.ts"
import { Metered } from "./metered.ts"
import { cpuMs, median, type Section } from "./row.ts"

const rounds = 7

/** Calls a second of CPU time of each of these, medians of rounds in which they take turns; the first round warms up. */
function rates(works: { run(): void; turns: number }[]): number[] {
    const taken: number[][] = works.map(() => [])
    for (let round = 0; round <= rounds; ++round)
        works.forEach(({ run, turns }, i) => {
            const start = cpuMs()
            for (let turn = 0; turn < turns; ++turn) run()
            if (round > 0) taken[i].push((1000 * turns) / (cpuMs() - start))
        })
    return taken.map(median)
}

/** A real reading's evidence, as text, and the anchor to judge it by. */
async function madeEvidence(): Promise<{ text: string; anchor: string }> {
    return Metered.with(false, async metered => {
        await metered.boot()
        const { evidence } = await metered.proof()
        return { text: evidenceText(evidence), anchor: metered.anchor() }
    })
}

/** The group "verify" of `plomb perf`. */
export async function verifySection(): Promise<Section> {
    const { text, anchor } = await madeEvidence()
    const anchors = [anchor]
    const judge = () => judgeEvidence("reading", parseEvidence(text), { anchors })[0]
    const verdict = judge()

    const message = Buffer.alloc(320, "plomb")
    const digest = createHash("sha256").update(message).digest()
    const secret = createHash("sha256").update("a key for perf").digest()
    const [key, signature] = [publicKeyP256(secret), signP256(secret, digest)]
    const point = Buffer.concat([Buffer.of(4), key])
    const [x, y] = [key.subarray(0, 32), key.subarray(32)].map(octets => octets.toString("base64url"))
    const keyObject = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" })
    const works: [number, () => boolean][] = [
        [20, () => verifyP256(key, digest, signature)],
        [400, () => nodeVerify("sha256", message, { key: keyObject, dsaEncoding: "ieee-p1363" }, signature)],
        [40, () => p256.verify(signature, digest, point, { prehash: false, lowS: false })],
        [5, () => judge().name === verdict.name],
    ]
    const run = (work: () => boolean) => () => {
        if (!work()) throw new Error("a good signature was refused")
    }
    const [core, node, noble, verdicts] = rates(works.map(([turns, work]) => ({ turns, run: run(work) })))
    const what = "ECDSA verify by the core, in Node"
    return {
        group: "verify",
        title: "Judging on the host",
        rows: [
            { what, unit: "/s", ours: core, peer: noble, peerName: "@noble/curves, JavaScript" },
            {
                what,
                unit: "/s",
                ours: core,
                peer: node,
                peerName: "node:crypto, OpenSSL; hashing of 320 octets included",
            },
            {
                what: "evidence judged by plomb verify",
                unit: "/s",
                ours: verdicts,
                peer: noble,
                peerName: "@noble/curves, the reading's own signature alone",
                mark: marks.readingsPerSecond,
            },
        ],
        notes: [
            `The evidence is a reading made for this: ${verdict.name}, ${verdict.findings.length} findings, chain and revocation lists included. plomb verify checks each signature with node:crypto and with @noble/curves.`,
        ],
    }
}
