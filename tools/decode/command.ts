import { existsSync, readFileSync } from "node:fs"
import { readArgs, UsageError } from "../cli/usage.ts"
import { decodeSml } from "./sml.ts"

export const help = `plomb decode sml FILE|HEX|- [--profile strict|tolerant]

Decodes every SML file (transport version 1) in FILE (octets, or hex digits), in HEX, or in what comes in (-), and prints one JSON
object: the files with all messages, what was in the way, and how many octets were junk.

  --profile tolerant   read what real meters send, each deviation as a named quirk (default)
  --profile strict     what counts as proof; anything else is a problem`

/** Octets of the input: a file's, or the hex digits of a file or of the argument. */
function octetsOf(input: string): Buffer {
    const isFile = input === "-" || existsSync(input)
    const octets = isFile ? readFileSync(input === "-" ? 0 : input) : Buffer.from(input, "utf8")
    const digits = octets.toString("latin1").replace(/\s+/g, "")
    if (/^([0-9a-f]{2})+$/i.test(digits)) return Buffer.from(digits, "hex")
    if (!isFile) throw new UsageError(`"${input}" is neither a file nor hex digits`)
    return octets
}

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: { profile: { type: "string", default: "tolerant" } },
        allowPositionals: true,
    })
    const [kind, input, ...more] = positionals
    if (kind !== "sml")
        throw new UsageError(kind ? `cannot decode "${kind}", only: sml` : "say what to decode: sml FILE|HEX")
    if (input === undefined || more.length > 0) throw new UsageError("give one file or one string of hex digits")
    const { profile } = values
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
