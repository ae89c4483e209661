import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { decimal } from "../decode/decimal.ts"
import { obisText } from "../decode/obis.ts"
import { answer } from "./device/sml-answer.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"
import { type DumpedMessage, type Element, isInteger, readDump } from "./sml-dump.ts"

/** `NAME.expected.json` beside `NAME.bin`: octets of a meter, and what is in them. */
export interface ExpectedFrame {
    offset: number
    length?: number
    complete: boolean
    crc?: "x25" | "bad"
    messages?: any[]
}

interface Expected {
    file: string
    frames: ExpectedFrame[]
}

/** Octets handed over at once; 0 = all. */
const pieces = [0, 1, 3, 64, 251]

function isExpected(json: unknown): json is Expected {
    const { file, frames } = (json ?? {}) as Expected
    return typeof file === "string" && file.endsWith(".bin") && Array.isArray(frames)
}

/** A request for the stream function: `piece` octets at a time through a buffer of `capacity`. */
export function streamRequest(octets: Uint8Array, piece: number, capacity: number, tolerant: boolean): Buffer {
    const head = Buffer.from([0, tolerant ? 1 : 0, 0, 0, 0, 0])
    head.writeUInt16LE(piece || octets.length, 2)
    head.writeUInt16LE(capacity, 4)
    return Buffer.concat([head, octets])
}

/** What a receiver told: files with their place, problems, and the counts. */
export interface StreamEvents {
    files: { at: number; length: number }[]
    problems: { at: number; code: number }[]
    counted: number
    junk: number
}

export function readEvents(reply: Buffer): StreamEvents {
    const events: StreamEvents = { files: [], problems: [], counted: 0, junk: 0 }
    for (let i = 0; i < reply.length; i += 9) {
        const at = reply.readUInt32LE(i + 1)
        const what = reply.readUInt32LE(i + 5)
        if (reply[i] === 0) events.files.push({ at, length: what })
        else if (reply[i] === 1) events.problems.push({ at, code: what })
        else {
            events.counted = at
            events.junk = what
        }
    }
    return events
}

function octetsOf(reply: Reply): Buffer {
    if ("octets" in reply) return reply.octets
    throw new Error("error" in reply ? `refused with ${reply.error} at ${reply.at}` : `"${reply.escaped}" escaped`)
}

function judged(compare: () => void): Verdict {
    try {
        compare()
        return "pass"
    } catch (error) {
        return { fail: (error as Error).message }
    }
}

function same(what: string, came: unknown, expected: unknown): void {
    const [left, right] = [JSON.stringify(came ?? null), JSON.stringify(expected ?? null)]
    if (left !== right) throw new Error(`${what}: expected ${right}, came ${left}`)
}

/** Good files at their places and nothing else; something said about each bad one. */
function judgeStream(reply: Reply, octets: Buffer, frames: ExpectedFrame[]): Verdict {
    return judged(() => {
        const events = readEvents(octetsOf(reply))
        const good = frames.filter(frame => frame.crc === "x25")
        same(
            "files",
            events.files,
            good.map(frame => ({ at: frame.offset, length: frame.length })),
        )
        same("count", events.counted, good.length)
        same("junk", events.junk, octets.length - good.reduce((sum, frame) => sum + frame.length!, 0))
        for (const frame of frames.filter(each => each.crc !== "x25"))
            if (!events.problems.some(each => each.at === frame.offset))
                throw new Error(`nothing was said about the bad file at ${frame.offset}`)
    })
}

/** The reader's element in the form of the expected file. */
function plain(element: Element): unknown {
    if (element === null || Array.isArray(element)) return element && element.map(plain)
    if (isInteger(element)) return { [element.signed ? "int" : "uint"]: Number(element.value) }
    return "boolean" in element ? { bool: element.boolean } : element
}

const hexOf = (element: Element) => element && (element as { hex: string }).hex
const numberOf = (element: Element) => element && Number((element as { value: bigint }).value)

function compareEntry(came: Element[], expected: any): void {
    const [name, status, valTime, unit, scaler, value, signature] = came
    const obis = obisText(Buffer.from(hexOf(name)!, "hex"))
    same("obis", obis, expected.obis)
    same(`${obis} status`, numberOf(status), expected.status)
    same(`${obis} valTime`, plain(valTime), expected.valTime)
    same(`${obis} unit`, numberOf(unit), expected.unit)
    same(`${obis} scaler`, numberOf(scaler), expected.scaler)
    same(`${obis} valueSignature`, hexOf(signature), expected.valueSignature)
    if (!isInteger(value)) same(obis, plain(value), expected.type === "octets" ? { hex: expected.hex } : expected.value)
    else {
        same(`${obis} type`, `${value.signed ? "int" : "uint"}${8 * value.width}`, expected.type)
        same(obis, String(value.value), expected.raw)
        same(obis, decimal(value.value, numberOf(scaler) ?? 0), expected.value.replace(/^(-?)0+(?=\d)/, "$1"))
    }
}

function compareMessage(came: DumpedMessage, expected: any): void {
    same("transactionId", came.transactionId, expected.transactionId)
    same("groupNo", came.groupNo, expected.groupNo)
    same("abortOnError", came.abortOnError, expected.abortOnError)
    same("tag", "0x" + came.tag.toString(16).padStart(4, "0"), expected.tag)
    same("flags", came.flags, 0)
    if (expected.type !== "GetListRes") same("body", came.body.map(plain), expected.body)
    else {
        const [clientId, serverId, listName, actSensorTime, valList, listSignature, actGatewayTime] = came.body
        same("clientId", hexOf(clientId), expected.clientId)
        same("serverId", hexOf(serverId), expected.serverId)
        same("listName", hexOf(listName), expected.listName)
        same("actSensorTime", plain(actSensorTime), expected.actSensorTime)
        same("listSignature", hexOf(listSignature), expected.listSignature)
        same("actGatewayTime", plain(actGatewayTime), expected.actGatewayTime)
        const entries = valList as Element[][]
        same("entries", entries.length, expected.valList.length)
        entries.forEach((entry, i) => {
            compareEntry(entry, expected.valList[i])
        })
    }
}

/** A good file gives the expected values, a bad one a typed error. */
function judgeFile(reply: Reply, frame: ExpectedFrame): Verdict {
    if (frame.crc !== "x25") return "error" in reply ? "pass" : { fail: "a damaged file was not refused" }
    return judged(() => {
        const file = readDump(octetsOf(reply))
        same("messages", file.messages.length, frame.messages!.length)
        same("flags", file.flags, 0)
        file.messages.forEach((message, i) => {
            compareMessage(message, frame.messages![i])
        })
    })
}

/** Octets of a stream put to the VM at once; its heap holds them several times. */
const longest = 4500

/** Stretches of the octets that begin with a file and are not too long for the VM, with the frames in them. */
function stretches(octets: Buffer, frames: ExpectedFrame[]): { octets: Buffer; frames: ExpectedFrame[] }[] {
    const starts = [0]
    for (const [i, frame] of frames.entries())
        if ((frames[i + 1]?.offset ?? octets.length) - starts[starts.length - 1] > longest) starts.push(frame.offset)
    return starts.map((from, i) => {
        const to = starts[i + 1] ?? octets.length
        const inside = frames.filter(frame => frame.offset >= from && frame.offset < to)
        return {
            octets: octets.subarray(from, to),
            frames: inside.map(frame => ({ ...frame, offset: frame.offset - from })),
        }
    })
}

/** Cases for octets in which `frames` are known: the stream in pieces, then each file by itself in the strict profile. */
export function smlCases(id: string, octets: Buffer, frames: ExpectedFrame[]): Case[] {
    const streams: Case[] = stretches(octets, frames).flatMap((stretch, i) =>
        pieces.map(piece => ({
            id: `${id}: stream ${i} in pieces of ${piece || "all"}`,
            request: streamRequest(stretch.octets, piece, 1024, false),
            judge: (reply: Reply) => judgeStream(reply, stretch.octets, stretch.frames),
        })),
    )
    const files: Case[] = frames
        .filter(frame => frame.complete)
        .map(frame => ({
            id: `${id}: file at ${frame.offset}`,
            request: Buffer.concat([Buffer.from([1, 0]), octets.subarray(frame.offset, frame.offset + frame.length!)]),
            judge: reply => judgeFile(reply, frame),
        }))
    return [...streams, ...files]
}

export const sml: Format = {
    name: "SML",
    recognises: isExpected,
    cases(json, path) {
        const { file, frames } = json as Expected
        const bin = join(dirname(path), file)
        if (!existsSync(bin)) throw new Error(`${path}: ${file} is not beside it`)
        return smlCases(file, readFileSync(bin), frames)
    },
    answer,
    program: "tools/vectors/device/sml.ts",
}
