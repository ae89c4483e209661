import { readArgs, UsageError } from "../cli/usage.ts"
import { campaigns } from "./campaign.ts"

export const help = `plomb campaign NAME [--count N|--all] [--seed S] [--in node|vm]

${campaigns.map(each => `  ${each.name.padEnd(18)} ${each.summary}`).join("\n")}

  --count N     cases (each campaign has its own default); --runs is the same
  --all         every case there is, where they can be counted: authority-cuts, software-cuts
  --seed S      another seed gives other cases; the same seed the same (default 1)
  --run N       plugs: this run of the seed alone
  --from N      plugs: begin with this run
  --vm N        plugs: one run in N has a MUC and a meter in the VM (default 5; 0 = none)
  --json        JSON lines: the cases of plugs, and of every campaign the end
  --in node|vm  where the code under test runs (default node)`

function wholeNumber(name: string, text: string): number {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
        throw new UsageError(`--${name}: "${text}" is no whole number`)
    return value
}

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: {
            count: { type: "string" },
            runs: { type: "string" },
            all: { type: "boolean", default: false },
            run: { type: "string" },
            from: { type: "string" },
            vm: { type: "string" },
            json: { type: "boolean" },
            seed: { type: "string", default: "1" },
            in: { type: "string", default: "node" },
        },
        allowPositionals: true,
    })
    const campaign = campaigns.find(each => each.name === positionals[0])
    if (!campaign || positionals.length > 1)
        throw new UsageError(`say which campaign: ${campaigns.map(each => each.name).join(", ")}`)
    const where = values.in
    if (where !== "node" && where !== "vm") throw new UsageError(`--in ${where}: node or vm`)
    const asked = values.count ?? values.runs
    const usual = values.all ? Number.MAX_SAFE_INTEGER : campaign.count[where]
    const count = asked === undefined ? usual : wholeNumber("count", asked)
    const number = (name: "run" | "from" | "vm") =>
        values[name] === undefined ? undefined : wholeNumber(name, values[name])
    const seed = wholeNumber("seed", values.seed)
    const more = {
        only: number("run"),
        from: number("from"),
        each: number("vm"),
        onCase: values.json ? (what: object) => console.log(JSON.stringify(what)) : undefined,
    }
    const { summary, failures, cases = count } = await (await campaign.load()).run(count, seed, where, more)
    if (values.json) console.log(JSON.stringify({ campaign: campaign.name, seed, in: where, cases, summary, failures }))
    else {
        for (const line of summary) console.log(line)
        for (const line of failures.slice(0, 20)) console.error(line)
        if (failures.length > 20) console.error(`and ${failures.length - 20} more`)
        console.log(`${campaign.name}: ${cases} cases with seed ${seed} in ${where}: ${failures.length} failures`)
    }
    return failures.length > 0 ? 1 : 0
}
