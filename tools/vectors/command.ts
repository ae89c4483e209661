import { dirname } from "node:path"
import { readArgs, UsageError } from "../cli/usage.ts"
import { readVectorFile, type VectorFile, vectorFiles } from "./files.ts"
import { type Result, runFormat } from "./run.ts"

export const help = `plomb vectors FILE|DIR… [--in node|vm] [--json]

Puts public test vectors to the firmware's core: ECDSA and ECDH P-256 (Wycheproof, ACVP), X.509 (x509-limbo,
Mbed TLS), SML (recorded meters). A folder stands for all files in it.

  --in node   in this process (default)
  --in vm     as bytecode in the stock DeviceScript VM
  --json      the result as one JSON object

Exit code 1 if a case failed or a file is in no known format. Formats of later work count as not supported.`

interface Tally {
    path: string
    format: string
    passed: number
    failed: { id: string; why: string }[]
    /** Reason -> ids. */
    unsupported: Record<string, string[]>
}

/** `plomb vectors`: 0 if nothing failed. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: { in: { type: "string", default: "node" }, json: { type: "boolean", default: false } },
    })
    const where = values.in
    if (where !== "node" && where !== "vm") throw new UsageError(`--in is node or vm, not "${where}"`)
    if (positionals.length === 0) throw new UsageError("which files? plomb vectors FILE|DIR… [--in node|vm] [--json]")

    const tallies: Tally[] = []
    let broken = 0
    for (const path of vectorFiles(positionals)) {
        let file: VectorFile
        try {
            file = readVectorFile(path)
        } catch (error) {
            console.error(`plomb vectors: ${(error as Error).message}`)
            ++broken
            continue
        }
        const tally =
            "format" in file
                ? tallyOf(path, file.format.name, await runFormat(file.format, file.cases, where))
                : { path, format: file.name, passed: 0, failed: [], unsupported: { [file.unsupported]: ["all"] } }
        const before = tallies.at(-1)
        tallies.push(tally)
        if (!values.json && !(before && samePostponed(before, tally))) print(tally)
    }
    const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0)
    const passed = sum(tally => tally.passed)
    const failed = sum(tally => tally.failed.length)
    const unsupported = sum(tally => Object.values(tally.unsupported).flat().length)
    if (values.json)
        console.log(JSON.stringify({ in: where, passed, failed, unsupported, files: tallies }, undefined, 2))
    else
        console.log(
            `${passed} passed, ${failed} failed, ${unsupported} not supported, in ${where === "vm" ? "the VM" : "Node"}`,
        )
    return failed > 0 || broken > 0 ? 1 : 0
}

function tallyOf(path: string, format: string, results: Result[]): Tally {
    const tally: Tally = { path, format, passed: 0, failed: [], unsupported: {} }
    for (const { id, verdict } of results) {
        if (verdict === "pass") ++tally.passed
        else if ("fail" in verdict) tally.failed.push({ id, why: verdict.fail })
        else {
            const ids = tally.unsupported[verdict.unsupported] ?? []
            tally.unsupported[verdict.unsupported] = [...ids, id]
        }
    }
    return tally
}

/** Two files of one folder that are left out for one reason: said once. */
function samePostponed(a: Tally, b: Tally): boolean {
    return dirname(a.path) === dirname(b.path) && a.format === b.format && postponed(a) && postponed(b)
}

function postponed(tally: Tally): boolean {
    return Object.values(tally.unsupported)[0]?.[0] === "all"
}

function print(tally: Tally): void {
    const left = Object.entries(tally.unsupported)
    if (postponed(tally)) {
        console.log(`${dirname(tally.path)}: ${tally.format}: not supported: ${left[0][0]}`)
        return
    }
    console.log(`${tally.path}: ${tally.format}: ${tally.passed} passed, ${tally.failed.length} failed`)
    for (const { id, why } of tally.failed) console.log(`    FAILED ${id}: ${why}`)
    for (const [reason, ids] of left)
        console.log(`    ${ids.length} not supported: ${reason}\n        ${ids.join(", ")}`)
}
