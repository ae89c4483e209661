import { readArgs, UsageError } from "../cli/usage.ts"
import type { Where } from "./cases/on-ground.ts"
import { expected, type Matrix, passed, type Report, reportText, unexpected } from "./report.ts"
import { type Asked, type Scenario, scenarios } from "./scenarios.ts"

export const help = `plomb bench [NAME|all] [--in node|vm] [--hours N] [--list] [--json]

Without a name: plays the use cases of the paper's chapter 5 on the running images and prints their matrix. With one: runs it
and prints what came of each trial; "NO:" marks what should not have come out so, and the exit code is 1.

${scenarios.map(each => `  ${each.name.padEnd(18)} ${each.purpose}`).join("\n")}

  --in PLACE of software-download and software-rollback: the meter's program in Node (quick), or the stock VM with its MUC
  --hours N  of a scenario that plays a day: only so long (1 to 48)
  --list     the scenarios there are, and nothing is run
  --json     the same for machines, and nothing else, on standard output

Trials that need a program which is not installed are "not run"; with PLOMB_INSIST=1 that fails too.`

/** `plomb bench`. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: {
            json: { type: "boolean", default: false },
            list: { type: "boolean", default: false },
            hours: { type: "string" },
            in: { type: "string" },
        },
    })
    const [name, more] = positionals
    const hours = values.hours === undefined ? undefined : Number(values.hours)
    if (hours !== undefined && !(Number.isInteger(hours) && hours >= 1 && hours <= 48))
        throw new UsageError(`--hours takes 1 to 48, not "${values.hours}"`)
    if (more !== undefined) throw new UsageError("one scenario, or all")
    if (values.list) {
        if (values.json)
            console.log(JSON.stringify(scenarios.map(({ name, purpose, useCase }) => ({ name, purpose, useCase }))))
        else for (const each of scenarios) console.log(`  ${each.name.padEnd(18)} ${each.purpose}`)
        return 0
    }
    const chosen = scenarios.filter(each =>
        name === undefined ? each.useCase !== undefined : name === "all" || each.name === name,
    )
    if (chosen.length === 0)
        throw new UsageError(`there is no scenario "${name}": ${scenarios.map(each => each.name).join(", ")}`)
    const where = placeOf(values.in, chosen)
    const insist = process.env.PLOMB_INSIST === "1"
    const results: Result[] = []
    for (const scenario of chosen) {
        const began = Date.now()
        const report = await reportOf(scenario, name === undefined, { hours, where })
        const good = passed(report, insist)
        results.push({ scenario, report, good, seconds: (Date.now() - began) / 1000 })
        if (!values.json && (name !== undefined || !good))
            console.log(`${reportText(report)}\n${scenario.name}: ${good ? "passed" : "FAILED"}`)
    }
    const objects = results.map(({ scenario, report, good }) => ({ name: scenario.name, passed: good, ...report }))
    if (values.json)
        console.log(JSON.stringify(name === "all" || name === undefined ? objects : objects[0], undefined, 1))
    else if (name === undefined) console.log(reportText({ matrices: [useCases(results)], notes: [] }))
    return results.every(({ good }) => good) ? 0 : 1
}

/** Where the chosen scenarios are to play; undefined: each at its usual place. */
function placeOf(text: string | undefined, chosen: Scenario[]): Where | undefined {
    if (text === undefined) return undefined
    if (text !== "node" && text !== "vm") throw new UsageError(`--in ${text}: node or vm`)
    const other = chosen.find(({ places = ["vm"] }) => !places.includes(text))
    if (other) throw new UsageError(`${other.name} plays in the VM only`)
    return text
}

interface Result {
    scenario: Scenario
    report: Report
    good: boolean
    seconds: number
}

/** Of many, one that breaks off is one that failed; the others still run. */
async function reportOf(scenario: Scenario, many: boolean, asked: Asked): Promise<Report> {
    const { run } = await scenario.load()
    const play = { ...asked, where: asked.where ?? scenario.places?.[0] }
    if (!many) return run(play)
    try {
        return await run(play)
    } catch (error) {
        const why = (error as Error).message
        const rows = [{ names: [scenario.name], cells: [unexpected("broken off", why)] }]
        return { matrices: [{ title: scenario.purpose, head: ["use case", "came"], rows }], notes: [] }
    }
}

/** One row a use case: did its success path work, was refused what must be? */
function useCases(results: Result[]): Matrix {
    const rows = results.map(({ scenario, report, good, seconds }) => {
        const { successes = 0, refusals = 0 } = report.counts ?? {}
        const why = `see plomb bench ${scenario.name}`
        const cell = (text: string) => (good ? expected(text) : unexpected(text, why))
        return {
            names: [scenario.useCase ?? "", scenario.name],
            cells: [
                cell(`${successes} steps as told`),
                cell(`${refusals} refused`),
                expected(`${seconds.toFixed(1)} s`),
            ],
        }
    })
    return { title: "Use cases", head: ["use case", "scenario", "success path", "refusals", "took"], rows }
}
