import {
    AARE,
    AARQ,
    DlmsAssociation,
    DlmsInitiate,
    writeAssociation,
    writeInitiate,
} from "../../firmware/core/dlms-association"
import { cipherApdu, DlmsKeys } from "../../firmware/core/dlms-security"
import { hdlcAddress, hdlcFrame } from "../../firmware/core/hdlc"
import { IEC_SUM, IEC_XOR, iecChecked, iecParity } from "../../firmware/core/iec62056"
import { p1Crc } from "../../firmware/core/p1"
import { dlms } from "../vectors/dlms.ts"
import { cipherRequest, readApduDump, readDataDump, readFramesDump, readIecDump } from "../vectors/field-dump.ts"
import { iec62056 } from "../vectors/iec62056.ts"
import { changed, type Damage, type Random } from "./mutations.ts"

/** Characters that mean something in a data set. */
const characters = [..."()*!/\\.:-&\r\n\u0001\u0002\u0003\u0004\u0006 0A"]
    .map(each => each.charCodeAt(0))
    .concat(0x00, 0xff, 0x80)

const sets =
    `1-0:1.8.0*255(001234.567*kWh) 1.8.1(0001.5*kWh) 0-0:1.0.0(230101120000W) 1-0:1.6.0(230101120000W)(02.351*kW) F.F(00000000) C.1(123456) 6.8(0029.055*MWh)
    6.26*01(01563.92*m3) 9.4(088*C&082*C) 0-1:24.2.1(230101120000W)(00012.345*m3) 0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)(00001.001) 0-0:96.13.0()
    1-0:99.97.0(1)(0-0:96.7.19)(190326095015W)(0000002014*s) 31.7.0(+000.8*A) 1-0:16.7.0(-12.5*kW) 12345678901234567890.1(1) (777777) HELLO(2,CE301)`
        .trim()
        .split(/\s+/)

function textOf(random: Random): Buffer {
    const lines = Array.from({ length: 1 + random(6) }, () => sets[random(sets.length)])
    let text: Buffer = Buffer.from(lines.join(random(4) === 0 ? "" : "\r\n"))
    for (let n = random(4); n > 0; --n) text = changed(text, random, characters)
    return text
}

const identification = Buffer.from("/ABC5\\2METER 1.0\r\n")

function iecMessage(random: Random): Buffer {
    const harm = (octets: Buffer) => (random(3) === 0 ? changed(octets, random, characters) : octets)
    const text = textOf(random)
    const end = random(5) === 0 ? "\u0004" : "!\r\n\u0003"
    const check = random(3) === 0 ? IEC_SUM : IEC_XOR
    const framed = iecChecked(harm(Buffer.concat([Buffer.of(2), text, Buffer.from(end)])), check)
    const command = iecChecked(harm(Buffer.concat([Buffer.from("\u0001R1\u0002"), text, Buffer.of(3)])), check)
    const push = Buffer.concat([Buffer.from("\r\n"), text, Buffer.from("!\r\n")])
    const body = [framed, command, push, framed][random(4)]
    return random(2) === 0 ? Buffer.concat([harm(identification), body]) : body
}

/** Places that an answer names must lie in the octets. */
function outside(reply: Buffer, length: number): string | undefined {
    const { values, readings, idEnd } = readIecDump(reply)
    const inside =
        idEnd <= length &&
        values.every(
            each => each.addressAt + each.addressLength <= each.valueAt && each.unitAt + each.unitLength < length,
        ) &&
        readings.every(each => each.at + each.length <= length)
    return inside ? undefined : "places outside of the telegram"
}

export const iec62056Damage: Damage = {
    format: iec62056,
    request(random) {
        if (random(8) === 0) {
            const parts = Array.from({ length: 1 + random(3) }, () => iecMessage(random))
            return Buffer.concat([Buffer.of(10, 1 + random(90), random(2)), ...parts]).subarray(0, 2000)
        }
        const message = iecMessage(random)
        const sent = random(4) === 0 ? iecParity(message) : message
        return Buffer.concat([Buffer.of(0, random(4)), random(6) === 0 ? changed(sent, random, characters) : sent])
    },
    name: request => (request[0] === 0 ? "read" : "stream"),
    wrong: (reply, request) => (request[0] === 0 ? outside(reply, request.length - 2) : undefined),
    stepsBound: octets => 40_000 + 1500 * octets,
}

function p1Telegram(random: Random): Buffer {
    const body = Buffer.concat([identification, Buffer.from("\r\n"), textOf(random), Buffer.from("\r\n!")])
    const crc = p1Crc(body, 0, body.length).toString(16)
    const digits = [crc.padStart(4, "0"), crc.toUpperCase(), "", "12345"][Math.max(0, random(8) - 4)]
    const telegram = Buffer.concat([body, Buffer.from(`${digits}\r\n`)])
    return random(4) === 0 ? changed(telegram, random, characters) : telegram
}

const keys = new DlmsKeys(Buffer.alloc(16, 1), Buffer.alloc(16, 2))
const title = Buffer.from("4142430000000001", "hex")

/** A request to open what was ciphered, sometimes damaged or with other keys. */
function openRequest(random: Random, plain: Buffer, tag: number): Buffer {
    const control = [0x30, 0x30, 0x20, 0x10][random(4)]
    const sealed = cipherApdu(plain, tag, control, keys, title, 1 + random(1000))
    const sent = random(3) === 0 ? changed(sealed, random, tellingOctets) : sealed
    const which = random(12)
    const last = Buffer.alloc(4)
    last.writeUInt32BE(which === 0 ? 500 : 0)
    const encryption = which === 1 ? Buffer.alloc(16, 9) : which === 2 ? Buffer.alloc(0) : keys.encryption
    const authentication = which === 3 ? Buffer.alloc(16, 9) : which === 4 ? Buffer.alloc(0) : keys.authentication
    return cipherRequest(6, [encryption, authentication, which === 5 ? undefined : title, last], sent)
}

export const p1Damage: Damage = {
    format: iec62056,
    request(random) {
        const telegram = p1Telegram(random)
        const which = random(8)
        if (which === 0) return openRequest(random, telegram, 0xdb)
        if (which === 1)
            return Buffer.concat([Buffer.of(10, 1 + random(90), 1), telegram, p1Telegram(random)]).subarray(0, 2000)
        return Buffer.concat([Buffer.of(1, random(4) > 0 ? 1 : 0), telegram])
    },
    name: request => ["read", "stream", "opened"][request[0] === 1 ? 0 : request[0] === 10 ? 1 : 2],
    wrong: (reply, request) => (request[0] === 1 ? outside(reply, request.length - 2) : undefined),
    stepsBound: octets => 60_000 + 2000 * octets,
}

/** Octets that mean something to DLMS: types, tags, lengths, flags. */
const tellingOctets = [
    0, 1, 2, 4, 5, 6, 9, 0x0a, 0x0c, 0x0f, 0x10, 0x12, 0x13, 0x16, 0x17, 0x19, 0x20, 0x30, 0x7d, 0x7e, 0x7f, 0x80, 0x81,
    0x82, 0x84, 0xa0, 0xa8, 0xc0, 0xc4, 0xff,
]

const simple =
    "00 0301 040aa5c0 05fffffffe 0600001391 0900 09060100010800ff 0a0141 0c024142 0d12 0fff 10ffd3 11ff 12ff00 14ffffffffffffffff 15ffffffffffffffff 161e 173f800000 183ff0000000000000 1907e80101010c0000ff800000 1a07e8010101 1b0c000000 1c01 1d0002 1e00000003 1f01 200001 2100000001 ff"
        .split(" ")
        .map(each => Buffer.from(each, "hex"))
const described = "0f 10 06 09 0a 12 16 02020f16 01000212 0203060912 020101000109"
    .split(" ")
    .map(each => Buffer.from(each, "hex"))

/** Random COSEM data. */
function cosemData(random: Random, depth = 0): Buffer {
    if (depth === 0 && random(20) === 0) return Buffer.from(`${"0201".repeat(8 + random(8))}0f01`, "hex")
    const which = random(depth > 4 ? 6 : 10)
    if (which < 6) return simple[random(simple.length)]
    if (which === 9) {
        const content = Buffer.from(Array.from({ length: random(20) }, () => random(4)))
        return Buffer.concat([Buffer.of(0x13), described[random(described.length)], Buffer.of(content.length), content])
    }
    const children = Array.from({ length: random(5) }, () => cosemData(random, depth + 1))
    return Buffer.concat([Buffer.of(1 + random(2), children.length), ...children])
}

const target = Buffer.from("00030100010800ff02", "hex")

function anyApdu(random: Random, data: Buffer): Buffer {
    const raw = Buffer.concat([
        Buffer.of(data.length > 127 ? 0x81 : data.length),
        ...(data.length > 127 ? [Buffer.of(data.length)] : []),
        data,
    ])
    const heads: [string, ...Buffer[]][] = [
        ["0f40000001", Buffer.of(0), data],
        ["0f400000010c", Buffer.from("07e80101010c0000ff800000", "hex"), data],
        ["0f40000001090c", Buffer.from("07e80101010c0000ff800000", "hex"), data],
        ["c001c1", target, Buffer.of(0)],
        ["c001c1", target, Buffer.of(1, 1), data],
        ["c002c100000001"],
        ["c003c1", data],
        ["c101c1", target, Buffer.of(0), data],
        ["c102c1", target, Buffer.from("000000000001", "hex"), raw],
        ["c200", target, data],
        ["c301c1", target, Buffer.of(1), data],
        ["c401c100", data],
        ["c401c10103"],
        ["c402c1000000000100", raw],
        ["c403c1", data],
        ["c501c100"],
        ["c701c1000100", data],
        ["d80102"],
        ["d8010600000001"],
    ]
    const [head, ...rest] = heads[random(heads.length)]
    return Buffer.concat([Buffer.from(head, "hex"), ...rest])
}

function anyAssociation(random: Random): Buffer {
    const association = new DlmsAssociation()
    association.tag = random(2) === 0 ? AARQ : AARE
    association.context = 1 + random(4)
    association.result = random(3)
    association.diagnostic = random(20)
    association.mechanism = [0, 1, 5][random(3)]
    if (random(2) === 0) association.title = title
    if (association.mechanism > 0) association.value = Buffer.alloc(1 + random(30), 0x41)
    if (random(3) > 0) association.user = writeInitiate(new DlmsInitiate(6, 0x101c, 500), association.tag === AARE)
    return writeAssociation(association)
}

function frames(random: Random): Buffer {
    const parts = Array.from({ length: 1 + random(3) }, () => {
        const source = hdlcAddress(1, 17, [1, 2, 4][random(3)])
        const information = random(3) === 0 ? Buffer.alloc(0) : anyApdu(random, cosemData(random))
        const control = [0x10, 0x13, 0x31, 0x73, 0x93, 0x53, 0x1f][random(7)]
        const frame = hdlcFrame(hdlcAddress(16, 0, 1), source, control, information.subarray(0, 300), random(5) === 0)
        return random(3) === 0 ? changed(frame, random, tellingOctets) : random(4) === 0 ? frame.subarray(1) : frame
    })
    return Buffer.concat([Buffer.of(2, 1 + random(90)), ...parts]).subarray(0, 1500)
}

/** Elements must lie in the data, one behind the other. */
function wrongData(reply: Buffer, request: Buffer): string | undefined {
    if (request[0] === 2) {
        const whole = readFramesDump(reply).frames.every(each => each.octets.includes(each.information))
        return whole ? undefined : "information from elsewhere"
    }
    if (request[0] !== 3 && request[0] !== 4) return undefined
    const { elements, readings } = request[0] === 3 ? readDataDump(reply) : readApduDump(reply)
    let last = 0
    for (const each of elements) {
        if (each.start < last || each.dataAt < each.start || each.dataAt + each.length > request.length - 1)
            return "places outside of the data"
        last = each.start
    }
    return elements.length < 2 * request.length && readings.length <= elements.length ? undefined : "too many elements"
}

export const dlmsDamage: Damage = {
    format: dlms,
    request(random) {
        const harm = (octets: Buffer) => {
            for (let n = random(3); n > 0; --n) octets = changed(octets, random, tellingOctets)
            return octets.subarray(0, 1500)
        }
        const which = random(8)
        if (which === 0) return frames(random)
        if (which === 1) return Buffer.concat([Buffer.of(5), harm(anyAssociation(random))])
        if (which < 4) return Buffer.concat([Buffer.of(3), harm(cosemData(random))])
        const apdu = anyApdu(random, cosemData(random).subarray(0, 200))
        if (which < 6) return Buffer.concat([Buffer.of(4), harm(apdu)])
        return openRequest(
            random,
            random(4) === 0 ? harm(apdu) : apdu,
            random(3) === 0 ? 0xdb : apdu[0] < 0xc0 || apdu[0] > 0xc7 ? 0xdb : apdu[0] + 8,
        )
    },
    name: request => ["", "", "stream", "data", "APDU", "association", "opened"][request[0]],
    wrong: wrongData,
    stepsBound: octets => 60_000 + 3000 * octets,
}
