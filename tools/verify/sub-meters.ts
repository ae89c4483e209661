import "../node/platform.ts"
import { PlombError } from "../../firmware/core/errors"
import { openSubMeter, subRegisters } from "../../firmware/core/sub-meters"
import { decimal } from "../decode/decimal.ts"
import { unitName } from "../decode/units.ts"
import type { Findings } from "./findings.ts"
import type { Deviation, Entry } from "./signed-list.ts"
import { describe, intOf, listOf, octetsOf, SmlDamage, uintOf } from "./sml-tlv.ts"

/** Profile of a list that has the meters which its meter has read. */
export const subMeterProfile = "PLOMB-SL/3"
const isTelegram = /^8181c7f2[0-9a-f]{2}ff$/
/** Registers of these media may follow: heat cost, cooling, heat, gas, cold and hot water. */
const isRegister = /^0[4-9]/

/** Status of an entry: why its telegram is not of the present. */
const states = [
    "present",
    "not read since the meter was started",
    "does not answer",
    "answers that are damaged or can not be decoded",
    "telegrams are encrypted, and the meter has no keys",
    "another one answers at its address",
]

/** A register as the list says it. */
interface ListedRegister {
    obis: string
    unit: number
    scaler: number
    value: bigint
}

/** A meter that the list's meter has read. */
export interface ListedSubMeter {
    number: number
    /** Place in `states`. */
    state: number
    /** Identification as on the line, hex. */
    address: string
    /** When the telegram was received: UTC seconds, where the clock was set. */
    atSeconds?: number
    /** The telegram as received, of no octets where there never was one. */
    octets: Buffer
    registers: ListedRegister[]
}

/** Is this the entry of such a meter? */
export function isSubMeter(entry: Entry): boolean {
    return isTelegram.test(entry.obis)
}

function readTelegram(payload: Buffer, entry: Entry): ListedSubMeter {
    const value = octetsOf(payload, entry.value, "telegram")
    const length = value[0] ?? 0
    if (value.length < 1 + length || (length !== 8 && value.length > 1))
        throw new SmlDamage(entry.value.start, "an identification of 8 octets and a telegram", describe(entry.value))
    if (entry.status?.type !== "uint") throw new SmlDamage(entry.node.start, "a status", "none")
    const state = Number(uintOf(payload, entry.status, "status", 1))
    const octets = value.subarray(1 + length)
    if (!states[state] || (state === 0 && octets.length === 0))
        throw new SmlDamage(entry.status.start, "status 0 to 5, 0 with a telegram", `${state}`)
    if ((entry.time === undefined) !== (octets.length === 0))
        throw new SmlDamage(entry.node.start, "a time with a telegram, and none without", "the other")
    let atSeconds: number | undefined
    if (entry.time) {
        const [tag, seconds] = listOf(entry.time, 2, "valTime")
        const kind = Number(uintOf(payload, tag, "valTime: tag", 1))
        if (kind !== 1 && kind !== 2) throw new SmlDamage(tag.start, "valTime: tag 1 or 2", `${kind}`)
        const at = Number(uintOf(payload, seconds, "valTime", 4))
        if (kind === 2) atSeconds = at
    }
    const number = Number.parseInt(entry.obis.slice(8, 10), 16)
    return { number, state, address: value.subarray(1, 1 + length).toString("hex"), atSeconds, octets, registers: [] }
}

/** Reads the entries behind those of the meter itself; `from` is the number of the first. */
export function readSubMeters(
    payload: Buffer,
    entries: Entry[],
    from: number,
): { subMeters: ListedSubMeter[]; wrong: Deviation[] } {
    const subMeters: ListedSubMeter[] = []
    const wrong: Deviation[] = []
    for (const [i, entry] of entries.slice(from).entries()) {
        const what = `entry ${from + i + 1}`
        const last = subMeters.at(-1)
        try {
            if (entry.signed) throw new SmlDamage(entry.node.start, "no signature of its own", "one")
            if (isSubMeter(entry)) {
                if (entry.unit !== undefined || entry.scaler !== undefined)
                    throw new SmlDamage(entry.node.start, "neither unit nor scaler", "one")
                const read = readTelegram(payload, entry)
                if (read.number <= (last?.number ?? 0))
                    throw new SmlDamage(entry.node.start, `a number above ${last?.number ?? 0}`, `${read.number}`)
                subMeters.push(read)
            } else if (isRegister.test(entry.obis) && last) {
                if (entry.status || entry.time || entry.unit === undefined || entry.scaler === undefined)
                    throw new SmlDamage(entry.node.start, "unit and scaler, neither status nor time", "another")
                if (entry.value.type !== "int" || entry.value.end - entry.value.valueStart !== 8)
                    throw new SmlDamage(entry.value.start, "int of 8 octets", describe(entry.value))
                const value = intOf(payload, entry.value, "register")
                last.registers.push({ obis: entry.obis, unit: entry.unit, scaler: entry.scaler, value })
            } else throw new SmlDamage(entry.node.start, "a meter that was read, or its register", entry.obis)
        } catch (error) {
            if (!(error instanceof SmlDamage)) throw error
            wrong.push({ at: error.at, what, expected: error.expected, came: error.came })
        }
    }
    return { subMeters, wrong }
}

/** The registers that the telegram gives, decoded anew; why not, where it gives none. */
function decoded(octets: Buffer): { registers: ListedRegister[]; address: string } | string {
    try {
        const telegram = openSubMeter(octets)
        const registers = subRegisters(telegram).map(each => ({
            obis: each.obis.toString("hex"),
            unit: each.unit,
            scaler: each.exponent,
            value: BigInt(each.value),
        }))
        return { registers, address: telegram.meter.toString("hex") }
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        return error.message
    }
}

function registerText({ obis, unit, scaler, value }: ListedRegister): string {
    const [a, b, c, d, e, f] = Buffer.from(obis, "hex")
    return `${a}-${b}:${c}.${d}.${e}${f === 255 ? "" : `*${f}`} ${decimal(value, scaler)} ${unitName(unit) ?? `unit ${unit}`}`
}

function timeText(seconds: number | undefined): string {
    return seconds === undefined ? "at a time not known" : `of ${new Date(seconds * 1000).toISOString()}`
}

/** Judges what the list says of such a meter against its telegram, and says it in a line. */
export function judgeSubMeter(findings: Findings, sub: ListedSubMeter, place: string, listSeconds?: number): string {
    const clause = `${subMeterProfile}; EN 13757-3`
    const where = `${place}, meter ${sub.number}`
    const who = sub.address || "not known"
    const last = sub.octets.length === 0 ? "never read" : `last telegram ${timeText(sub.atSeconds)}`
    if (sub.state !== 0) {
        findings.check(
            sub.registers.length === 0,
            "registers of a meter that was read",
            clause,
            where,
            "none, as its telegram is not of the present",
            `${sub.registers.length}`,
        )
        findings.unshown(
            "reading of a meter that cannot sign",
            clause,
            where,
            "a telegram of the last two periods",
            `${states[sub.state]}; ${last}`,
        )
        return `${who}: ${states[sub.state]}; ${last}`
    }
    const said = sub.registers.map(registerText).join(", ")
    const means = decoded(sub.octets)
    const wanted = typeof means === "string" ? `(${means})` : means.registers.map(registerText).join(", ")
    findings.check(
        typeof means !== "string" && wanted === said && means.address === sub.address,
        "registers of a meter that was read",
        clause,
        where,
        `what the telegram of ${typeof means === "string" ? "that meter" : means.address} says: ${wanted}`,
        `${sub.address}: ${said}`,
    )
    if (sub.atSeconds !== undefined && listSeconds !== undefined)
        findings.check(
            sub.atSeconds <= listSeconds,
            "time of a telegram",
            clause,
            where,
            "not after the list",
            timeText(sub.atSeconds),
        )
    return `${who}: ${said || "no register"}, telegram ${timeText(sub.atSeconds)}`
}
