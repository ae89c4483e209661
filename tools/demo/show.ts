import type { Finding, Verdict } from "../verify/findings.ts"

/** Columns of the demo's output. */
const width = 100
const indent = "   "

/** Text in lines of at most `width` columns, each after `head`, the first after `first`. */
export function wrap(text: string, head = indent, first = head): string[] {
    const lines: string[] = []
    let line = first
    let empty = true
    for (const word of text.split(" ")) {
        if (!empty && line.length + 1 + word.length > width) {
            lines.push(line)
            line = head
            empty = true
        }
        line += empty ? word : ` ${word}`
        empty = false
    }
    return [...lines, line]
}

/** Checks that belong together, in words for a newcomer; what is in none of them goes under its own name. */
const groups: [string, string[]][] = [
    ["arrived whole", ["transport CRC", "message CRC", "SML structure"]],
    [
        "answers the question that was asked",
        ["answer to the request", "answer of the meter asked", "transaction of the request"],
    ],
    ["has the form of a signed reading", ["signing profile", "structure of the signed list"]],
    [
        "the institute vouches for the meter's key",
        [
            "institute anchor",
            "certificate signature",
            "certificate validity",
            "certificate profile",
            "meter named by the certificate",
            "revocation",
        ],
    ],
    ["signed with that key, unaltered since", ["signature"]],
    ["the key can not leave the meter", ["key custody"]],
    ["the time can be believed", ["time", "time of receipt"]],
    ["the meter says it is sealed and sound", ["state of the meter"]],
    ["the software is known", ["software identification", "metrological module"]],
]

/** The verdict: what failed first, what was proved in groups, then the sentence. With `all`, each finding. */
export function verdictLines(verdict: Verdict, all: boolean): string[] {
    const { findings } = verdict
    const failed = findings.filter(({ result }) => result === "failed")
    const lines = failed.flatMap(({ check, expected, came }) => [
        ...wrap(`${check}: ${came}`, `${indent}  `, `${indent}X `),
        ...wrap(`expected ${expected}`, `${indent}  `),
    ])
    if (all) lines.push(...findings.filter(({ result }) => result !== "failed").flatMap(one))
    else lines.push(...grouped(findings))
    return [...lines, "", ...wrap(`${verdict.name.toUpperCase()}. ${verdict.statement}`, indent, "=> ")]
}

function one({ check, result, came }: Finding): string[] {
    return wrap(`${check}: ${came}`, `${indent}  `, `${indent}${result === "proved" ? "+" : "-"} `)
}

function grouped(findings: Finding[]): string[] {
    const known = groups.flatMap(([, checks]) => checks)
    const others = findings.map(({ check }) => check).filter(check => !known.includes(check))
    const unsaid: string[] = []
    const lines: string[] = []
    for (const [name, checks] of [...groups, ...[...new Set(others)].map((c): [string, string[]] => [c, [c]])]) {
        const mine = findings.filter(({ check }) => checks.includes(check))
        if (mine.length === 0 || mine.some(({ result }) => result === "failed")) continue
        if (mine.some(({ result }) => result !== "proved")) {
            unsaid.push(name)
            continue
        }
        const count = mine.length === 1 ? "1 check" : `${mine.length} checks`
        lines.push(`${indent}+ ${name.padEnd(44)} ${count}`)
    }
    if (unsaid.length > 0)
        lines.push(
            ...wrap(`not shown without a signature that holds: ${unsaid.join("; ")}`, `${indent}  `, `${indent}- `),
        )
    return lines
}

const names: Record<string, string> = {
    meter: "meter",
    time: "time of the reading",
    pagination: "number of this reading",
    "1-0:1.8.0": "energy drawn",
    "1-0:1.8.1": "  of it tariff 1",
    "1-0:1.8.2": "  of it tariff 2",
    "1-0:1.8.3": "  of it tariff 3",
    "1-0:1.8.4": "  of it tariff 4",
    "1-0:2.8.0": "energy fed in",
    "1-0:16.7.0": "power at that moment",
    module: "software that measured",
    status: "status word",
}
/** Digits shown of a checksum; whole it is in the evidence and in what `plomb verify` says. */
const shown = 16

/** The reading as a small table: what it is, OBIS code, value. */
export function readingLines(reading: Record<string, string>): string[] {
    const { "module SHA-256": checksum, ...rest } = reading
    return Object.entries(rest).map(([key, value]) => {
        const code = key.includes(":") ? key : ""
        const more = key === "module" && checksum ? `, SHA-256 ${checksum.slice(0, shown)}…` : ""
        return `${indent}${(names[key] ?? key).padEnd(24)} ${code.padEnd(12)} ${value}${more}`
    })
}
