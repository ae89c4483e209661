import { createHash } from "node:crypto"
import { publicKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { hssKey, hssSignature, LmsSigner } from "../pki/lms.ts"
import { lmsRequest } from "../vectors/lms.ts"
import { compile } from "../vm/compile.ts"
import { measureSteps } from "../vm/harness.ts"
import { marks } from "./marks.ts"
import { picoStep, timed } from "./p256.ts"
import { median, type Row, type Section } from "./row.ts"

const w4 = { steps: marks.lmsW4Steps, ms: marks.lmsW4Ms, pico: marks.lmsW4Pico }
const w8 = { steps: marks.lmsW8Steps, ms: marks.lmsW8Ms, pico: marks.lmsW8Pico }

/** LM-OTS with Winternitz parameter 4 and 8 (RFC 8554 4.1), the tree that each is measured with (5.1), levels (6). */
const sets = [
    { name: "LMS H10/W4", tree: 6, ots: 3, levels: 1, of: w4 },
    { name: "LMS H5/W8", tree: 5, ots: 4, levels: 1, of: w8 },
    { name: "HSS H10/W4 + H10/W4", tree: 6, ots: 3, levels: 2, of: w4 },
]
/** How long a verification takes depends on the message's digest: so many messages are taken, and their mean. */
const messages = Array.from({ length: 9 }, (_, i) => Buffer.alloc(200, `plomb ${i}`))

/** Requests that verify a signature of each message by this set, by one tree or by a second that the first has signed. */
function requestsOf(tree: number, ots: number, levels: number): Buffer[] {
    const root = new LmsSigner(tree, ots, Buffer.alloc(16, 9), Buffer.alloc(32, 8))
    const second = new LmsSigner(tree, ots, Buffer.alloc(16, 5), Buffer.alloc(32, 6))
    const sign = (signer: LmsSigner, leaf: number, of: Buffer) => signer.sign(leaf, Buffer.alloc(32, leaf), of)
    const ofSecond = levels === 2 ? sign(root, 0, second.publicKey) : undefined
    const signer = ofSecond ? second : root
    return messages.map((message, leaf) =>
        lmsRequest(
            0,
            hssKey(levels, root),
            message,
            hssSignature(sign(signer, leaf + 1, message), ofSecond, second.publicKey),
        ),
    )
}

/** Seconds on a Pico of so many steps: those of hash chains cost what the notes measured for W4 and W8. */
function picoSeconds(steps: number, mark: { value: number }, at: { value: number }): number {
    return (steps / at.value) * mark.value
}

/** The group "lms" of `plomb perf`: HSS/LMS verification beside ECDSA verification, both in the stock VM. */
export async function lmsSection(): Promise<Section> {
    const program = await compile("tools/vectors/device/lms.ts")
    const curve = await compile("tools/perf/device/p256.ts")
    const secret = createHash("sha256").update("a key for perf").digest()
    const digest = createHash("sha256").update(messages[0]).digest()
    const ecdsa = Buffer.concat([Buffer.of(5), publicKeyP256(secret), digest, signP256(secret, digest)])
    const [ecdsaSteps] = await measureSteps(curve, [ecdsa])
    const ecdsaMs = median(await timed(curve, new Array(4).fill(ecdsa)))
    const rows: Row[] = []
    for (const { name, tree, ots, levels, of } of sets) {
        const requests = requestsOf(tree, ots, levels)
        const steps = await measureSteps(program, requests)
        const taken = Math.round(steps.reduce((sum, each) => sum + each) / steps.length)
        const each = median(await timed(program, requests))
        const what = `${name} verify`
        rows.push(
            {
                what,
                unit: "steps",
                ours: taken,
                peer: ecdsaSteps,
                peerName: "ECDSA P-256 verify, same VM",
                mark: levels === 1 ? of.steps : undefined,
            },
            {
                what,
                unit: "ms",
                ours: each,
                peer: ecdsaMs,
                peerName: "ECDSA P-256 verify, same VM",
                mark: levels === 1 ? of.ms : undefined,
            },
            {
                what: `${name} verify, modelled on a Pico`,
                unit: "ms",
                ours: picoSeconds(taken, of.pico, of.steps),
                peer: ecdsaSteps * picoStep * 1000,
                peerName: "ECDSA P-256 verify, modelled the same way",
                mark: levels === 1 ? of.pico : undefined,
            },
        )
    }
    return {
        group: "lms",
        title: "HSS/LMS in the stock VM, beside ECDSA",
        rows,
        notes: [
            "Steps: mean of nine messages of 200 octets; ms: median of theirs. A Pico's time is that of crypto-notes for the set, in proportion to the steps; the notes' trees are of height 10.",
        ],
    }
}
