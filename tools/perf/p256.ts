import { publicKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { compile, type Image } from "../vm/compile.ts"
import { measureSteps, runCases } from "../vm/harness.ts"

/** One figure beside its peer; `ratio` is peer / ours, above 1 where ours is better. `unit` of both. */
export interface Row {
    what: string
    ours: number
    peer: number
    peerName: string
    ratio: number
    unit: string
}

/** Files of the core that make up P-256; code octets are counted by them. */
export const p256Files = [
    "ecdsa.ts",
    "p256-field.ts",
    "p256-multiply.ts",
    "p256-point.ts",
    "p256-scalar.ts",
    "p256-tables.ts",
]
const tableOctets = 4098 + 194

const notes = "crypto-notes, compact design"
const schoolbook = "schoolbook, 13 bits x 20, loops"

function row(what: string, ours: number, peer: number, peerName: string, unit: string): Row {
    return { what, ours, peer, peerName, ratio: peer / ours, unit }
}

/** Octets of bytecode of the functions that come from these files of firmware/core. */
export function codeOctets(image: Image, files: string[]): number {
    const sources: { path: string; length: number }[] = image.debug.sources
    // A location counts through all sources, one after the other.
    const sourceAt = (position: number) => {
        let end = 0
        return sources.find(source => position < (end += source.length))?.path ?? ""
    }
    let octets = 0
    for (const { location, size } of image.debug.functions)
        if (location && files.some(file => sourceAt(location[0]) === `firmware/core/${file}`)) octets += size
    return octets
}

/** Median milliseconds of each request's last `times` repetitions, in the stock VM. */
async function medianMs(image: Image, requests: Uint8Array[], times: number): Promise<number[]> {
    const medians: number[] = []
    for (const request of requests) {
        const taken: number[] = []
        let before = 0
        await runCases(image, new Array(times + 1).fill(request), {
            onCase: (index, outcome) => {
                if ("failure" in outcome) throw new Error(outcome.failure)
                const now = performance.now()
                if (index > 0) taken.push(now - before)
                before = now
            },
        })
        medians.push(taken.sort((a, b) => a - b)[times >> 1])
    }
    return medians
}

/**
 * P-256 in the stock VM: steps (exact) and milliseconds of this machine, beside the schoolbook baseline measured in the
 * same run and beside the marks of crypto-notes (steps and code size; those do not depend on a machine). About 20 s.
 */
export async function measureP256(): Promise<Row[]> {
    const digits = (text: string) => Buffer.from(text, "hex")
    const secret = digits("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    const digest = digits("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")
    const request = (kind: number, ...parts: Uint8Array[]) => Buffer.concat([Buffer.of(kind), ...parts])
    const key = publicKeyP256(secret)
    const ours = await compile("tools/perf/device/p256.ts")
    const asked = [
        request(0, secret, digest),
        request(1, secret, digest),
        request(2, secret, digest),
        request(3, secret),
        request(4, secret, digest),
        request(5, key, digest, signP256(secret, digest)),
        request(6, secret, key),
    ]
    const [nothing, multiply, square, base, sign, verify, ecdh] = await measureSteps(ours, asked)

    const plain = await compile("tools/perf/device/p256-schoolbook.ts")
    const plainAsked = [request(0, secret, digest), request(1, secret, digest), request(2, secret)]
    const [plainNothing, plainMultiply, plainBase] = await measureSteps(plain, plainAsked)

    const [baseMs, signMs, verifyMs] = await medianMs(ours, asked.slice(3, 6), 7)
    const [plainBaseMs] = await medianMs(plain, plainAsked.slice(2), 1)

    return [
        row("P-256 field multiply", multiply - nothing, plainMultiply - plainNothing, schoolbook, "steps"),
        row("P-256 field multiply", multiply - nothing, 969, notes, "steps"),
        row("P-256 field square", square - nothing, 740, notes, "steps"),
        row("P-256 multiple of G", base, plainBase, schoolbook, "steps"),
        row("P-256 multiple of G", baseMs, plainBaseMs, schoolbook, "ms"),
        row("ECDSA sign", sign, 755_000, notes, "steps"),
        row("ECDSA sign", signMs, plainBaseMs, `${schoolbook}, its multiple of G alone`, "ms"),
        row("ECDSA verify", verify, 3_430_000, notes, "steps"),
        row("ECDSA verify", verifyMs, 2 * plainBaseMs, `${schoolbook}, two such multiples`, "ms"),
        row("ECDH", ecdh, plainBase, `${schoolbook}, multiple of G`, "steps"),
        row("P-256 code", codeOctets(ours, p256Files), 12_300, notes, "octets"),
        row("P-256 tables", tableOctets, 4096, notes, "octets"),
    ]
}
