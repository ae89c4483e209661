import { type Evidence, EvidenceError, parseEvidence } from "../evidence/format.ts"
import { judgeAct, judgeEnvelope } from "./act.ts"
import { isAnswer } from "./answer-file.ts"
import { Findings, type Verdict } from "./findings.ts"
import { type Judgement, judgeItem } from "./item.ts"
import { judgeRequest } from "./request.ts"
import { readSignedItem, type SignedItem } from "./signed-list.ts"
import { messageName, readSmlFile, type SmlFile } from "./sml-file.ts"
import { listOf, octetsOf, SmlDamage } from "./sml-tlv.ts"
import { nameOf, statementOf } from "./statement.ts"

const crcClause = "SML 1.04 transport v1, CRC-16/X.25"
const listClause = "PLOMB-SL"

function hexWord(crc: number): string {
    return crc.toString(16).padStart(4, "0")
}

/** The SML file read and its frame judged; undefined where there is no frame to speak of. */
export function judgeFrame(findings: Findings, octets: Buffer): SmlFile | undefined {
    let file: SmlFile
    try {
        file = readSmlFile(octets)
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        findings.failed("transport frame", crcClause, `file offset ${error.at}`, error.expected, error.came)
        return undefined
    }
    findings.check(
        file.crcExpected === file.crcCame,
        "transport CRC",
        crcClause,
        `file offset ${octets.length - 2}`,
        hexWord(file.crcExpected),
        hexWord(file.crcCame),
    )
    file.messages.forEach((message, i) => {
        findings.check(
            message.crcExpected === message.crcCame,
            "message CRC",
            "SML 1.04, SML_Message.crc16",
            `message ${i + 1} (${messageName(message.tag)}), file offset ${file.fileOffset(message.start)}`,
            hexWord(message.crcExpected),
            hexWord(message.crcCame),
        )
    })
    if (file.damage)
        findings.failed(
            "SML structure",
            "SML 1.04, strict",
            `file offset ${file.fileOffset(file.damage.at)}`,
            file.damage.expected,
            file.damage.came,
        )
    return file
}

function judgeOrder(findings: Findings, file: SmlFile): void {
    const tags = file.messages.map(message => message.tag)
    const expected = "PublicOpen.Res, then responses, then PublicClose.Res"
    const inner = tags.slice(1, -1)
    const good = tags.length >= 3 && tags[0] === 0x0101 && tags[tags.length - 1] === 0x0201
    const strays = inner.some(tag => tag === 0x0101 || tag === 0x0201)
    const came = tags.slice(0, 6).map(messageName).join(", ") || "no message"
    findings.check(good && !strays, "SML structure", "SML 1.04, SML_File", "messages", expected, came)
    if (!good) return
    try {
        const open = listOf(file.messages[0].body, 6, "PublicOpen.Res")
        octetsOf(file.payload, open[2], "reqFileId")
        octetsOf(file.payload, open[3], "serverId")
        const close = file.messages[file.messages.length - 1]
        octetsOf(file.payload, listOf(close.body, 1, "PublicClose.Res")[0], "globalSignature")
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        findings.failed(
            "SML structure",
            "SML 1.04, strict",
            `file offset ${file.fileOffset(error.at)}`,
            error.expected,
            error.came,
        )
    }
}

/** Judges all signed lists and profile rows of one evidence file; one verdict each, at least one in all. */
export function judgeEvidence(source: string, evidence: Evidence, judgement: Judgement): Verdict[] {
    const frame = new Findings()
    const file = judgeFrame(frame, evidence.sml)
    if (file) judgeOrder(frame, file)
    const items: SignedItem[] = []
    const unread: string[] = []
    file?.messages.forEach((message, i) => {
        try {
            const item = readSignedItem(file, i)
            if (item) items.push(item)
        } catch (error) {
            if (!(error instanceof SmlDamage)) throw error
            unread.push(messageName(message.tag))
            const place = `message ${i + 1} (${messageName(message.tag)}), file offset ${file.fileOffset(error.at)}`
            frame.failed("SML structure", "SML 1.04, strict", place, error.expected, error.came)
        }
    })
    if (file && items.length === 0 && isAnswer(file)) return [judgeAct(source, file, frame, evidence, judgement)]
    if (items.length === 0) {
        const came = file
            ? file.messages.map(message => messageName(message.tag)).join(", ") || "no message"
            : "no SML file"
        frame.failed(
            "signed list",
            listClause,
            "messages",
            "a GetList.Res or GetProfileList.Res",
            unread.length ? "one that cannot be read" : came,
        )
        const verdict = { source, kind: "plomb evidence", findings: frame.list, reading: {} }
        return [{ ...verdict, name: "not proof" as const, statement: statementOf("not proof", frame, {}) }]
    }
    if (file) judgeRequest(frame, file, evidence.request, items)
    const answered = file && isAnswer(file) ? file : undefined
    return items.map((item, i) => {
        const findings = new Findings()
        findings.list.push(...frame.list)
        if (answered) judgeEnvelope(findings, answered, evidence)
        const { reading, link, key, since, telegrams } = judgeItem(findings, file!, item, evidence, judgement)
        const name = nameOf(findings, judgement.key !== undefined)
        return {
            source: items.length > 1 ? `${source} (${item.kind} ${i + 1} of ${items.length})` : source,
            kind: `plomb evidence, ${item.kind}`,
            name,
            statement: statementOf(name, findings, reading) + (name === "not proof" ? "" : since),
            findings: findings.list,
            reading,
            link,
            telegrams,
            proof: {
                sml: evidence.sml,
                chain: evidence.chain,
                signed: item.signed,
                signature: item.signature,
                keyPem: key && !("refused" in key) ? key.pem : undefined,
            },
        }
    })
}

/** Judges the text of an evidence file; a text that is none is a finding, not an error. */
export function judgeEvidenceText(source: string, text: string, judgement: Judgement): Verdict[] {
    try {
        const evidence = parseEvidence(text)
        return judgeEvidence(source, evidence, judgement)
    } catch (error) {
        if (!(error instanceof EvidenceError)) throw error
        const findings = new Findings()
        findings.failed("evidence file", "plomb-evidence/1", error.field, error.expected, error.came)
        const statement = statementOf("not proof", findings, {})
        return [{ source, kind: "plomb evidence", name: "not proof", statement, findings: findings.list, reading: {} }]
    }
}
