import { createHash } from "node:crypto"
import type { Evidence } from "../evidence/format.ts"
import { type Outcome, readAnswer, type SignedAnswer } from "./answer-file.ts"
import { type Certificate, derOfPem, readCertificate } from "./certificate.ts"
import { isoOf, judgeChain, judgeSince } from "./chain.ts"
import { readCommand, type SignedCommand } from "./command-file.ts"
import { requestText } from "./command-words.ts"
import { verifyBoth } from "./curves.ts"
import { DerDamage } from "./der.ts"
import { type Finding, Findings, type Verdict } from "./findings.ts"
import { type Judgement, judgeKnown, type KnownSoftware, nowOf } from "./item.ts"
import { commandingRoles, meterRole, mucRole, roleName, roleOf } from "./role.ts"
import { readSmlFile, type SmlFile } from "./sml-file.ts"
import { SmlDamage } from "./sml-tlv.ts"
import { readSoftware, versionName } from "./software.ts"
import { nameOf } from "./statement.ts"

const commandClause = "signed command, version 1"
const answerClause = "signed answer, version 1"
const attestationName = "8181c7f060ff"
const identificationName = "8181c78206ff"
const checksumName = "0100605a0201"
/** Longest validity of a command. */
const longestSeconds = 86_400

/** Evidence around a command: certificates of its signer besides those inside it. */
type ActEvidence = Pick<Evidence, "request" | "chain" | "crls" | "receivedAt" | "commandChain">

function guarded<T>(findings: Findings, check: string, clause: string, read: () => T): T | undefined {
    try {
        return read()
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        findings.failed(check, clause, `octet ${error.at}`, error.expected, error.came)
        return undefined
    }
}

function pemOf(der: Buffer): string {
    return `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----`
}

/** The signer's chain: what the command brings, then what the evidence holds above it. */
function signerChain(command: SignedCommand, stored: string[]): string[] {
    const inside = command.certificates.map(pemOf)
    const ders = stored.map(pem => {
        try {
            return derOfPem(pem, "CERTIFICATE")
        } catch (error) {
            if (!(error instanceof DerDamage)) throw error
            return Buffer.alloc(0)
        }
    })
    const known = new Set(command.certificates.map(each => each.toString("hex")))
    return [...inside, ...ders.filter(der => !known.has(der.toString("hex"))).map(pemOf)]
}

/** Judges who signed the command, and that it is unaltered. The answer is the signer's path, leaf first. */
function judgeCommand(
    findings: Findings,
    command: SignedCommand,
    evidence: ActEvidence,
    judgement: Judgement,
    at: { atSeconds: number; atText: string; receivedSeconds: number },
): Certificate[] {
    const chain = signerChain(command, evidence.commandChain ?? [])
    const path = judgeChain(findings, {
        chain,
        crls: evidence.crls,
        anchors: judgement.anchors,
        roles: commandingRoles,
        whose: "signer",
        ...at,
    })
    const [leaf] = path
    const digest = leaf && createHash("sha256").update(leaf.der).digest()
    if (digest)
        findings.check(
            digest.equals(command.signer),
            "certificate that the command names",
            commandClause,
            "header",
            `SHA-256 ${command.signer.toString("hex")}`,
            digest.toString("hex"),
        )
    const expected = `r|s over ${command.signed.length} octets as sent`
    if (!leaf)
        findings.missing("command's signature", commandClause, "PublicClose.Req", expected, "no key to check it with")
    else {
        const { holds, text } = verifyBoth(leaf.key, command.signed, command.signature)
        findings.check(holds, "command's signature", commandClause, "PublicClose.Req", expected, text)
    }
    const { notBefore, notAfter } = command
    const short = notAfter >= notBefore && notAfter - notBefore <= longestSeconds
    findings.check(
        short && notBefore <= at.atSeconds && at.atSeconds <= notAfter,
        "command's validity",
        commandClause,
        "header",
        `at most a day, with ${isoOf(at.atSeconds)} (${at.atText}) in it`,
        `${isoOf(notBefore)} to ${isoOf(notAfter)}`,
    )
    return path
}

/** Judges that the device signed the answer, and that it answers this command. The answer is the device's path. */
export function judgeAnswer(
    findings: Findings,
    answer: SignedAnswer,
    command: SignedCommand | undefined,
    evidence: ActEvidence,
    judgement: Judgement,
    at: { atSeconds: number; atText: string; receivedSeconds: number },
): Certificate[] {
    const meter = answer.serverId.length === 10
    const path = judgeChain(findings, {
        chain: evidence.chain,
        crls: evidence.crls,
        anchors: judgement.anchors,
        serverId: answer.serverId.toString("hex"),
        roles: [meter ? meterRole : mucRole],
        whose: meter ? "meter" : "MUC",
        ...at,
    })
    const expected = `r|s over ${answer.signed.length} octets as sent`
    if (!path[0])
        findings.missing("answer's signature", answerClause, "PublicClose.Res", expected, "no key to check it with")
    else {
        const { holds, text } = verifyBoth(path[0].key, answer.signed, answer.signature)
        findings.check(holds, "answer's signature", answerClause, "PublicClose.Res", expected, text)
    }
    if (command) judgePair(findings, answer, command)
    return path
}

function judgePair(findings: Findings, answer: SignedAnswer, command: SignedCommand): void {
    findings.check(
        answer.command.equals(command.digest) && answer.counter === command.counter,
        "answer names the command",
        answerClause,
        "answer's head",
        `command ${command.counter}, SHA-256 ${command.digest.toString("hex")}`,
        `command ${answer.counter}, SHA-256 ${answer.command.toString("hex")}`,
    )
    findings.check(
        answer.serverId.equals(command.target),
        "device that was asked",
        commandClause,
        "PublicOpen",
        command.target.toString("hex"),
        answer.serverId.toString("hex"),
    )
}

/** Reads the stored command, its frame judged; undefined where there is none to speak of. */
export function readStored(findings: Findings, request: Buffer): SignedCommand | undefined {
    if (request.length === 0) {
        findings.missing("signed command", commandClause, "request", "the command's file", "none stored")
        return undefined
    }
    return guarded(findings, "signed command", commandClause, () => {
        const file = readSmlFile(request)
        const good = file.crcExpected === file.crcCame && file.messages.every(each => each.crcExpected === each.crcCame)
        findings.check(
            good,
            "request's checksums",
            "SML 1.04, CRC-16/X.25",
            "request",
            "good ones",
            good ? "so they are" : "others",
        )
        return readCommand(file)
    })
}

/** When an answer was made, and how that is known. */
export function momentOf(answer: SignedAnswer | undefined, evidence: ActEvidence, judgement: Judgement) {
    const receivedSeconds = judgement.atSeconds ?? Math.floor(Date.parse(evidence.receivedAt) / 1000)
    const own = answer && answer.utc > 0 ? answer.utc : undefined
    const atSeconds = judgement.atSeconds ?? own ?? receivedSeconds
    const named = own ? "the answer's time" : "the day of receipt"
    return { atSeconds, atText: judgement.atSeconds === undefined ? named : "the moment you named", receivedSeconds }
}

/** Adds what the answer's own time shows. */
export function judgeTime(findings: Findings, answer: SignedAnswer, receivedAt: string): void {
    const place = "answer's head"
    const expected = "a clock that is set"
    if (answer.utc === 0) {
        const came = `a clock that was not; seconds index ${answer.secondsIndex}`
        findings.missing("time", answerClause, place, expected, came)
        return
    }
    findings.proved("time", answerClause, place, expected, isoOf(answer.utc))
    findings.check(
        answer.utc <= Date.parse(receivedAt) / 1000 + 300,
        "time of receipt",
        "evidence file",
        "receivedAt",
        `not before the device's ${isoOf(answer.utc)}`,
        receivedAt,
    )
}

/** What an attestation among the answers says of the software; undefined where there is none. */
function attestationIn(outcomes: Outcome[]): (KnownSoftware & { reading: Record<string, string> }) | undefined {
    const tree = outcomes.find(each => each.tree?.name === attestationName)?.tree
    if (!tree) return undefined
    const image = tree.children.find(each => each.name === checksumName)?.value.toString("hex")
    const identification = tree.children.find(each => each.name === identificationName)?.value.toString("utf8")
    const reading: Record<string, string> = {
        "fixed part": `${(identification ?? "unknown").replace(/[^\p{L}\p{N} .,:_+-]/gu, "?")}, SHA-256 ${image ?? "?"}`,
    }
    const state = readSoftware(tree)
    if (!state) return { image, reading }
    const { running, checksum, slots, floor } = state
    reading.module = running === "none" ? "none measures" : `${state.identification}, SHA-256 ${checksum}`
    slots.forEach(({ state: name, version, reason }, i) => {
        const text = version > 0 ? ` ${versionName(version)}` : ""
        reading[`slot ${i + 1}`] = `${name}${text}${reason > 0 ? `, E${reason}` : ""}`
    })
    reading.floor = versionName(floor)
    return { image, module: running === "none" ? undefined : checksum, reading }
}

/** What became of a request, for a person. */
export function outcomeText(outcome: Outcome | undefined): string {
    if (!outcome) return "not answered"
    return outcome.kind === "refused" ? `refused (${outcome.text || outcome.attention})` : outcome.kind
}

/** "operator alice, certified by Stadtwerk", from a path; whatever cannot be read is left out. */
export function personText([leaf, issuer]: Certificate[]): string {
    if (!leaf) return "somebody"
    let role = ""
    try {
        const party = roleOf(leaf)
        if (party) role = `${roleName(party.role)} `
    } catch (error) {
        if (!(error instanceof DerDamage)) throw error
    }
    return `${role}${leaf.subjectText}${issuer ? `, certified by ${issuer.subjectText}` : ""}`
}

/** The cause of a refusal for a person: a signature that fails before all else. */
function causeOf(open: Finding[]): string {
    const failed = open.filter(each => each.result === "failed")
    const cause = failed.find(each => each.check.endsWith("'s signature")) ?? failed[0] ?? open[0]
    const { check, result, place, expected, came } = cause
    const more = open.length > 1 ? ` ${open.length} checks are open in all.` : ""
    return `${check} ${result === "failed" ? "fails" : "is not shown"} (${place}: expected ${expected}, came ${came}).${more}`
}

/**
 * Judges the signed answer around a reading, whose own signature is judged apart: the device signed the whole, and it
 * answers the command that is stored beside it.
 */
export function judgeEnvelope(findings: Findings, file: SmlFile, evidence: Evidence): void {
    const answer = guarded(findings, "signed answer", answerClause, () => readAnswer(file))
    if (!answer) return
    try {
        const { key } = readCertificate(derOfPem(evidence.chain[0] ?? "", "CERTIFICATE"))
        const { holds, text } = verifyBoth(key, answer.signed, answer.signature)
        const expected = `r|s over ${answer.signed.length} octets as sent`
        findings.check(holds, "answer's signature", answerClause, "PublicClose.Res", expected, text)
    } catch (error) {
        // The chain's own findings say so.
        if (!(error instanceof DerDamage)) throw error
    }
    if (evidence.request.length === 0) return
    const command = readStored(findings, evidence.request)
    if (command) judgePair(findings, answer, command)
}

/** Judges a signed answer without a reading in it, and the command that it answers: who asked for what, and what came of it. */
export function judgeAct(
    source: string,
    file: SmlFile,
    frame: Findings,
    evidence: Evidence,
    judgement: Judgement,
): Verdict {
    const findings = new Findings()
    findings.list.push(...frame.list)
    const answer = guarded(findings, "signed answer", answerClause, () => readAnswer(file))
    const command = readStored(findings, evidence.request)
    const at = momentOf(answer, evidence, judgement)
    const signer = command ? judgeCommand(findings, command, evidence, judgement, at) : []
    const device = answer ? judgeAnswer(findings, answer, command, evidence, judgement, at) : []
    if (answer) judgeTime(findings, answer, evidence.receivedAt)
    const since = judgeSince(findings, [...device, ...signer], at.atSeconds, nowOf(judgement))
    const outcomes = answer?.outcomes ?? []
    const requests = command?.requests ?? []
    // A profile is several answers to one request.
    const byId = (id: Buffer) => outcomes.find(each => each.transactionId.equals(id))
    const acts = requests.map((request, i) => {
        const outcome = outcomes.length === requests.length ? outcomes[i] : byId(request.transactionId)
        return `${requestText(request)}: ${outcomeText(outcome)}`
    })
    const attested = guarded(findings, "attestation", answerClause, () => attestationIn(outcomes))
    if (attested && judgement.known) judgeKnown(findings, judgement.known, "attestation", attested)
    const id = answer?.serverId.toString("hex").toUpperCase() ?? "unknown"
    const kind = answer?.serverId.length === 7 ? "MUC" : "meter"
    const name = nameOf(findings, false)
    const time = answer && answer.utc > 0 ? ` at ${isoOf(answer.utc)}` : ""
    const told = `${personText(signer)}, asked ${kind} ${id} to ${acts.join("; to ") || "do nothing"}`
    const statement =
        name === "not proof"
            ? `This is not proof: ${causeOf(findings.open)}`
            : `${told}. The ${kind} answered${time}${time ? "" : ", when is not proved"}; command and answer are signed and unaltered.${since}`
    const reading: Record<string, string> = { device: id, "asked by": personText(signer) }
    if (answer) reading.time = answer.utc > 0 ? isoOf(answer.utc) : `not known (seconds index ${answer.secondsIndex})`
    if (command) reading.counter = `${command.counter}`
    acts.forEach((text, i) => {
        reading[`request ${i + 1}`] = text
    })
    if (attested) Object.assign(reading, attested.reading)
    const proof = answer && {
        sml: evidence.sml,
        chain: evidence.chain,
        signed: answer.signed,
        signature: answer.signature,
    }
    return { source, kind: "plomb evidence, command", name, statement, findings: findings.list, reading, proof }
}
