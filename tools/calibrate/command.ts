import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { readArgs, UsageError } from "../cli/usage.ts"
import type { FieldProgram } from "../desk/desk.ts"
import { replaceFile } from "../pki/files.ts"
import { readPassphrase } from "../pki/passphrase.ts"
import { type PublishTo, publishTo } from "../pki/publish-words.ts"
import { type BatchRow, isBoard, mostHardware, readBatch, readSerial } from "./batch.ts"
import { openBoard } from "./boards.ts"
import { certifierOf, instituteCrls } from "./certifier.ts"
import { judgeWith } from "./judge.ts"
import type { CalibrationProtocol, PartialProtocol } from "./protocol.ts"
import { attestationEvidence, fingerprint, protocolPage } from "./protocol.ts"
import { type ReferenceSource, referenceFromFile } from "./reference.ts"
import { confirm, makeWritable, question, readPartial } from "./session.ts"
import { calibrateMeter, serverIdOf } from "./station.ts"

export const help = `plomb calibrate: the calibration station

  plomb calibrate --board vm --serial N [--state DIR]      a meter in the VM, its chips kept in DIR
  plomb calibrate --board serial:PORT --serial N --reference FILE.json --line PORT
  plomb calibrate --batch FILE.csv                           columns serial, board[, hardware]

  --pki DIR          PKI of \`plomb pki init\` (default pki)
  --out DIR          protocols: SERVERID.calibration.json and .html (default calibration)
  --hardware TEXT    hardware model (default "plomb-1")
  --image NAME       what the meter is to measure with: meter (default), or meter_master, which reads gas and water meters
  --reference FILE   what the reference standard read at the points gain, phase and proof:
                     {"gain": {"volts": 230.02, "amperes": 5.001, "lagDegrees": 0.1, "hertz": 50}, …}
  --passphrase-env V, --passphrase-file F   of the calibration authority's key
  --publish URL      puts each meter's certificate into this directory (ldaps: as the calibration authority; with
                     --writer-password-file F as cn=writer,o=plomb); where that fails, the calibration stands (exit 1)
  --line PORT        RS-485 adapter on the line of a real meter: there it is asked, once sealed, what it runs
  --state DIR        chips of VM boards, a folder each (default .plomb/state: meter N in meter-N)
  --yes              do not ask before the steps that can not be undone
  --json             the protocol on standard output, nothing else

A board is calibrated by the image meter_calibration (\`plomb flash meter_calibration\`). Once it is sealed the station puts the field
image on it, over the same USB, and asks it as the calibration authority what it runs: name and checksum of the software, signed by
the meter's key, stand in the protocol and, for \`plomb verify\`, in SERVERID.attestation.evidence.json.

What can be checked is checked before anything final. A broken link, a power cut or Ctrl-C loses nothing: the
meter counts its steps, run the same command again. A meter that is calibrated is refused. A batch goes on
after a meter that failed, and skips those whose protocol is in --out.
Final are: the key holder's configuration (step "key made") and sealing.`

interface Options {
    image: FieldProgram
    pki: string
    out: string
    reference?: ReferenceSource
    line?: string
    state?: string
    yes: boolean
    json: boolean
    passphrase?: string
    publish?: PublishTo
    /** Server ids whose certificates could not be published. */
    unpublished: string[]
}

/** Set by Ctrl-C: the station stops before its next step. */
let stopping = new AbortController()

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
            image: { type: "string", default: "meter" },
            reference: { type: "string" },
            line: { type: "string" },
            state: { type: "string" },
            "passphrase-env": { type: "string" },
            "passphrase-file": { type: "string" },
            publish: { type: "string" },
            "writer-password-file": { type: "string" },
            yes: { type: "boolean", default: false },
            json: { type: "boolean", default: false },
        },
    })
    const hardware = values.hardware!
    if (Buffer.byteLength(hardware) > mostHardware)
        throw new UsageError(`--hardware: expected at most ${mostHardware} octets`)
    if (values.image !== "meter" && values.image !== "meter_master")
        throw new UsageError(`--image is meter or meter_master, not "${values.image}"`)
    const options: Options = {
        image: values.image,
        pki: values.pki!,
        out: values.out!,
        line: values.line,
        state: values.state,
        yes: values.yes!,
        json: values.json!,
        passphrase: readPassphrase(values),
        publish: publishTo(values.publish, values),
        unpublished: [],
    }
    if (!existsSync(join(options.pki, "calibration-authority", "cert.pem")))
        throw new UsageError(`there is no PKI in "${options.pki}": make one with plomb pki init ${options.pki}`)
    let rows: BatchRow[]
    if (values.batch) {
        if (values.board || values.serial) throw new UsageError("--batch stands instead of --board and --serial")
        rows = await readBatch(values.batch, hardware)
    } else {
        if (!values.board || !values.serial)
            throw new UsageError("expected --board and --serial, or --batch; see --help")
        const serial = readSerial(values.serial, "--serial")
        if (!isBoard(values.board)) throw new UsageError(`--board: expected vm or serial:PORT, came "${values.board}"`)
        rows = [{ line: 0, board: values.board, serial, hardware }]
    }
    if (!values.reference && rows.some(row => row.board.startsWith("serial:")))
        throw new UsageError(
            "a real meter is measured against a reference standard: name its readings with --reference FILE",
        )
    if (!values.line && rows.some(row => row.board.startsWith("serial:")))
        throw new UsageError("a real meter is asked on its RS-485 line what it runs: name an adapter with --line PORT")
    if (values.reference) options.reference = await referenceFromFile(values.reference, text => pause(text, options))
    makeWritable(options.out)

    stopping = new AbortController()
    const stop = () => {
        say(options, "stopping before the next step…")
        stopping.abort()
    }
    process.once("SIGINT", stop)
    try {
        if (values.batch) return await runBatch(rows, options)
        const protocol = await calibrateOne(rows[0], options)
        if (options.json) console.log(JSON.stringify(protocol, null, 4))
        return options.unpublished.length > 0 ? 1 : 0
    } finally {
        process.off("SIGINT", stop)
    }
}

async function runBatch(rows: BatchRow[], options: Options): Promise<number> {
    const results: { serial: number; board: string; result: string }[] = []
    for (const [index, row] of rows.entries()) {
        say(options, `\n[${index + 1}/${rows.length}] meter ${row.serial} on ${row.board}`)
        let result = "calibrated"
        if (existsSync(join(options.out, `${serverIdOf(row.serial)}.calibration.json`)))
            result = "was calibrated before"
        else if (stopping.signal.aborted) result = "not begun"
        else
            try {
                await calibrateOne(row, options)
            } catch (error) {
                result = `failed: ${(error as Error).message}`
            }
        say(options, `  ${result}`)
        results.push({ serial: row.serial, board: row.board, result })
    }
    const open = results.filter(({ result }) => !/^(was )?calibrated/.test(result))
    if (options.json) console.log(JSON.stringify(results, null, 4))
    else {
        say(options, `\n${rows.length - open.length} of ${rows.length} meters are calibrated`)
        for (const { serial, result } of open) say(options, `  meter ${serial} ${result}`)
        if (open.length > 0) say(options, "Run the same command again for these.")
    }
    return open.length + options.unpublished.length === 0 ? 0 : 1
}

async function calibrateOne(row: BatchRow, options: Options): Promise<CalibrationProtocol> {
    const stem = join(options.out, serverIdOf(row.serial))
    const earlier = await readPartial<PartialProtocol>(`${stem}.partial.json`)
    const certifier = certifierOf(options.pki, options.passphrase)
    const crls = instituteCrls(options.pki)
    const board = await openBoard(row.board, {
        serial: row.serial,
        state: options.state ?? join(".plomb", "state"),
        reference: options.reference,
        line: options.line,
        image: options.image,
        sealed: earlier?.keyProtection !== undefined,
    })
    try {
        const found = await board.meter?.identify()
        if (found) say(options, `meter found: ${found.serial ? `serial ${found.serial}, ` : ""}${standing[found.step]}`)
        else say(options, "a board found that runs the field image already")
        if (found && found.step < 5 && !options.yes) {
            await confirm(
                "Two steps are final: the key holder's configuration is locked, and calibration is closed.",
                stopping,
            )
            options.yes = true
        }
        const protocol = await calibrateMeter({
            meter: board.meter,
            field: board.field,
            serial: row.serial,
            hardware: row.hardware,
            reference: board.reference,
            certifier,
            judge: judgeWith(crls),
            now: () => new Date(),
            onStep: (name, final) => {
                stopping.signal.throwIfAborted()
                say(options, `- ${name}${final ? `\n    FINAL: ${final}` : ""}`)
            },
            onProgress: text => {
                say(options, `    ${text}`)
                stopping.signal.throwIfAborted()
            },
            earlier,
            remember: async partial => {
                board.keep()
                replaceFile(`${stem}.partial.json`, JSON.stringify(partial, null, 4))
            },
        })
        replaceFile(`${stem}.calibration.html`, protocolPage(protocol))
        replaceFile(`${stem}.calibration.json`, `${JSON.stringify(protocol, null, 4)}\n`)
        replaceFile(`${stem}.attestation.evidence.json`, attestationEvidence(protocol, crls))
        rmSync(`${stem}.partial.json`, { force: true })
        say(options, `calibrated: ${protocol.serverId}, key ${fingerprint(protocol.publicKey)}`)
        if (protocol.keyProtection === "none")
            say(options, "  KEY PROTECTION: NONE. The key lies in the meter's memory; every reading says so.")
        say(options, `protocol: ${stem}.calibration.json, to print: ${stem}.calibration.html`)
        await publish(protocol.serverId, options)
        return protocol
    } catch (error) {
        if (stopping.signal.aborted) throw new Error("stopped; the same command goes on from here")
        throw error
    } finally {
        await board.close()
    }
}

/** The calibration stands whatever the directory says. */
async function publish(serverId: string, options: Options): Promise<void> {
    const to = options.publish
    if (!to) return
    const { publishNew } = await import("../pki/publish.ts")
    const report = (line: string) => say(options, line)
    if (!(await publishNew(options.pki, [`meters/${serverId}`], to, "calibrate", report)))
        options.unpublished.push(serverId)
}

/** Steps in words, as `identify` counts them. */
const standing = ["bare", "produced", "adjusted", "key made", "certified", "calibrated"]

function say(options: Options, text: string): void {
    if (!options.json) console.log(text)
}

async function pause(text: string, options: Options): Promise<void> {
    if (options.yes && !process.stdin.isTTY) say(options, `    ${text}`)
    else await question(`    ${text} Then press Enter. `, stopping)
}
