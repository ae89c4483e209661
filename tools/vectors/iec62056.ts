import { existsSync, readFileSync } from "node:fs"
import { Code } from "../../firmware/core/errors"
import { IEC_EITHER, IEC_SUM, IEC_UNCHECKED, IEC_XOR, iecParity } from "../../firmware/core/iec62056"
import { answer } from "./device/field-answer.ts"
import { readIecDump, readMessagesDump } from "./field-dump.ts"
import type { Case, Format } from "./format.ts"
import { answered, refused, same } from "./judge.ts"

/** IEC 62056-21 and P1: readouts with what is in them, exchanges of the programming mode, block checks. */
export const iec62056: Format = {
    name: "IEC 62056-21",
    recognises: json => isReadout(json) || isExchange(json) || isBcc(json),
    cases: (json, path) =>
        isExchange(json)
            ? json.exchange.flatMap(exchangeCases)
            : isBcc(json)
              ? bccCases(json)
              : readoutCases(json as Readout, path),
    answer,
    program: "tools/vectors/device/field.ts",
    capacity: 4096,
}

interface Check {
    received: string
    ok: boolean
}

interface Readout {
    identification?: { manufacturer: string; baudrateId: string; escape?: string; id: string }
    framing: string
    bcc?: Check
    p1Crc16?: Check
    dataSets: { address: string; values: { value: string; unit?: string }[] }[]
}

interface Exchange {
    request: string
    response: string
    requestBcc?: { received: string; sum7: string }
    responseBcc?: { received: string; sum7: string }
}

interface BccFile {
    cases: { message: string; note: string }[]
    dataSets: { text: string; address?: string; value?: string; unit?: string | null; expected?: string }[]
}

const has = (json: unknown, name: string): boolean =>
    Array.isArray((json as Record<string, unknown> | undefined)?.[name])
const isReadout = (json: unknown): json is Readout =>
    has(json, "dataSets") && typeof (json as Readout).framing === "string"
const isExchange = (json: unknown): json is { exchange: Exchange[] } => has(json, "exchange")
const isBcc = (json: unknown): json is BccFile => has(json, "dataSets") && has(json, "cases")

const request = (what: number, check: number, octets: Uint8Array) => Buffer.concat([Buffer.of(what, check), octets])

function readoutCases(expected: Readout, path: string): Case[] {
    const file = path.replace(/\.expected\.json$/, ".raw")
    if (!existsSync(file)) throw new Error(`${path}: no readout beside it`)
    const octets = readFileSync(file)
    const { bcc, p1Crc16 } = expected
    const compare = (reply: Buffer) => {
        compareReadout(octets, reply, expected)
    }
    const check = bcc?.ok === false ? IEC_UNCHECKED : IEC_EITHER
    const cases = [
        answered("as sent", request(0, check, octets), compare),
        answered("with even parity", request(0, check, iecParity(octets)), compare),
    ]
    if (bcc?.ok === false) cases.push(refused("block check", request(0, IEC_XOR, octets), Code.IecCheck))
    if (expected.framing !== "none") return cases
    cases.push(answered("as P1", request(1, 1, octets), compare))
    const noisy = Buffer.concat([Buffer.from("\u0001xyz"), octets, Buffer.from("\r\n")])
    for (const piece of [1, 17])
        cases.push(
            answered(`in pieces of ${piece}, after noise`, request(10, piece, noisy), reply => {
                const { messages } = readMessagesDump(reply)
                same("messages", messages.length, 1)
                // What stands in front of the identification and behind the mark is no part of it.
                same("octets", noisy.includes(messages[0]), true)
            }),
        )
    if (p1Crc16) {
        const first = octets.indexOf("/")
        for (let at = first; at < octets.length - 6; at += 7) {
            const damaged = Buffer.from(octets)
            damaged[at] ^= 1 << (at % 7)
            cases.push(refused(`octet ${at} changed`, request(1, 1, damaged)))
        }
    }
    return cases
}

function compareReadout(octets: Buffer, reply: Buffer, expected: Readout): void {
    const read = readIecDump(reply)
    const text = (at: number, length: number) => octets.toString("latin1", at, at + length)
    const { identification, bcc, p1Crc16 } = expected
    if (identification) {
        same("manufacturer", text(read.manufacturerAt, 3), identification.manufacturer)
        same("baud rate character", String.fromCharCode(read.baudCharacter), identification.baudrateId)
        same("identification", text(read.idAt, read.idEnd - read.idAt), identification.id)
        same("escape", read.escape < 0 ? undefined : `\\${String.fromCharCode(read.escape)}`, identification.escape)
    } else same("identification", read.manufacturerAt, -1)
    same("frame", read.framed, expected.framing === "STX")
    if (bcc) same("block check", read.check, Number.parseInt(bcc.received, 16))
    if (p1Crc16 && read.crc >= 0) same("CRC", read.crc, Number.parseInt(p1Crc16.received, 16))
    const sets: Readout["dataSets"] = []
    for (const value of read.values) {
        if (value.index === 0) sets.push({ address: text(value.addressAt, value.addressLength), values: [] })
        const unit = text(value.unitAt, value.unitLength)
        sets.at(-1)!.values.push({ value: text(value.valueAt, value.valueLength), ...(unit ? { unit } : {}) })
    }
    same("data sets", sets.length, expected.dataSets.length)
    for (const [i, { address, values }] of expected.dataSets.entries())
        same(`data set ${i + 1}`, sets[i], { address: withoutLine(address), values })
}

/** The collection's own reader put a line that is no identification ("/NWA-...") in front of the address behind it. */
const withoutLine = (address: string) => address.replace(/^\/.*?(?=\d+-\d+:)/, "")

function exchangeCases(each: Exchange, index: number): Case[] {
    const [asked, came] = [Buffer.from(each.request, "hex"), Buffer.from(each.response, "hex")]
    const cases: Case[] = []
    const id = `${index + 1}`
    if (each.requestBcc) {
        const data = asked.subarray(asked.indexOf(2) + 1, asked.length - 2)
        const words = Buffer.concat([asked.subarray(1, 3), data])
        cases.push(
            answered(`${id}: request`, request(9, IEC_SUM, words), reply => {
                same("request", reply.toString("hex"), each.request)
            }),
        )
    }
    if (!each.responseBcc) return cases
    cases.push(
        answered(`${id}: response`, request(0, IEC_SUM, came), reply => {
            same("data", came.toString("latin1", readIecDump(reply).values[0].valueAt).length > 0, true)
        }),
    )
    for (let at = 0; at < came.length; ++at)
        for (let bit = 0; bit < 8; ++bit) {
            const damaged = Buffer.from(came)
            damaged[at] ^= 1 << bit
            cases.push(refused(`${id}: octet ${at}, bit ${bit} changed`, request(0, IEC_SUM, damaged)))
        }
    return cases
}

function bccCases({ cases, dataSets }: BccFile): Case[] {
    const checks = cases.map(({ message, note }) => {
        const octets = Buffer.from(message, "hex")
        return answered(note, request(0, IEC_XOR, octets), reply => {
            same("block check", readIecDump(reply).check, octets[octets.length - 1])
        })
    })
    const sets = dataSets.map(({ text, address, value, unit, expected }) => {
        const octets = Buffer.from(`${text}!`)
        if (expected === "error") return refused(text, request(0, IEC_EITHER, octets), Code.IecForm)
        return answered(text, request(0, IEC_EITHER, octets), reply => {
            const { values } = readIecDump(reply)
            const [only] = values
            const part = (at: number, length: number) => octets.toString("latin1", at, at + length)
            same("address", part(only.addressAt, only.addressLength), address)
            same("value", part(only.valueAt, only.valueLength), value)
            same("unit", part(only.unitAt, only.unitLength), unit ?? "")
            same("data sets", values.length, 1)
        })
    })
    return [...checks, ...sets]
}
