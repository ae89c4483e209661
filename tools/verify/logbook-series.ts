import { Findings } from "./findings.ts"
import type { Series } from "./linkage.ts"
import type { JudgedLog } from "./logbook.ts"
import { resetEvent } from "./logbook-words.ts"

const clause = "firmware/core/logbook.ts"

function judgePair(findings: Findings, a: JudgedLog, b: JudgedLog): void {
    const place = `${a.source} and ${b.source}`
    const newestA = a.head.first + a.head.count - 1
    const newestB = b.head.first + b.head.count - 1
    findings.check(
        newestB >= newestA,
        "nothing taken away at the end",
        clause,
        place,
        `entry ${newestA} or a later one as the newest, as an earlier export has it`,
        newestB >= newestA ? `${newestB}` : `${newestB}: ${newestB + 1} to ${newestA} are gone`,
    )
    const before = new Map(a.entries.map(entry => [entry.number, entry.hash]))
    const shared = b.entries.filter(entry => before.has(entry.number))
    const changed = shared.filter(entry => before.get(entry.number) !== entry.hash)
    findings.check(
        changed.length === 0,
        "one history",
        clause,
        place,
        "the same entry under the same number",
        changed.length > 0
            ? `another entry ${changed.map(each => each.number).join(", ")}`
            : `${shared.length} in both`,
    )
    const [first] = b.entries
    if (!first || first.number <= newestA) return
    const last = a.entries[a.entries.length - 1]
    if (first.number > newestA + 1) {
        const between = `${newestA + 1} to ${first.number - 1}`
        findings.missing("entries between the exports", clause, place, between, "in neither of them")
        return
    }
    const what = first.event === resetEvent ? "reset follows what it cleared" : "exports follow one another"
    findings.check(first.previous === last?.hash, what, clause, place, last?.hash ?? "nothing", first.previous)
}

/** Judges the exports of each logbook together, in the order in which they were made: one history, nothing taken away, resets linked. */
export function judgeLogSeries(logs: JudgedLog[]): Series[] {
    const books = new Map<string, JudgedLog[]>()
    for (const log of logs) {
        const key = `${log.serverId} ${log.kind}`
        books.set(key, [...(books.get(key) ?? []), log])
    }
    return [...books.values()]
        .filter(each => each.length > 1)
        .map(exports => {
            exports.sort(
                (a, b) => a.secondsIndex - b.secondsIndex || a.head.first + a.head.count - b.head.first - b.head.count,
            )
            const findings = new Findings()
            for (let i = 1; i < exports.length; ++i) judgePair(findings, exports[i - 1], exports[i])
            const [{ serverId, kind }] = exports
            const complete = findings.open.length === 0
            const book = `${kind} logbook of ${serverId.toUpperCase()}`
            const [open] = findings.open
            const statement = complete
                ? `The ${exports.length} exports of the ${book} are one history.`
                : `The exports of the ${book} are not one unbroken history: ${open.check}: expected ${open.expected}, came ${open.came}.`
            return { serverId, complete, statement, findings: findings.list }
        })
}
