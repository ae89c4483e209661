import { basename, dirname } from "node:path"
import { readArgs, UsageError } from "../cli/usage.ts"
import { readVectorFile, type VectorFile, vectorFiles } from "./files.ts"
import { type Result, runFormat } from "./run.ts"

export const help = `plomb vectors FILE|DIR… [--in node|vm] [--json]

Puts public test vectors to the firmware's core: ECDSA and ECDH P-256, ChaCha20-Poly1305, AES-GCM, AES-CBC, HMAC, HKDF
(Wycheproof, ACVP), key schedule of TLS 1.3 (ACVP, RFC 8448), X.509 (x509-limbo, Mbed TLS), SML (recorded
meters), HSS/LMS (Botan, TF-PSA-Crypto, ACVP), CBOR and COSE signatures (examples of their RFCs), AES-CMAC (Wycheproof, ACVP), wired
and wireless M-Bus and OMS (recorded meters, OMS annex N), IEC 62056-21 and P1, DLMS/COSEM with HDLC (recorded meters, Green Book).
A folder stands for all files in it.

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
        tallies.push(tally)
        if (!values.json && !postponed(tally)) print(tally)
    }
    const later = tallies.filter(postponed)
    if (!values.json) for (const files of byFolder(later)) printLater(files)
    const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0)
    const passed = sum(tally => tally.passed)
    const failed = sum(tally => tally.failed.length)
    const unsupported = sum(tally => (postponed(tally) ? 0 : Object.values(tally.unsupported).flat().length))
    if (values.json) {
        const counts = { passed, failed, unsupported, laterFiles: later.length }
        console.log(JSON.stringify({ in: where, ...counts, files: tallies }, undefined, 2))
    } else {
        const place = where === "vm" ? "the VM" : "Node"
        const rest = later.length > 0 ? `; ${later.length} files wait for later work` : ""
        console.log(`${passed} passed, ${failed} failed, ${unsupported} not supported, in ${place}${rest}`)
    }
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

/** A file of a format that later work brings: no case of it was run. */
function postponed(tally: Tally): boolean {
    return Object.values(tally.unsupported)[0]?.[0] === "all"
}

/** Files of one folder that are left out for one reason, in the order they came. */
function byFolder(tallies: Tally[]): Tally[][] {
    const groups = new Map<string, Tally[]>()
    for (const tally of tallies) {
        const key = `${dirname(tally.path)} ${tally.format}`
        groups.set(key, [...(groups.get(key) ?? []), tally])
    }
    return [...groups.values()]
}

function printLater(files: Tally[]): void {
    const [{ path, format, unsupported }] = files
    const names = files.map(file => basename(file.path))
    const shown = names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ")
    console.log(`${dirname(path)}: ${format}: not supported: ${Object.keys(unsupported)[0]}\n        ${shown}`)
}

function print(tally: Tally): void {
    console.log(`${tally.path}: ${tally.format}: ${tally.passed} passed, ${tally.failed.length} failed`)
    for (const { id, why } of tally.failed) console.log(`    FAILED ${id}: ${why}`)
    for (const [reason, ids] of Object.entries(tally.unsupported))
        console.log(`    ${ids.length} not supported: ${reason}\n        ${ids.join(", ")}`)
}
