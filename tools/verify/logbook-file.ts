import { createHash } from "node:crypto"
import { EvidenceError, isIsoTime, maxEvidenceOctets } from "../evidence/format.ts"
import type { SignedAnswer } from "./answer-file.ts"
import { SmlDamage } from "./sml-tlv.ts"

/** Which logbook: what concerns measuring, or the rest. */
export type LogbookKind = "metrological" | "device"

/** An exported logbook: the device's signed answers as they came, and what judges them. */
export interface LogbookExport {
    kind: LogbookKind
    /** Hex. */
    serverId: string
    /** SML files: the command and its answer; in the order in which they were asked. */
    answers: { request: Buffer; sml: Buffer }[]
    /** PEM certificates of the device, its own first. */
    chain: string[]
    crls: string[]
    commandChain?: string[]
    /** ISO 8601 with a zone. */
    receivedAt: string
}

/** One entry as the device wrote it (firmware/core/logbook.ts), all of it proved by the answer's signature. */
export interface LogEntry {
    number: number
    secondsIndex: number
    /** UTC seconds, 0 = never set. */
    utc: number
    quality: number
    event: number
    /** 255 = none. */
    fn: number
    /** 255 = nobody: whoever sent it proved nothing. */
    role: number
    code: number
    /** Hex: first octets of SHA-256 of the signer's public key. */
    signer: string
    detail: Buffer
    /** Hex of SHA-256 of the entry before, and of this one. */
    previous: string
    hash: string
}

/** What a logbook says of itself beside its entries. */
export interface LogHead {
    count: number
    first: number
    /** Hex of SHA-256 of the newest entry. */
    hash: string
    /** Attempts without an entry: of nobody, and of known signers. */
    attempts: [nobody: number, known: number]
}

export const logbookFormat = "plomb-logbook/1"
const entryOctets = 74
const headOctets = 48
const maxAnswers = 64
const paths: Record<LogbookKind, string> = { metrological: "8181c7f050ff", device: "8181c7f052ff" }

/** The text of an exported logbook. */
export function logbookText(log: LogbookExport): string {
    const { kind, serverId, chain, crls, commandChain, receivedAt } = log
    const answers = log.answers.map(({ request, sml }) => ({
        request: request.toString("hex"),
        sml: sml.toString("hex"),
    }))
    const fields = { format: logbookFormat, kind, serverId, answers, chain, crls, commandChain, receivedAt }
    return `${JSON.stringify(fields, undefined, 1)}\n`
}

/** Is this JSON text an exported logbook, good or not? */
export function isLogbookText(text: string): boolean {
    return text.length <= maxEvidenceOctets && text.slice(0, 200).includes(`"${logbookFormat.split("/")[0]}/`)
}

/** Reads the text of an exported logbook; throws `EvidenceError` and nothing else. */
export function parseLogbook(text: string): LogbookExport {
    const bad = (field: string, expected: string): never => {
        throw new EvidenceError(field, expected, "something else")
    }
    let root: Record<string, unknown>
    try {
        root = JSON.parse(text)
    } catch {
        return bad("file", "JSON")
    }
    if (root?.format !== logbookFormat) bad("format", logbookFormat)
    const { kind, serverId, answers, receivedAt } = root
    if (kind !== "metrological" && kind !== "device") return bad("kind", "metrological or device")
    if (typeof serverId !== "string" || !/^([0-9a-f]{2}){5,20}$/.test(serverId)) return bad("serverId", "hex digits")
    if (!Array.isArray(answers) || answers.length > maxAnswers) return bad("answers", `a list of at most ${maxAnswers}`)
    const octets = (value: unknown, field: string) =>
        typeof value === "string" && /^([0-9a-f]{2}){1,65536}$/.test(value)
            ? Buffer.from(value, "hex")
            : bad(field, "hex")
    const pems = (value: unknown, field: string) =>
        Array.isArray(value) && value.length <= 16 && value.every(each => typeof each === "string")
            ? (value as string[])
            : bad(field, "a list of PEM texts")
    if (!isIsoTime(receivedAt)) return bad("receivedAt", "a moment in ISO 8601 with zone")
    return {
        kind,
        serverId,
        answers: answers.map((each, i) => ({
            request: octets(each?.request, `answers[${i}].request`),
            sml: octets(each?.sml, `answers[${i}].sml`),
        })),
        chain: pems(root.chain, "chain"),
        crls: pems(root.crls, "crls"),
        commandChain: pems(root.commandChain ?? [], "commandChain"),
        receivedAt,
    }
}

/** Head and entries in one signed answer, as they came; undefined where it holds no such logbook. Throws `SmlDamage`. */
export function readLog(answer: SignedAnswer, kind: LogbookKind): { head: LogHead; entries: LogEntry[] } | undefined {
    const tree = answer.outcomes.find(each => each.tree?.name === paths[kind])?.tree
    if (!tree) return undefined
    const [head, ...rest] = tree.children.map(each => each.value)
    if (head?.length !== headOctets)
        throw new SmlDamage(0, `a logbook's head of ${headOctets} octets`, `${head?.length ?? "none"}`)
    const entries = rest.map(octets => {
        if (octets.length !== entryOctets)
            throw new SmlDamage(0, `entries of ${entryOctets} octets`, `${octets.length}`)
        return entryOf(octets)
    })
    return {
        head: {
            count: head.readUInt32BE(0),
            first: head.readUInt32BE(4),
            hash: head.toString("hex", 8, 40),
            attempts: [head.readUInt32BE(40), head.readUInt32BE(44)],
        },
        entries,
    }
}

function entryOf(octets: Buffer): LogEntry {
    return {
        number: octets.readUInt32BE(0),
        secondsIndex: octets.readUInt32BE(4),
        utc: octets.readUInt32BE(8),
        quality: octets[12],
        event: octets[13],
        fn: octets[14],
        role: octets[15],
        code: octets.readUInt16BE(16),
        signer: octets.toString("hex", 18, 26),
        detail: octets.subarray(26, 42),
        previous: octets.toString("hex", 42, 74),
        hash: createHash("sha256").update(octets).digest("hex"),
    }
}
