import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { readArgs, UsageError } from "../cli/usage.ts"
import { addressOf, secondsOf } from "../cli/words.ts"
import { partyTls } from "../desk/parties.ts"
import { readPassphrase } from "../pki/passphrase.ts"
import { crlReader, type TlsSettings } from "../tls/settings.ts"
import { actionOf, type Words } from "./actions.ts"
import { atDevice } from "./at-device.ts"
import { type Party, pkiAbove, readParty, trustOf } from "./party.ts"
import { listening, onDesk, type Patience, type Reach, through } from "./reach.ts"
import { deviceText, Session } from "./session.ts"
import { Talk } from "./talk.ts"

export const help = `plomb operator ACTION --as PARTYFOLDER --target SERVERID WAY [options]

Signs a command as a person of a PKI folder, has it carried to a meter or MUC, judges the signed answer, and says who asked
whom for what and what came of it.

  devices                               who is reached
  read                                  a signed reading, now
  profile FROM TO                       signed 15-minute rows (ISO 8601 with zone)
  logbook [metrological|device] [reset] all entries; reset clears what was read (--out keeps it)
  set-time [now|TIME]
  parameter get|set NAME [VALUE]        label, tariff2 (22:00-06:00), calibration (hex)
  access show                           who may call what
  access grant|deny ROLE FUNCTION       one field of the table
  access raise ROLE VERSION             turns out holders of lower role versions
  provider change --to PARTY|PEM        hands the device over; to another provider of the same CA (--ca PEM)
  provider remove                       the manufacturer's remedy against a provider that refuses
  rollover [begin|give-up]              a new key for a meter, as the calibration authority of a PKI folder
  order erase --out FILE                the calibration authority's order (nothing is sent)
  erase --order FILE                    a local operator carries it out
  addresses get|set [uplink=HOST:PORT]  of a MUC
  keys KIND KEYFILE [ID]                a symmetric key into a MUC, sealed: mbus (ID: the radio meter), key1plc, key2plc; hex
  bring certificate|list PEM            the first provider's certificate, or a revocation list, where no directory brings them
  attest                                the running software, signed by the device
  software list                         slots, what runs, the floor
  software deliver PACKAGE              judges it, announces it, sends the blocks that the device lacks; again after any break
  software activate PACKAGE [--no-confirm]  puts it on trial, waits for the list that names it, confirms it
  software confirm [PACKAGE]            what is on trial stays
  software rollback                     what ran before runs again

who:  --as FOLDER      a party of a PKI folder: pki/operators/alice; with --desk also operators/alice
      --key PEM --chain PEM  the same from files; --anchor PEM, --crl PEM judge the answers (a PKI folder has them)
      --counter FILE   the key's counter; whoever signs with the same key uses the same file (default: beside the key)
      --target SERVERID  for which device, where several are reached; "muc": for the MUC
way:  --desk DIR       the desk of plomb demo --folder DIR: through its running head-end (DIR/control.sock), else meters and
                       MUC are powered in the VM for as long as this takes; --muc-image muc_modules: the MUC with this image
      --through SOCKET a running plomb headend --control SOCKET, which carries what you sign
      --at vm[:SERIAL]|serial:PORT  at the MUC itself, while its board runs the image muc_install: the way for what is done there
                       only (set-time, parameter set label, keys, erase, bring); --state DIR: chips of a VM board
                       (default DESK/state with --desk, else .plomb/state)
      --listen [HOST:]PORT  be the head-end yourself until the MUC calls; --tls PARTY, else the signer, is who answers it
                       (--ca PEM where it is of no PKI folder)
      --wait N, --answer N  longest wait for the device and for its answer, in seconds (default 60, 30)
      --valid N        seconds during which the device takes the command (default 900)
      --dry-run        shows the command in words and hex; sends nothing, uses no counter
      --out FILE       evidence of command and answer, or the exported logbook: plomb verify judges it years later
      --json           one JSON text
      --passphrase-file, --passphrase-env  of an encrypted key
      --verbose        what TLS and boards say

Exit code: 0 done, 1 refused, not answered or not to be believed, 2 wrong words.`

const words = {
    as: { type: "string" },
    key: { type: "string" },
    chain: { type: "string" },
    counter: { type: "string" },
    anchor: { type: "string", multiple: true },
    crl: { type: "string", multiple: true },
    ca: { type: "string" },
    tls: { type: "string" },
    target: { type: "string" },
    desk: { type: "string" },
    "muc-image": { type: "string" },
    through: { type: "string" },
    listen: { type: "string" },
    at: { type: "string" },
    state: { type: "string" },
    wait: { type: "string" },
    answer: { type: "string" },
    valid: { type: "string" },
    to: { type: "string" },
    order: { type: "string" },
    out: { type: "string" },
    "dry-run": { type: "boolean" },
    "no-confirm": { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    "passphrase-file": { type: "string" },
    "passphrase-env": { type: "string" },
} as const

/** Who answers a MUC's call: this party of a PKI, or key and chain from files. */
function tlsOf(
    values: { tls?: string; key?: string; chain?: string; ca?: string; crl?: string[] },
    party: Party,
): TlsSettings {
    const { pki, folder } = party
    const path = values.tls ?? folder
    if (pki !== undefined && path !== undefined) {
        const own = [path, join(pki, path)].find(each => existsSync(join(each, "key.pem")))
        if (!own) throw new UsageError(`--tls ${path}: no folder of a party there`)
        const text = (name: string) => readFileSync(join(own, name), "utf8")
        return { ...partyTls(pki, "operator"), key: text("key.pem"), chain: text("chain.pem") }
    }
    if (!values.ca || !values.key || !values.chain)
        throw new UsageError("--listen needs --tls PARTY of a PKI folder, or --key, --chain, --ca and --crl of files")
    const text = (file: string) => readFileSync(file, "utf8")
    return {
        key: text(values.key),
        chain: text(values.chain),
        ca: text(values.ca),
        crls: crlReader(values.crl ?? [], () => {}),
    }
}

/** `plomb operator`; the answer is the exit code. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, options: words, allowPositionals: true })
    const action = actionOf(positionals, values as Words)
    const dry = values["dry-run"] ?? false
    const desk = values.at === undefined ? values.desk : undefined
    const ways = [desk, values.at, values.through, values.listen].filter(each => each !== undefined)
    const sends = !action.local && !dry
    if (ways.length > 1 || (sends && ways.length === 0))
        throw new UsageError(
            "which way to the device? one of --desk DIR, --at BOARD, --through SOCKET, --listen [HOST:]PORT",
        )
    const mucImage = values["muc-image"]
    if (mucImage !== undefined && (desk === undefined || !/^muc(_modules)?$/.test(mucImage)))
        throw new UsageError(`--muc-image ${mucImage}: muc or muc_modules, with --desk`)
    const theMuc = values.target === "muc"
    const target = theMuc ? undefined : values.target?.toLowerCase()
    if (target !== undefined && !/^([0-9a-f]{14}|[0-9a-f]{20})$/.test(target))
        throw new UsageError(
            `--target ${values.target}: expected a server id in hex, 10 octets of a meter or 7 of a MUC, or the word muc`,
        )
    if (target === undefined && !sends) throw new UsageError("--target SERVERID: for which device?")
    const validSeconds = values.valid === undefined ? undefined : secondsOf(values.valid, "--valid", 900)
    const deskPki = values.desk === undefined ? undefined : join(values.desk, "pki")
    const passphrase = readPassphrase(values)
    const party = readParty({ ...values, passphrase }, deskPki ?? (values.as ? pkiAbove(values.as) : undefined))
    const trust = trustOf(party.pki, values.anchor ?? [], values.crl ?? [])
    const say = (line: string) => (values.json ? undefined : console.log(line))
    const patience: Patience = {
        waitMs: 1000 * secondsOf(values.wait, "--wait", 60),
        answerMs: 1000 * secondsOf(values.answer, "--answer", 30),
        log: line => values.verbose && console.error(line),
    }
    const reach = sends ? await open() : undefined
    try {
        const id = Buffer.from(
            target ??
                (action.general ? "" : await onlyDevice(reach!, patience.waitMs, theMuc || values.at !== undefined)),
            "hex",
        )
        const talk = reach && new Talk({ party, reach, ...trust, validSeconds })
        // The logbook's export says more than the evidence of each answer in it.
        const out = action.ownOut ? undefined : values.out
        const session = new Session({ party, talk, target: id, out, validSeconds, say })
        await action.run(session, { anchors: trust.anchors, reach })
        if (values.json) {
            const { commands, result, failed } = session
            console.log(
                JSON.stringify({ device: deviceText(id), done: !failed && !dry, ...result, commands }, undefined, 1),
            )
        }
        return session.failed ? 1 : 0
    } finally {
        await reach?.close()
    }

    async function open(): Promise<Reach> {
        if (values.at !== undefined) {
            const state = values.state ?? join(values.desk ?? ".plomb", "state")
            return atDevice(values.at, state)
        }
        if (values.desk !== undefined) return onDesk(values.desk, values.tls ?? "operator", patience, mucImage)
        if (values.through !== undefined) return through(values.through, patience)
        const { host, port } = addressOf("--listen", values.listen)
        const tls = tlsOf(values, party)
        const reached = await listening(host, port, tls, patience)
        say(`Listening on ${host}:${reached.port} until a MUC calls.`)
        return reached
    }
}

/** The one meter that is reached, or the MUC; with several, whoever asks has to say which. */
async function onlyDevice(reach: Reach, waitMs: number, theMuc: boolean): Promise<string> {
    for (const until = Date.now() + waitMs; ; ) {
        const { mucs, meters } = await reach.devices()
        const found = theMuc ? mucs : meters
        if (found.length === 1) return found[0]
        if (found.length > 1) throw new UsageError(`which of these? --target ${found.join(" or ")}`)
        if (Date.now() > until) throw new Error(`no MUC${theMuc ? "" : " that reaches a meter"} has called`)
        await new Promise(resolve => setTimeout(resolve, 100))
    }
}
