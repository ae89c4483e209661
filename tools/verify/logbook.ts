import { EvidenceError } from "../evidence/format.ts"
import { judgeAnswer, judgeTime, momentOf, readStored } from "./act.ts"
import { readAnswer, type SignedAnswer } from "./answer-file.ts"
import type { Certificate } from "./certificate.ts"
import { isoOf, judgeSince } from "./chain.ts"
import { judgeFrame } from "./evidence.ts"
import { Findings, type Verdict } from "./findings.ts"
import { type Judgement, nowOf } from "./item.ts"
import { type LogbookExport, type LogEntry, type LogHead, parseLogbook, readLog } from "./logbook-file.ts"
import { entryText, resetEvent } from "./logbook-words.ts"
import { SmlDamage } from "./sml-tlv.ts"
import { nameOf } from "./statement.ts"

const clause = "firmware/core/logbook.ts"
const nothingBefore = "00".repeat(32)

/** An exported logbook as far as it could be read: what links it to another export of the same device. */
export interface JudgedLog {
    source: string
    serverId: string
    kind: string
    entries: LogEntry[]
    head: LogHead
    secondsIndex: number
}

function span(entries: LogEntry[]): string {
    const [first, last] = [entries[0], entries[entries.length - 1]]
    return first ? (first === last ? `${first.number}` : `${first.number} to ${last.number}`) : "none"
}

/** Judges numbers and hashes of the entries against each other and against the head. */
function judgeChainOf(findings: Findings, log: LogbookExport, entries: LogEntry[], head: LogHead): void {
    const newest = head.first + head.count - 1
    let at = head.first
    const gaps: string[] = []
    for (const { number } of entries) {
        if (number > at) gaps.push(number - 1 === at ? `${at}` : `${at} to ${number - 1}`)
        at = number + 1
    }
    if (at <= newest) gaps.push(at === newest ? `${newest}` : `${at} to ${newest}`)
    findings.check(
        gaps.length === 0 && entries.length === head.count,
        "all entries",
        clause,
        "entries",
        head.count === 0 ? "none" : `${head.first} to ${newest}, as the signed head says`,
        gaps.length > 0 ? `missing: ${gaps.join(", ")}` : span(entries),
    )
    entries.forEach((entry, i) => {
        const before = entries[i - 1]
        if (!before || before.number !== entry.number - 1) return
        if (before.hash !== entry.previous)
            findings.failed("chain of entries", clause, `entry ${entry.number}`, before.hash, entry.previous)
    })
    const last = entries[entries.length - 1]
    const end = last?.hash ?? nothingBefore
    // Without the newest entry its hash can not be compared: that it is missing was said above.
    if (!last || last.number === newest)
        findings.check(end === head.hash, "newest entry", clause, "head", head.hash, end)
    const [first] = entries
    if (!first || first.number !== head.first) return
    if (first.number === 1)
        findings.check(first.previous === nothingBefore, "beginning", clause, "entry 1", nothingBefore, first.previous)
    else if (first.event === resetEvent) {
        const cleared = first.detail.readUInt32BE(0)
        const from = first.detail.readUInt32BE(4)
        findings.check(
            cleared > 0 && from + cleared === first.number,
            "reset",
            clause,
            `entry ${first.number}`,
            "how many entries it cleared, up to the one before it",
            `${cleared} from ${from}, the last with hash ${first.previous}`,
        )
    } else if (log.kind === "metrological")
        findings.failed("beginning", clause, `entry ${first.number}`, "entry 1, or a reset", "an entry in between")
    else
        findings.unshown(
            "beginning",
            `${clause}, ring`,
            `entry ${first.number}`,
            "entry 1",
            `${first.number - 1} older ones were overwritten in time, or cleared`,
        )
}

/** Judges an exported logbook: signatures, chain, gaps, truncation by number, resets. */
export function judgeLogbook(source: string, log: LogbookExport, judgement: Judgement): Verdict {
    const findings = new Findings()
    const entries = new Map<number, LogEntry>()
    let head: LogHead | undefined
    let last: SignedAnswer | undefined
    let path: Certificate[] = []
    const evidence = { ...log, request: Buffer.alloc(0) }
    log.answers.forEach(({ request, sml }, i) => {
        const own = new Findings()
        const file = judgeFrame(own, sml)
        try {
            const answer = file && readAnswer(file)
            const read = answer && readLog(answer, log.kind)
            if (answer) {
                const command = readStored(own, request)
                path = judgeAnswer(own, answer, command, evidence, judgement, momentOf(answer, evidence, judgement))
                const id = answer.serverId.toString("hex")
                own.check(id === log.serverId, "device", clause, "PublicOpen.Res", log.serverId, id)
            }
            if (answer && read) {
                for (const entry of read.entries) entries.set(entry.number, entry)
                // Several answers make one export only if nothing was entered between them.
                if (
                    head &&
                    (head.hash !== read.head.hash || head.first !== read.head.first || head.count !== read.head.count)
                )
                    own.failed("one state", clause, "head", `the head of answer 1, ${head.hash}`, read.head.hash)
                head = head ?? read.head
                last = answer
            } else own.failed("logbook", clause, "answer", `the ${log.kind} logbook`, "another answer")
        } catch (error) {
            if (!(error instanceof SmlDamage)) throw error
            own.failed("logbook", clause, `octet ${error.at}`, error.expected, error.came)
        }
        const place = log.answers.length > 1 ? `answer ${i + 1}, ` : ""
        findings.list.push(...own.list.map(each => ({ ...each, place: `${place}${each.place}` })))
    })
    const sorted = [...entries.values()].sort((a, b) => a.number - b.number)
    if (head) judgeChainOf(findings, log, sorted, head)
    else if (log.answers.length === 0)
        findings.failed("logbook", clause, "answers", "the device's signed answers", "none")
    if (last) judgeTime(findings, last, log.receivedAt)
    const at = momentOf(last, evidence, judgement)
    const since = judgeSince(findings, path, at.atSeconds, nowOf(judgement))
    const name = nameOf(findings, false)
    const reading: Record<string, string> = {}
    for (const entry of sorted)
        reading[`entry ${entry.number}`] = entryText(entry)
            .trim()
            .replace(/^\d+ +/, "")
    const result = { source, kind: `plomb logbook, ${log.kind}`, name, findings: findings.list, reading }
    const statement =
        head && last
            ? told(log, findings, sorted, head, last, name === "not proof" ? undefined : since)
            : "This is not proof: no logbook could be read."
    const judged = head &&
        last && {
            source,
            serverId: log.serverId,
            kind: log.kind,
            entries: sorted,
            head,
            secondsIndex: last.secondsIndex,
        }
    return { ...result, statement, log: judged }
}

function told(
    log: LogbookExport,
    findings: Findings,
    entries: LogEntry[],
    head: LogHead,
    answer: SignedAnswer,
    since: string | undefined,
): string {
    const device = `${log.serverId.length === 14 ? "MUC" : "meter"} ${log.serverId.toUpperCase()}`
    if (since === undefined) {
        const [first] = findings.open.filter(each => each.result === "failed").concat(findings.open)
        return `This is not proof: ${first.check} ${first.result === "failed" ? "fails" : "is not shown"} (${first.place}: expected ${first.expected}, came ${first.came}).`
    }
    const when = answer.utc > 0 ? isoOf(answer.utc) : `second ${answer.secondsIndex}`
    const [nobody, known] = head.attempts
    const attempts = nobody + known > 0 ? ` ${nobody + known} more attempts were only counted.` : ""
    return `The ${log.kind} logbook of ${device} at ${when}: ${entries.length} entries, ${span(entries)}, none missing or altered.${attempts}${since}`
}

/** The same for the text of a file; a text that is none is a finding, not an error. */
export function judgeLogbookText(source: string, text: string, judgement: Judgement): Verdict {
    try {
        return judgeLogbook(source, parseLogbook(text), judgement)
    } catch (error) {
        if (!(error instanceof EvidenceError)) throw error
        const findings = new Findings()
        findings.failed("logbook file", "plomb-logbook/1", error.field, error.expected, error.came)
        const statement = `This is not proof: it is no exported logbook (${error.message}).`
        return { source, kind: "plomb logbook", name: "not proof", statement, findings: findings.list, reading: {} }
    }
}
