import { crc32 } from "node:zlib"

/** A question and its answer, as collected. */
export interface Collected {
    /** Number in the journal, from 1. */
    seq: number
    /** Milliseconds since 1970 UTC when the concentrator had the answer's last octet. */
    receivedAtMs: number
    /** Hex of the server ids of who answered and of the MUC that carried it. */
    serverId: string
    muc: string
    /** The SML files as sent and as received. */
    request: Buffer
    response: Buffer
}

/** Longest record that is believed, in octets. */
const longest = 256 * 1024
const headOctets = 8

function counted(octets: Buffer, width: 1 | 4): Buffer {
    const length = Buffer.alloc(width)
    length.writeUIntBE(octets.length, 0, width)
    return Buffer.concat([length, octets])
}

/** An entry as a record: length, CRC-32 of what follows, number, time, ids, files; big endian. */
export function pack(entry: Collected): Buffer {
    const numbers = Buffer.alloc(16)
    numbers.writeBigUInt64BE(BigInt(entry.seq), 0)
    numbers.writeBigUInt64BE(BigInt(entry.receivedAtMs), 8)
    const body = Buffer.concat([
        numbers,
        counted(Buffer.from(entry.serverId, "hex"), 1),
        counted(Buffer.from(entry.muc, "hex"), 1),
        counted(entry.request, 4),
        counted(entry.response, 4),
    ])
    const head = Buffer.alloc(headOctets)
    head.writeUInt32BE(body.length, 0)
    head.writeUInt32BE(crc32(body), 4)
    return Buffer.concat([head, body])
}

/** The whole records at the start of `data`; `end` is the offset of the first octet that belongs to none. */
export function readRecords(data: Buffer): {
    records: { at: number; length: number; entry: Collected }[]
    end: number
} {
    const records: { at: number; length: number; entry: Collected }[] = []
    let at = 0
    while (at + headOctets <= data.length) {
        const length = data.readUInt32BE(at)
        const end = at + headOctets + length
        if (length > longest || end > data.length) break
        const body = data.subarray(at + headOctets, end)
        if (crc32(body) !== data.readUInt32BE(at + 4)) break
        const entry = unpack(body)
        if (!entry) break
        records.push({ at, length: end - at, entry })
        at = end
    }
    return { records, end: at }
}

function unpack(body: Buffer): Collected | undefined {
    if (body.length < 26) return undefined
    let at = 16
    const part = (width: 1 | 4) => {
        const length = at + width <= body.length ? body.readUIntBE(at, width) : body.length
        const octets = body.subarray(at + width, at + width + length)
        at += width + length
        return Buffer.from(octets)
    }
    const [serverId, muc, request, response] = [part(1), part(1), part(4), part(4)]
    if (at !== body.length) return undefined
    return {
        seq: Number(body.readBigUInt64BE(0)),
        receivedAtMs: Number(body.readBigUInt64BE(8)),
        serverId: serverId.toString("hex"),
        muc: muc.toString("hex"),
        request,
        response,
    }
}
