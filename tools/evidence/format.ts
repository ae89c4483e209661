import { randomBytes } from "node:crypto"
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"

/**
 * The evidence file `*.evidence.json`: what a provider stores of one reading, and all that
 * `plomb verify` needs years later. Octets are kept as sent, never re-encoded.
 */
export interface Evidence {
    /** The SML response file as received, transport frame included. */
    sml: Buffer
    /** The SML request file that was sent; empty where nobody asked. */
    request: Buffer
    /** PEM certificates, the meter's own first, the root (if it is there) last. */
    chain: string[]
    /** PEM revocation lists as they stood on the day of receipt. */
    crls: string[]
    /** PEM certificates of who signed the request, its own first, where they are not inside the request. */
    commandChain?: string[]
    /** ISO 8601 with a zone: when the head-end had the last octet. */
    receivedAt: string
    /** Who carried it: hex of the MUC's server id, name of the head-end. */
    source: { muc: string; headend: string }
}

/** The value of `format` in the file. */
export const evidenceFormat = "plomb-evidence/1"

/** Largest evidence file that is read, in octets. */
export const maxEvidenceOctets = 16 * 1024 * 1024
const maxSmlOctets = 64 * 1024
const maxCertificates = 8
const maxCrls = 16

/** An evidence file is not one: which field, what was expected, what came. */
export class EvidenceError extends Error {
    constructor(
        readonly field: string,
        readonly expected: string,
        readonly came: string,
    ) {
        super(`evidence file: ${field}: expected ${expected}, came ${came}`)
        this.name = "EvidenceError"
    }
}

/** What a wrong value looks like, in few words that carry none of a hostile file's content. */
function kindOf(value: unknown): string {
    if (value === undefined) return "nothing"
    if (value === null) return "null"
    if (Array.isArray(value)) return `a list of ${value.length}`
    return typeof value === "string" ? `a text of ${value.length} characters` : `a ${typeof value}`
}

function octetsOf(value: unknown, field: string): Buffer {
    if (typeof value !== "string" || value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value))
        throw new EvidenceError(field, "octets in hexadecimal digits", kindOf(value))
    if (value.length > 2 * maxSmlOctets)
        throw new EvidenceError(field, `at most ${maxSmlOctets} octets`, `${value.length / 2}`)
    return Buffer.from(value, "hex")
}

function pemsOf(value: unknown, field: string, label: string, most: number): string[] {
    if (!Array.isArray(value)) throw new EvidenceError(field, "a list of PEM texts", kindOf(value))
    if (value.length > most) throw new EvidenceError(field, `at most ${most} entries`, `${value.length}`)
    value.forEach((each, i) => {
        if (typeof each !== "string" || !each.includes(`-----BEGIN ${label}-----`))
            throw new EvidenceError(`${field}[${i}]`, `a PEM text of "${label}"`, kindOf(each))
    })
    return value as string[]
}

/** Is `text` a moment in ISO 8601 with date, time and zone? */
export function isIsoTime(text: unknown): text is string {
    return (
        typeof text === "string" &&
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text) &&
        !Number.isNaN(Date.parse(text))
    )
}

/** Reads the text of an evidence file; throws `EvidenceError` and nothing else. Unknown fields are ignored. */
export function parseEvidence(text: string): Evidence {
    let root: Record<string, unknown>
    try {
        root = JSON.parse(text)
    } catch {
        throw new EvidenceError("file", "JSON", "something else")
    }
    if (typeof root !== "object" || root === null || Array.isArray(root))
        throw new EvidenceError("file", "a JSON object", kindOf(root))
    if (root.format !== evidenceFormat)
        throw new EvidenceError("format", evidenceFormat, JSON.stringify(root.format)?.slice(0, 40) ?? "nothing")
    const sml = octetsOf(root.sml, "sml")
    const request = octetsOf(root.request ?? "", "request")
    const chain = pemsOf(root.chain, "chain", "CERTIFICATE", maxCertificates)
    const crls = pemsOf(root.crls, "crls", "X509 CRL", maxCrls)
    const commandChain = pemsOf(root.commandChain ?? [], "commandChain", "CERTIFICATE", maxCertificates)
    if (!isIsoTime(root.receivedAt))
        throw new EvidenceError("receivedAt", "a moment in ISO 8601 with zone", kindOf(root.receivedAt))
    const source = (root.source ?? {}) as Record<string, unknown>
    if (typeof source !== "object" || Array.isArray(source))
        throw new EvidenceError("source", "an object", kindOf(source))
    for (const field of ["muc", "headend"])
        if (source[field] !== undefined && typeof source[field] !== "string")
            throw new EvidenceError(`source.${field}`, "a text", kindOf(source[field]))
    return {
        sml,
        request,
        chain,
        crls,
        ...(commandChain.length > 0 && { commandChain }),
        receivedAt: root.receivedAt,
        source: { muc: String(source.muc ?? ""), headend: String(source.headend ?? "") },
    }
}

/** The text of an evidence file. */
export function evidenceText(evidence: Evidence): string {
    const { sml, request, chain, crls, commandChain, receivedAt, source } = evidence
    const fields = {
        format: evidenceFormat,
        sml: sml.toString("hex"),
        request: request.toString("hex"),
        chain,
        crls,
        commandChain,
        receivedAt,
        source,
    }
    return `${JSON.stringify(fields, null, 1)}\n`
}

/** Reads an evidence file from disk; `EvidenceError` for its content, the system's error for the disk's. */
export function readEvidence(path: string): Evidence {
    const { size } = statSync(path)
    if (size > maxEvidenceOctets) throw new EvidenceError("file", `at most ${maxEvidenceOctets} octets`, `${size}`)
    return parseEvidence(readFileSync(path, "utf8"))
}

/**
 * Puts `content` at `path` so that after a power cut the file is there whole or not at all: written
 * beside it, flushed, renamed, and the folder flushed.
 */
export function writeAtomically(path: string, content: string | Uint8Array, mode = 0o644): void {
    const beside = `${path}.${randomBytes(6).toString("hex")}.part`
    try {
        const file = openSync(beside, "wx", mode)
        try {
            const octets = typeof content === "string" ? Buffer.from(content, "utf8") : content
            for (let at = 0; at < octets.length; ) at += writeSync(file, octets, at)
            fsyncSync(file)
        } finally {
            closeSync(file)
        }
        renameSync(beside, path)
    } catch (error) {
        rmSync(beside, { force: true })
        throw error
    }
    const folder = openSync(dirname(path), "r")
    try {
        fsyncSync(folder)
    } finally {
        closeSync(folder)
    }
}

/** Stores an evidence file atomically; what would not be read back is refused before anything is written. */
export function writeEvidence(path: string, evidence: Evidence): void {
    const text = evidenceText(evidence)
    parseEvidence(text)
    writeAtomically(path, text)
}
