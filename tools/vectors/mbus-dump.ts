import { decimalValue, type RecordFields, textOf, timeText } from "../decode/mbus-values.ts"
import type { Case } from "./format.ts"
import { answered } from "./judge.ts"

/** A record of the reply of `device/mbus-answer.ts`, with what people read of it. */
export interface DumpedRecord extends RecordFields {
    obis: string
    /** Exact decimal text. */
    number: string | undefined
    time: string | undefined
    text: string
    hex: string
}

export interface DumpedTelegram {
    primary: number
    control: number
    ci: number
    access: number
    status: number
    mode: number
    linkMode: number
    proof: number
    content: number
    counter: number
    meter: string
    octets: Buffer
    at: number
    end: number
    records: DumpedRecord[]
}

/** Forms a request: 0 wired, 1 to 3 wireless without CRCs, in format A, B. `key` undefined = none, of no octets = as it is. */
export function mbusRequest(what: number, key: Uint8Array | undefined, octets: Uint8Array): Buffer {
    return Buffer.concat([Buffer.of(what, key ? key.length : 255), key ?? Buffer.alloc(0), octets])
}

export function readMbusDump(reply: Buffer): DumpedTelegram {
    const octetsEnd = 36 + reply.readUInt16LE(24)
    const octets = reply.subarray(36, octetsEnd)
    const records: DumpedRecord[] = []
    for (let at = octetsEnd; at < reply.length; at += 72) records.push(readRow(octets, reply.subarray(at, at + 72)))
    return {
        primary: reply.readInt16LE(0),
        control: reply[2],
        ci: reply[3],
        access: reply.readInt16LE(4),
        status: reply[6],
        mode: reply[7],
        linkMode: reply[8],
        proof: reply[9],
        content: reply[10],
        counter: reply.readDoubleLE(12),
        at: reply.readUInt16LE(20),
        end: reply.readUInt16LE(22),
        meter: reply[11] > 0 ? reply.toString("hex", 26, 34) : "",
        octets,
        records,
    }
}

function readRow(octets: Buffer, row: Buffer): DumpedRecord {
    const fields = {
        start: row.readUInt16LE(0),
        end: row.readUInt16LE(2),
        functionField: row[4],
        table: row[5],
        code: row[6],
        quantity: row[7],
        storage: row.readDoubleLE(8),
        tariff: row.readUInt32LE(16),
        subunit: row.readUInt16LE(20),
        unit: row[22],
        exponent: row.readInt8(23),
        extensionsAt: row.readUInt16LE(24),
        extensions: row[26],
        textLength: row[27],
        textAt: row.readUInt16LE(28),
        kind: row[30],
        unsigned: (row[31] & 1) !== 0,
        exact: (row[31] & 2) !== 0,
        moreFollow: (row[31] & 4) !== 0,
        dataAt: row.readUInt16LE(32),
        length: row.readUInt16LE(34),
        value: row.readDoubleLE(36),
    } as RecordFields
    const { dataAt, length } = fields
    const time = Array.from({ length: row[51] }, (_, i) => row.readInt16LE(52 + 2 * i))
    return {
        ...fields,
        obis: row[44] === 1 ? row.toString("hex", 45, 51) : "",
        number: decimalValue(octets, fields),
        time: time.length > 0 ? timeText(time) : undefined,
        text: textOf(octets, dataAt, length),
        hex: octets.toString("hex", dataAt, dataAt + length),
    }
}

/** A case whose telegram must open; `compare` throws an Error where something is not as expected. */
export function opened(id: string, request: Buffer, compare: (telegram: DumpedTelegram) => void): Case {
    return answered(id, request, octets => compare(readMbusDump(octets)))
}
