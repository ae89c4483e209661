import { readArgs, UsageError } from "../cli/usage.ts"
import { passed, reportText } from "./report.ts"
import { scenarios } from "./scenarios.ts"

export const help = `plomb bench [NAME|all] [--json]

Without a name: the scenarios there are. With one: runs it and prints what came of each trial; "NO:" marks what should
not have come out so, and the exit code is 1.

${scenarios.map(each => `  ${each.name.padEnd(16)} ${each.purpose}`).join("\n")}

  --json   the same for machines, and nothing else, on standard output

Trials that need a program which is not installed are "not run"; with PLOMB_INSIST=1 that fails too.`

/** `plomb bench`. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: { json: { type: "boolean", default: false } },
    })
    const [name, more] = positionals
    if (more !== undefined) throw new UsageError("one scenario, or all")
    if (name === undefined) {
        if (values.json)
            console.log(JSON.stringify(scenarios.map(each => ({ name: each.name, purpose: each.purpose }))))
        else for (const each of scenarios) console.log(`  ${each.name.padEnd(16)} ${each.purpose}`)
        return 0
    }
    const chosen = scenarios.filter(each => name === "all" || each.name === name)
    if (chosen.length === 0)
        throw new UsageError(`there is no scenario "${name}": ${scenarios.map(each => each.name).join(", ")}`)
    const insist = process.env.PLOMB_INSIST === "1"
    const results: object[] = []
    let failed = false
    for (const scenario of chosen) {
        const report = await (await scenario.load()).run()
        const good = passed(report, insist)
        failed ||= !good
        if (values.json) results.push({ name: scenario.name, passed: good, ...report })
        else console.log(`${reportText(report)}\n${scenario.name}: ${good ? "passed" : "FAILED"}`)
    }
    if (values.json) console.log(JSON.stringify(name === "all" ? results : results[0], undefined, 1))
    return failed ? 1 : 0
}
