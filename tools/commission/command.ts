import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fingerprint } from "../calibrate/protocol.ts"
import { confirm, makeWritable, question, readPartial } from "../calibrate/session.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { replaceFile } from "../pki/files.ts"
import { readPassphrase } from "../pki/passphrase.ts"
import { isMucBoard, openMuc } from "./boards.ts"
import { step } from "./muc.ts"
import { kind, mBusSecret, passwordSecret, plcSecret, type Secret } from "./secrets.ts"
import { broughtByHand, type CommissioningRecord, commissionMuc, type Installation, mucCertifierOf } from "./station.ts"

export const help = `plomb commission muc: production and local installation of a MUC

  plomb commission muc --board vm[:SERIAL] | serial:PORT    production: key made inside, certified, sealed
  plomb commission muc --board … --password-file FILE --key1plc FILE|random --key2plc FILE|random
                       [--mbus-key ADDRESS=HEX]…             and installation, which closes it

The board runs the image for production and installation (plomb flash muc_install); afterwards it gets the one
that works with what was installed (plomb flash muc) and has no service that could change it.

  --board B            several in a row: repeat it; a port that is named again waits for the next MUC
  --pki DIR            PKI of \`plomb pki init\` (default pki); its manufacturer certifies the MUC
  --out DIR            records: SERVERID.commissioning.json (default commissioning)
  --hardware TEXT      hardware model (default "plomb-muc-1")
  --passphrase-env V, --passphrase-file F   of the manufacturer's key
  --state DIR          chips of VM boards, a folder each (default .plomb/state: MUC N in muc-N)
  --yes                do not ask before the steps that can not be undone
  --json               the record on standard output, nothing else

Installation, for one MUC:
  --password-file F    the user's password, first line; the MUC gets a verifier of it, never the password
  --key1plc F, --key2plc F   keys of the display's and of the user's PLC adapter: a file with 64 hex digits, or
                       random: made, and kept in DIR/SERVERID.key1plc for the adapter
  --mbus-key A=HEX     key of a radio meter (32 or 64 hex digits, or @FILE) and its address as on the air:
                       16 hex digits of manufacturer, number, version and type; may be repeated. Or of a meter of
                       DLMS or P1: its system title, encryption key and authentication key in one
  --local              also puts the provider's certificate and revocation lists, where no directory brings them

A broken link, a power cut or Ctrl-C loses nothing: the MUC counts its steps, run the same command again. A MUC that is
installed is refused. Nothing reads a secret back: the record says which ones are held.`

interface Options {
    pki: string
    out: string
    hardware: string
    state: string
    yes: boolean
    json: boolean
    passphrase?: string
    installation?: (serverId: string) => Installation
}

/** Set by Ctrl-C: the station stops before its next step. */
let stopping = new AbortController()

const mostHardware = 31

/** Commissions one MUC or several in a row; 1 when any could not be. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: {
            board: { type: "string", multiple: true, default: [] },
            pki: { type: "string", default: "pki" },
            out: { type: "string", default: "commissioning" },
            hardware: { type: "string", default: "plomb-muc-1" },
            state: { type: "string", default: join(".plomb", "state") },
            "passphrase-env": { type: "string" },
            "passphrase-file": { type: "string" },
            "password-file": { type: "string" },
            key1plc: { type: "string" },
            key2plc: { type: "string" },
            "mbus-key": { type: "string", multiple: true, default: [] },
            local: { type: "boolean", default: false },
            yes: { type: "boolean", default: false },
            json: { type: "boolean", default: false },
        },
    })
    if (positionals.length !== 1 || positionals[0] !== "muc")
        throw new UsageError("plomb commission takes one kind: muc")
    const boards = values.board!
    if (boards.length === 0) throw new UsageError("expected --board; see --help")
    for (const board of boards)
        if (!isMucBoard(board)) throw new UsageError(`--board: expected vm, vm:SERIAL or serial:PORT, came "${board}"`)
    if (Buffer.byteLength(values.hardware!) > mostHardware)
        throw new UsageError(`--hardware: expected at most ${mostHardware} octets`)
    if (!existsSync(join(values.pki!, "manufacturer", "cert.pem")))
        throw new UsageError(`there is no PKI in "${values.pki}": make one with plomb pki init ${values.pki}`)
    const options: Options = {
        pki: values.pki!,
        out: values.out!,
        hardware: values.hardware!,
        state: values.state!,
        yes: values.yes!,
        json: values.json!,
        passphrase: readPassphrase(values),
        installation: installationOf(values),
    }
    if (options.installation && boards.length > 1)
        throw new UsageError("keys and passwords are those of one MUC: install them one at a time")
    makeWritable(options.out)

    stopping = new AbortController()
    const stop = () => {
        say(options, "stopping before the next step…")
        stopping.abort()
    }
    process.once("SIGINT", stop)
    try {
        return await runAll(boards, options)
    } finally {
        process.off("SIGINT", stop)
    }
}

/** What the words say about installation; undefined where they say nothing of it. */
function installationOf(values: {
    pki?: string
    out?: string
    "password-file"?: string
    key1plc?: string
    key2plc?: string
    "mbus-key"?: string[]
    local?: boolean
}): Options["installation"] {
    const { key1plc, key2plc, local } = values
    const password = values["password-file"]
    const meters = values["mbus-key"]!.map(mBusSecret)
    if (!password && !key1plc && !key2plc && meters.length === 0 && !local) return undefined
    if (!password || !key1plc || !key2plc)
        throw new UsageError("installation needs --password-file, --key1plc and --key2plc")
    const addresses = meters.map(({ key }) => key.address)
    if (new Set(addresses).size !== addresses.length) throw new UsageError("--mbus-key: one key a radio meter")
    const verifier = passwordSecret(password)
    // Named files are read before a board is touched.
    const plc = (serverId: string): Secret[] => [
        plcSecret("key1plc", key1plc, join(values.out!, `${serverId}.key1plc`)),
        plcSecret("key2plc", key2plc, join(values.out!, `${serverId}.key2plc`)),
    ]
    plc("")
    const brought = local ? broughtByHand(values.pki!) : {}
    return serverId => ({ secrets: [...plc(serverId), verifier, ...meters], ...brought })
}

async function runAll(boards: string[], options: Options): Promise<number> {
    const records: CommissioningRecord[] = []
    const failed: string[] = []
    for (const [index, board] of boards.entries()) {
        if (boards.length > 1) say(options, `\n[${index + 1}/${boards.length}] ${board}`)
        try {
            stopping.signal.throwIfAborted()
            if (boards.indexOf(board) < index && board.startsWith("serial:"))
                await question(`connect the next MUC to ${board.slice("serial:".length)}, then press Enter. `, stopping)
            records.push(await commissionOne(board, options))
        } catch (error) {
            if (boards.length === 1) throw error
            const message = stopping.signal.aborted ? "not begun or stopped" : (error as Error).message
            failed.push(`${board}: ${message}`)
            say(options, `  failed: ${message}`)
        }
    }
    if (options.json) console.log(JSON.stringify(boards.length === 1 ? records[0] : records, null, 4))
    if (boards.length > 1) say(options, `\n${records.length} of ${boards.length} MUCs are done`)
    for (const line of failed) console.error(`plomb commission: ${line}`)
    return failed.length === 0 ? 0 : 1
}

async function commissionOne(board: string, options: Options): Promise<CommissioningRecord> {
    const certifier = mucCertifierOf(options.pki, options.passphrase)
    const open = await openMuc(board, options.state)
    try {
        const found = await open.muc.identify()
        const stem = join(options.out, found.serverId)
        const earlier = await readPartial<CommissioningRecord>(`${stem}.partial.json`)
        say(options, `MUC ${found.serverId}: ${standing[found.step]}`)
        const final = found.step < step.delivered || (found.step < step.installed && options.installation !== undefined)
        if (final && !options.yes) {
            const closing = options.installation ? ", and installation is closed" : ""
            await confirm(`Steps are final: the key's holder is locked${closing}.`, stopping)
            options.yes = true
        }
        const record = await commissionMuc({
            muc: open.muc,
            hardware: options.hardware,
            certifier,
            installation: options.installation,
            now: () => new Date(),
            onStep: (name, finality) => {
                stopping.signal.throwIfAborted()
                say(options, `- ${name}${finality ? `\n    FINAL: ${finality}` : ""}`)
            },
            earlier,
            remember: partial => {
                open.keep()
                replaceFile(`${stem}.partial.json`, JSON.stringify(partial, null, 4))
            },
        })
        replaceFile(`${stem}.commissioning.json`, `${JSON.stringify(record, null, 4)}\n`)
        rmSync(`${stem}.partial.json`, { force: true })
        sayRecord(options, record, stem)
        return record
    } catch (error) {
        if (stopping.signal.aborted) throw new Error("stopped; the same command goes on from here")
        throw error
    } finally {
        await open.close()
    }
}

/** Steps in words, as `identify` counts them. */
const standing = ["a bare board", "produced", "key made", "certified", "delivered, not installed", "installed"]

function sayRecord(options: Options, record: CommissioningRecord, stem: string): void {
    say(options, `${record.state}: MUC ${record.serverId}, key ${fingerprint(record.publicKey)}`)
    if (record.keyProtection === "none")
        say(options, "  KEY PROTECTION: NONE. The key lies in the MUC's memory; whoever takes it has the key.")
    if (record.held.length > 0) {
        const meters = record.held.filter(held => held.kind === kind.mBus).length
        say(
            options,
            `holds KEY1PLC, KEY2PLC, the password's verifier and ${meters === 1 ? "the key of 1 radio meter" : `keys of ${meters} radio meters`}`,
        )
    } else say(options, "to install it on its site: the same command with --password-file, --key1plc and --key2plc")
    say(options, `record: ${stem}.commissioning.json`)
}

function say(options: Options, text: string): void {
    if (!options.json) console.log(text)
}
