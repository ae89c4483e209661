import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Code } from "../../firmware/core/errors"
import { MBUS_TIME } from "../../firmware/core/mbus-records"
import { formatOf } from "../decode/mbus.ts"
import { unitName } from "../decode/units.ts"
import { answer } from "./device/mbus-answer.ts"
import type { Case, Format, Reply, Verdict } from "./format.ts"
import { close, refused, same } from "./judge.ts"
import { type DumpedRecord, type DumpedTelegram, mbusRequest, opened } from "./mbus-dump.ts"

/** Wireless M-Bus and OMS: telegrams with their keys and what is in them, the examples of OMS annex N, and a stream from the air. */
export const wmbus: Format = {
    name: "wireless M-Bus and OMS",
    recognises: json => isTelegrams(json) || isStream(json),
    cases: (json, path) => (isStream(json) ? streamCases(json, path) : telegramCases(json as Telegrams)),
    answer,
    program: "tools/vectors/device/mbus.ts",
    capacity: 8192,
}

interface TelegramCase {
    name: string
    kind?: "wired" | "wireless"
    telegram: string
    key: string | null
    expected?: any
    expectedError?: string
    layers?: any
}

interface Telegrams {
    cases: TelegramCase[]
    mustFail?: TelegramCase[]
}

interface Stream {
    file: string
    leftOver: number
    frames: any[]
}

function isTelegrams(json: unknown): json is Telegrams {
    const { cases } = (json ?? {}) as Partial<Telegrams>
    return Array.isArray(cases) && typeof cases[0]?.telegram === "string"
}

function isStream(json: unknown): json is Stream {
    const { file, frames, leftOver } = (json ?? {}) as Partial<Stream>
    return typeof file === "string" && Array.isArray(frames) && typeof leftOver === "number"
}

/** The octets as a frame, and which function of the program takes it. */
function requestOf(each: TelegramCase): Buffer {
    const key = each.key ? Buffer.from(each.key, "hex") : undefined
    const octets = Buffer.from(each.telegram, "hex")
    if (each.kind === "wired") return mbusRequest(0, key, octets)
    const format = formatOf(octets)
    // One capture holds octets of the next telegram behind it.
    return mbusRequest(1 + format, key, format === 0 ? octets.subarray(0, octets[0] + 1) : octets)
}

const refusals: [RegExp, number[]][] = [
    [/no key/, [Code.MbusNoKey]],
    [/decryption|wrong key|2F2F|ELL payload CRC/i, [Code.MbusWrongKey]],
    [/MAC/, [Code.MbusMac, Code.MbusWrongKey]],
    [/CRC|checksum/i, [Code.MbusChecksum]],
]

function telegramCases({ cases, mustFail }: Telegrams): Case[] {
    const failing = (mustFail ?? []).map(each => {
        const codes = refusals.find(([text]) => text.test(each.expectedError ?? ""))?.[1] ?? []
        return refused(each.name, requestOf(each), ...codes)
    })
    const opening = cases.map(each =>
        opened(each.name, requestOf(each), telegram => {
            if (each.layers) compareLayers(telegram, each.layers)
            compareExpected(telegram, each.expected ?? {})
        }),
    )
    return [...opening, ...failing]
}

const littleEndian = (digits: string) => Buffer.from(digits, "hex").reverse().toString("hex")

function letters(text: string): number {
    return [...text].reduce((sum, letter) => sum * 32 + letter.charCodeAt(0) - 64, 0)
}

/** Id, version and device type in the order of the link layer, behind the manufacturer. */
function meterHex(layer: any): string {
    const field = letters(layer.manufacturer)
    const rest = [layer.version, layer.deviceType].map(octet => octet.toString(16).padStart(2, "0")).join("")
    return littleEndian(field.toString(16).padStart(4, "0")) + littleEndian(layer.id) + rest
}

function compareLayers(telegram: DumpedTelegram, layers: any): void {
    const { octets, end } = telegram
    const { ell, afl, tpl } = layers
    same("C", telegram.control.toString(16), layers.C)
    same("meter", telegram.meter, meterHex(tpl?.manufacturer ? tpl : layers))
    if (ell?.enc !== undefined) same("ELL encryption", telegram.linkMode, ell.enc)
    if (ell && tpl?.acc === undefined) same("access", telegram.access, ell.acc)
    if (ell?.decryptedPayload) {
        const payload = octets.subarray(0, end).toString("hex")
        same("payload of the ELL", payload.slice(-ell.decryptedPayload.length), ell.decryptedPayload)
    }
    if (afl?.mcr) same("counter", telegram.counter, Number.parseInt(littleEndian(afl.mcr), 16))
    if (!tpl) return
    same("CI", telegram.ci.toString(16), tpl.ci)
    if (tpl.acc !== undefined) same("access", telegram.access, tpl.acc)
    if (tpl.status !== undefined) same("status", telegram.status, Number.parseInt(tpl.status, 16))
    if (tpl.mode !== undefined) same("mode", telegram.mode, tpl.mode)
    if (tpl.plaintext)
        same("plain text", octets.toString("hex", telegram.at, end).slice(0, tpl.plaintext.length), tpl.plaintext)
    if (tpl.macOk) same("proof", telegram.proof, 2)
    else if (tpl.checkOk) same("proof", telegram.proof, 1)
}

function compareExpected(telegram: DumpedTelegram, expected: any): void {
    const { records } = telegram
    if (expected.dataRecord) {
        same("records", records.length, expected.dataRecord.length)
        for (const [i, each] of expected.dataRecord.entries()) compareRecord(`record ${i + 1}`, records[i], each)
    }
    if (expected.records) {
        same("records", records.length, expected.records.length)
        for (const [i, each] of expected.records.entries()) compareAnnex(`record ${i + 1}`, records[i], each)
    }
    if (expected.id !== undefined) same("id", littleEndian(telegram.meter.slice(4, 12)), expected.id)
    if (expected.accessNumber !== undefined) same("access", telegram.access, expected.accessNumber)
    if (expected.encryptionMode !== undefined) same("mode", telegram.mode, expected.encryptionMode)
    if (expected.litres !== undefined) close("volume", records[0].number, expected.litres / 1000)
    if (expected.text !== undefined) same("text", records[1].text, expected.text)
    if (expected.payload) {
        const [first] = [telegram.octets.toString("hex", telegram.at, telegram.end)]
        same("payload", expected.payload.startsWith(first), true)
    }
    const sent = expected.plaintextFromCrc
    if (sent) same("plain text", sent.includes(telegram.octets.toString("hex", telegram.at, telegram.end)), true)
}

const units: Record<string, string> = { "m³": "m3", "m³/h": "m3/h", "°C": "degC" }

function compareRecord(what: string, record: DumpedRecord, expected: any): void {
    same(`${what} function`, record.functionField, expected.functionField)
    same(`${what} storage`, record.storage, expected.storageNo)
    same(`${what} tariff`, record.tariff, expected.tariff)
    same(`${what} subunit`, record.subunit, expected.devUnit)
    if (expected.unit && record.unit !== 255)
        same(`${what} unit`, unitName(record.unit), units[expected.unit] ?? expected.unit)
    const { value } = expected
    if (typeof value === "number") close(what, record.number, value)
    // Upstream scales in floating point: its last digits say nothing.
    else if (/^-?\d+(\.\d+)?$/.test(value)) close(what, record.number, Number(value))
    // Upstream makes a day in 2128 of octets that are all ones: no date.
    else if (/^2128-03-31/.test(value)) same(what, [record.hex, record.time], ["ffff", undefined])
    else if (record.kind === MBUS_TIME) same(what, record.time, value.replace(" ", "T"))
    else same(what, record.text, value)
}

function compareAnnex(what: string, record: DumpedRecord, expected: any): void {
    if (expected.storage !== undefined) same(`${what} storage`, record.storage, expected.storage)
    if (expected.unit) same(`${what} unit`, unitName(record.unit), expected.unit.replace("^", ""))
    if (expected.type === "F") same(what, `${record.time}:00`, expected.value)
    else if (/flags/.test(expected.what ?? "")) same(what, littleEndian(record.hex), expected.value)
    else same(what, record.number, expected.value)
}

/** How many octets at a time. */
const pieces = [1, 7, 64, 251]

/** Longest stretch that is put to the VM at once: its heap holds it several times. */
const longest = 2500

function streamCases({ file, frames, leftOver }: Stream, path: string): Case[] {
    const bin = join(dirname(path), file)
    if (!existsSync(bin)) throw new Error(`${path}: ${file} is not beside it`)
    const octets = readFileSync(bin)
    const cases: Case[] = []
    let first = 0
    while (first < frames.length) {
        let next = first + 1
        while (next < frames.length && frames[next].offset + frames[next].L + 1 - frames[first].offset < longest) ++next
        const from = frames[first].offset
        const to = next < frames.length ? frames[next].offset : octets.length
        const wanted = frames
            .slice(first, next)
            .map(frame => octets.toString("hex", frame.offset, frame.offset + frame.L + 1))
        for (const piece of pieces)
            cases.push({
                id: `${file}: octets ${from} to ${to} in pieces of ${piece}`,
                request: mbusRequest(5, undefined, Buffer.concat([Buffer.of(piece), octets.subarray(from, to)])),
                judge: reply => judgeStream(reply, wanted, to === octets.length ? leftOver : 0),
            })
        first = next
    }
    for (const frame of frames)
        cases.push(...frameCases(file, frame, octets.subarray(frame.offset, frame.offset + frame.L + 1)))
    return cases
}

function frameCases(file: string, frame: any, octets: Buffer): Case[] {
    const id = `${file}: telegram at ${frame.offset}`
    // As it is, the header can be read; without a key, nothing may be taken for plain text.
    const header = opened(`${id}, header`, mbusRequest(9, Buffer.alloc(0), octets), telegram => {
        compareLayers(telegram, frame)
    })
    const encrypted = frame.tpl?.mode === 5 && frame.tpl.encryptedBlocks > 0
    return encrypted ? [refused(`${id}, no key`, mbusRequest(1, undefined, octets), Code.MbusNoKey), header] : [header]
}

function judgeStream(reply: Reply, wanted: string[], leftOver: number): Verdict {
    if (!("octets" in reply)) return { fail: JSON.stringify(reply) }
    const came: string[] = []
    let at = 0
    while (reply.octets.readUInt16LE(at) !== 0xffff) {
        const end = at + 2 + reply.octets.readUInt16LE(at)
        came.push(reply.octets.toString("hex", at + 2, end))
        at = end
    }
    const junk = reply.octets.readUInt16LE(at + 2)
    if (JSON.stringify(came) !== JSON.stringify(wanted))
        return { fail: `expected ${wanted.length} telegrams, came ${came.length} or others` }
    return junk === leftOver ? "pass" : { fail: `expected ${leftOver} octets left over, came ${junk}` }
}
