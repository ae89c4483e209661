import { createHash, generateKeyPairSync } from "node:crypto"
import { beforeAll, describe, expect, it } from "vitest"
import { type Evidence, evidenceText } from "../../tools/evidence/format.ts"
import { keyFromText } from "../../tools/verify/curves.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import type { Verdict } from "../../tools/verify/findings.ts"
import { judge } from "../../tools/verify/judge.ts"
import { party, revocationList, unknownCritical } from "../helpers/authority.ts"
import {
    evidenceOf,
    listBody,
    makeWorld,
    noon,
    profileBody,
    profileOctets,
    type ReadingFields,
    reading,
    requestFile,
    responseFile,
    serverId,
    signatureOf,
    signedOctets,
    type World,
} from "../helpers/readings.ts"
import { absent, file, list, message, octets, signed, unsigned } from "../helpers/tlv.ts"

const module = { name: "metrology 2.0.0", checksum: createHash("sha256").update("module").digest() }
let world: World
let anchors: string[]

beforeAll(() => {
    world = makeWorld()
    anchors = [world.root.pem]
})

function judgeOne(evidence: Evidence, extra = {}): Verdict {
    return judgeEvidence("r", evidence, { anchors, ...extra })[0]
}

/** The checks that keep a verdict from being proof. */
function open(verdict: Verdict): string[] {
    return verdict.findings.filter(each => each.needed && each.result !== "proved").map(each => each.check)
}

function openOf(fields: ReadingFields, changes: Partial<Evidence> = {}): string[] {
    return open(judgeOne(reading(world, fields, changes)))
}

/** A chain with one thing changed. */
function chainOf(changes: { meter?: object; authority?: object; root?: object; crls?: (w: World) => string[] }): {
    verdict: Verdict
    world: World
} {
    const root = party({ commonName: "Institute root", ca: true, ...changes.root })
    const authority = party({ commonName: "Authority", issuer: root, ca: true, pathLength: 0, ...changes.authority })
    const meter = party({ commonName: serverId, issuer: authority, ...changes.meter })
    const made: World = { root, authority, meter, crls: [revocationList(root), revocationList(authority)] }
    made.crls = changes.crls?.(made) ?? made.crls
    return { verdict: judgeEvidence("r", reading(made), { anchors: [root.pem] })[0], world: made }
}

describe("a sound reading", () => {
    it("is proof, with every needed check proved, and says so in plain words", () => {
        const verdict = judgeOne(reading(world))
        expect(open(verdict)).toEqual([])
        expect(verdict.name).toBe("proof")
        expect(verdict.statement).toContain("measured by meter 0A01504C420100000001 at 2026-11-22T14:00:00Z")
        expect(verdict.reading["1-0:1.8.0"]).toBe("12345.6 Wh")
        for (const each of verdict.findings)
            expect(each.clause && each.place && each.expected && each.came).toBeTruthy()
    })

    it("keeps 64-bit registers exact", () => {
        const drawn = 0xfffffffffffffffen
        expect(judgeOne(reading(world, { drawn })).reading["1-0:1.8.0"]).toBe("1844674407370955161.4 Wh")
        expect(judgeOne(reading(world, { power: -2147483648 })).reading["1-0:16.7.0"]).toBe("-214748364.8 W")
    })

    it("is proof with escape sequences inside the signed octets and outside of them", () => {
        const verdict = judgeOne(reading(world, { drawn: 0x1b1b1b1b1b1b1b1bn, clientId: "1b1b1b1b1b" }))
        expect(open(verdict)).toEqual([])
    })

    it("as a load profile row is judged by the profile PLOMB-SP/1", () => {
        const covered = profileOctets({ at: noon - 900 })
        const sml = responseFile([[0x0401, profileBody(covered, signatureOf(world, covered))]])
        const verdict = judgeOne(evidenceOf(world, sml))
        expect(open(verdict)).toEqual([])
        expect(verdict.reading.time).toBe("2026-11-22T13:45:00Z")
        const fault = profileOctets({ status: 4 })
        const faulty = responseFile([[0x0401, profileBody(fault, signatureOf(world, fault))]])
        expect(open(judgeOne(evidenceOf(world, faulty)))).toEqual(["state of the meter"])
    })

    it("several rows in one file get a verdict each", () => {
        const rows = [1, 2, 3].map(pagination => profileOctets({ pagination, at: noon - 2700 + 900 * pagination }))
        const bodies = rows.map((row): [number, Buffer] => [0x0401, profileBody(row, signatureOf(world, row))])
        const verdicts = judgeEvidence("r", evidenceOf(world, responseFile(bodies)), { anchors })
        expect(verdicts.map(each => each.name)).toEqual(["proof", "proof", "proof"])
    })
})

describe("a changed reading", () => {
    it("with any one bit flipped is not proof", () => {
        const evidence = reading(world)
        const key = keyFromText(world.meter.publicKey.export({ format: "pem", type: "spki" }) as string)
        expect(judgeOne(evidence, { key }).name).toBe("signed by the key you named")
        for (let bit = 0; bit < 8 * evidence.sml.length; bit += 11) {
            const sml = Buffer.from(evidence.sml)
            sml[bit >> 3] ^= 1 << (bit & 7)
            expect(judgeOne({ ...evidence, sml }, { key }).name).toBe("not proof")
        }
    })

    it("whose checksums were recomputed fails by its signature alone, and the words say that", () => {
        const covered = signedOctets({})
        const signature = signatureOf(world, covered)
        const sml = responseFile([[0x0701, listBody(signedOctets({ drawn: 1n }), signature)]])
        const verdict = judgeOne(evidenceOf(world, sml))
        expect(open(verdict)).toEqual(["signature"])
        expect(verdict.statement).toContain("recomputed")
        for (const check of ["time", "key custody", "software identification", "state of the meter"])
            expect(verdict.findings.find(each => each.check === check)?.result).toBe("not shown")
    })

    it("damaged on its way names the place of the first damage", () => {
        const evidence = reading(world)
        const verdict = judgeOne({ ...evidence, sml: evidence.sml.subarray(0, 300) })
        expect(verdict.name).toBe("not proof")
        expect(verdict.findings[0]).toMatchObject({
            check: "transport frame",
            result: "failed",
            place: "file offset 300",
        })
    })

    it("without a signature, or with one of another length, is not proof", () => {
        const covered = signedOctets({})
        for (const signature of [Buffer.alloc(0), Buffer.alloc(50, 1), Buffer.alloc(64)])
            expect(open(judgeOne(evidenceOf(world, responseFile([[0x0701, listBody(covered, signature)]]))))).toEqual([
                "signature",
            ])
    })

    it("signed by another meter's key is not proof", () => {
        const other = makeWorld()
        expect(
            open(judgeOne(reading(other, {}, { chain: evidenceOf(world, Buffer.alloc(0)).chain, crls: world.crls }))),
        ).toEqual(["signature"])
    })
})

describe("the profile PLOMB-SL/1", () => {
    const entry = (code: string, value: Buffer) => list(octets(code), absent, absent, absent, absent, value, absent)

    it("refuses another identifier or version", () => {
        expect(openOf({ profile: "PLOMB-SL/2" })).toEqual(["signing profile"])
        expect(openOf({ profile: "PLOMB-SL/1", module })).toEqual(["signing profile"])
    })

    it("is followed by PLOMB-SL/2, whose lists name the module that measures", () => {
        const verdict = judgeOne(reading(world, { module }))
        expect([verdict.name, open(verdict)]).toEqual(["proof", []])
        expect(verdict.reading).toMatchObject({
            module: "metrology 2.0.0",
            "module SHA-256": module.checksum.toString("hex"),
            "1-0:1.8.3": "0.0 Wh",
        })
        const none = { name: "", checksum: Buffer.alloc(32) }
        expect(openOf({ module: none })).toEqual(["metrological module"])
        expect(openOf({ module, status: 0x180 })).toEqual(["state of the meter"])
    })

    it("compares the software in a list with the one that the person knows", () => {
        const image = createHash("sha256").update("image").digest("hex")
        const judged = (known: object) => open(judgeOne(reading(world, { module }), { known }))
        expect(judged({ image, module: module.checksum.toString("hex") })).toEqual([])
        expect(judged({ image: "00", module: "11" })).toEqual([
            "fixed part is the build you named",
            "module is that of the package you named",
        ])
    })

    it("refuses a shortened integer, a wrong type, a wrong object, a wrong unit", () => {
        const wrong: [number, Buffer][] = [
            [1, entry("8181c7f002ff", unsigned(2, 1))],
            [1, entry("8181c7f002ff", signed(4, 1))],
            [6, entry("0100010803ff", unsigned(8, 1))],
            [7, list(octets("0100020800ff"), absent, absent, unsigned(1, 30), signed(1, 0), unsigned(8, 1), absent)],
        ]
        for (const [i, replaced] of wrong)
            expect(openOf({ entries: { [i]: replaced } })).toContain("structure of the signed list")
    })

    it("refuses a status of 1-0:1.8.0 that differs from the status word", () => {
        expect(openOf({ entries: { 9: entry("0100600500ff", unsigned(4, 0)) } })).toEqual([
            "structure of the signed list",
        ])
    })

    it("an unset clock leaves the values proved and the time not", () => {
        for (const quality of [0, 1]) {
            const verdict = judgeOne(reading(world, { quality }))
            expect(verdict.name).toBe("proof of the values, not of their time")
            expect(open(verdict)).toEqual(["time"])
        }
    })

    it("an open cover, a front end fault, a missing calibration are named", () => {
        for (const bit of [1, 2, 4]) expect(openOf({ status: 1 << bit })).toEqual(["state of the meter"])
        for (const bit of [3, 5, 8, 11]) expect(openOf({ status: 1 << bit })).toEqual([])
    })

    it("a key in software is told, and is no reason to refuse", () => {
        const verdict = judgeOne(reading(world, { keyProtection: 0 }))
        expect(verdict.name).toBe("proof")
        expect(verdict.findings.find(each => each.check === "key custody")?.result).toBe("not shown")
        expect(verdict.statement).toContain("in software")
    })

    it("a reading from after its receipt is not proof", () => {
        expect(openOf({}, { receivedAt: "2026-11-22T12:00:00Z" })).toEqual(["time of receipt"])
    })

    it("an answer to another request is not proof", () => {
        expect(openOf({}, { request: requestFile("0a01504c420100000002") })).toEqual(["answer of the meter asked"])
        const covered = signedOctets({})
        const sml = responseFile([[0x0701, listBody(covered, signatureOf(world, covered))]], serverId, "99")
        expect(open(judgeOne(evidenceOf(world, sml)))).toEqual(["answer to the request"])
    })
})

describe("the chain", () => {
    it("without an anchor named nothing vouches for it", () => {
        expect(open(judgeOne(reading(world), { anchors: [] }))).toEqual(["institute anchor"])
    })

    it("to another root is refused, also under the same name", () => {
        const other = party({ commonName: "Institute root", ca: true })
        expect(open(judgeOne(reading(world), { anchors: [other.pem] }))).toContain("institute anchor")
        const chain = [world.meter.pem, world.authority.pem]
        expect(open(judgeOne(reading(world, {}, { chain }), { anchors: [other.pem] }))).toContain(
            "certificate signature",
        )
    })

    it("may leave out the root that the person names", () => {
        expect(openOf({}, { chain: [world.meter.pem, world.authority.pem] })).toEqual([])
    })

    it("none at all leaves the signature unjudged", () => {
        expect(openOf({}, { chain: [] })).toEqual(["certificate chain", "signature"])
    })

    it("is judged as of the reading's time, or as of the moment named", () => {
        const late = chainOf({ meter: { until: "2026-11-22T13:00:00" } })
        expect(open(late.verdict)).toEqual(["certificate validity"])
        const early = chainOf({ meter: { from: "2026-11-22T15:00:00" } })
        expect(open(early.verdict)).toEqual(["certificate validity"])
        const atSeconds = Date.UTC(2041, 0, 1) / 1000
        expect(open(judgeOne(reading(world), { atSeconds }))).toEqual([
            "certificate validity",
            "certificate validity",
            "certificate validity",
            "revocation",
            "revocation",
        ])
    })

    it("refuses wrong constraints, usage, path length and unknown critical extensions", () => {
        const wrong: Parameters<typeof chainOf>[0][] = [
            { authority: { ca: false, usage: "0106" } },
            { authority: { usage: "0780" } },
            { meter: { ca: true } },
            { meter: { usage: "0780" } },
            { meter: { usage: "0308" } },
            { meter: { extra: [unknownCritical] } },
            { authority: { extra: [unknownCritical] } },
            { root: { pathLength: 0 } },
        ]
        for (const changes of wrong) expect(open(chainOf(changes).verdict)).toContain("certificate profile")
    })

    it("refuses a certificate of another meter, or on another curve", () => {
        expect(open(chainOf({ meter: { commonName: "0a01504c420100000002" } }).verdict)).toEqual([
            "meter named by the certificate",
        ])
        const key = generateKeyPairSync("ec", { namedCurve: "secp384r1" })
        expect(open(chainOf({ meter: { key } }).verdict)).toContain("certificate profile")
    })

    it("refuses a certificate whose issuer did not sign it", () => {
        const { world: made } = chainOf({})
        const stranger = party({ commonName: "Authority", ca: true })
        const meter = party({ commonName: serverId, issuer: stranger })
        const forged: World = { ...made, meter }
        const [verdict] = judgeEvidence("r", reading(forged), { anchors: [made.root.pem] })
        expect(open(verdict)).toContain("certificate signature")
    })
})

describe("revocation of the day", () => {
    it("needs a list in force when the reading was received", () => {
        expect(openOf({}, { crls: [] })).toEqual(["revocation", "revocation"])
        expect(openOf({}, { crls: [world.crls[0]] })).toEqual(["revocation"])
        const stale = revocationList(world.authority, "2026-11-01T00:00:00", "2026-11-02T00:00:00")
        expect(openOf({}, { crls: [world.crls[0], stale] })).toEqual(["revocation"])
    })

    it("refuses a list that its issuer did not sign", () => {
        const stranger = party({ commonName: "Calibration authority", ca: true })
        expect(openOf({}, { crls: [world.crls[0], revocationList(stranger)] })).toEqual(["revocation"])
    })

    it("a meter revoked before its reading is refused", () => {
        const crls = (w: World) => [
            revocationList(w.root),
            revocationList(w.authority, undefined, undefined, [[w.meter.serial, "2026-11-22T13:00:00", 5]]),
        ]
        expect(open(chainOf({ crls }).verdict)).toEqual(["revocation"])
    })

    it("a meter that went out of service after its reading leaves it proof; a compromised key does not", () => {
        const crls = (reason: number) => (w: World) => [
            revocationList(w.root),
            revocationList(w.authority, undefined, undefined, [[w.meter.serial, "2026-11-22T15:00:00", reason]]),
        ]
        expect(open(chainOf({ crls: crls(5) }).verdict)).toEqual([])
        expect(open(chainOf({ crls: crls(1) }).verdict)).toEqual(["revocation"])
    })

    it("a revoked calibration authority takes its meters with it", () => {
        const crls = (w: World) => [
            revocationList(w.root, undefined, undefined, [[w.authority.serial, "2026-11-20T00:00:00", 2]]),
            revocationList(w.authority),
        ]
        expect(open(chainOf({ crls }).verdict)).toEqual(["revocation"])
    })
})

describe("a bare key", () => {
    it("gives a weaker verdict under its own name", () => {
        const key = keyFromText(world.meter.publicKey.export({ format: "pem", type: "spki" }) as string)
        const verdict = judgeOne(reading(world, {}, { chain: [], crls: [] }), { key })
        expect(verdict.name).toBe("signed by the key you named")
        expect(verdict.statement).toContain("rests on you")
        const other = keyFromText(world.root.publicKey.export({ format: "pem", type: "spki" }) as string)
        expect(judgeOne(reading(world), { key: other }).name).toBe("not proof")
    })

    it("judges the SML file alone, binary or in hex", () => {
        const key = keyFromText(world.meter.publicKey.export({ format: "der", type: "spki" }).toString("hex"))
        const { sml } = reading(world)
        expect(judge("f", sml, { anchors: [], key })[0].name).toBe("signed by the key you named")
        expect(judge("f", Buffer.from(sml.toString("hex")), { anchors: [], key })[0].name).toBe(
            "signed by the key you named",
        )
    })
})

describe("what is no evidence", () => {
    it("is one clear finding", () => {
        const wrong: Record<string, string> = {
            "": "kind of file",
            hello: "kind of file",
            "{": "evidence file",
            "{}": "evidence file",
            "[1]": "kind of file",
            "<a>": "XML structure",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>": "XML structure",
            "OCMF|{}": "OCMF structure",
        }
        for (const [text, check] of Object.entries(wrong)) {
            const [verdict] = judge("f", Buffer.from(text), { anchors })
            expect([text, verdict.findings[0].check, verdict.name]).toEqual([text, check, "not proof"])
        }
    })

    it("an Attention message instead of a reading is named", () => {
        const sml = file(
            message("aa00", 0x0101, list(absent, absent, octets("01"), octets(serverId), absent, absent)),
            message("aa01", 0xff01, list(octets(serverId), octets("8181c7c7fe03"), absent, absent)),
            message("aa02", 0x0201, list(absent)),
        )
        const verdict = judgeOne(evidenceOf(world, sml))
        expect(verdict.findings.find(each => each.check === "signed list")?.came).toContain("Attention.Res")
    })

    it("the stored text is read back as written", () => {
        const evidence = reading(world)
        expect(judge("f", Buffer.from(evidenceText(evidence)), { anchors })[0].name).toBe("proof")
    })
})
