import { createHash, generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { getListReq, getProcParameterReq, setProcParameterReq } from "../../firmware/core/sml-messages"
import {
    changeProviderPath,
    labelPath,
    logbookPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    octetsLeaf,
    rolloverPath,
    timePath,
} from "../../firmware/core/sml-parameter"
import { Signer } from "../../tools/authority/signer.ts"
import { type Evidence, evidenceText, parseEvidence } from "../../tools/evidence/format.ts"
import { Authority } from "../../tools/pki/authority.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { roles } from "../../tools/pki/parties.ts"
import { renew } from "../../tools/pki/renew.ts"
import { renewCrls, revoke } from "../../tools/pki/revoke.ts"
import { publicKeyOf } from "../../tools/pki/x509.ts"
import { readAnswer } from "../../tools/verify/answer-file.ts"
import { splitPem } from "../../tools/verify/certificate.ts"
import { judgeChain } from "../../tools/verify/chain.ts"
import { Findings, type Verdict } from "../../tools/verify/findings.ts"
import type { Judgement } from "../../tools/verify/item.ts"
import { judge } from "../../tools/verify/judge.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { type LogbookExport, logbookText } from "../../tools/verify/logbook-file.ts"
import { judgeLogSeries } from "../../tools/verify/logbook-series.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { FakeDevice } from "../helpers/fake-device.ts"

/** All with the folders that `plomb pki` makes, and the firmware's gate and logbooks behind the answers. */

const folder = mkdtempSync(join(tmpdir(), "plomb-verify-acts-"))
const pki = join(folder, "pki")
const id = Buffer.from("aa01", "hex")
let device: FakeDevice
let anchors: string[]

beforeAll(async () => {
    await initPki(pki)
    await issueWithKey(pki, "operator", "alice")
    await issueWithKey(pki, "inspector", "irene")
    device = await FakeDevice.make(pki, 7)
    anchors = ["institute-root", "ca-root"].flatMap(each => pems(each, "cert.pem"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function pems(path: string, file = "chain.pem"): string[] {
    return splitPem(readFileSync(join(pki, path, file), "latin1"), "CERTIFICATE")
}

function lists(): string[] {
    const issuers = ["institute-root", "calibration-authority", "ca-root", "security-management"]
    return issuers.map(each => readFileSync(join(pki, each, "crl.pem"), "utf8"))
}

function signerOf(path: string): Signer {
    return new Signer({
        key: readFileSync(join(pki, path, "key.pem"), "utf8"),
        chain: readFileSync(join(pki, path, "chain.pem"), "utf8"),
    })
}
const signers = new Map<string, Signer>()

/** A command of `who`, and the evidence of what the device said. */
function tell(who: string, requests: Buffer[], changes: Partial<Evidence> = {}): Evidence {
    const signer = signers.get(who) ?? signerOf(who)
    signers.set(who, signer)
    const request = signer.command(device.id, requests)
    const sml = device.answer(request)!
    return {
        sml,
        request,
        chain: device.chain.map(pemOf),
        crls: lists(),
        commandChain: pems(who),
        receivedAt: new Date().toISOString(),
        source: { muc: "", headend: "test" },
        ...changes,
    }
}

function pemOf(der: Buffer): string {
    return `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----\n`
}

function judged(evidence: Evidence, judgement: Partial<Judgement> = {}): Verdict {
    const text = evidenceText(parseEvidence(evidenceText(evidence)))
    return judge("act", Buffer.from(text), { anchors, ...judgement })[0]
}

function open({ findings }: Verdict): string[] {
    return findings.filter(each => each.needed && each.result !== "proved").map(each => each.check)
}

const set = (path: Buffer, value: Buffer) => setProcParameterReq(id, device.id, [path], octetsLeaf(path, value))
const label = (text: string) => set(labelPath, Buffer.from(text))
const list = () => getListReq(id, id, device.id, undefined)

describe("A signed command and its signed answer", () => {
    it("are proof of who asked whom for what, and what came of it", () => {
        const verdict = judged(tell("operators/alice", [label("attic")]))
        expect(open(verdict)).toEqual([])
        expect(verdict.name).toBe("proof")
        expect(verdict.statement).toContain("operator alice, certified by Plomb Security Management, asked meter 0A01")
        expect(verdict.statement).toContain('to set its label to "attic": done')
    })

    it("prove a refusal as well as a deed", () => {
        const time = Buffer.from("6a000000", "hex")
        const verdict = judged(tell("operators/alice", [set(timePath, time), label("roof")]))
        expect(verdict.name).toBe("proof")
        expect(verdict.statement).toContain("refused (E5213)")
        expect(verdict.statement).toContain('set its label to "roof": refused (E5210)')
    })

    it("are no proof when a byte of either is another, and the finding says whose", () => {
        const good = tell("operators/alice", [label("attic")])
        const swap = (octets: Buffer, from: string, to: string) => {
            const copy = Buffer.from(octets)
            copy.write(to, copy.indexOf(from))
            return copy
        }
        expect(open(judged({ ...good, request: swap(good.request, "attic", "ATTIC") }))).toEqual(
            expect.arrayContaining(["command's signature", "answer names the command"]),
        )
        const answer = Buffer.from(good.sml)
        answer[answer.length - 40] ^= 1
        expect(open(judged({ ...good, sml: answer }))).toContain("answer's signature")
    })

    it("are no proof when the answer is that to another command", () => {
        const one = tell("operators/alice", [label("one")])
        const two = tell("operators/alice", [label("two")])
        expect(open(judged({ ...one, sml: two.sml }))).toEqual(["answer names the command"])
    })

    it("are no proof without the anchor of the signer, or without its chain", () => {
        const good = tell("operators/alice", [label("attic")])
        expect(open(judged(good, { anchors: anchors.slice(0, 1) }))).toContain("anchor")
        expect(open(judged({ ...good, commandChain: [] }))).not.toEqual([])
    })

    it("are no proof where the signer's certificate is of a role that commands nothing, or of a stranger's", async () => {
        const other = join(folder, "other")
        await initPki(other)
        const stranger = new Signer({
            key: readFileSync(join(other, "operator", "key.pem"), "utf8"),
            chain: readFileSync(join(other, "operator", "chain.pem"), "utf8"),
        })
        const good = tell("operators/alice", [label("attic")])
        const request = stranger.command(device.id, [label("attic")])
        const commandChain = splitPem(readFileSync(join(other, "operator", "chain.pem"), "utf8"), "CERTIFICATE")
        expect(open(judged({ ...good, request, commandChain }))).toEqual(
            expect.arrayContaining(["anchor", "answer names the command"]),
        )
        const meter = tell("operators/alice", [label("attic")], { commandChain: device.chain.map(pemOf) })
        expect(open(judged(meter))).not.toEqual([])
    })

    it("stay proof after an orderly end of the signer's right, and not after the loss of its key", async () => {
        await issueWithKey(pki, "operator", "bob")
        await issueWithKey(pki, "operator", "carla")
        const [bob, carla] = [tell("operators/bob", [label("b")]), tell("operators/carla", [label("c")])]
        const later = new Date(Date.now() + 3_600_000)
        await revoke(pki, join(pki, "operators/bob/cert.pem"), "privilegeWithdrawn", { now: later })
        await revoke(pki, join(pki, "operators/carla/cert.pem"), "keyCompromise", { now: later })
        const receivedAt = new Date(later.getTime() + 1000).toISOString()
        expect(open(judged({ ...bob, crls: lists(), receivedAt }))).toEqual([])
        expect(open(judged({ ...carla, crls: lists(), receivedAt }))).toEqual(["revocation"])
        // Lists of the present moment again.
        await renewCrls(pki)
    })

    it("around a reading are judged with it", () => {
        const evidence = tell("operators/alice", [list()])
        const verdict = judged(evidence)
        expect(verdict.name).toBe("proof")
        const checks = verdict.findings.map(each => each.check)
        expect(checks).toEqual(expect.arrayContaining(["answer's signature", "answer names the command", "signature"]))
        const other = tell("operators/alice", [list()])
        expect(open(judged({ ...evidence, request: other.request }))).toContain("answer names the command")
    })
})

describe("A chain", () => {
    it("of a meter ends in the institute by roles as well as by names: no other authority can make a meter", async () => {
        const authority = Authority.open(join(pki, "manufacturer"))
        const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
        const forged = await authority.certify({
            party: { ...roles.muc, nonRepudiation: true },
            commonName: device.id.toString("hex"),
            publicKey: publicKeyOf(publicKey),
            now: new Date(),
        })
        const findings = new Findings()
        const now = Math.floor(Date.now() / 1000)
        judgeChain(findings, {
            chain: [pemOf(Buffer.from(forged.rawData)), ...pems("manufacturer")],
            crls: lists(),
            anchors,
            serverId: device.id.toString("hex"),
            atSeconds: now,
            atText: "now",
            receivedSeconds: now,
        })
        expect(findings.open.map(each => each.check)).toContain("roles")
        expect(findings.open.find(each => each.check === "roles")?.came).toContain("is muc")
        const meterParty = { ...roles.meter, issuer: "manufacturer" }
        const subject = { party: meterParty, commonName: "x", publicKey: publicKeyOf(publicKey), now: new Date() }
        await expect(authority.certify(subject)).rejects.toThrow("may not certify meter")
    })
})

describe("Long-term proof", () => {
    /** Beyond the end of the roots too, which last 30 years. */
    const thirtyYears = 30 * 31_557_600 + 2 * 86_400

    it("stands after change of provider, key rollover and 30 years: readings and commands, judged as of their time", async () => {
        await issueWithKey(pki, "operator", "olaf")
        const reading = tell("operators/olaf", [list()])
        const act = tell("operators/olaf", [label("old provider")])

        await issueWithKey(pki, "security-management", "stadtwerk")
        await issueWithKey(pki, "operator", "nora", { by: "security-managements/stadtwerk" })
        const handOver = tell("security-management", [set(changeProviderPath, Buffer.alloc(36))])
        device.provider = "security-managements/stadtwerk"
        expect(open(judged(handOver))).toEqual([])
        const refused = device.answer(signers.get("operators/olaf")!.command(device.id, [list()]))!
        expect(judged({ ...reading, sml: refused }).name).toBe("not proof")

        // Key rollover by the calibration authority.
        const before = device.chain[0]
        const begun = tell("calibration-authority", [set(rolloverPath, Buffer.of(1))])
        const csr = readAnswer(readSmlFile(begun.sml)).outcomes[0].tree!.children[0].value
        const fresh = await renew(pki, `meters/${device.id.toString("hex")}`, { csr })
        device.parts = fresh.certificate
        const digest = createHash("sha256").update(fresh.certificate).digest()
        const finish = Buffer.concat([
            Buffer.of(2, fresh.certificate.length >> 8, fresh.certificate.length & 255),
            digest,
        ])
        tell("calibration-authority", [set(rolloverPath, finish)])
        expect(device.chain[0].equals(before)).toBe(false)
        const after = tell("security-managements/stadtwerk/operators/nora", [list()])
        expect(open(judged(after))).toEqual([])

        const nowSeconds = Math.floor(Date.now() / 1000) + thirtyYears
        for (const evidence of [reading, act, handOver, after]) {
            const verdict = judged(evidence, { nowSeconds })
            expect(open(verdict)).toEqual([])
            expect(verdict.name).toBe("proof")
            expect(verdict.statement).toMatch(
                /judged as of 20\d\d-.*when it was signed: all certificates have ended since/,
            )
            expect(verdict.findings.map(each => each.check)).toContain("in force when it was signed")
        }
        const verdicts = [reading, after].map(each => judged(each, { nowSeconds }))
        const [series] = judgeSeries(verdicts)
        expect(series.complete, series.statement).toBe(true)
    })

    it("is none for what was signed when the certificates had ended already", () => {
        const old = tell("calibration-authority", [list()])
        const verdict = judged(old, { atSeconds: Math.floor(Date.now() / 1000) + thirtyYears })
        expect(open(verdict)).toContain("certificate validity")
    })
})

describe("An exported logbook", () => {
    const get = (path: Buffer, from: number) => {
        const number = Buffer.alloc(6)
        number.writeUInt32BE(from, 2)
        return getProcParameterReq(id, device.id, [path, number])
    }

    /** As `plomb operator logbook --out` writes it. */
    function exported(kind: "metrological" | "device", who: string): LogbookExport {
        const book = device.logs[kind]
        const path = kind === "metrological" ? metrologicalLogbookPath : logbookPath
        const answers: LogbookExport["answers"] = []
        const first = book.head().readUInt32BE(4)
        for (let from = first; from <= book.newest(); from += 5) {
            const { request, sml } = tell(who, [get(path, from)])
            answers.push({ request, sml })
        }
        return {
            kind,
            serverId: device.id.toString("hex"),
            answers,
            chain: device.chain.map(pemOf),
            crls: lists(),
            receivedAt: new Date().toISOString(),
        }
    }

    const logJudged = (log: LogbookExport, source = "log") =>
        judge(source, Buffer.from(logbookText(log)), { anchors })[0]
    const why = (verdict: Verdict, check: string) => verdict.findings.find(each => each.check === check)?.came

    function fill(count: number): void {
        for (let i = 0; i < count; ++i) {
            const time = Buffer.alloc(4)
            time.writeUInt32BE(Math.floor(Date.now() / 1000))
            tell("inspectors/irene", [set(timePath, time)])
        }
    }

    it("is proof with every entry in its place, over several answers", () => {
        fill(12)
        const verdict = logJudged(exported("metrological", "inspectors/irene"))
        expect(open(verdict)).toEqual([])
        expect(verdict.name).toBe("proof")
        expect(verdict.statement).toMatch(
            /metrological logbook of meter 0A01.* entries, 1 to \d+, none missing or altered/,
        )
        expect(verdict.reading["entry 1"]).toBeDefined()
        expect(Object.values(verdict.reading).join("\n")).toMatch(/time set \(setTime\), by institute [0-9a-f]{16}/)
    })

    it("shows by number what was cut off at the end, at the beginning and in between", () => {
        const log = exported("metrological", "inspectors/irene")
        const cut = (from: number, count: number) => {
            const answers = [...log.answers]
            answers.splice(from, count)
            return logJudged({ ...log, answers })
        }
        const newest = device.logs.metrological.newest()
        const last = log.answers.length - 1
        expect(why(cut(last, 1), "all entries")).toBe(
            `missing: ${5 * last + 1}${newest > 5 * last + 1 ? ` to ${newest}` : ""}`,
        )
        expect(why(cut(0, 1), "all entries")).toBe("missing: 1 to 5")
        expect(why(cut(1, 1), "all entries")).toBe("missing: 6 to 10")
        expect(cut(1, 1).name).toBe("not proof")
    })

    it("is no proof when an octet of an entry is another", () => {
        const log = exported("metrological", "inspectors/irene")
        const sml = Buffer.from(log.answers[0].sml)
        sml[sml.length >> 1] ^= 1
        const verdict = logJudged({ ...log, answers: [{ ...log.answers[0], sml }, ...log.answers.slice(1)] })
        expect(open(verdict)).toContain("answer's signature")
    })

    it("holds no entries of another state of the same logbook", () => {
        const log = exported("metrological", "inspectors/irene")
        fill(1)
        const later = exported("metrological", "inspectors/irene")
        expect(open(logJudged({ ...log, answers: [...log.answers.slice(0, 2), ...later.answers.slice(2)] }))).toContain(
            "one state",
        )
    })

    it("links a reset to what it cleared, and an earlier export to a later one", () => {
        const before = logJudged(exported("metrological", "inspectors/irene"), "before")
        const seen = Buffer.alloc(4)
        seen.writeUInt32BE(device.logs.metrological.newest())
        const reset = judged(tell("inspectors/irene", [set(metrologicalResetPath, seen)]))
        expect(reset.statement).toContain(
            `clear its metrological logbook, seen up to entry ${seen.readUInt32BE(0)}: done`,
        )
        fill(2)
        const after = logJudged(exported("metrological", "inspectors/irene"), "after")
        expect(open(after)).toEqual([])
        expect(why(after, "reset")).toContain(`${seen.readUInt32BE(0)} from 1`)
        const logs = [before.log!, after.log!]
        const [series] = judgeLogSeries(logs)
        expect(series.complete, series.statement).toBe(true)
        expect(series.findings.map(each => each.check)).toContain("reset follows what it cleared")
    })

    it("shows when a later export is shorter than an earlier one", () => {
        const whole = logJudged(exported("metrological", "inspectors/irene"), "whole").log!
        const shorter = {
            ...whole,
            source: "shorter",
            entries: whole.entries.slice(0, -1),
            head: { ...whole.head, count: whole.head.count - 1 },
            secondsIndex: whole.secondsIndex + 1,
        }
        const [series] = judgeLogSeries([whole, shorter])
        expect(series.complete).toBe(false)
        const newest = whole.head.first + whole.head.count - 1
        expect(series.statement).toContain(`${newest - 1}: ${newest} to ${newest} are gone`)
    })

    it("of the device is a ring: older entries may be overwritten, and that is told", () => {
        for (let i = 0; i < 15; ++i) tell("security-managements/stadtwerk", [label(`${i}`)])
        const verdict = logJudged(exported("device", "security-managements/stadtwerk"))
        expect(open(verdict)).toEqual([])
        expect(why(verdict, "beginning")).toContain("overwritten")
    })

    it("that is damaged is a finding, not an error", () => {
        for (const text of [
            '{"format":"plomb-logbook/1"}',
            '{"format":"plomb-logbook/2"',
            '{"format": "plomb-logbook/1", "kind": 3}',
        ]) {
            const [verdict] = judge("junk", Buffer.from(text), { anchors })
            expect(verdict.name).toBe("not proof")
        }
    })
})
