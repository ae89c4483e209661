import { existsSync, readFileSync, statSync } from "node:fs"
import { DlmsKeys } from "../../firmware/core/dlms-security"
import { fromManchester, fromThreeOfSix } from "../../firmware/core/wmbus-line"
import { readArgs, UsageError } from "../cli/usage.ts"
import { type DlmsOpening, decodeDlms } from "./dlms.ts"
import { decodeIec, decodeP1 } from "./iec62056.ts"
import { decodeWired, decodeWireless, frameFormats, mbusTable } from "./mbus.ts"
import { type Problem, problemOf } from "./problem.ts"
import { decodeSml } from "./sml.ts"

export const help = `plomb decode sml FILE|HEX|- [--profile strict|tolerant]
plomb decode mbus|wmbus FILE|HEX|- [--key HEX] [--last N] [--as-is] [--format none|A|B] [--table]
plomb decode iec62056 FILE|HEX|- [--as-is]
plomb decode p1|dlms FILE|HEX|- [--key HEX] [--auth-key HEX] [--title HEX] [--last N] [--as-is]

Decodes what comes in FILE (octets, or hex digits), in HEX, or on standard input (-), to one JSON object. Whatever the protocol, \`readings\` are
the values with their OBIS codes, exactly, with unit and time. What is wrong with a telegram has a cause: no key, wrong key, damaged, unsupported, replayed, malformed.

sml: every SML file (transport version 1): the files with all messages, what was in the way, and how many octets were junk.

  --profile tolerant   read what real meters send, each deviation as a named quirk (default)
  --profile strict     what counts as proof; anything else is a problem

mbus: every wired M-Bus frame; wmbus: every wireless M-Bus telegram, with OMS security modes 5 and 7 and the extended link layer.

  --table       a table for people in the place of JSON
  --key HEX     AES-128 key of the meter
  --last N      message counter (or access number) of the last telegram accepted: an older one is replayed
  --as-is       take what says that it is encrypted as it is (a converter has decrypted it)
  --format ...  frame format of wmbus: without CRCs, A or B (default: found out)
  --chips T|S   wmbus: undecoded chips of a receiver, mode T (3 out of 6) or S (Manchester)

iec62056: readouts and messages of the programming mode of IEC 62056-21, in seven bits or with even parity; p1: DSMR and ESMR telegrams
and their relatives, also encrypted ones; dlms: HDLC frames, APDUs, push lists, also ciphered and over wired M-Bus.

  --as-is         block check or CRC need not hold
  --key HEX       encryption key (AES-128, security suite 0)
  --auth-key HEX  authentication key; without it tags are not checked, and the proof says so
  --title HEX     system title of the meter, where its APDUs do not name it
  --last N        invocation counter of the last APDU accepted

Exit code 1 if nothing could be decoded.`

/** Octets of the input: a file's, or the hex digits of a file or of the argument. */
function octetsOf(input: string): Buffer {
    const isFile = input === "-" || existsSync(input)
    if (isFile && input !== "-" && statSync(input).isDirectory()) throw new UsageError(`${input} is a folder`)
    const octets = isFile ? readFileSync(input === "-" ? 0 : input) : Buffer.from(input, "utf8")
    const digits = octets.toString("latin1").replace(/\s+/g, "")
    if (/^([0-9a-f]{2})+$/i.test(digits)) return Buffer.from(digits, "hex")
    if (!isFile && /^[0-9a-f]+$/i.test(digits))
        throw new UsageError(`"${input}" is no file, and an odd number of hex digits (${digits.length})`)
    if (!isFile) throw new UsageError(`"${input}" is neither a file nor hex digits`)
    if (octets.length === 0) throw new Error(`${input === "-" ? "standard input" : input} is empty`)
    return octets
}

const options = {
    profile: { type: "string", default: "tolerant" },
    key: { type: "string" },
    "auth-key": { type: "string" },
    title: { type: "string" },
    last: { type: "string" },
    "as-is": { type: "boolean", default: false },
    format: { type: "string" },
    chips: { type: "string" },
    table: { type: "boolean", default: false },
    // What is printed anyway; others' commands have the word too.
    json: { type: "boolean", default: false },
} as const

const protocols = ["sml", "mbus", "wmbus", "iec62056", "p1", "dlms"]

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, options, allowPositionals: true })
    const [kind, input, ...more] = positionals
    if (!protocols.includes(kind))
        throw new UsageError(
            kind
                ? `cannot decode "${kind}", only: ${protocols.join(", ")}`
                : `say what to decode: ${protocols.join("|")} FILE|HEX`,
        )
    if (input === undefined || more.length > 0) throw new UsageError("give one file or one string of hex digits")
    if (values.last !== undefined && !/^\d{1,10}$/.test(values.last)) throw new UsageError("--last is a whole number")
    if (kind === "sml") return runSml(input, values.profile)
    if (kind === "mbus" || kind === "wmbus") return runMbus(kind, input, values)
    const opening = openingOf(values)
    const asIs = values["as-is"]
    const octets = octetsOf(input)
    if (kind === "dlms") {
        const decoded = decodeDlms(octets, opening)
        const { apdus, frames = [] } = decoded
        // Frames alone say something too: a link is set up, or acknowledges.
        const good = apdus.length > 0 ? apdus.some(each => !each.error) : frames.length > 0
        return print(decoded, good, decoded.error ?? apdus.find(each => each.error)?.error)
    }
    const telegrams = kind === "p1" ? decodeP1(octets, asIs, opening) : decodeIec(octets, asIs)
    const good = telegrams.some(each => !each.error)
    return print({ telegrams }, good, telegrams.find(each => each.error)?.error)
}

/** Prints what came of it all; where nothing is good, says why on the error output too. */
function print(decoded: object, good: boolean, problem: Problem | undefined): number {
    console.log(JSON.stringify(decoded, null, 2))
    if (good) return 0
    console.error(complaint(problem))
    return 1
}

const complaint = (problem: Problem | undefined) =>
    `plomb decode: ${problem ? `${problem.cause}: ${problem.name}: ${problem.message}` : "nothing decoded"}`

function hexOption(name: string, digits: string | undefined, octets: number): Buffer | undefined {
    if (digits === undefined) return undefined
    if (!new RegExp(`^[0-9a-f]{${2 * octets}}$`, "i").test(digits))
        throw new UsageError(`--${name} is ${2 * octets} hex digits`)
    return Buffer.from(digits, "hex")
}

function openingOf(values: { key?: string; "auth-key"?: string; title?: string; last?: string }): DlmsOpening {
    const key = hexOption("key", values.key, 16)
    const authentication = hexOption("auth-key", values["auth-key"], 16)
    if (authentication && !key) throw new UsageError("--auth-key needs --key")
    return {
        keys: key ? new DlmsKeys(key, authentication ?? Buffer.alloc(0)) : undefined,
        title: hexOption("title", values.title, 8) ?? Buffer.alloc(0),
        last: values.last === undefined ? -1 : Number(values.last),
    }
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
    last?: string
    "as-is": boolean
    format?: string
    chips?: string
    table: boolean
    json: boolean
}

/** Octets of the chips that a receiver left; as they are where none are said. */
function unchipped(octets: Buffer, chips: string | undefined): Buffer {
    if (chips === undefined) return octets
    try {
        return chips === "T" ? fromThreeOfSix(octets) : fromManchester(octets)
    } catch (error) {
        throw new UsageError(`no chips of mode ${chips}: ${problemOf(error).message}`)
    }
}

function runMbus(kind: "mbus" | "wmbus", input: string, options: MbusOptions): number {
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key))
        throw new UsageError("--key is 32 hex digits (AES-128)")
    if (options.table && options.json) throw new UsageError("--table or --json, not both")
    if (options.key !== undefined && options["as-is"]) throw new UsageError("--key or --as-is, not both")
    const format = options.format === undefined ? undefined : frameFormats.indexOf(options.format)
    if (format === -1 || (format !== undefined && kind === "mbus"))
        throw new UsageError("--format none, A or B is for wmbus")
    if (options.chips !== undefined && (kind === "mbus" || !/^[TS]$/.test(options.chips)))
        throw new UsageError("--chips T or S is for wmbus")
    const key = options.key === undefined ? undefined : Buffer.from(options.key, "hex")
    const given = options["as-is"] ? Buffer.alloc(0) : key
    const octets = unchipped(octetsOf(input), options.chips)
    const last = options.last === undefined ? -1 : Number(options.last)
    const decoded = kind === "mbus" ? decodeWired(octets, given, last) : decodeWireless(octets, given, format, last)
    const { telegrams } = decoded
    const good = telegrams.some(each => !each.error)
    if (!options.table) return print(decoded, good, telegrams[0].error)
    if (good) for (const line of mbusTable(decoded)) console.log(line)
    else console.error(complaint(telegrams[0].error))
    return good ? 0 : 1
}
