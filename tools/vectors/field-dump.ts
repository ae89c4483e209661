import type { Element } from "../decode/cosem.ts"

/** Reads the replies of `device/field-answer.ts`. */
class Reader {
    at = 0
    constructor(readonly octets: Buffer) {}

    octet = () => this.octets.readUInt8(this.skip(1))
    signed = () => this.octets.readInt8(this.skip(1))
    short = () => this.octets.readInt16LE(this.skip(2))
    word = () => this.octets.readInt32LE(this.skip(4))
    double = () => this.octets.readDoubleLE(this.skip(8))
    raw = (count: number) => this.octets.subarray(this.skip(count), this.at)
    field = () => this.raw(this.short())
    over = () => this.at >= this.octets.length

    private skip(count: number): number {
        this.at += count
        return this.at - count
    }
}

export interface DumpedReading {
    obis: string
    unit: number
    exponent: number
    exact: boolean
    value: number
    at: number
    length: number
    time: number[]
}

function readReading(from: Reader): DumpedReading {
    return {
        obis: from.raw(6).toString("hex"),
        unit: from.octet(),
        exponent: from.signed(),
        exact: from.octet() !== 0,
        value: from.double(),
        at: from.short(),
        length: from.short(),
        time: Array.from({ length: from.octet() }, () => from.short()),
    }
}

export interface DumpedValue {
    index: number
    addressAt: number
    addressLength: number
    valueAt: number
    valueLength: number
    unitAt: number
    unitLength: number
}

export function readIecDump(reply: Buffer) {
    const from = new Reader(reply)
    const head = {
        manufacturerAt: from.short(),
        baudCharacter: from.octet(),
        escape: from.short(),
        idAt: from.short(),
        idEnd: from.short(),
        commandAt: from.short(),
        flags: from.octet(),
        check: from.short(),
        mode: String.fromCharCode(from.octet()),
        baud: from.short(),
        crc: from.word(),
    }
    const values: DumpedValue[] = []
    const readings: DumpedReading[] = []
    while (!from.over())
        if (from.octet() === 2) readings.push(readReading(from))
        else
            values.push({
                index: from.short(),
                addressAt: from.short(),
                addressLength: from.short(),
                valueAt: from.short(),
                valueLength: from.short(),
                unitAt: from.short(),
                unitLength: from.short(),
            })
    const { flags } = head
    return { ...head, framed: (flags & 1) !== 0, more: (flags & 2) !== 0, kind: flags >> 4, values, readings }
}

export function readFramesDump(reply: Buffer) {
    const from = new Reader(reply)
    const frames = []
    for (let length = from.short(); length >= 0; length = from.short())
        frames.push({
            octets: from.raw(length),
            kind: from.octet(),
            control: from.octet(),
            sendNumber: from.octet(),
            receiveNumber: from.octet(),
            poll: from.octet() !== 0,
            segmented: from.octet() !== 0,
            destination: from.field().toString("hex"),
            source: from.field().toString("hex"),
            information: from.field(),
        })
    return { frames, junk: from.short() }
}

/** Messages of a stream of IEC 62056-21. */
export function readMessagesDump(reply: Buffer) {
    const from = new Reader(reply)
    const messages: Buffer[] = []
    for (let length = from.short(); length >= 0; length = from.short()) messages.push(from.raw(length))
    return { messages, junk: from.short() }
}

function readElements(from: Reader): { elements: (Element & { start: number })[]; readings: DumpedReading[] } {
    const elements: (Element & { start: number })[] = []
    const readings: DumpedReading[] = []
    while (!from.over())
        if (from.octet() === 2) readings.push(readReading(from))
        else
            elements.push({
                type: from.octet(),
                depth: from.octet(),
                start: from.short(),
                dataAt: from.short(),
                length: from.short(),
                count: from.word(),
                exact: from.octet() !== 0,
                value: from.double(),
            })
    return { elements, readings }
}

export function readDataDump(reply: Buffer) {
    const from = new Reader(reply)
    return { end: from.word(), ...readElements(from) }
}

export function readApduDump(reply: Buffer) {
    const from = new Reader(reply)
    const head = {
        tag: from.octet(),
        choice: from.octet(),
        invoke: from.double(),
        classId: from.word(),
        instance: from.field(),
        attribute: from.octet(),
        result: from.short(),
        block: from.double(),
        flags: from.octet(),
        timeAt: from.short(),
        timeLength: from.short(),
        dataAt: from.short(),
        dataEnd: from.short(),
    }
    return { ...head, last: (head.flags & 1) !== 0, whole: (head.flags & 2) !== 0, ...readElements(from) }
}

export function readAssociationDump(reply: Buffer) {
    const from = new Reader(reply)
    const head = {
        tag: from.octet(),
        context: from.octet(),
        result: from.short(),
        diagnostic: from.short(),
        mechanism: from.short(),
        title: from.field(),
        value: from.field(),
        user: from.field(),
    }
    if (from.over()) return head
    return { ...head, initiate: { version: from.octet(), conformance: from.word(), maxPduSize: from.word() } }
}

/** Fields after their lengths, and the rest, for `what` 6 to 8. */
export function cipherRequest(what: number, fields: (Uint8Array | undefined)[], rest: Uint8Array): Buffer {
    const parts = fields.flatMap(each => [Buffer.of(each?.length ?? 0), each ?? Buffer.alloc(0)])
    return Buffer.concat([Buffer.of(what), ...parts, rest])
}
