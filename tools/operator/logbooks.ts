import {
    logbookPath,
    logbookResetPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
} from "../../firmware/core/sml-parameter.ts"
import { UsageError } from "../cli/usage.ts"
import { writeAtomically } from "../evidence/format.ts"
import { readAnswer } from "../verify/answer-file.ts"
import { judgeLogbook } from "../verify/logbook.ts"
import {
    type LogbookExport,
    type LogbookKind,
    type LogEntry,
    type LogHead,
    logbookText,
    readLog,
} from "../verify/logbook-file.ts"
import { entryText } from "../verify/logbook-words.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import { fromNumber, get, set, word } from "./requests.ts"
import type { Session } from "./session.ts"

/** Longest export, in answers. */
const mostAnswers = 64
/** Asks for the head alone: nothing is as new as this. */
const beyond = 0xffffffff

const paths: Record<LogbookKind, { read: Buffer; reset: Buffer }> = {
    metrological: { read: metrologicalLogbookPath, reset: metrologicalResetPath },
    device: { read: logbookPath, reset: logbookResetPath },
}

/** Which logbook a role may read at delivery; undefined: none. */
function readableBy(role: number | undefined, meter: boolean): LogbookKind | undefined {
    if (role === undefined) return undefined
    if (role <= 1) return meter ? "metrological" : undefined
    return role <= 4 || role === 7 ? "device" : undefined
}

/** Reads a logbook to its end, shows and judges it; `outPath` keeps the export, `reset` clears what was read. */
export async function logbook(
    session: Session,
    kind: LogbookKind,
    judgement: { anchors: string[] },
    { outPath, reset = false }: { outPath?: string; reset?: boolean },
): Promise<void> {
    if (reset && outPath === undefined && !session.dry)
        throw new UsageError("reset clears what was read: keep it with --out FILE")
    const { read, reset: resetPath } = paths[kind]
    const answers: LogbookExport["answers"] = []
    const entries = new Map<number, LogEntry>()
    let head: LogHead | undefined
    let evidence: { chain: string[]; crls: string[]; commandChain?: string[]; receivedAt: string } | undefined
    for (let from = 0; answers.length < mostAnswers; ) {
        const told = await session.tell([get(read, fromNumber(from))], { quiet: answers.length > 0 })
        if (!told) return
        const log = readLog(readAnswer(readSmlFile(told.answer)), kind)
        if (!log) return session.fail("  The answer holds no logbook.")
        answers.push({ request: told.request, sml: told.answer })
        evidence = told.evidence
        head = log.head
        const fresh = log.entries.filter(each => !entries.has(each.number))
        for (const entry of fresh) entries.set(entry.number, entry)
        const last = Math.max(...entries.keys())
        if (fresh.length === 0 || last >= head.first + head.count - 1) break
        from = last + 1
    }
    if (!evidence || !head) return
    const { chain, crls, commandChain, receivedAt } = evidence
    const log = { kind, serverId: session.target.toString("hex"), answers, chain, crls, commandChain, receivedAt }
    const sorted = [...entries.values()].sort((a, b) => a.number - b.number)
    for (const entry of sorted) session.say(entryText(entry))
    const verdict = judgeLogbook("logbook", log, judgement)
    session.say(verdict.statement)
    session.result.logbook = {
        kind,
        head,
        entries: sorted.map(each => ({ ...each, detail: each.detail.toString("hex") })),
    }
    session.result.verdict = verdict.name
    if (verdict.findings.some(each => each.result === "failed")) session.failed = true
    if (outPath !== undefined) {
        writeAtomically(outPath, logbookText(log))
        session.say(`Exported to ${outPath}; plomb verify judges it again at any time.`)
    }
    if (reset && !session.failed) {
        const seen = head.first + head.count - 1
        await session.tell([set(resetPath, word(seen))])
    }
}

/** After a change: the entry that tells of it, where the signer may read it at delivery. */
export async function sayEntry(session: Session): Promise<void> {
    const meter = session.target.length === 10
    const { role } = session.party
    const kind = readableBy(role?.role, meter)
    const needed = kind === "metrological" ? 5 : 10
    if (!kind || (role?.rights && !role.rights.has(needed))) return
    const { read } = paths[kind]
    const ask = async (from: number) => {
        const told = await session.talk.tell(session.target, [get(read, fromNumber(from))])
        if (!told.authentic || told.requests[0].outcome !== "answered") return undefined
        return readLog(readAnswer(readSmlFile(told.answer)), kind)
    }
    const head = (await ask(beyond))?.head
    if (!head || head.count === 0) return
    const newest = head.first + head.count - 1
    const entry = (await ask(newest))?.entries.find(each => each.number === newest)
    // Somebody else's entry may have come between, or the change stands in the other logbook.
    if (entry?.signer !== session.party.signer.id) return
    session.say(
        `  Logged as entry ${newest} of its ${kind} logbook: ${entryText(entry)
            .trim()
            .replace(/^\d+ +/, "")}`,
    )
    session.result.entry = { kind, number: newest }
}
