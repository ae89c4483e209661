import { AxdrReader } from "../../../firmware/core/axdr"
import { axdrEnd, readApdu } from "../../../firmware/core/dlms"
import { readAssociation, readInitiate } from "../../../firmware/core/dlms-association"
import { dlmsReadings } from "../../../firmware/core/dlms-obis"
import { cipherApdu, DlmsKeys, hlsAnswer, openCiphered, readCiphered } from "../../../firmware/core/dlms-security"
import { HdlcReceiver } from "../../../firmware/core/hdlc"
import {
    type IecMessage,
    IecReceiver,
    IecValues,
    iecCommand,
    iecSevenBits,
    readIec,
} from "../../../firmware/core/iec62056"
import { iecReadings } from "../../../firmware/core/iec62056-obis"
import { cut, uintBE } from "../../../firmware/core/octets"
import { readP1 } from "../../../firmware/core/p1"
import { platform } from "../../../firmware/core/platform"
import type { Reading } from "../../../firmware/core/reading"

/**
 * The first octet says what is asked; the others are:
 * 0 check (`IEC_XOR`, ...) and octets of IEC 62056-21. Reply: message, values, readings.
 * 1 check (1 = CRC) and a P1 telegram. Reply: the same.
 * 2 octets of a piece and a stream of HDLC. Reply: each frame with its fields, then octets of junk.
 * 3 COSEM data. Reply: where it ends, elements, readings.
 * 4 an APDU. Reply: its fields; if it carries data, as 3.
 * 5 AARQ or AARE. Reply: its fields.
 * 6 fields each after its length: encryption key, authentication key, system title, last counter (4 octets or none), ciphered APDU. Reply: what it protects.
 * 7 the same, with the counter, then control octet, tag and APDU: ciphers it. 8 the same, and a challenge: its answer.
 * 9 check, two characters and data: a command of IEC 62056-21.
 * 10 octets of a piece, push (1), a stream of IEC 62056-21. Reply: length U16 and octets of each message, then FFFF and octets of junk.
 * Numbers are little endian; see `Out` and tools/vectors/field-dump.ts.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    const out = new Out()
    const what = request[0]
    const octets = request.length > 2 ? cut(request, 2, request.length - 2) : Buffer.alloc(0)
    const all = cut(request, 1, request.length - 1)
    if (what === 0) message(out, readIec(iecSevenBits(octets), request[1]), -1)
    else if (what === 1) {
        const telegram = readP1(octets, request[1] === 1)
        message(out, telegram.message, telegram.crc)
    } else if (what === 2) frames(out, request[1], octets)
    else if (what === 3) {
        out.word(axdrEnd(all, 0, all.length))
        data(out, all, 0, all.length)
    } else if (what === 4) apdu(out, all)
    else if (what === 5) association(out, all)
    else if (what < 9) cipher(out, what, all)
    else if (what === 9)
        out.raw(iecCommand(cut(octets, 0, 2).toString("utf8"), cut(octets, 2, octets.length - 2), request[1]))
    else messages(out, request[1], octets)
    return cut(out.octets, 0, out.at)
}

class Out {
    octets = Buffer.alloc(512)
    at = 0

    room(count: number): number {
        const at = this.at
        this.at += count
        if (this.at > this.octets.length) {
            const larger = Buffer.alloc(2 * this.at)
            larger.blitAt(0, this.octets, 0, at)
            this.octets = larger
        }
        return at
    }

    octet(value: number): void {
        const at = this.room(1)
        this.octets[at] = value & 0xff
    }

    short(value: number): void {
        const at = this.room(2)
        this.octets.setAt(at, "i16", value)
    }

    word(value: number): void {
        const at = this.room(4)
        this.octets.setAt(at, "i32", value)
    }

    double(value: number): void {
        const at = this.room(8)
        this.octets.setAt(at, "f64", value)
    }

    raw(octets: Buffer): void {
        const at = this.room(octets.length)
        this.octets.blitAt(at, octets, 0, octets.length)
    }

    /** Octets after their length. */
    field(octets: Buffer): void {
        this.short(octets.length)
        this.raw(octets)
    }
}

function message(out: Out, iec: IecMessage, crc: number): void {
    out.short(iec.manufacturerAt)
    out.octet(iec.baudCharacter)
    out.short(iec.escape)
    out.short(iec.idAt)
    out.short(iec.idEnd)
    out.short(iec.commandAt)
    out.octet((iec.framed ? 1 : 0) + (iec.more ? 2 : 0) + (iec.kind << 4))
    out.short(iec.check)
    out.octet(iec.mode().charCodeAt(0))
    out.short(iec.baud())
    out.word(crc)
    const values = new IecValues(iec.octets, iec.at, iec.end)
    while (values.next()) {
        out.octet(1)
        out.short(values.index)
        out.short(values.addressAt)
        out.short(values.addressLength)
        out.short(values.valueAt)
        out.short(values.valueLength)
        out.short(values.unitAt)
        out.short(values.unitLength)
        platform().yieldNow()
    }
    readings(out, iecReadings(iec))
}

function readings(out: Out, list: Reading[]): void {
    platform().yieldNow()
    for (let i = 0; i < list.length; ++i) {
        const reading = list[i]
        out.octet(2)
        out.raw(reading.obis)
        out.octet(reading.unit)
        out.octet(reading.exponent)
        out.octet(reading.exact ? 1 : 0)
        out.double(reading.value)
        out.short(reading.at)
        out.short(reading.octets.length)
        out.octet(reading.time.length)
        for (let k = 0; k < reading.time.length; ++k) out.short(reading.time[k])
        platform().yieldNow()
    }
}

function frames(out: Out, piece: number, octets: Buffer): void {
    const receiver = new HdlcReceiver(2100, frame => {
        out.field(frame.octets)
        out.octet(frame.kind)
        out.octet(frame.control)
        out.octet(frame.sendNumber)
        out.octet(frame.receiveNumber)
        out.octet(frame.poll ? 1 : 0)
        out.octet(frame.segmented ? 1 : 0)
        out.field(frame.destination)
        out.field(frame.source)
        out.field(frame.information())
    })
    for (let at = 0; at < octets.length; at += piece) {
        receiver.feed(cut(octets, at, Math.min(piece, octets.length - at)))
        platform().yieldNow()
    }
    receiver.timeout()
    out.short(-1)
    out.short(receiver.junk)
}

function data(out: Out, octets: Buffer, at: number, end: number): void {
    const reader = new AxdrReader(octets, at, end)
    while (reader.next()) {
        out.octet(1)
        out.octet(reader.type)
        out.octet(reader.depth)
        out.short(reader.start)
        out.short(reader.dataAt)
        out.short(reader.length)
        out.word(reader.count)
        out.octet(reader.exact ? 1 : 0)
        out.double(reader.value)
        platform().yieldNow()
    }
    readings(out, dlmsReadings(octets, at, end))
}

function apdu(out: Out, octets: Buffer): void {
    const read = readApdu(octets, 0, octets.length)
    out.octet(read.tag)
    out.octet(read.choice)
    out.double(read.invoke)
    out.word(read.classId)
    out.field(read.instance)
    out.octet(read.attribute)
    out.short(read.result)
    out.double(read.block)
    out.octet((read.last ? 1 : 0) + (read.whole ? 2 : 0))
    out.short(read.timeAt)
    out.short(read.timeLength)
    out.short(read.dataAt)
    out.short(read.dataEnd)
    if (read.whole) data(out, octets, read.dataAt, read.dataEnd)
}

function association(out: Out, octets: Buffer): void {
    const read = readAssociation(octets, 0, octets.length)
    out.octet(read.tag)
    out.octet(read.context)
    out.short(read.result)
    out.short(read.diagnostic)
    out.short(read.mechanism)
    out.field(read.title)
    out.field(read.value)
    out.field(read.user)
    if (read.user.length === 0 || (read.user[0] !== 1 && read.user[0] !== 8)) return
    const initiate = readInitiate(read.user)
    out.octet(initiate.version)
    out.word(initiate.conformance)
    out.word(initiate.maxPduSize)
}

function cipher(out: Out, what: number, octets: Buffer): void {
    const fields: Buffer[] = []
    let at = 0
    for (let i = 0; i < 4; ++i) {
        const length = at < octets.length ? octets[at] : 0
        fields.push(cut(octets, at + 1, length))
        at += length + 1
    }
    const rest = cut(octets, at, octets.length - at)
    const keys = fields[0].length === 0 ? undefined : new DlmsKeys(fields[0], fields[1])
    const counter = fields[3].length === 4 ? uintBE(fields[3], 0, 4) : -1
    if (what === 6) {
        const read = readCiphered(rest, 0, rest.length)
        out.raw(openCiphered(read, keys, fields[2], counter))
    } else if (keys !== undefined && what === 7)
        out.raw(cipherApdu(cut(rest, 2, rest.length - 2), rest[1], rest[0], keys, fields[2], counter))
    else if (keys !== undefined) out.raw(hlsAnswer(rest, keys, fields[2], counter))
}

function messages(out: Out, piece: number, octets: Buffer): void {
    const receiver = new IecReceiver(octets[0] === 1, 2048, each => out.field(each))
    for (let at = 1; at < octets.length; at += piece) {
        receiver.feed(cut(octets, at, Math.min(piece, octets.length - at)))
        platform().yieldNow()
    }
    receiver.timeout()
    out.short(-1)
    out.short(receiver.junk)
}
