import { readFileSync, statSync } from "node:fs"
import { readArgs, UsageError } from "../cli/usage.ts"
import { isIsoTime } from "../evidence/format.ts"
import { splitPem } from "./certificate.ts"
import { readAnchors } from "./chain.ts"
import { keyFromText, type PublicKey } from "./curves.ts"
import { DerDamage } from "./der.ts"
import { extract } from "./extract.ts"
import { judge, maxInputOctets } from "./judge.ts"
import { knownOf } from "./known.ts"
import { judgeSeries } from "./linkage.ts"
import { judgeLogSeries } from "./logbook-series.ts"
import { isProof, seriesText, verdictJson, verdictText } from "./text.ts"

export const help = `plomb verify FILE... [--anchor PEM]... [--at TIME] [--key HEX|PEM] [--extract DIR] [--json]
             [--package FILE] [--image FILE] [--meter-key ADDRESS=HEX]...

Judges stored readings offline and says, check by check, what is proved, what fails and what is not shown.
FILE is an evidence file (*.evidence.json; a reading, or a signed command and what the device answered), a
logbook that \`plomb operator logbook --out\` exported (every entry, gap and truncation by number), an SML file
(binary or hex), a SAFE transparency XML (EDL40, ISA-EDL-40P, OCMF) or an OCMF text. Several readings of one meter are also judged as a series:
a removed, repeated or exchanged one shows by its number.

  --anchor PEM   certificate file of the institute you trust; without it no chain ends anywhere. Commands and MUCs
                 are judged up to the root of their CA: name that one too
  --at TIME      judge certificates and revocation as of this moment (ISO 8601 with zone) instead of
                 the reading's own time and the day of receipt. What has expired since does no harm, and is told
  --key KEY      judge by this bare key (hex X|Y or SubjectPublicKeyInfo, or a PEM file) instead of a chain:
                 a weaker verdict under its own name, as whose key it is rests on you
  --package FILE the software package whose module should measure: compared with what a signed list or an attestation says
  --image FILE   the build of the fixed part that should run, as plomb build made it (.plomb/build/NAME/bytecode.devs)
  --meter-key    key of a meter whose telegrams a MUC signed as received: to read them; the verdict needs none. Of DLMS and
                 P1 by system title: encryption key, or that and the authentication key
  --extract DIR  write reading.sml, signed.bin, signature.der, key.pem, chain.pem for other tools:
                 openssl dgst -sha256 -verify key.pem -signature signature.der signed.bin
  --json         the findings for machines

Verdicts: "proof"; "proof of the values, not of their time" (the meter's clock was not set);
"signed by the key you named"; "signed by the key that came with it" (data and key in one file show
nothing about whose key it is); "not proof".
Exit code: 0 proof (or the signature holds by --key), 1 anything else, 2 wrong words.`

function readInput(path: string): Buffer {
    try {
        const { size } = statSync(path)
        // What is too large is judged as such; its first octets are enough to say so.
        if (size > maxInputOctets) return Buffer.alloc(maxInputOctets + 1)
        return readFileSync(path)
    } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        throw new UsageError(
            `${path}: ${code === "ENOENT" ? "no such file" : code === "EISDIR" ? "a folder, not a file" : code}`,
        )
    }
}

function anchorsOf(paths: string[]): string[] {
    return paths.flatMap(path => {
        const pems = splitPem(readInput(path).toString("latin1"), "CERTIFICATE")
        if (pems.length === 0) throw new UsageError(`--anchor ${path}: no PEM certificate in it`)
        try {
            readAnchors(pems)
        } catch (error) {
            if (!(error instanceof DerDamage)) throw error
            throw new UsageError(`--anchor ${path}: ${error.message}`)
        }
        return pems
    })
}

function meterKeysOf(words: string[]): Map<string, Buffer> {
    return new Map(
        words.map(word => {
            const [, address, key] = /^([0-9a-f]{16})=([0-9a-f]{32}|[0-9a-f]{64})$/i.exec(word) ?? []
            if (!address) throw new UsageError("--meter-key takes ADDRESS=HEX: 16 and 32 or 64 hex digits")
            return [address.toLowerCase(), Buffer.from(key, "hex")]
        }),
    )
}

function keyOf(text: string): PublicKey {
    const isHex = /^[0-9a-fA-F\s:]+$/.test(text)
    const key = keyFromText(isHex ? text : readInput(text).toString("latin1"))
    if ("refused" in key) throw new UsageError(`--key: ${key.refused}`)
    return key
}

/** `plomb verify`; the answer is the exit code. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: {
            at: { type: "string" },
            anchor: { type: "string", multiple: true },
            key: { type: "string" },
            extract: { type: "string" },
            "meter-key": { type: "string", multiple: true },
            package: { type: "string" },
            image: { type: "string" },
            json: { type: "boolean" },
        },
    })
    if (positionals.length === 0) throw new UsageError("name at least one file to judge")
    if (values.at !== undefined && !isIsoTime(values.at))
        throw new UsageError(`--at ${values.at}: expected a moment like 2026-11-22T14:00:00Z`)
    const judgement = {
        anchors: anchorsOf(values.anchor ?? []),
        key: values.key === undefined ? undefined : keyOf(values.key),
        atSeconds: values.at === undefined ? undefined : Math.floor(Date.parse(values.at) / 1000),
        meterKeys: meterKeysOf(values["meter-key"] ?? []),
        known: knownOf(values.package, values.image),
    }
    const inputs = positionals.map(path => ({ path, octets: readInput(path) }))
    const verdicts = inputs.flatMap(({ path, octets }) => judge(path, octets, judgement))
    const logs = verdicts.flatMap(({ log }) => log ?? [])
    const series = [...judgeSeries(verdicts), ...judgeLogSeries(logs)]
    if (values.extract !== undefined) extract(values.extract, verdicts)
    if (values.json) console.log(JSON.stringify({ verdicts: verdicts.map(verdictJson), series }, null, 1))
    else console.log([...verdicts.map(verdictText), ...series.map(seriesText)].join("\n\n"))
    return verdicts.every(({ name }) => isProof(name)) && series.every(({ complete }) => complete) ? 0 : 1
}
