import { existsSync, readFileSync } from "node:fs"
import { readArgs, UsageError } from "../cli/usage.ts"
import { decodeWired, decodeWireless, frameFormats, mbusTable } from "./mbus.ts"
import { decodeSml } from "./sml.ts"

export const help = `plomb decode sml FILE|HEX|- [--profile strict|tolerant]
plomb decode mbus|wmbus FILE|HEX|- [--key HEX] [--as-is] [--format none|A|B] [--json]

sml: decodes every SML file (transport version 1) in FILE (octets, or hex digits), in HEX, or in what comes in (-), and prints one JSON
object: the files with all messages, what was in the way, and how many octets were junk.

  --profile tolerant   read what real meters send, each deviation as a named quirk (default)
  --profile strict     what counts as proof; anything else is a problem

mbus: every wired M-Bus frame; wmbus: every wireless M-Bus telegram, with OMS security modes 5 and 7 and the extended link layer. A table, or

  --json        one JSON object
  --key HEX     AES-128 key of the meter
  --as-is       take what says that it is encrypted as it is (a converter has decrypted it)
  --format ...  frame format of wmbus: without CRCs, A or B (default: found out)

Exit code 1 if nothing could be decoded.`

/** Octets of the input: a file's, or the hex digits of a file or of the argument. */
function octetsOf(input: string): Buffer {
    const isFile = input === "-" || existsSync(input)
    const octets = isFile ? readFileSync(input === "-" ? 0 : input) : Buffer.from(input, "utf8")
    const digits = octets.toString("latin1").replace(/\s+/g, "")
    if (/^([0-9a-f]{2})+$/i.test(digits)) return Buffer.from(digits, "hex")
    if (!isFile) throw new UsageError(`"${input}" is neither a file nor hex digits`)
    return octets
}

const options = {
    profile: { type: "string", default: "tolerant" },
    key: { type: "string" },
    "as-is": { type: "boolean", default: false },
    format: { type: "string" },
    json: { type: "boolean", default: false },
} as const

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, options, allowPositionals: true })
    const [kind, input, ...more] = positionals
    if (kind !== "sml" && kind !== "mbus" && kind !== "wmbus")
        throw new UsageError(
            kind ? `cannot decode "${kind}", only: sml, mbus, wmbus` : "say what to decode: sml|mbus|wmbus FILE|HEX",
        )
    if (input === undefined || more.length > 0) throw new UsageError("give one file or one string of hex digits")
    return kind === "sml" ? runSml(input, values.profile) : runMbus(kind, input, values)
}

function runSml(input: string, profile: string): number {
    if (profile !== "strict" && profile !== "tolerant")
        throw new UsageError(`no profile "${profile}": strict or tolerant`)
    const octets = octetsOf(input)
    const decoded = decodeSml(octets, profile)
    if (decoded.files.length === 0) {
        const [first] = decoded.problems
        console.error(
            `plomb decode: no SML file in ${octets.length} octets` +
                (first ? `; at ${first.offset} ${first.name}: ${first.message}` : ""),
        )
        return 1
    }
    console.log(JSON.stringify(decoded, null, 2))
    return 0
}

interface MbusOptions {
    key?: string
    "as-is": boolean
    format?: string
    json: boolean
}

function runMbus(kind: "mbus" | "wmbus", input: string, options: MbusOptions): number {
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key))
        throw new UsageError("--key is 32 hex digits (AES-128)")
    if (options.key !== undefined && options["as-is"]) throw new UsageError("--key or --as-is, not both")
    const format = options.format === undefined ? undefined : frameFormats.indexOf(options.format)
    if (format === -1 || (format !== undefined && kind === "mbus"))
        throw new UsageError("--format none, A or B is for wmbus")
    const key = options.key === undefined ? undefined : Buffer.from(options.key, "hex")
    const given = options["as-is"] ? Buffer.alloc(0) : key
    const octets = octetsOf(input)
    const decoded = kind === "mbus" ? decodeWired(octets, given) : decodeWireless(octets, given, format)
    const good = decoded.telegrams.filter(each => !each.error)
    if (good.length === 0) {
        const { name, message } = decoded.telegrams[0].error!
        console.error(`plomb decode: ${decoded.telegrams.length} telegrams, none decoded; ${name}: ${message}`)
        return 1
    }
    if (options.json) console.log(JSON.stringify(decoded, null, 2))
    else for (const line of mbusTable(decoded)) console.log(line)
    return 0
}
