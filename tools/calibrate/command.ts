import { existsSync } from "node:fs"
import { mkdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline/promises"
import { readArgs, UsageError } from "../cli/usage.ts"
import { replaceFile } from "../pki/files.ts"
import { readPassphrase } from "../pki/passphrase.ts"
import { type BatchRow, readBatch, readSerial } from "./batch.ts"
import { openBoard } from "./boards.ts"
import { certifierOf, instituteCrls } from "./certifier.ts"
import { judgeWith } from "./judge.ts"
import type { CalibrationProtocol } from "./protocol.ts"
import { fingerprint, protocolPage } from "./protocol.ts"
import { referenceFromFile } from "./reference.ts"
import { calibrateMeter, serverIdOf } from "./station.ts"

export const help = `plomb calibrate: the calibration station

  plomb calibrate --board vm --serial N [--state DIR]        a meter in the VM, its chips kept in DIR
  plomb calibrate --board serial:PORT --serial N --reference FILE.json
  plomb calibrate --batch FILE.csv                           columns serial, board[, hardware]

  --pki DIR          PKI of \`plomb pki init\` (default pki)
  --out DIR          protocols: SERVERID.calibration.json and .html (default calibration)
  --hardware TEXT    hardware model (default "plomb-1")
  --reference FILE   what the reference standard read at the points gain, phase and proof
  --passphrase-env V, --passphrase-file F   of the calibration authority's key
  --state DIR        chips of VM boards, a folder each (default .plomb/state: meter N in meter-N)
  --yes              do not ask before the steps that can not be undone
  --json             the protocol on standard output, nothing else

A broken link loses nothing: the meter counts its steps, run the same command again. A meter that is
calibrated is refused. Final are: the key holder's configuration (step "key made") and sealing.`

interface Options {
    pki: string
    out: string
    reference?: string
    state?: string
    yes: boolean
    json: boolean
    passphrase?: string
}

/** Runs the station for one meter or a batch; 1 when any meter could not be calibrated. */
export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            board: { type: "string" },
            serial: { type: "string" },
            batch: { type: "string" },
            pki: { type: "string", default: "pki" },
            out: { type: "string", default: "calibration" },
            hardware: { type: "string", default: "plomb-1" },
            reference: { type: "string" },
            state: { type: "string" },
            "passphrase-env": { type: "string" },
            "passphrase-file": { type: "string" },
            yes: { type: "boolean", default: false },
            json: { type: "boolean", default: false },
        },
    })
    if (Buffer.byteLength(values.hardware!) > 31) throw new UsageError("--hardware: expected at most 31 octets")
    const options: Options = {
        pki: values.pki!,
        out: values.out!,
        reference: values.reference,
        state: values.state,
        yes: values.yes!,
        json: values.json!,
        passphrase: readPassphrase(values),
    }
    if (!existsSync(join(options.pki, "calibration-authority", "cert.pem")))
        throw new UsageError(`there is no PKI in "${options.pki}": make one with plomb pki init ${options.pki}`)
    if (values.batch) {
        if (values.board || values.serial) throw new UsageError("--batch stands instead of --board and --serial")
        return runBatch(await readBatch(values.batch, values.hardware!), options)
    }
    if (!values.board || !values.serial) throw new UsageError("expected --board and --serial, or --batch; see --help")
    const row = {
        line: 0,
        board: values.board,
        serial: readSerial(values.serial, "--serial"),
        hardware: values.hardware!,
    }
    const protocol = await calibrateOne(row, options)
    if (options.json) console.log(JSON.stringify(protocol, null, 4))
    return 0
}

async function runBatch(rows: BatchRow[], options: Options): Promise<number> {
    const results: { serial: number; board: string; result: string }[] = []
    let failed = 0
    for (const [index, row] of rows.entries()) {
        say(options, `\n[${index + 1}/${rows.length}] meter ${row.serial} on ${row.board}`)
        let result = "calibrated"
        if (existsSync(join(options.out, `${serverIdOf(row.serial)}.calibration.json`)))
            result = "was calibrated before"
        else
            try {
                await calibrateOne(row, options)
            } catch (error) {
                failed++
                result = `failed: ${(error as Error).message}`
            }
        say(options, `  ${result}`)
        results.push({ serial: row.serial, board: row.board, result })
    }
    if (options.json) console.log(JSON.stringify(results, null, 4))
    else say(options, `\n${rows.length - failed} of ${rows.length} meters are calibrated`)
    return failed === 0 ? 0 : 1
}

async function calibrateOne(row: BatchRow, options: Options): Promise<CalibrationProtocol> {
    const ask = (text: string) => pause(text, options)
    const reference = options.reference ? await referenceFromFile(options.reference, ask) : undefined
    const board = await openBoard(row.board, {
        serial: row.serial,
        state: options.state ?? join(".plomb", "state"),
        reference,
    })
    const stem = join(options.out, serverIdOf(row.serial))
    try {
        const found = await board.meter.identify()
        say(options, `meter found: step ${found.step} of 5${found.serial ? `, serial ${found.serial}` : ", bare"}`)
        if (found.step < 5 && !options.yes)
            await confirm(`Two steps are final: the key holder's configuration is locked, and calibration is closed.`)
        await mkdir(options.out, { recursive: true })
        const protocol = await calibrateMeter({
            meter: board.meter,
            serial: row.serial,
            hardware: row.hardware,
            reference: board.reference,
            certifier: certifierOf(options.pki, options.passphrase),
            judge: judgeWith(instituteCrls(options.pki)),
            now: () => new Date(),
            onStep: (name, final) => say(options, `- ${name}${final ? `\n    FINAL: ${final}` : ""}`),
            onProgress: text => say(options, `    ${text}`),
            earlier: await readPartial(`${stem}.partial.json`),
            remember: async partial => replaceFile(`${stem}.partial.json`, JSON.stringify(partial, null, 4)),
        })
        replaceFile(`${stem}.calibration.html`, protocolPage(protocol))
        replaceFile(`${stem}.calibration.json`, JSON.stringify(protocol, null, 4) + "\n")
        await rm(`${stem}.partial.json`, { force: true })
        say(
            options,
            `calibrated: ${protocol.serverId}, key ${fingerprint(protocol.publicKey)} (${protocol.keyProtection})`,
        )
        say(options, `protocol: ${stem}.calibration.json, to print: ${stem}.calibration.html`)
        return protocol
    } finally {
        await board.close()
    }
}

async function readPartial(path: string): Promise<Partial<CalibrationProtocol> | undefined> {
    if (!existsSync(path)) return undefined
    try {
        return JSON.parse(await readFile(path, "utf8"))
    } catch {
        throw new Error(`${path} is damaged: remove it, the meter keeps its own count of the steps`)
    }
}

function say(options: Options, text: string): void {
    if (!options.json) console.log(text)
}

async function question(text: string): Promise<string> {
    if (!process.stdin.isTTY) throw new Error(`${text} Nobody is here to answer: pass --yes`)
    const terminal = createInterface({ input: process.stdin, output: process.stdout })
    try {
        return await terminal.question(text)
    } finally {
        terminal.close()
    }
}

async function confirm(text: string): Promise<void> {
    const answer = await question(`${text} Go on? [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error("stopped before anything was changed")
}

async function pause(text: string, options: Options): Promise<void> {
    if (options.yes) say(options, `    ${text}`)
    else await question(`    ${text} Then press Enter. `)
}
