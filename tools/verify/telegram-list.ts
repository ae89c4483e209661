import { DlmsKeys } from "../../firmware/core/dlms-security.ts"
import { type DlmsOpening, decodeDlms } from "../decode/dlms.ts"
import { decodeIec, decodeP1 } from "../decode/iec62056.ts"
import { decodeWired, decodeWireless } from "../decode/mbus.ts"
import type { DecodedReading } from "../decode/readings.ts"
import { decodeSml } from "../decode/sml.ts"
import type { Deviation, Entry, SignedItem } from "./signed-list.ts"
import { numberOf, obis, obisText, textOctets } from "./signed-list.ts"
import { describe, listOf, octetsOf, SmlDamage, uintOf } from "./sml-tlv.ts"

/** Profile of a list of telegrams that a MUC received from meters that cannot sign. */
export const telegramProfile = "PLOMB-TL/1"
const isTelegram = /^8181c7f1[0-9a-f]{2}ff$/

/** What stands in front of the telegrams: OBIS code, name, type, octets (0: any). */
const head: [obis: string, name: string, type: string, width: number][] = [
    [obis.profile, "profile identifier", "octets", 10],
    [obis.pagination, "pagination", "uint", 4],
    [obis.secondsIndex, "seconds index", "uint", 4],
    [obis.timeQuality, "time quality", "uint", 1],
    [obis.software, "software identification", "octets", 0],
    [obis.checksum, "software checksum", "octets", 32],
    [obis.keyProtection, "key protection", "uint", 1],
    [obis.previousHash, "hash of the previous signed list", "octets", 32],
]

const kinds = ["", "wmbus", "mbus", "iec62056", "sml", "dlms", "p1"] as const
const protections = ["none", "decrypted", "MAC holds"]

/** One telegram of such a list. */
export interface ListedTelegram {
    kind: "wmbus" | "mbus" | "iec62056" | "sml" | "dlms" | "p1"
    /** The meter's address, hex. */
    meter: string
    line: number
    /** What the MUC's check of the symmetric protection came to. */
    protection: string
    /** When it was received, UTC seconds, where the MUC's clock was set. */
    atSeconds?: number
    /** As received. */
    octets: Buffer
}

/** Is this a list of telegrams? It holds at least one. */
export function isTelegramList(item: SignedItem): boolean {
    return item.kind === "list" && item.entries.some(entry => isTelegram.test(entry.obis))
}

function readTelegram(payload: Buffer, entry: Entry): ListedTelegram {
    const kind = kinds[Number.parseInt(entry.obis.slice(8, 10), 16)]
    if (!kind) throw new SmlDamage(entry.node.start, "a telegram of a known kind", obisText(entry.obis))
    const value = octetsOf(payload, entry.value, "telegram")
    const length = value[0] ?? 0
    if (value.length < 2 + length)
        throw new SmlDamage(entry.value.start, "an address and a telegram", describe(entry.value))
    if (entry.status?.type !== "uint") throw new SmlDamage(entry.node.start, "line and protection", "no status")
    const status = Number(uintOf(payload, entry.status, "status", 1))
    const protection = protections[status & 15]
    if (!protection) throw new SmlDamage(entry.status.start, "protection 0 to 2", `${status & 15}`)
    const [tag, seconds] = listOf(entry.time!, 2, "valTime")
    const timeKind = Number(uintOf(payload, tag, "valTime: tag", 1))
    if (timeKind !== 1 && timeKind !== 2) throw new SmlDamage(tag.start, "valTime: tag 1 or 2", `${timeKind}`)
    const at = Number(uintOf(payload, seconds, "valTime", 4))
    return {
        kind,
        meter: value.subarray(1, 1 + length).toString("hex"),
        line: status >> 4,
        protection,
        atSeconds: timeKind === 2 ? at : undefined,
        octets: value.subarray(1 + length),
    }
}

/** The telegrams of a list, and everything in which it departs from the profile, field by field. */
export function readTelegrams(payload: Buffer, item: SignedItem): { telegrams: ListedTelegram[]; wrong: Deviation[] } {
    const wrong: Deviation[] = []
    const telegrams: ListedTelegram[] = []
    const say = (at: number, what: string, expected: string, came: string) => wrong.push({ at, what, expected, came })
    item.entries.forEach((entry, i) => {
        const what = `entry ${i + 1}`
        if (entry.unit !== undefined || entry.scaler !== undefined || entry.signed)
            say(entry.node.start, what, "neither unit nor scaler nor a signature of its own", "one")
        const row = head[i]
        if (row) {
            const [code, name, type, width] = row
            const octets = entry.value.end - entry.value.valueStart
            if (entry.obis !== code) say(entry.node.start, what, `${obisText(code)} ${name}`, obisText(entry.obis))
            else if (entry.value.type !== type || (width && octets !== width))
                say(
                    entry.value.start,
                    `${what} ${name}`,
                    `${type}${width ? ` of ${width} octets` : ""}`,
                    describe(entry.value),
                )
            if (entry.status || entry.time) say(entry.node.start, what, "neither status nor time", "one")
        } else if (!isTelegram.test(entry.obis) || !entry.time)
            say(entry.node.start, what, "a telegram with its time", obisText(entry.obis))
        else
            try {
                telegrams.push(readTelegram(payload, entry))
            } catch (error) {
                if (!(error instanceof SmlDamage)) throw error
                say(error.at, what, error.expected, error.came)
            }
    })
    const { start } = item.message.body
    if (item.entries.length < head.length)
        say(start, "valList", `${head.length} entries and telegrams`, `${item.entries.length}`)
    if (textOctets(payload, item, obis.profile)?.toString("latin1") !== telegramProfile)
        say(start, "profile identifier", telegramProfile, "another")
    if (item.listName.toString("hex") !== "0100620affff")
        say(start, "listName", "0100620affff", item.listName.toString("hex").slice(0, 60))
    if (item.serverId.length !== 7) say(start, "serverId", "7 octets, of a MUC", `${item.serverId.length}`)
    const quality = numberOf(payload, item, obis.timeQuality)
    if (quality === undefined || quality > 2n) say(start, "time quality", "0, 1 or 2", `${quality}`)
    const wanted = quality === 2n ? 2 : 1
    if (item.time?.tag !== wanted)
        say(item.time?.node.start ?? start, "sensor time", `tag ${wanted}`, `tag ${item.time?.tag}`)
    return { telegrams, wrong }
}

/** What decodes each kind of telegram; a key of DLMS is the encryption key, and the authentication key behind it. */
const decoders: Record<
    ListedTelegram["kind"],
    (octets: Buffer, key?: Buffer) => { readings?: DecodedReading[]; error?: { cause: string } } | undefined
> = {
    mbus: (octets, key) => decodeWired(octets, key).telegrams[0],
    wmbus: (octets, key) => decodeWireless(octets, key, 0).telegrams[0],
    iec62056: octets => decodeIec(octets, false)[0],
    sml: octets => decodeSml(octets, "tolerant").files[0],
    dlms: (octets, key) => dlmsTelegram(octets, dlmsOpening(key)),
    p1: (octets, key) => decodeP1(octets, false, dlmsOpening(key))[0],
}

function dlmsOpening(key?: Buffer): DlmsOpening {
    const keys = key ? new DlmsKeys(key.subarray(0, 16), key.subarray(16)) : undefined
    return { keys, title: Buffer.alloc(0), last: -1 }
}

/** Readings of all APDUs of a telegram; the first thing that was wrong, where there are none. */
function dlmsTelegram(octets: Buffer, opening: DlmsOpening) {
    const { apdus, readings: asked = [], error } = decodeDlms(octets, opening)
    const readings = [...apdus.flatMap(each => each.readings ?? []), ...asked]
    return readings.length > 0 ? { readings } : { readings, error: error ?? apdus.find(each => each.error)?.error }
}

/** What a telegram says, decoded with the meter's key where one is given; why not, where it cannot be. */
export function telegramReadings({ kind, octets }: ListedTelegram, key?: Buffer): DecodedReading[] | string {
    const first = decoders[kind](octets, key)
    if (!first || first.error) return first?.error?.cause ?? "damaged"
    return first.readings ?? []
}

/** The same in a line. */
export function readingsText(readings: DecodedReading[] | string): string {
    if (typeof readings === "string") return `(${readings})`
    return readings
        .map(
            ({ obis: code, value, text, hex, unit }) =>
                `${code} ${value ?? text ?? hex ?? ""}${unit ? ` ${unit}` : ""}`,
        )
        .join(", ")
}
