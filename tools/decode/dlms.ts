import { AxdrReader } from "../../firmware/core/axdr"
import {
    cosemTime,
    DATA_NOTIFICATION,
    type DlmsApdu,
    GET_REQUEST,
    GET_RESPONSE,
    readApdu,
} from "../../firmware/core/dlms"
import { AARE, AARQ, readAssociation, readInitiate } from "../../firmware/core/dlms-association"
import { dlmsReadings } from "../../firmware/core/dlms-obis"
import { type DlmsKeys, isCiphered, openCiphered, readCiphered } from "../../firmware/core/dlms-security"
import { Code, fail } from "../../firmware/core/errors"
import { HDLC_I, HDLC_UI, type HdlcFrame, HdlcReceiver, readHdlc } from "../../firmware/core/hdlc"
import { checkMbusFrame, MbusReceiver } from "../../firmware/core/mbus-frame"
import { type Cosem, cosemTree, type Element } from "./cosem.ts"
import { timeText } from "./mbus-values.ts"
import { obisText } from "./obis.ts"
import { type Problem, problemOf } from "./problem.ts"
import { type DecodedReading, decodedReading } from "./readings.ts"

/** What opens ciphered APDUs; `last` = invocation counter of the last one accepted, -1 = none. */
export interface DlmsOpening {
    keys?: DlmsKeys
    /** System title of the meter where the APDU does not name it; that of an association before it counts first. */
    title: Buffer
    /** That of who asks it. */
    client?: Buffer
    last: number
}

export interface DecodedApdu {
    apdu?: string
    ciphering?: { systemTitle?: string; invocationCounter: number; control: string; proof: string }
    association?: Record<string, unknown>
    invokeId?: number
    classId?: number
    instance?: string
    attribute?: number
    result?: number
    block?: number
    last?: boolean
    time?: string
    data?: Cosem
    /** Of a block or a list. */
    raw?: string
    readings?: DecodedReading[]
    error?: Problem
    hex: string
}

export interface DecodedDlms {
    frames?: {
        type: string
        destination: string
        source: string
        sendNumber?: number
        receiveNumber?: number
        segmented?: boolean
    }[]
    apdus: DecodedApdu[]
    /** What was asked for with GET and answered. */
    readings?: DecodedReading[]
    junkOctets: number
    error?: Problem
}

const names: Record<number, string> = {
    15: "data-notification",
    192: "get-request",
    193: "set-request",
    194: "event-notification-request",
    195: "action-request",
    196: "get-response",
    197: "set-response",
    199: "action-response",
    216: "exception-response",
    219: "general-glo-ciphering",
    220: "general-ded-ciphering",
    33: "glo-initiate-request",
    40: "glo-initiate-response",
}
const choices = ["", "normal", "with block", "with list"]

const frameNames: Record<number, string> = {
    0: "I",
    1: "RR",
    5: "RNR",
    131: "SNRM",
    67: "DISC",
    99: "UA",
    15: "DM",
    135: "FRMR",
    3: "UI",
}

const tagName = (tag: number) =>
    names[tag] ?? (tag > 0xc7 && tag < 0xd8 ? `${tag < 0xd0 ? "glo" : "ded"}-${names[0xc0 | (tag & 7)]}` : `tag ${tag}`)

/** What `octets` protect: one ciphered APDU. */
export function openBlob(octets: Buffer, opening?: DlmsOpening): Buffer {
    const ciphered = readCiphered(octets, 0, octets.length)
    return openCiphered(ciphered, opening?.keys, opening?.title ?? Buffer.alloc(0), opening?.last ?? -1)
}

/** HDLC frames, wired M-Bus frames that carry APDUs, or one APDU with or without LLC header in `octets`. */
export function decodeDlms(octets: Buffer, opening: DlmsOpening): DecodedDlms {
    const decoded: DecodedDlms = { apdus: [], junkOctets: 0 }
    const asked = new Asked()
    const take = (pdu: Buffer) => {
        const apdu = decodeApdu(pdu, opening, asked)
        decoded.apdus.push(apdu)
        // What was accepted once is not fresh any more.
        if (!apdu.error && apdu.ciphering && opening.last >= 0) opening.last = apdu.ciphering.invocationCounter
    }
    if (octets[0] === 0x68) fromMbus(octets, decoded, take)
    else if (octets.includes(0x7e) && !isPlainApdu(octets)) fromHdlc(octets, decoded, take)
    else take(octets)
    const readings = asked.readings()
    if (readings.length > 0) decoded.readings = readings
    return decoded
}

/** Attributes of a register: value, and scaler with unit. */
const valueAttribute = 2
const scalerAttribute = 3

/** What was asked for attribute by attribute (GET), and what came. */
class Asked {
    private readonly came = new Map<string, Map<number, Buffer>>()
    private last: { instance: string; attribute: number } | undefined
    private blocks: Buffer[] = []

    take(octets: Buffer, apdu: DlmsApdu): void {
        if (apdu.tag === GET_REQUEST && apdu.choice === 1) {
            this.last = { instance: apdu.instance.toString("hex"), attribute: apdu.attribute }
            this.blocks = []
        }
        if (apdu.tag !== GET_RESPONSE || !this.last || apdu.result >= 0 || apdu.choice > 2) return
        this.blocks.push(octets.subarray(apdu.dataAt, apdu.dataEnd))
        if (!apdu.last) return
        const { instance, attribute } = this.last
        const attributes = this.came.get(instance) ?? new Map<number, Buffer>()
        this.came.set(instance, attributes.set(attribute, Buffer.concat(this.blocks)))
        this.last = undefined
    }

    /** Values by the names of what was asked for, a register's with its unit. */
    readings(): DecodedReading[] {
        return [...this.came.entries()].flatMap(([instance, attributes]) => {
            const value = attributes.get(valueAttribute)
            if (!value) return []
            const scaler = attributes.get(scalerAttribute)
            const items = [Buffer.from(`0906${instance}`, "hex"), value, ...(scaler ? [scaler] : [])]
            const list = Buffer.concat([Buffer.of(2, items.length), ...items])
            try {
                return dlmsReadings(list, 0, list.length).map(decodedReading)
            } catch {
                return []
            }
        })
    }
}

const isPlainApdu = (octets: Buffer) => octets[0] === 0xe6 || octets[0] === 0xdb || octets[0] === 0x0f

function fromHdlc(octets: Buffer, decoded: DecodedDlms, take: (pdu: Buffer) => void): void {
    const frames: HdlcFrame[] = []
    const receiver = new HdlcReceiver(2100, frame => frames.push(frame))
    receiver.feed(octets)
    receiver.timeout()
    decoded.junkOctets = receiver.junk
    decoded.frames = frames.map(frame => ({
        type: frameNames[frame.kind] ?? frame.control.toString(16),
        destination: frame.destination.toString("hex"),
        source: frame.source.toString("hex"),
        ...(frame.kind === HDLC_I ? { sendNumber: frame.sendNumber } : {}),
        ...((frame.control & 3) === 3 ? {} : { receiveNumber: frame.receiveNumber }),
        ...(frame.segmented ? { segmented: true } : {}),
    }))
    const parts = new Map<string, Buffer[]>()
    for (const frame of frames) {
        if ((frame.kind !== HDLC_I && frame.kind !== HDLC_UI) || frame.informationLength === 0) continue
        const from = frame.source.toString("hex")
        const all = [...(parts.get(from) ?? []), frame.information()]
        parts.set(from, frame.segmented ? all : [])
        if (!frame.segmented) take(Buffer.concat(all))
    }
    if (frames.length > 0) return
    try {
        const first = octets.indexOf(0x7e)
        readHdlc(Buffer.from(octets.subarray(first + 1, octets.lastIndexOf(0x7e))))
    } catch (error) {
        decoded.error = problemOf(error)
    }
}

/** Transport layer of EN 13757-3 with CI 00 to 1F: number of the segment, 10 = the last one; two selectors. */
function fromMbus(octets: Buffer, decoded: DecodedDlms, take: (pdu: Buffer) => void): void {
    let parts: Buffer[] = []
    let first: Buffer | undefined
    const receiver = new MbusReceiver(frame => {
        first ??= frame
        if (frame.length < 12 || frame[6] > 0x1f) return
        parts.push(frame.subarray(9, frame.length - 2))
        if (frame[6] < 0x10) return
        take(Buffer.concat(parts))
        parts = []
    })
    receiver.feed(octets)
    receiver.timeout()
    decoded.junkOctets = receiver.junk
    if (decoded.apdus.length > 0) return
    try {
        checkMbusFrame(first ?? octets)
        const ci = (first ?? octets)[6]
        fail(Code.MbusControlInformation, 6, "segments of an APDU up to the last one (CI 10 to 1F)", `${ci}`)
    } catch (error) {
        decoded.error = problemOf(error)
    }
}

function decodeApdu(pdu: Buffer, opening: DlmsOpening, asked: Asked): DecodedApdu {
    const llc = pdu[0] === 0xe6 && (pdu[1] === 0xe6 || pdu[1] === 0xe7)
    const octets = Buffer.from(llc ? pdu.subarray(3) : pdu)
    const decoded: DecodedApdu = { hex: octets.toString("hex") }
    try {
        fill(decoded, octets, opening, asked)
    } catch (error) {
        decoded.error = problemOf(error)
    }
    return decoded
}

function fill(decoded: DecodedApdu, octets: Buffer, opening: DlmsOpening, asked: Asked): void {
    const [tag] = octets
    if (tag === AARQ || tag === AARE) {
        decoded.apdu = tag === AARQ ? "aarq" : "aare"
        decoded.association = associationOf(octets)
        const { title: named } = readAssociation(octets, 0, octets.length)
        if (named.length > 0 && tag === AARQ) opening.client = named
        if (named.length > 0 && tag === AARE) opening.title = named
        return
    }
    if (isCiphered(tag)) {
        decoded.apdu = tagName(tag)
        const ciphered = readCiphered(octets, 0, octets.length)
        const { control, counter, title } = ciphered
        decoded.ciphering = {
            ...(title.length > 0 ? { systemTitle: title.toString("hex") } : {}),
            invocationCounter: counter,
            control: control.toString(16).padStart(2, "0"),
            proof: "none",
        }
        // Services and their answers; general ciphering names its sender.
        const asks = tag === 0x21 || (tag > 0xc7 && tag < 0xd8 && (tag & 4) === 0)
        const sender = asks ? (opening.client ?? opening.title) : opening.title
        const plain = openCiphered(ciphered, opening.keys, sender, opening.last)
        const tagged = (control & 0x10) !== 0 && (opening.keys?.authentication.length ?? 0) > 0
        decoded.ciphering.proof = tagged ? "mac" : (control & 0x20) !== 0 ? "decrypted" : "none"
        fillApdu(decoded, plain, readApdu(plain, 0, plain.length), asked)
        return
    }
    fillApdu(decoded, octets, readApdu(octets, 0, octets.length), asked)
}

function fillApdu(decoded: DecodedApdu, octets: Buffer, apdu: DlmsApdu, asked: Asked): void {
    asked.take(octets, apdu)
    decoded.apdu = [tagName(apdu.tag), choices[apdu.choice]].filter(Boolean).join(" ")
    if (apdu.invoke >= 0) decoded.invokeId = apdu.tag === DATA_NOTIFICATION ? apdu.invoke & 0xffffff : apdu.invoke & 15
    if (apdu.classId >= 0) {
        decoded.classId = apdu.classId
        decoded.instance = obisText(apdu.instance)
        decoded.attribute = apdu.attribute
    }
    if (apdu.result >= 0) decoded.result = apdu.result
    if (apdu.block >= 0) {
        decoded.block = apdu.block
        decoded.last = apdu.last
    }
    const time = apdu.timeLength === 12 ? cosemTime(octets, apdu.timeAt) : []
    if (time.length > 0) decoded.time = timeText(time)
    if (apdu.whole) {
        const elements: Element[] = []
        const reader = new AxdrReader(octets, apdu.dataAt, apdu.dataEnd)
        while (reader.next()) elements.push({ ...reader } as Element)
        decoded.data = cosemTree(octets, elements)
        decoded.readings = dlmsReadings(octets, apdu.dataAt, apdu.dataEnd).map(decodedReading)
    } else if (apdu.dataEnd > apdu.dataAt) decoded.raw = octets.toString("hex", apdu.dataAt, apdu.dataEnd)
}

function associationOf(octets: Buffer): Record<string, unknown> {
    const read = readAssociation(octets, 0, octets.length)
    const plain = read.user.length > 0 && (read.user[0] === 1 || read.user[0] === 8)
    return {
        context: read.context,
        mechanism: read.mechanism,
        ...(read.result >= 0 ? { result: read.result, diagnostic: read.diagnostic } : {}),
        ...(read.title.length > 0 ? { systemTitle: read.title.toString("hex") } : {}),
        // A password stands here too: only that there is something.
        ...(read.value.length > 0 ? { valueOctets: read.value.length } : {}),
        ...(plain ? { initiate: { ...readInitiate(read.user) } } : {}),
    }
}
