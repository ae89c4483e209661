import type { SmlFile, SmlMessage } from "./sml-file.ts"
import { anyList, describe, intOf, listOf, octetsOf, SmlDamage, type SmlNode, uintOf } from "./sml-tlv.ts"
import { isSubMeter, readSubMeters, subMeterProfile } from "./sub-meters.ts"

/** One row of a valList or period_List. */
export interface Entry {
    /** Hex of the six OBIS octets. */
    obis: string
    node: SmlNode
    value: SmlNode
    unit?: number
    scaler?: number
    status?: SmlNode
    time?: SmlNode
    /** The entry has a signature of its own. */
    signed: boolean
    /** The entry carries a time or a signature of its own. */
    more: boolean
}

/** A signed list or profile row, as sent. */
export interface SignedItem {
    kind: "list" | "profile row"
    message: SmlMessage
    messageNumber: number
    serverId: Buffer
    /** The octets the signature covers. */
    signed: Buffer
    signature: Buffer
    signatureNode: SmlNode
    listName: Buffer
    /** SML_Time of the sensor: tag 1 secIndex, 2 timestamp. */
    time?: { tag: number; seconds: number; node: SmlNode }
    /** Profile rows: end of the period. */
    valTime?: { tag: number; seconds: number; node: SmlNode }
    entries: Entry[]
    /** Profile rows: the status they carry outside of the entries. */
    status?: bigint
}

/** A deviation from the profile: payload offset, which entry, expected, came. */
export interface Deviation {
    at: number
    what: string
    expected: string
    came: string
}

/** The profile's row: OBIS in hex, name, type, octets of its value (0: any), unit and scaler where they are laid down. */
type Row = [obis: string, name: string, type: SmlNode["type"], width: number, unit?: number, scaler?: number]

/** OBIS codes of the profile, in hex. */
export const obis = {
    profile: "8181c7f001ff",
    pagination: "8181c7f002ff",
    secondsIndex: "810060080001",
    timeQuality: "8181c7f003ff",
    drawn: "0100010800ff",
    drawn1: "0100010801ff",
    drawn2: "0100010802ff",
    fedIn: "0100020800ff",
    power: "0100100700ff",
    status: "0100600500ff",
    software: "010000020000",
    checksum: "0100605a0201",
    keyProtection: "8181c7f004ff",
    previousHash: "8181c7f005ff",
    drawn3: "0100010803ff",
    drawn4: "0100010804ff",
    module: "8181c7f006ff",
    moduleChecksum: "8181c7f007ff",
}

/** PLOMB-SL/1, which knew neither tariffs 3 and 4 nor modules. */
const formerRows: Row[] = [
    [obis.profile, "profile identifier", "octets", 10],
    [obis.pagination, "pagination", "uint", 4],
    [obis.secondsIndex, "seconds index", "uint", 4],
    [obis.timeQuality, "time quality", "uint", 1],
    [obis.drawn, "1-0:1.8.0 energy drawn", "uint", 8, 30, -1],
    [obis.drawn1, "1-0:1.8.1 energy drawn, tariff 1", "uint", 8, 30, -1],
    [obis.drawn2, "1-0:1.8.2 energy drawn, tariff 2", "uint", 8, 30, -1],
    [obis.fedIn, "1-0:2.8.0 energy fed in", "uint", 8, 30, -1],
    [obis.power, "1-0:16.7.0 active power", "int", 4, 27, -1],
    [obis.status, "status word", "uint", 4],
    [obis.software, "software identification", "octets", 0],
    [obis.checksum, "software checksum", "octets", 32],
    [obis.keyProtection, "key protection", "uint", 1],
    [obis.previousHash, "hash of the previous signed list", "octets", 32],
]

const listRows: Row[] = formerRows.flatMap(row => {
    if (row[0] === obis.drawn2)
        return [
            row,
            [obis.drawn3, "1-0:1.8.3 energy drawn, tariff 3", "uint", 8, 30, -1],
            [obis.drawn4, "1-0:1.8.4 energy drawn, tariff 4", "uint", 8, 30, -1],
        ] satisfies Row[]
    if (row[0] === obis.checksum)
        return [
            row,
            [obis.module, "identification of the metrological module", "octets", 0],
            [obis.moduleChecksum, "checksum of the metrological module", "octets", 32],
        ] satisfies Row[]
    return [row]
})

const periodRows: Row[] = [
    [obis.profile, "profile identifier", "octets", 10, 255, 0],
    [obis.pagination, "pagination", "uint", 4, 255, 0],
    [obis.secondsIndex, "seconds index", "uint", 4, 255, 0],
    [obis.timeQuality, "time quality", "uint", 1, 255, 0],
    [obis.drawn, "1-0:1.8.0 energy drawn", "uint", 8, 30, -1],
    [obis.fedIn, "1-0:2.8.0 energy fed in", "uint", 8, 30, -1],
    [obis.keyProtection, "key protection", "uint", 1, 255, 0],
    [obis.previousHash, "hash of the previous signed list", "octets", 32, 255, 0],
]

const formerList = "PLOMB-SL/1"
const presentList = "PLOMB-SL/2"

/** The profile that an item is to be judged by, and so must name: a list may be of the former one. */
export function profileOf(item: SignedItem): string {
    if (item.kind === "profile row") return "PLOMB-SP/1"
    if (item.entries.some(isSubMeter)) return subMeterProfile
    return item.entries.length <= formerRows.length ? formerList : presentList
}

/** Hex of an OBIS code in the usual form A-B:C.D.E*F. */
export function obisText(hexCode: string): string {
    const [a, b, c, d, e, f] = Buffer.from(hexCode, "hex")
    return `${a}-${b}:${c}.${d}.${e}${f === 255 ? "" : `*${f}`}`
}

function readTime(payload: Buffer, node: SmlNode, what: string): SignedItem["time"] {
    if (node.type === "absent") return undefined
    const [tag, value] = listOf(node, 2, what)
    const kind = Number(uintOf(payload, tag, `${what}: tag`, 1))
    if (kind === 3) {
        const [timestamp] = listOf(value, 3, `${what}: localTimestamp`)
        return { tag: kind, seconds: Number(uintOf(payload, timestamp, what, 4)), node }
    }
    if (kind !== 1 && kind !== 2) throw new SmlDamage(tag.start, `${what}: tag 1, 2 or 3`, `${kind}`)
    return { tag: kind, seconds: Number(uintOf(payload, value, what, 4)), node }
}

function readEntry(payload: Buffer, node: SmlNode, kind: SignedItem["kind"]): Entry {
    const width = kind === "list" ? 7 : 5
    const items = listOf(node, width, kind === "list" ? "ListEntry" : "PeriodEntry")
    const [unit, scaler, value] = kind === "list" ? items.slice(3) : items.slice(1)
    const name = octetsOf(payload, items[0], "objName")
    if (name.length !== 6) throw new SmlDamage(items[0].start, "objName: 6 octets", `${name.length}`)
    const own = kind === "list" ? [items[2], items[6]] : [items[4]]
    const more = own.some(each => each.type !== "absent")
    const signed = own[own.length - 1].type !== "absent"
    const entry: Entry = { obis: name.toString("hex"), node, value, signed, more }
    // An empty octet string and no value are the same octet; of a module it says that none measures.
    if (value.type === "absent" && entry.obis !== obis.module) throw new SmlDamage(value.start, "a value", "nothing")
    if (unit.type !== "absent") entry.unit = Number(uintOf(payload, unit, "unit", 1))
    if (scaler.type !== "absent") entry.scaler = Number(intOf(payload, scaler, "scaler", 1))
    if (kind === "list" && items[1].type !== "absent") entry.status = items[1]
    if (kind === "list" && items[2].type !== "absent") entry.time = items[2]
    return entry
}

/** Reads message `index` of the file as a GetList.Res or GetProfileList.Res; throws `SmlDamage` for wrong fields. */
export function readSignedItem(file: SmlFile, index: number): SignedItem | undefined {
    const { payload } = file
    const message = file.messages[index]
    if (message.tag === 0x0701) {
        const items = listOf(message.body, 7, "GetList.Res")
        octetsOf(payload, items[0], "clientId")
        return {
            kind: "list",
            message,
            messageNumber: index + 1,
            serverId: octetsOf(payload, items[1], "serverId"),
            listName: octetsOf(payload, items[2], "listName"),
            time: readTime(payload, items[3], "actSensorTime"),
            entries: anyList(items[4], "valList").map(node => readEntry(payload, node, "list")),
            signature: octetsOf(payload, items[5], "listSignature"),
            signatureNode: items[5],
            // From the first octet of serverId to the last of valList, type-length octets included.
            signed: payload.subarray(items[1].start, items[4].end),
        }
    }
    if (message.tag === 0x0401) {
        const items = listOf(message.body, 9, "GetProfileList.Res")
        const path = anyList(items[3], "parameterTreePath").map(node => octetsOf(payload, node, "parameterTreePath"))
        uintOf(payload, items[2], "regPeriod", 4)
        return {
            kind: "profile row",
            message,
            messageNumber: index + 1,
            serverId: octetsOf(payload, items[0], "serverId"),
            listName: Buffer.concat(path),
            status: uintOf(payload, items[5], "status", 8),
            time: readTime(payload, items[1], "actTime"),
            valTime: readTime(payload, items[4], "valTime"),
            entries: anyList(items[6], "period_List").map(node => readEntry(payload, node, "profile row")),
            signature: octetsOf(payload, items[8], "periodSignature"),
            signatureNode: items[8],
            signed: payload.subarray(items[0].start, items[6].end),
        }
    }
    return undefined
}

/** The item's entry of that OBIS code. */
export function entryOf(item: SignedItem, code: string): Entry | undefined {
    return item.entries.find(entry => entry.obis === code)
}

/** An unsigned value of the item, undefined where there is none. */
export function numberOf(payload: Buffer, item: SignedItem, code: string): bigint | undefined {
    const value = entryOf(item, code)?.value
    return value?.type === "uint" ? uintOf(payload, value, code) : undefined
}

/** An octet string of the item, undefined where there is none. */
export function textOctets(payload: Buffer, item: SignedItem, code: string): Buffer | undefined {
    const value = entryOf(item, code)?.value
    return value?.type === "octets" ? octetsOf(payload, value, code) : undefined
}

/** The meters that the list's meter has read, and what is wrong with their entries. */
export function subMetersOf(payload: Buffer, item: SignedItem): ReturnType<typeof readSubMeters> {
    return readSubMeters(payload, item.entries, listRows.length)
}

/** Everything in which the item departs from its profile (`profileOf`), field by field. */
export function deviations(payload: Buffer, item: SignedItem): Deviation[] {
    const found: Deviation[] = []
    const { entries, kind } = item
    const rows = kind !== "list" ? periodRows : profileOf(item) === formerList ? formerRows : listRows
    const say = (at: number, what: string, expected: string, came: string) => found.push({ at, what, expected, came })
    rows.forEach(([code, name, type, width, unit, scaler], i) => {
        const entry = entries[i]
        const what = `entry ${i + 1}`
        if (entry?.obis !== code) {
            const came = entry ? obisText(entry.obis) : "no entry"
            say(entry?.node.start ?? item.signatureNode.start, what, `${obisText(code)} ${name}`, came)
            return
        }
        const octets = entry.value.end - entry.value.valueStart
        // Integers at full nominal width: a shortened one is another device's habit.
        const none = code === obis.module && entry.value.type === "absent"
        if ((entry.value.type !== type && !none) || (width && octets !== width))
            say(
                entry.value.start,
                `${what} ${name}`,
                `${type}${width ? ` of ${width} octets` : ""}`,
                describe(entry.value),
            )
        if (entry.unit !== unit || entry.scaler !== scaler)
            say(
                entry.node.start,
                `${what} ${name}`,
                unit === undefined ? "neither unit nor scaler" : `unit ${unit}, scaler ${scaler}`,
                `unit ${entry.unit ?? "none"}, scaler ${entry.scaler ?? "none"}`,
            )
        if (entry.more) say(entry.node.start, `${what} ${name}`, "no time or signature of its own", "one")
        if (entry.status && code !== obis.drawn) say(entry.status.start, `${what} ${name}`, "no status", "one")
    })
    if (kind === "list" && profileOf(item) === subMeterProfile) found.push(...subMetersOf(payload, item).wrong)
    else if (entries.length > rows.length)
        say(entries[rows.length].node.start, `entry ${rows.length + 1}`, `${rows.length} entries`, `${entries.length}`)
    const name = kind === "list" ? "0100620affff" : "8181c78611ff"
    if (item.listName.toString("hex") !== name)
        say(
            item.message.body.start,
            kind === "list" ? "listName" : "parameterTreePath",
            name,
            item.listName.toString("hex").slice(0, 60) || "nothing",
        )
    if (item.serverId.length !== 10)
        say(item.message.body.start, "serverId", "10 octets (DIN 43863-5)", `${item.serverId.length}`)
    const quality = numberOf(payload, item, obis.timeQuality)
    if (quality !== undefined && quality > 2n) say(item.message.body.start, "time quality", "0, 1 or 2", `${quality}`)
    const wanted = quality === 2n ? 2 : 1
    if (item.time?.tag !== wanted)
        say(
            item.time?.node.start ?? item.message.body.start,
            "sensor time",
            wanted === 2
                ? "a timestamp (tag 2), as the clock is set"
                : "a seconds index (tag 1), as the clock is not set",
            item.time ? `tag ${item.time.tag}` : "nothing",
        )
    if (kind === "profile row" && item.valTime?.tag !== wanted)
        say(item.valTime?.node.start ?? item.message.body.start, "valTime", `tag ${wanted}`, `tag ${item.valTime?.tag}`)
    if (kind === "list") {
        const status = entryOf(item, obis.drawn)?.status
        const word = numberOf(payload, item, obis.status)
        if (status?.type !== "uint")
            say(
                status?.start ?? item.message.body.start,
                "status of 1-0:1.8.0",
                "an unsigned status word",
                status ? describe(status) : "nothing",
            )
        else if (uintOf(payload, status, "status") !== word)
            say(status.start, "status word beside 1-0:1.8.0", `the status word ${word ?? ""}`, describe(status))
    }
    return found
}
