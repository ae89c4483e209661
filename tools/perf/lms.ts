import { createHash } from "node:crypto"
import { publicKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { hssKey, hssSignature, LmsSigner } from "../pki/lms.ts"
import { lmsRequest } from "../vectors/lms.ts"
import { compile } from "../vm/compile.ts"
import { measureSteps } from "../vm/harness.ts"
import { marks } from "./marks.ts"
import { picoStep, timed } from "./p256.ts"
import { median, type Row, type Section } from "./row.ts"

/** LM-OTS with Winternitz parameter 4 and 8 (RFC 8554 4.1), and the tree that each is measured with (5.1). */
const sets = [
    { name: "LMS H10/W4", tree: 6, ots: 3, steps: marks.lmsW4Steps, ms: marks.lmsW4Ms, pico: marks.lmsW4Pico },
    { name: "LMS H5/W8", tree: 5, ots: 4, steps: marks.lmsW8Steps, ms: marks.lmsW8Ms, pico: marks.lmsW8Pico },
]
const rounds = 7
const message = Buffer.alloc(200, "plomb")

/** A request that verifies the signature of this set. */
function requestOf(tree: number, ots: number): Buffer {
    const signer = new LmsSigner(tree, ots, Buffer.alloc(16, 9), Buffer.alloc(32, 8))
    const signature = hssSignature(signer.sign(3, Buffer.alloc(32, 7), message))
    return lmsRequest(0, hssKey(1, signer), message, signature)
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
    const digest = createHash("sha256").update(message).digest()
    const ecdsa = Buffer.concat([Buffer.of(5), publicKeyP256(secret), digest, signP256(secret, digest)])
    const [ecdsaSteps] = await measureSteps(curve, [ecdsa])
    const ecdsaMs = median(await timed(curve, new Array(4).fill(ecdsa)))
    const rows: Row[] = []
    for (const { name, tree, ots, steps, ms, pico } of sets) {
        const request = requestOf(tree, ots)
        const [taken] = await measureSteps(program, [request])
        const each = median(await timed(program, new Array(rounds + 1).fill(request)))
        const what = `${name} verify`
        rows.push(
            {
                what,
                unit: "steps",
                ours: taken,
                peer: ecdsaSteps,
                peerName: "ECDSA P-256 verify, same VM",
                mark: steps,
            },
            { what, unit: "ms", ours: each, peer: ecdsaMs, peerName: "ECDSA P-256 verify, same VM", mark: ms },
            {
                what: `${name} verify, modelled on a Pico`,
                unit: "ms",
                ours: picoSeconds(taken, pico, steps),
                peer: ecdsaSteps * picoStep * 1000,
                peerName: "ECDSA P-256 verify, modelled the same way",
                mark: pico,
            },
        )
    }
    return {
        group: "lms",
        title: "HSS/LMS in the stock VM, beside ECDSA",
        rows,
        notes: [
            "A tree more costs one LMS verification more; a message of 200 octets. A Pico's time is that of crypto-notes for the set, in proportion to the steps; the notes' trees are of height 10.",
        ],
    }
}
