import { crc16 } from "../../firmware/core/crc16"
import {
    SignedListFields,
    signedListRes,
    signedRowRes,
    writeSignedList,
    writeSignedRow,
} from "../../firmware/core/signed-list"
import {
    attentionRes,
    closeReq,
    closeRes,
    getListReq,
    getProcParameterReq,
    openReq,
    openRes,
} from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { type SmlValue, writeMessage } from "../../firmware/core/sml-write"
import { sml, streamRequest } from "../vectors/sml.ts"
import { changed, type Damage, type Random } from "./mutations.ts"

/** Octets longer than anything a line carries are cut off. */
const longest = 1500

const octets = (text: string) => Buffer.from(text, "hex")
const server = octets("0a01504c420100000001")

/** Whole files of every kind of message, as their messages without CRC and end. */
function bases(): Buffer[][] {
    const fields = new SignedListFields()
    Object.assign(fields, { serverId: server, software: Buffer.from("plomb-meter 0.1.0"), timeQuality: 2 })
    Object.assign(fields, { checksum: Buffer.alloc(32, 1), previous: Buffer.alloc(32, 2), drawn: 12345678901 })
    const id = (n: number) => Buffer.from([n])
    const open = openRes(id(1), id(9), id(2), server, [1, 77])
    const askOpen = openReq(id(1), id(9), id(2), server)
    const path = [octets("8181c78611ff")]
    const time: SmlValue = [3, [1700000000, 60, 60]]
    const tree: SmlValue = [
        octets("8181c78201ff"),
        [1, [0, server]],
        [
            [octets("8181c78204ff"), [2, [octets("0100010800ff"), 30, -1, [0x68, 5], undefined]], undefined],
            [octets("8181c78205ff"), [4, time], [[octets("010203040506"), [1, [0x71, time]], undefined]]],
        ],
    ]
    const row: SmlValue = [
        time,
        5,
        [
            [[0x68, 1], undefined],
            [[0x54, -1], undefined],
        ],
        undefined,
    ]
    const pack: SmlValue[] = [
        server,
        time,
        900,
        path,
        [
            [octets("0100010800ff"), 30, -1],
            [octets("0100020800ff"), 30, -1],
        ],
        [row, row],
        undefined,
        undefined,
    ]
    const profile: SmlValue[] = [server, undefined, undefined, true, time, [2, 5], path, path, undefined]
    const files = [
        [open, signedListRes(id(2), undefined, writeSignedList(fields), Buffer.alloc(64, 0x1b)), closeRes(id(3))],
        [open, signedRowRes(id(2), writeSignedRow(fields), Buffer.alloc(64, 3)), closeRes(id(3))],
        [open, writeMessage(id(2), 0, 0x0301, pack), attentionRes(id(4), server, 0xfe13, "none"), closeRes(id(3))],
        [open, writeMessage(id(2), 0, 0x0501, [server, path, tree]), closeRes(id(3))],
        [
            askOpen,
            writeMessage(id(2), 0, 0x0600, [server, undefined, undefined, path, tree]),
            closeReq(id(3), Buffer.alloc(64)),
        ],
        [
            askOpen,
            getListReq(id(2), id(9), server, undefined),
            getProcParameterReq(id(4), undefined, path),
            closeReq(id(3), undefined),
        ],
        [
            askOpen,
            writeMessage(id(2), 0, 0x0400, profile),
            writeMessage(id(2), 0, 0x0300, profile),
            closeReq(id(3), undefined),
        ],
    ]
    return files.map(messages => messages.map(each => each.subarray(0, -4)))
}

const telling = [0x00, 0x01, 0x1b, 0x70, 0x71, 0x72, 0x77, 0x7f, 0x80, 0x81, 0x8f, 0xf1, 0xff, 0x42, 0x55, 0x69]

function withCrc(covered: Buffer): Buffer {
    const crc = crc16(covered, 0, covered.length, 0xffff) ^ 0xffff
    return Buffer.concat([covered, Buffer.from([0x63, crc & 255, crc >> 8, 0])])
}

/** A damaged file: mostly with good checksums, so that the damage reaches what lies behind them. */
function damaged(files: Buffer[][], random: Random): Buffer {
    const messages = files[random(files.length)].slice()
    for (let n = random(1 + random(4)); n >= 0; --n) {
        const which = random(messages.length)
        const donor = files[random(files.length)]
        messages[which] = changed(messages[which], random, telling, donor[random(donor.length)])
    }
    let raw: Buffer = writeFile(messages.map(withCrc))
    if (random(4) === 0) raw = changed(raw, random, telling)
    return raw.subarray(0, longest)
}

const files = bases()

export const damage: Damage = {
    format: sml,
    request(random) {
        const raw = damaged(files, random)
        const what = random(3)
        const tolerant = random(2)
        if (what === 0) return streamRequest(raw, 1 + random(80), 512 + random(1024), tolerant === 1)
        return Buffer.concat([Buffer.from([what, tolerant]), raw])
    },
    name: request => (request[0] === 0 ? "stream" : "read"),
    stepsBound: octets => 30_000 + 400 * octets,
}
