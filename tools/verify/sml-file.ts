import { describe, listOf, octetsOf, readNode, SmlDamage, type SmlNode, uintOf } from "./sml-tlv.ts"

/** One message of an SML file; offsets count in the file's payload (escapes undone). */
export interface SmlMessage {
    transactionId: Buffer
    tag: number
    body: SmlNode
    start: number
    end: number
    crcExpected: number
    crcCame: number
}

/** An SML file in transport version 1, read as far as it can be. */
export interface SmlFile {
    /** The messages' octets, escapes undone. */
    payload: Buffer
    messages: SmlMessage[]
    crcExpected: number
    crcCame: number
    /** What stopped the reader, if something did: `at` counts in the payload. */
    damage?: SmlDamage
    /** Offset in the file as sent of the payload's octet `at`. */
    fileOffset(at: number): number
}

const escapeWord = 0x1b1b1b1b
const startWord = 0x01010101
/** Largest SML file that is read, in octets. */
export const maxFileOctets = 64 * 1024
const maxMessages = 64

const crcTable = Uint16Array.from({ length: 256 }, (_, octet) => {
    let crc = octet
    for (let bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1
    return crc
})

/** CRC-16/X.25 of `octets`; the check value of "123456789" is 906E. */
export function crcX25(octets: Uint8Array): number {
    let crc = 0xffff
    for (const octet of octets) crc = (crc >> 8) ^ crcTable[(crc ^ octet) & 0xff]
    return crc ^ 0xffff
}

/** The names of the message bodies of SML 1.04. */
export const messageNames: Record<number, string> = {
    256: "PublicOpen.Req",
    257: "PublicOpen.Res",
    512: "PublicClose.Req",
    513: "PublicClose.Res",
    768: "GetProfilePack.Req",
    769: "GetProfilePack.Res",
    1024: "GetProfileList.Req",
    1025: "GetProfileList.Res",
    1280: "GetProcParameter.Req",
    1281: "GetProcParameter.Res",
    1536: "SetProcParameter.Req",
    1792: "GetList.Req",
    1793: "GetList.Res",
    65281: "Attention.Res",
}

/** The name of a body's tag. */
export function messageName(tag: number): string {
    return messageNames[tag] ?? `message ${tag.toString(16).padStart(4, "0")}`
}

/** A message is a list of 6 whose sixth element is not an element but the end mark 00. */
function readMessage(payload: Buffer, at: number): SmlMessage {
    const octetAt = (offset: number) =>
        offset < payload.length ? payload.toString("hex", offset, offset + 1) : "the end"
    if (payload[at] !== 0x76) throw new SmlDamage(at, "a message (76)", octetAt(at))
    const items: SmlNode[] = []
    let next = at + 1
    while (items.length < 5) {
        const item = readNode(payload, next, payload.length)
        items.push(item)
        next = item.end
    }
    if (payload[next] !== 0) throw new SmlDamage(next, "endOfSmlMsg (00)", octetAt(next))
    const transactionId = octetsOf(payload, items[0], "transactionId")
    uintOf(payload, items[1], "groupNo", 1)
    uintOf(payload, items[2], "abortOnError", 1)
    const choice = listOf(items[3], 2, "messageBody")
    const tag = Number(uintOf(payload, choice[0], "messageBody tag", 4))
    if (choice[1].type !== "list") throw new SmlDamage(choice[1].start, "a message body", describe(choice[1]))
    const sent = Number(uintOf(payload, items[4], "crc16", 2))
    if (items[4].end - items[4].valueStart !== 2)
        throw new SmlDamage(items[4].start, "crc16: two octets", describe(items[4]))
    return {
        transactionId,
        tag,
        body: choice[1],
        start: at,
        end: next + 1,
        crcExpected: crcX25(payload.subarray(at, items[3].end)),
        // As a number the CRC's octets stand in the order in which they are sent: low first.
        crcCame: ((sent & 0xff) << 8) | (sent >> 8),
    }
}

/**
 * Reads one SML file in its transport frame (version 1: escape, CRC-16/X.25). Throws `SmlDamage` where
 * there is no frame at all; damage inside is reported in the value, with what could be read before it.
 */
export function readSmlFile(octets: Buffer): SmlFile {
    if (octets.length > maxFileOctets)
        throw new SmlDamage(maxFileOctets, `at most ${maxFileOctets} octets`, `${octets.length}`)
    if (octets.length < 16 || octets.readUInt32BE(0) !== escapeWord || octets.readUInt32BE(4) !== startWord)
        throw new SmlDamage(0, "the start 1b1b1b1b 01010101", octets.toString("hex", 0, Math.min(8, octets.length)))
    const parts: Buffer[] = []
    // Payload offsets after which a doubled escape was undone: four octets of the file less each time.
    const doubled: number[] = []
    let length = 0
    let from = 8
    let at = 8
    for (;;) {
        const found = octets.indexOf("1b1b1b1b", at, "hex")
        if (found < 0 || found + 8 > octets.length) throw new SmlDamage(octets.length, "the end 1b1b1b1b 1a", "no end")
        const word = octets.readUInt32BE(found + 4)
        if (word === escapeWord) {
            parts.push(octets.subarray(from, found + 4))
            length += found + 4 - from
            doubled.push(length)
            from = found + 8
            at = from
        } else if (word >>> 24 === 0x1a) {
            parts.push(octets.subarray(from, found))
            at = found
            break
        } else throw new SmlDamage(found + 4, "1a, or a doubled escape", octets.toString("hex", found + 4, found + 8))
    }
    const fill = octets[at + 5]
    const whole = Buffer.concat(parts)
    const crcCame = octets.readUInt16LE(at + 6)
    const crcExpected = crcX25(octets.subarray(0, at + 6))
    const fileOffset = (offset: number) => 8 + offset + 4 * doubled.filter(each => each <= offset).length
    const file: SmlFile = { payload: whole, messages: [], crcExpected, crcCame, fileOffset }
    if (fill > 3 || fill > whole.length) {
        file.damage = new SmlDamage(whole.length, "0 to 3 fill octets", `${fill}`)
        return file
    }
    file.payload = whole.subarray(0, whole.length - fill)
    try {
        if (at + 8 !== octets.length)
            throw new SmlDamage(whole.length, "nothing after the frame's end", `${octets.length - at - 8} octets`)
        if (octets.length % 4 !== 0)
            throw new SmlDamage(whole.length, "a length that is a multiple of 4", `${octets.length}`)
        if (whole.subarray(whole.length - fill).some(each => each !== 0))
            throw new SmlDamage(file.payload.length, "fill octets of 00", "others")
        for (let next = 0; next < file.payload.length; ) {
            if (file.messages.length === maxMessages)
                throw new SmlDamage(next, `at most ${maxMessages} messages`, "more")
            const message = readMessage(file.payload, next)
            file.messages.push(message)
            next = message.end
        }
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        file.damage = error
    }
    return file
}
