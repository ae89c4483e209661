import { type Finding, Findings, type Link, type Verdict } from "./findings.ts"

const clause = "PLOMB-SL, pagination and previous hash"

/** What several readings of one meter say together. */
export interface Series {
    serverId: string
    complete: boolean
    statement: string
    findings: Finding[]
}

interface Member {
    source: string
    link: Link
}

/** "12" or "12 to 14", and at most that. */
function numbers(from: number, to: number): string {
    return from === to ? `${from}` : `${from} to ${to}`
}

function judgePair(findings: Findings, before: Member, after: Member): void {
    const a = before.link
    const b = after.link
    const place = `${before.source} to ${after.source}`
    const next = a.pagination + 1
    if (b.pagination === next) {
        findings.proved("pagination", clause, place, `${next} after ${a.pagination}`, `${b.pagination}`)
        findings.check(
            b.previousHash === a.hash,
            "previous hash",
            clause,
            place,
            `${a.hash} (the signed octets of ${a.pagination})`,
            b.previousHash,
        )
    } else
        findings.failed(
            "pagination",
            clause,
            place,
            `${next} after ${a.pagination}`,
            `${b.pagination}; ${numbers(next, b.pagination - 1)} ${b.pagination - 1 === next ? "is" : "are"} not among these files`,
        )
    if (a.drawn === undefined || b.drawn === undefined || a.fedIn === undefined || b.fedIn === undefined) return
    findings.check(
        b.drawn >= a.drawn && b.fedIn >= a.fedIn,
        "registers never go back",
        "MID annex I 7.4",
        place,
        `1-0:1.8.0 and 1-0:2.8.0 from ${a.drawn} and ${a.fedIn} upwards (0.1 Wh)`,
        `${b.drawn} and ${b.fedIn}`,
    )
    if (a.secondsIndex === undefined || b.secondsIndex === undefined) return
    findings.check(
        b.secondsIndex >= a.secondsIndex,
        "seconds index never goes back",
        "PLOMB-SL, seconds index",
        place,
        `${a.secondsIndex} or more`,
        `${b.secondsIndex}`,
    )
}

/**
 * Judges the readings of each meter together: sorted by pagination, none twice with different content, none
 * missing, each naming the hash of the one before. Only meters with two readings or more get a series.
 */
export function judgeSeries(verdicts: Verdict[]): Series[] {
    const meters = new Map<string, Member[]>()
    for (const { source, link } of verdicts) {
        if (!link) continue
        const members = meters.get(link.serverId) ?? []
        members.push({ source, link })
        meters.set(link.serverId, members)
    }
    const series: Series[] = []
    for (const [serverId, members] of meters) {
        if (members.length < 2) continue
        const findings = new Findings()
        const chain: Member[] = []
        for (const member of members.sort((a, b) => a.link.pagination - b.link.pagination)) {
            // What an unsigned reading says of itself counts for nothing.
            if (!member.link.signed) {
                findings.failed(
                    "signature",
                    clause,
                    member.source,
                    "a signed reading",
                    "one whose signature does not hold: left out",
                )
                continue
            }
            const last = chain[chain.length - 1]
            if (last?.link.pagination !== member.link.pagination) chain.push(member)
            else if (last.link.hash === member.link.hash)
                findings.unshown(
                    "duplicate",
                    clause,
                    `${last.source} and ${member.source}`,
                    "each reading once",
                    "the same reading twice",
                )
            else
                findings.failed(
                    "pagination",
                    clause,
                    `${last.source} and ${member.source}`,
                    `one content for number ${last.link.pagination}`,
                    "two different ones",
                )
        }
        for (let i = 1; i < chain.length; ++i) judgePair(findings, chain[i - 1], chain[i])
        const complete = findings.open.length === 0 && chain.length > 0
        const missing = findings.open
            .filter(each => each.check === "pagination")
            .map(each => each.came.slice(each.came.indexOf(";") + 1).trim())
        const span =
            chain.length > 0 ? numbers(chain[0].link.pagination, chain[chain.length - 1].link.pagination) : "none"
        const statement = complete
            ? `The readings ${span} of meter ${serverId.toUpperCase()} follow one another without a gap; each names the one before.`
            : `The readings of meter ${serverId.toUpperCase()} are no unbroken series: ${missing.join(", ") || `${findings.open[0]?.check}: ${findings.open[0]?.came}`}.`
        series.push({ serverId, complete, statement, findings: findings.list })
    }
    return series
}
