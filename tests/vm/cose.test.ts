import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { codeOctets } from "../../tools/perf/p256.ts"
import { hssKey, hssSignature, LmsSigner } from "../../tools/pki/lms.ts"
import { cbor } from "../../tools/vectors/cbor.ts"
import { cose, coseRequest } from "../../tools/vectors/cose.ts"
import { lms, lmsRequest } from "../../tools/vectors/lms.ts"
import { askNode, askVm } from "../../tools/vectors/run.ts"
import { compile } from "../../tools/vm/compile.ts"
import { measureSteps } from "../../tools/vm/harness.ts"

const root = process.env.PLOMB_VECTORS ?? "../shared/vectors"
const present = existsSync(root)
if (!present) console.log(`left out: ${root} is not there (set PLOMB_VECTORS)`)

const message = Buffer.alloc(200)
const text = (list: string) => list.split(" ").map(each => Buffer.from(each, "hex"))

/** The same numbers in each run. */
function numbers(seed: number): (below: number) => number {
    return below => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
        return Math.floor((seed / 2 ** 32) * below)
    }
}

function mutations(original: Buffer, count: number, seed: number): Buffer[] {
    const next = numbers(seed)
    return Array.from({ length: count }, () => {
        const changed = Buffer.from(original)
        changed[next(changed.length)] ^= 1 + next(255)
        return next(8) === 0 ? changed.subarray(0, 1 + next(changed.length - 1)) : changed
    })
}

it("LMS: steps of W4 and W8 and the code of all three files are within their bounds", async () => {
    const requests = [3, 4].map(ots => {
        const signer = new LmsSigner(5, ots, Buffer.alloc(16, 9), Buffer.alloc(32, 8))
        return lmsRequest(0, hssKey(1, signer), message, hssSignature(signer.sign(3, Buffer.alloc(32, 7), message)))
    })
    const [w4, w8] = await measureSteps("tools/vectors/device/lms.ts", requests)
    console.log(`HSS of one level, H5: W4 ${w4} steps, W8 ${w8} steps`)
    expect(w4).toBeLessThan(28_000)
    expect(w8).toBeLessThan(136_000)
    const image = await compile("tools/vectors/device/cose.ts")
    const [forLms, forCbor, forCose] = ["lms.ts", "cbor.ts", "cose.ts"].map(file => codeOctets(image, [file]))
    console.log(`bytecode octets: lms ${forLms}, cbor ${forCbor}, cose ${forCose}`)
    expect(forLms + forCbor + forCose).toBeLessThan(5200)
}, 120_000)

it("CBOR: nesting, long lists and long texts are answered in the VM as in Node", async () => {
    const requests = [
        ...text("8101 a10203 818181818181818181818181818181818100 a2616101616102 1bffffffffffffffff"),
        Buffer.from("81".repeat(8000), "hex"),
        Buffer.concat([
            Buffer.of(0x90),
            ...Array.from({ length: 16 }, () => Buffer.from("7901f8" + "61".repeat(504), "hex")),
        ]),
        Buffer.concat([
            Buffer.from("b81e", "hex"),
            ...Array.from({ length: 30 }, (_, i) =>
                Buffer.from("58fa" + "61".repeat(249) + (i + 16).toString(16) + "00", "hex"),
            ),
        ]),
        Buffer.concat([Buffer.from("990384", "hex"), Buffer.alloc(900)]),
        Buffer.concat([Buffer.from("791f02", "hex"), Buffer.alloc(0x1f02, "aä水", "utf8")]),
        ...mutations(Buffer.from("a401c100026568c3a9c3a9036442aa0b0c0482a1616101f63bffffffffffffffff", "hex"), 300, 1),
    ]
    expect(await askVm(cbor, requests)).toEqual(requests.map(each => askNode(cbor, each)))
}, 120_000)

it("COSE: a header of 1,800 parameters is read in the VM as in Node", async () => {
    const entries = Array.from({ length: 1800 }, (_, i) =>
        Buffer.from("19" + (i + 256).toString(16).padStart(4, "0") + "00", "hex"),
    )
    const message = Buffer.concat([Buffer.from("8440b90708", "hex"), ...entries, Buffer.from("4040", "hex")])
    const request = coseRequest([], Buffer.alloc(0), message)
    expect(askNode(cose, request)).toEqual({ octets: Buffer.of(254) })
    expect(await askVm(cose, [request])).toEqual([{ octets: Buffer.of(254) }])
}, 120_000)

describe.skipIf(!present)("mutated messages in the VM", () => {
    const file = (name: string) => JSON.parse(readFileSync(join(root, name), "utf8"))

    it("a COSE_Sign of HSS/LMS: the same answer, code and offset as in Node, and none holds", async () => {
        const { input, output } = file("cose-examples/hashsig/hashsig-01.json")
        const { key } = input.sign.signers[0]
        const trusted = { algorithm: -46, kid: Buffer.from(key.kid), key: Buffer.from(key.public, "hex") }
        const original = Buffer.from(output.cbor, "hex")
        const none = Buffer.alloc(0)
        const head = mutations(original.subarray(0, 80), 120, 2).map(each =>
            each.length < 80 ? each : Buffer.concat([each, original.subarray(80)]),
        )
        const requests = [...head, ...mutations(original, 60, 3)]
            .filter(each => !each.equals(original))
            .map(each => coseRequest([trusted], none, each))
        const replies = await askVm(cose, requests)
        expect(replies).toEqual(requests.map(each => askNode(cose, each)))
        for (const reply of replies) if ("octets" in reply) expect(reply.octets[0]).toBeGreaterThan(253)
    }, 120_000)

    it("an HSS signature of two levels: false or a typed error, as in Node", async () => {
        const [{ publicKey, message, signature }] = file("lms-botan/hss.json").cases
        const [key, text, original] = [publicKey, message, signature].map(hex => Buffer.from(hex, "hex"))
        const requests = [
            ...mutations(original, 60, 4).map(each => lmsRequest(0, key, text, each)),
            ...mutations(key, 40, 5).map(each => lmsRequest(0, each, text, original)),
        ]
        const replies = await askVm(lms, requests)
        expect(replies).toEqual(requests.map(each => askNode(lms, each)))
        for (const reply of replies) if ("octets" in reply) expect(reply.octets[0]).toBe(0)
    }, 120_000)
})
