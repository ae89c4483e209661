import type { Finding, Verdict } from "./findings.ts"
import type { Series } from "./linkage.ts"

const order = ["failed", "not shown", "proved"]
const marks = { proved: "proved   ", failed: "FAILED   ", "not shown": "not shown" }

function findingLine({ check, result, clause, place, expected, came }: Finding): string {
    const words = result === "proved" ? came : `expected ${expected}; came ${came}`
    return `  ${marks[result]}  ${check}: ${words}\n             ${place} [${clause}]`
}

/** What is wrong first. */
function inOrder(findings: Finding[]): Finding[] {
    return order.flatMap(result => findings.filter(finding => finding.result === result))
}

/** A verdict for a person: its name, the statement, what the reading says, and each finding with place and clause. */
export function verdictText({ source, kind, name, statement, reading, findings }: Verdict): string {
    const lines = [`${source} (${kind})`, `${name.toUpperCase()}`, statement]
    const values = Object.entries(reading).map(([key, value]) => `${key} ${value}`)
    if (values.length > 0) lines.push(`  ${name === "not proof" ? "it claims" : "the reading"}: ${values.join(", ")}`)
    return [...lines, ...inOrder(findings).map(findingLine)].join("\n")
}

/** The judgement over several readings of one meter. */
export function seriesText({ statement, complete, findings }: Series): string {
    return [complete ? "UNBROKEN SERIES" : "NO UNBROKEN SERIES", statement, ...inOrder(findings).map(findingLine)].join(
        "\n",
    )
}

/** The same for machines; `proof` is what the exit code says of this one. */
export function verdictJson({ source, kind, name, statement, reading, findings }: Verdict): object {
    return { source, kind, verdict: name, proof: isProof(name), statement, reading, findings }
}

/** Does this verdict make exit code 0? Only proof does, and the judgement by a key the person vouches for. */
export function isProof(name: Verdict["name"]): boolean {
    return name === "proof" || name === "signed by the key you named"
}
