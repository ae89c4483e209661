import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { type Evidence, evidenceText } from "../../tools/evidence/format.ts"
import { judge } from "../../tools/verify/judge.ts"
import { isProof } from "../../tools/verify/text.ts"
import { makeWorld, reading, type World } from "../helpers/readings.ts"

let world: World
let good: Evidence
let judgement: { anchors: string[] }

beforeAll(() => {
    world = makeWorld()
    good = reading(world)
    judgement = { anchors: [world.root.pem] }
})

const runs = Number(process.env.PLOMB_RUNS ?? 200)

/** Any number of changed, inserted or removed octets. */
const mutation = fc.array(fc.record({ at: fc.nat(999_999), kind: fc.nat(2), octet: fc.nat(255) }), {
    minLength: 1,
    maxLength: 5,
})

function mutate(octets: Buffer, changes: { at: number; kind: number; octet: number }[]): Buffer {
    let copy = Buffer.from(octets)
    for (const { at, kind, octet } of changes) {
        if (copy.length === 0) break
        const place = at % copy.length
        if (kind === 0) copy[place] = octet
        else {
            const inserted = Buffer.from(kind === 1 ? [octet] : [])
            copy = Buffer.concat([copy.subarray(0, place), inserted, copy.subarray(place + (kind === 2 ? 1 : 0))])
        }
    }
    return copy
}

function pemOf(der: Buffer): string {
    return `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----`
}

function derOf(pem: string): Buffer {
    return Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64")
}

function expectFindings(octets: Buffer): boolean {
    const verdicts = judge("hostile", octets, judgement)
    expect(verdicts.length).toBeGreaterThan(0)
    for (const { findings, name, statement } of verdicts) {
        expect(findings.length).toBeGreaterThan(0)
        expect(statement.length).toBeGreaterThan(10)
        expect(isProof(name)).toBe(findings.every(each => !each.needed || each.result === "proved"))
    }
    return verdicts.every(each => isProof(each.name))
}

describe("hostile input gives findings, never an exception", () => {
    it("a mutated SML file is never proof", () => {
        fc.assert(
            fc.property(mutation, changes => {
                const sml = mutate(good.sml, changes)
                fc.pre(!sml.equals(good.sml))
                expect(expectFindings(Buffer.from(evidenceText({ ...good, sml })))).toBe(false)
            }),
            { numRuns: runs },
        )
    })

    it("a mutated certificate or revocation list is never proof", () => {
        fc.assert(
            fc.property(mutation, fc.nat(2), (changes, which) => {
                const chain = [...good.chain]
                const der = derOf(chain[which])
                const changed = mutate(der, changes)
                fc.pre(!changed.equals(der))
                chain[which] = pemOf(changed)
                expect(expectFindings(Buffer.from(evidenceText({ ...good, chain })))).toBe(false)
            }),
            { numRuns: runs / 8 },
        )
        fc.assert(
            fc.property(mutation, changes => {
                const der = derOf(good.crls[1])
                const changed = mutate(der, changes)
                fc.pre(!changed.equals(der))
                const crls = [good.crls[0], pemOf(changed).replaceAll("CERTIFICATE", "X509 CRL")]
                expect(expectFindings(Buffer.from(evidenceText({ ...good, crls })))).toBe(false)
            }),
            { numRuns: runs / 8 },
        )
    })

    it("a mutated evidence text, any octets, any JSON", () => {
        const text = Buffer.from(evidenceText(good))
        fc.assert(
            fc.property(mutation, changes => void expectFindings(mutate(text, changes))),
            { numRuns: runs / 8 },
        )
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 400 }), octets => void expectFindings(Buffer.from(octets))),
            {
                numRuns: runs,
            },
        )
        fc.assert(
            fc.property(
                fc.json(),
                json => void expectFindings(Buffer.from(`{"format":"plomb-evidence/1","sml":${json}}`)),
            ),
            { numRuns: runs },
        )
    })

    it("any octets inside a good frame, and any text inside XML and OCMF", () => {
        const frame = (inner: Uint8Array) =>
            Buffer.concat([Buffer.from("1b1b1b1b01010101", "hex"), inner, Buffer.from("1b1b1b1b1a000000", "hex")])
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 300 }), inner => void expectFindings(frame(inner))),
            { numRuns: runs },
        )
        fc.assert(
            fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (a, b) => {
                expectFindings(
                    Buffer.from(
                        `<values><value><signedData>${a}</signedData><publicKey>${b}</publicKey></value></values>`,
                    ),
                )
                expectFindings(Buffer.from(`OCMF|${a}|${b}`))
                expectFindings(Buffer.from(`<${a}`))
            }),
            { numRuns: runs },
        )
    })

    it("nesting without end, sizes that lie, and what is too large", () => {
        const deep = Buffer.from(`${"1b1b1b1b01010101"}${"71".repeat(60000)}1b1b1b1b1a000000`, "hex")
        const huge = Buffer.from("1b1b1b1b01010101768fffffff0f1b1b1b1b1a000000", "hex")
        const nested = "[".repeat(100_000)
        const certificate = pemOf(Buffer.from("30840000ffff".repeat(5000), "hex"))
        const texts = [
            `{"format":"plomb-evidence/1","sml":${nested}`,
            `OCMF|${nested}|{}`,
            `OCMF|{"RD":${"[".repeat(5000)}${"]".repeat(5000)}}|{"SD":"00"}`,
            `OCMF|{"a":${"|".repeat(200_000)}`,
            "<a>".repeat(100_000),
            `<a ${"b='c' ".repeat(50_000)}>`,
            "&lt;".repeat(100_000),
            evidenceText({ ...good, chain: [certificate, certificate] }),
        ]
        for (const octets of [deep, huge, Buffer.alloc(70_000, 0x1b), ...texts.map(text => Buffer.from(text))])
            expect(expectFindings(octets)).toBe(false)
        expect(expectFindings(Buffer.alloc(16 * 1024 * 1024 + 1))).toBe(false)
    })
})
