import { fixedRecord } from "../../firmware/core/mbus-fixed"
import { MbusReceiver } from "../../firmware/core/mbus-frame"
import { obisOf } from "../../firmware/core/mbus-obis"
import { mbusReadings } from "../../firmware/core/mbus-readings"
import { MBUS_TIME, MbusRecords, mbusTime, VIF_NONE, VIF_PLAIN_TEXT } from "../../firmware/core/mbus-records"
import {
    checkFresh,
    MBUS_ERROR,
    MBUS_FIXED,
    MBUS_RECORDS,
    type MbusTelegram,
    openWired,
    openWireless,
} from "../../firmware/core/mbus-telegram"
import {
    WMBUS_A,
    WMBUS_B,
    WMBUS_PLAIN,
    WmbusReceiver,
    wmbusFrameLength,
    wmbusUnframe,
} from "../../firmware/core/wmbus-frame"
import {
    applicationErrors,
    contentNames,
    deviceTypeName,
    functionNames,
    ownUnit,
    proofNames,
    quantityName,
} from "./mbus-names.ts"
import { decimalValue, extensionNames, isText, manufacturerText, numberOf, textOf, timeText } from "./mbus-values.ts"
import { obisText } from "./obis.ts"
import { type Problem, problemOf } from "./problem.ts"
import { type DecodedReading, decodedReading } from "./readings.ts"
import { unitName } from "./units.ts"

export interface DecodedRecord {
    offset: number
    function: string
    storage: number
    tariff: number
    subunit: number
    quantity: string
    unit?: string
    /** Exact decimal text. */
    value?: string
    raw?: string
    exponent?: number
    text?: string
    time?: string
    hex: string
    extensions: string[]
    obis?: string
    moreFollow?: boolean
}

export interface DecodedTelegram {
    hex: string
    format: string
    control?: number
    link?: Meter
    meter?: Meter
    primary?: number
    ci?: number
    access?: number
    status?: number
    security?: { mode: number; linkMode: number; proof: string; counter?: number }
    content?: string
    records?: DecodedRecord[]
    applicationError?: string
    data?: string
    /** What the records say in OBIS codes, as for every protocol. */
    readings?: DecodedReading[]
    error?: Problem
}

interface Meter {
    id: string
    manufacturer: string
    version: number
    deviceType: number
    device: string
}

export interface DecodedMbus {
    telegrams: DecodedTelegram[]
    junkOctets: number
}

export const frameFormats = ["none", "A", "B"]

/** Every wired frame in `octets`, opened with `key` (see `openWired`); `last` as in `checkFresh`, for all of them are of one meter. */
export function decodeWired(octets: Buffer, key: Buffer | undefined, last = -1): DecodedMbus {
    const telegrams: DecodedTelegram[] = []
    const open = (frame: Buffer) => {
        const telegram = openWired(frame, key)
        last = fresh(telegram, last)
        return telegram
    }
    const receiver = new MbusReceiver(frame =>
        telegrams.push(
            frame.length < 9
                ? { hex: frame.toString("hex"), format: frame.length === 1 ? "ack" : "short" }
                : telegramOf(frame, "wired", () => open(frame)),
        ),
    )
    receiver.feed(octets)
    receiver.timeout()
    if (telegrams.length === 0) telegrams.push(telegramOf(octets, "wired", () => open(octets)))
    return { telegrams, junkOctets: receiver.junk }
}

/** Every wireless telegram in `octets`; the format is found out where it is not said. In C mode, 54 CD and 54 3D in front stand for A and B. */
export function decodeWireless(octets: Buffer, key: Buffer | undefined, said?: number, last = -1): DecodedMbus {
    const open = (telegram: Buffer) => {
        const opened = openWireless(telegram, key)
        last = fresh(opened, last)
        return opened
    }
    const sync = octets[0] === 0x54 && (octets[1] === 0xcd || octets[1] === 0x3d)
    const frames = sync ? octets.subarray(2) : octets
    const format = said ?? (sync ? (octets[1] === 0xcd ? WMBUS_A : WMBUS_B) : formatOf(frames))
    const telegrams: DecodedTelegram[] = []
    const name = frameFormats[format]
    const receiver = new WmbusReceiver(format, telegram =>
        telegrams.push(telegramOf(telegram, name, () => open(telegram))),
    )
    receiver.feed(frames)
    receiver.timeout()
    if (telegrams.length === 0) telegrams.push(telegramOf(frames, name, () => open(wmbusUnframe(frames, format))))
    return { telegrams, junkOctets: receiver.junk }
}

/** The number of a telegram that is newer than `last`; -1 = whatever comes is. */
function fresh(telegram: MbusTelegram, last: number): number {
    checkFresh(telegram, last)
    return last < 0 ? last : telegram.counter >= 0 ? telegram.counter : telegram.access
}

/** The format in which the CRCs of the first frame hold, or none. */
export function formatOf(octets: Buffer): number {
    const fits = [WMBUS_A, WMBUS_B].find(format => {
        try {
            wmbusUnframe(octets.subarray(0, wmbusFrameLength(octets[0] ?? 0, format)), format)
            return true
        } catch {
            return false
        }
    })
    return fits ?? WMBUS_PLAIN
}

function telegramOf(octets: Buffer, format: string, open: () => MbusTelegram): DecodedTelegram {
    const decoded: DecodedTelegram = { hex: octets.toString("hex"), format }
    if (format !== "wired" && octets.length > 10) {
        decoded.control = octets[1]
        decoded.link = meterOf(octets.subarray(2, 10))
    }
    try {
        fill(decoded, open())
    } catch (error) {
        decoded.error = problemOf(error)
    }
    return decoded
}

/** Manufacturer, identification number, version and device type, 8 octets in the order of the link layer. */
export function meterOf(octets: Uint8Array): Meter {
    return {
        id: Buffer.from(octets.subarray(2, 6)).reverse().toString("hex"),
        manufacturer: manufacturerText(octets[0] | (octets[1] << 8)),
        version: octets[6],
        deviceType: octets[7],
        device: deviceTypeName(octets[7]),
    }
}

function fill(decoded: DecodedTelegram, telegram: MbusTelegram): void {
    const { octets, at, end } = telegram
    decoded.control = telegram.control
    if (telegram.primary >= 0) decoded.primary = telegram.primary
    if (telegram.meter.length > 0) decoded.meter = meterOf(telegram.meter)
    decoded.ci = telegram.ci
    if (telegram.access >= 0) decoded.access = telegram.access
    decoded.status = telegram.status
    decoded.security = {
        mode: telegram.mode,
        linkMode: telegram.linkMode,
        proof: proofNames[telegram.proof],
        ...(telegram.counter >= 0 ? { counter: telegram.counter } : {}),
    }
    decoded.content = contentNames[telegram.content]
    decoded.readings = mbusReadings(telegram).map(decodedReading)
    if (telegram.content === MBUS_FIXED)
        decoded.records = [0, 1].map(which => recordOf(telegram, fixedRecord(telegram, which)))
    else if (telegram.content === MBUS_RECORDS) {
        decoded.records = []
        const records = new MbusRecords(octets, at, end)
        while (records.next()) decoded.records.push(recordOf(telegram, records))
    } else {
        decoded.data = octets.toString("hex", at, end)
        if (telegram.content === MBUS_ERROR) decoded.applicationError = applicationErrors[octets[at] ?? 0] ?? "reserved"
    }
}

function recordOf(telegram: MbusTelegram, record: MbusRecords): DecodedRecord {
    const { octets } = telegram
    const number = numberOf(octets, record)
    const obis = telegram.meter.length > 0 ? obisOf(telegram.meter[7], record) : undefined
    const time = record.kind === MBUS_TIME ? mbusTime(octets, record.dataAt, record.length) : []
    const unit =
        record.table === VIF_PLAIN_TEXT
            ? textOf(octets, record.textAt, record.textLength)
            : (ownUnit(record.unit) ?? (record.unit === 255 ? undefined : unitName(record.unit)))
    return {
        offset: record.start,
        function: functionNames[record.functionField],
        storage: record.storage,
        tariff: record.tariff,
        subunit: record.subunit,
        quantity: quantityName(record),
        ...(unit === undefined ? {} : { unit }),
        ...(number ? { value: decimalValue(octets, record), raw: String(number.raw), exponent: number.exponent } : {}),
        ...(isText(record) ? { text: textOf(octets, record.dataAt, record.length) } : {}),
        ...(time.length > 0 ? { time: timeText(time) } : {}),
        hex: octets.toString("hex", record.dataAt, record.dataAt + record.length),
        extensions: extensionNames(octets, record),
        ...(obis ? { obis: obisText(obis) } : {}),
        ...(record.table === VIF_NONE && record.moreFollow ? { moreFollow: true } : {}),
    }
}

const meterText = (meter: Meter) => `${meter.manufacturer} ${meter.id} version ${meter.version} (${meter.device})`

/** The same for people. */
export function mbusTable(decoded: DecodedMbus): string[] {
    return decoded.telegrams.flatMap(each => {
        const from = each.meter ?? each.link
        const lines = [
            [
                from
                    ? meterText(from)
                    : each.format === "ack" || each.format === "short"
                      ? `${each.format} frame`
                      : "telegram",
                each.primary === undefined ? "" : `address ${each.primary}`,
                each.access === undefined ? "" : `access ${each.access}`,
                each.status === undefined ? "" : `status ${each.status.toString(16).padStart(2, "0")}`,
                each.security ? `security mode ${each.security.mode}, proof ${each.security.proof}` : "",
            ]
                .filter(Boolean)
                .join(", "),
        ]
        if (each.error) lines.push(`    ${each.error.name}: ${each.error.message}`)
        if (each.applicationError) lines.push(`    application error: ${each.applicationError}`)
        else if (each.data !== undefined) lines.push(`    ${each.content}: ${each.data}`)
        for (const record of each.records ?? []) lines.push(`    ${recordText(record)}`)
        return lines
    })
}

function recordText(record: DecodedRecord): string {
    const shown = record.value ?? record.time ?? (record.text === undefined ? record.hex : JSON.stringify(record.text))
    const which = [
        record.function === "instantaneous" ? "" : record.function,
        record.storage > 0 ? `storage ${record.storage}` : "",
        record.tariff > 0 ? `tariff ${record.tariff}` : "",
        record.subunit > 0 ? `subunit ${record.subunit}` : "",
        ...record.extensions,
    ].filter(Boolean)
    const name = record.quantity + (which.length > 0 ? ` (${which.join(", ")})` : "")
    return `${(record.obis ?? "").padEnd(18)} ${shown}${record.unit ? ` ${record.unit}` : ""}  ${name}`
}
