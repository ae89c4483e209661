import { CRC_KERMIT } from "../../firmware/core/crc16"
import { Code, PlombError } from "../../firmware/core/errors"
import { ENTRY_UNSIGNED, entryQuirks } from "../../firmware/core/sml-quirks"
import { readFile, type SmlMessage } from "../../firmware/core/sml-read"
import { smlReadings } from "../../firmware/core/sml-readings"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { GET_LIST_RES, smlBodies, smlBodyAt, smlRowAt, smlRows } from "../../firmware/core/sml-tables"
import { childrenAt, isAbsent, octetsAt } from "../../firmware/core/sml-values"
import { decimal } from "./decimal.ts"
import { obisText } from "./obis.ts"
import { type DecodedReading, decodedReading } from "./readings.ts"
import { attentionNames, messageNames, quirkNames, rowNames } from "./sml-names.ts"
import { unitName } from "./units.ts"

/** Longest file read on a PC. */
const capacity = 65536

export interface DecodedFile {
    offset: number
    length: number
    crc: "x25" | "kermit"
    fill: number
    quirks: string[]
    messages: Record<string, unknown>[]
    /** What its lists say in OBIS codes, as for every protocol. */
    readings: DecodedReading[]
}

/** Octets that came to nothing. */
export interface DecodeProblem {
    offset: number
    code: number
    name: string
    message: string
}

export interface Decoded {
    octets: number
    profile: "strict" | "tolerant"
    files: DecodedFile[]
    problems: DecodeProblem[]
    /** Octets outside of files whose transport CRC holds. */
    junkOctets: number
}

/** All SML files in `octets`, and what was in the way. */
export function decodeSml(octets: Buffer, profile: "strict" | "tolerant"): Decoded {
    const tolerant = profile === "tolerant"
    const files: DecodedFile[] = []
    const problems: DecodeProblem[] = []
    const problem = (offset: number, code: number, message: string) =>
        problems.push({ offset, code, name: Code[code], message })
    const receiver = new SmlReceiver(
        capacity,
        tolerant,
        (raw, crc, at) => {
            try {
                files.push(decodeFile(raw, tolerant, crc, at))
            } catch (error) {
                if (!(error instanceof PlombError)) throw error
                problem(at + Math.max(0, error.at), error.code, error.message)
            }
        },
        (code, at) => problem(at, code, `the octets from ${at} on are no whole SML file`),
    )
    receiver.feed(octets)
    receiver.timeout()
    return { octets: octets.length, profile, files, problems, junkOctets: receiver.junk }
}

function decodeFile(raw: Buffer, tolerant: boolean, crc: number, at: number): DecodedFile {
    const file = readFile(raw, tolerant, crc)
    return {
        offset: at,
        length: raw.length,
        crc: file.crc === CRC_KERMIT ? "kermit" : "x25",
        fill: raw[raw.length - 3],
        quirks: quirkNames(file.flags),
        messages: file.messages.map(each => decodeMessage(each, file.crc, tolerant)),
        readings: file.messages
            .filter(each => each.tag === GET_LIST_RES)
            .flatMap(each => smlReadings(each, tolerant).map(decodedReading)),
    }
}

/** Offsets are those in the file, its doubled escapes counted once. */
function decodeMessage(message: SmlMessage, crc: number, tolerant: boolean): Record<string, unknown> {
    const { octets, tag } = message
    const [transactionId, groupNo, abortOnError] = childrenAt(octets, message.start)
    const known = messageNames[tag]
    const at = smlBodyAt(tag)
    const fields = known?.fields.split(" ") ?? []
    const body =
        at < 0
            ? element(octets, message.fields[0], 0x7f)
            : Object.fromEntries(
                  message.fields.map((place, i) => [fields[i], element(octets, place, smlBodies[at + 1 + i])]),
              )
    if (tag === GET_LIST_RES) {
        const quirks = tolerant ? entryQuirks(message) : []
        body.valList = childrenAt(octets, message.fields[4]).map((place, i) => listEntry(octets, place, quirks[i] ?? 0))
    }
    if (known?.name === "Attention.Res") body.meaning = attentionNames[body.attentionNo.replace(/^8181c7c7/, "")]
    return {
        offset: message.start,
        length: message.end - message.start,
        type: known?.name ?? "unknown",
        tag: "0x" + tag.toString(16).padStart(4, "0"),
        transactionId: octetsAt(octets, transactionId).toString("hex"),
        groupNo: Number(integer(octets, groupNo).value),
        abortOnError: Number(integer(octets, abortOnError).value),
        crc: crc === CRC_KERMIT ? "kermit" : "x25",
        quirks: quirkNames(message.flags),
        body,
    }
}

function integer(octets: Buffer, at: number): { type: string; value: bigint } {
    const value = octetsAt(octets, at)
    const bits = 8 * value.length
    const unsigned = BigInt("0x" + value.toString("hex"))
    const signed = (octets[at] & 0x70) === 0x50
    return { type: `${signed ? "int" : "uint"}${bits}`, value: signed ? BigInt.asIntN(bits, unsigned) : unsigned }
}

/** A number where a double is exact, else decimal text. */
function plain(value: bigint): number | string {
    return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER ? String(value) : Number(value)
}

/** One element by its code of the tables; see `sml-tables`. */
function element(octets: Buffer, at: number, code: number): any {
    if (isAbsent(octets, at)) return null
    const kind = octets[at] & 0x70
    const want = code & 0x70
    const row = smlRowAt[code & 15]
    if (kind === 0) return code === 6 ? nameOf(octetsAt(octets, at)) : octetsAt(octets, at).toString("hex")
    if (kind === 0x40) return octets[at + 1] !== 0
    if (kind !== 0x70)
        return want === 0x30 ? { secIndex: plain(integer(octets, at).value) } : plain(integer(octets, at).value)
    const children = childrenAt(octets, at)
    if (want === 0x10) {
        const names = rowNames[code & 15].split(" ")
        if ((code & 15) === 0) return listEntry(octets, at, 0)
        if ((code & 15) === 1)
            return { ...scaledEntry(octets, children, 1), valueSignature: element(octets, children[4], 0) }
        return Object.fromEntries(children.map((child, i) => [names[i], element(octets, child, smlRows[row + 1 + i])]))
    }
    if (want === 0x20) return children.map(child => element(octets, child, smlRows[row - 1]))
    if (want === 0x30) return choice(octets, at, code & 15)
    if ((code & 0x7f) === 0x70) return choice(octets, at, 10)
    return children.map(child => element(octets, child, 0x7f))
}

/** 6 octets in an OBIS place; Attention numbers look the same. */
function nameOf(octets: Buffer): string {
    return octets[2] === 0xc7 && octets[3] === 0xc7 ? octets.toString("hex") : obisText(octets)
}

function choice(octets: Buffer, at: number, k: number): any {
    const tag = octets[at + 2]
    const name = rowNames[k].split(" ")[tag - 1]
    const value = element(octets, at + 3, smlRows[smlRowAt[k] + tag])
    if (k === 9 && tag === 1) return { value: implicitValue(octets, at + 3) }
    return name === "timestamp" ? { timestamp: value, utc: utc(value) } : { [name]: value }
}

function utc(seconds: number): string {
    return new Date(1000 * seconds).toISOString().replace(".000Z", "Z")
}

/** An implicit Value: type, exact raw number, or octets with their text if printable. */
function implicitValue(octets: Buffer, at: number): any {
    const kind = octets[at] & 0x70
    if (kind === 0) {
        const value = octetsAt(octets, at)
        const text = value.toString("latin1")
        return { type: "octets", hex: value.toString("hex"), ...(/^[ -~]+$/.test(text) ? { text } : {}) }
    }
    if (kind === 0x40) return { type: "boolean", value: octets[at + 1] !== 0 }
    if (kind === 0x70) return { type: "list", value: choice(octets, at, 10) }
    const { type, value } = integer(octets, at)
    return { type, raw: plain(value) }
}

/** objName, unit, scaler and value, `unit` being element number `first`. */
function scaledEntry(octets: Buffer, children: number[], first: number): Record<string, any> {
    const unit = element(octets, children[first], 0x61)
    const scaler = element(octets, children[first + 1], 0x51)
    const value = implicitValue(octets, children[first + 2])
    return {
        obis: element(octets, children[0], 6),
        unit,
        unitName: unit === null ? null : (unitName(unit) ?? null),
        scaler,
        ...value,
        ...("raw" in value ? { value: decimal(BigInt(value.raw), scaler ?? 0) } : {}),
    }
}

function listEntry(octets: Buffer, at: number, quirks: number): Record<string, any> {
    const children = childrenAt(octets, at)
    const entry = scaledEntry(octets, children, 3)
    if (quirks & ENTRY_UNSIGNED)
        entry.value = decimal(BigInt("0x" + octetsAt(octets, children[5]).toString("hex")), entry.scaler ?? 0)
    return {
        obis: entry.obis,
        status: element(octets, children[1], 0x68),
        valTime: element(octets, children[2], 0x38),
        ...entry,
        valueSignature: element(octets, children[6], 0),
        quirks: quirkNames(quirks),
    }
}
