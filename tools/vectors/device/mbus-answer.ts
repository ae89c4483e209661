import { cmac } from "../../../firmware/core/cmac"
import { fixedRecord } from "../../../firmware/core/mbus-fixed"
import { MbusReceiver } from "../../../firmware/core/mbus-frame"
import { obisOf } from "../../../firmware/core/mbus-obis"
import { MBUS_TIME, MbusRecords, mbusTime } from "../../../firmware/core/mbus-records"
import {
    MBUS_FIXED,
    MBUS_RECORDS,
    type MbusTelegram,
    openWired,
    openWireless,
} from "../../../firmware/core/mbus-telegram"
import { cut, join } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { WmbusReceiver, wmbusUnframe } from "../../../firmware/core/wmbus-frame"

/**
 * Request: function, length of the key (255 = none), key, then
 * 0 wired frame, 1, 2, 3 wireless frame in format none, A, B. Reply: 36 octets as in `head`, octets of the telegram, then 72 octets for each record as in `row`.
 * 4, 5, 6, 7 the same formats as a stream: octets of a piece U8, stream. Reply: length U16 LE and octets of each telegram, then FFFF and octets of junk U16 LE.
 * 8: AES-CMAC of the octets. 9: as 1, without records.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    const keyLength = request[1] === 255 ? 0 : request[1]
    const key = request[1] === 255 ? undefined : cut(request, 2, keyLength)
    const octets = cut(request, 2 + keyLength, request.length - 2 - keyLength)
    const what = request[0]
    if (what === 8) return cmac(key === undefined ? Buffer.alloc(0) : key, octets)
    if (what > 3 && what < 8) return stream(what - 4, octets)
    const format = what === 9 ? 0 : what - 1
    const telegram = what === 0 ? openWired(octets, key) : openWireless(wmbusUnframe(octets, format), key)
    const parts: Buffer[] = [head(telegram), telegram.octets]
    if (what === 9) return join(parts)
    platform().yieldNow()
    if (telegram.content === MBUS_FIXED) for (let i = 0; i < 2; ++i) parts.push(row(telegram, fixedRecord(telegram, i)))
    if (telegram.content === MBUS_RECORDS) {
        const records = new MbusRecords(telegram.octets, telegram.at, telegram.end)
        while (records.next()) {
            parts.push(row(telegram, records))
            platform().yieldNow()
        }
    }
    return join(parts)
}

function stream(format: number, request: Buffer): Buffer {
    const parts: Buffer[] = []
    const push = (telegram: Buffer) => {
        const length = Buffer.alloc(2)
        length.setAt(0, "u16", telegram.length)
        parts.push(length)
        parts.push(telegram)
    }
    const receiver = format === 0 ? new MbusReceiver(push) : new WmbusReceiver(format - 1, push)
    for (let at = 1; at < request.length; at += request[0]) {
        receiver.feed(cut(request, at, Math.min(request[0], request.length - at)))
        platform().yieldNow()
    }
    receiver.timeout()
    const end = Buffer.alloc(4)
    end.setAt(0, "u16", 0xffff)
    end.setAt(2, "u16", receiver.junk)
    parts.push(end)
    return join(parts)
}

function head(telegram: MbusTelegram): Buffer {
    const head = Buffer.alloc(36)
    head.setAt(0, "i16", telegram.primary)
    head[2] = telegram.control
    head[3] = telegram.ci
    head.setAt(4, "i16", telegram.access)
    head[6] = telegram.status
    head[7] = telegram.mode
    head[8] = telegram.linkMode
    head[9] = telegram.proof
    head[10] = telegram.content
    head[11] = telegram.meter.length
    head.setAt(12, "f64", telegram.counter)
    head.setAt(20, "u16", telegram.at)
    head.setAt(22, "u16", telegram.end)
    head.setAt(24, "u16", telegram.octets.length)
    if (telegram.meter.length > 0) head.blitAt(26, telegram.meter, 0, 8)
    return head
}

function row(telegram: MbusTelegram, record: MbusRecords): Buffer {
    const row = Buffer.alloc(72)
    row.setAt(0, "u16", record.start)
    row.setAt(2, "u16", record.end)
    row[4] = record.functionField
    row[5] = record.table
    row[6] = record.code
    row[7] = record.quantity
    row.setAt(8, "f64", record.storage)
    row.setAt(16, "u32", record.tariff)
    row.setAt(20, "u16", record.subunit)
    row[22] = record.unit
    row.setAt(23, "i8", record.exponent)
    row.setAt(24, "u16", record.extensionsAt)
    row[26] = record.extensions
    row[27] = record.textLength
    row.setAt(28, "u16", record.textAt)
    row[30] = record.kind
    row[31] = (record.unsigned ? 1 : 0) + (record.exact ? 2 : 0) + (record.moreFollow ? 4 : 0)
    row.setAt(32, "u16", record.dataAt)
    row.setAt(34, "u16", record.length)
    row.setAt(36, "f64", record.value)
    const obis = telegram.meter.length > 0 ? obisOf(telegram.meter[7], record) : undefined
    if (obis !== undefined) {
        row[44] = 1
        row.blitAt(45, obis, 0, 6)
    }
    const time = record.kind === MBUS_TIME ? mbusTime(record.octets, record.dataAt, record.length) : []
    row[51] = time.length
    for (let i = 0; i < time.length; ++i) row.setAt(52 + 2 * i, "i16", time[i])
    return row
}
