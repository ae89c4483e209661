import { publicKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { compile, type Image } from "../vm/compile.ts"
import { measureSteps, runCases } from "../vm/harness.ts"
import { marks } from "./marks.ts"
import { cpuMs, median, type Row, type Section } from "./row.ts"

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

const schoolbook = "schoolbook P-256: 13 bits x 20 limbs, array loops"
const rounds = 3
const signatures = 11
/** Seconds a step on a Pico: this code is soft doubles, which cost more than the mean step. */
export const picoStep = 3.1 / 755_000

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

/** Milliseconds of each request but the first, which warms up. */
export async function timed(image: Image, requests: Uint8Array[]): Promise<number[]> {
    const ends: number[] = []
    await runCases(image, requests, {
        onCase: (_, outcome) => {
            if ("failure" in outcome) throw new Error(outcome.failure)
            ends.push(cpuMs())
        },
    })
    return ends.slice(1).map((end, i) => end - ends[i])
}

const digits = (text: string) => Buffer.from(text, "hex")
const secret = digits("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
const digest = digits("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")
const request = (kind: number, ...parts: Uint8Array[]) => Buffer.concat([Buffer.of(kind), ...parts])

function requests(): Buffer[] {
    const key = publicKeyP256(secret)
    return [
        request(0, secret, digest),
        request(1, secret, digest),
        request(2, secret, digest),
        request(3, secret),
        request(4, secret, digest),
        request(5, key, digest, signP256(secret, digest)),
        request(6, secret, key),
    ]
}

/** Bytecode steps of each operation. Signing is blinded, which makes a difference of half a percent: the median of some. */
export async function p256Steps() {
    const asked = requests()
    const [nothing, multiply, square, base, verify, ecdh, ...signs] = await measureSteps("tools/perf/device/p256.ts", [
        ...asked.slice(0, 4),
        asked[5],
        asked[6],
        ...new Array(signatures).fill(asked[4]),
    ])
    return { multiply: multiply - nothing, square: square - nothing, base, sign: median(signs), verify, ecdh }
}

/** P-256 in the stock VM beside a schoolbook version in the same run. About 10 s. */
export async function measureP256(): Promise<Row[]> {
    const ours = await compile("tools/perf/device/p256.ts")
    const asked = requests()
    const { multiply, square, base, sign, verify, ecdh } = await p256Steps()

    const plain = await compile("tools/perf/device/p256-schoolbook.ts")
    const plainAsked = [request(0, secret, digest), request(1, secret, digest), request(2, secret)]
    const [plainNothing, plainMultiply, plainBase] = await measureSteps(plain, plainAsked)

    const [baseMs, signMs, verifyMs, plainMs]: number[][] = [[], [], [], []]
    for (let round = 0; round < rounds; ++round) {
        const three = asked.slice(3, 6)
        const taken = await timed(ours, [asked[4], ...three, ...three, ...three])
        taken.forEach((ms, i) => {
            ;[baseMs, signMs, verifyMs][i % 3].push(ms)
        })
        plainMs.push((await timed(plain, [plainAsked[0], plainAsked[2]]))[0])
    }
    const twice = `${schoolbook}; two multiples of G alone`
    const once = `${schoolbook}; one multiple of G alone`
    return [
        row("field multiply", "steps", multiply, plainMultiply - plainNothing, schoolbook, marks.multiplySteps),
        row("field square", "steps", square, plainMultiply - plainNothing, schoolbook, marks.squareSteps),
        row("multiple of G", "steps", base, plainBase, schoolbook),
        row("multiple of G", "ms", median(baseMs), median(plainMs), schoolbook),
        row("ECDSA sign", "steps", sign, plainBase, once, marks.signSteps),
        row("ECDSA sign", "ms", median(signMs), median(plainMs), once, marks.signMs),
        row("ECDSA verify", "steps", verify, 2 * plainBase, twice, marks.verifySteps),
        row("ECDSA verify", "ms", median(verifyMs), 2 * median(plainMs), twice, marks.verifyMs),
        row("ECDH", "steps", ecdh, plainBase, once),
        { what: "code", unit: "octets", ours: codeOctets(ours, p256Files), mark: marks.p256Code },
        { what: "tables", unit: "octets", ours: tableOctets, mark: marks.p256Tables },
    ]
}

function row(what: string, unit: string, ours: number, peer: number, peerName: string, mark?: Row["mark"]): Row {
    return { what, unit, ours, peer, peerName, mark }
}

/** The group "p256" of `plomb perf`. */
export async function p256Section(): Promise<Section> {
    const rows = await measureP256()
    const seconds = (what: string) =>
        ((rows.find(each => each.what === what && each.unit === "steps")?.ours ?? Number.NaN) * picoStep).toFixed(1)
    return {
        group: "p256",
        title: "P-256 in the stock VM",
        rows,
        notes: [
            `A Pico without secure element, modelled at ${(picoStep * 1e6).toFixed(1)} us a step: sign ${seconds("ECDSA sign")} s, verify ${seconds("ECDSA verify")} s.`,
        ],
    }
}
