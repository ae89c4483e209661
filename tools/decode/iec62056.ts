import { Code } from "../../firmware/core/errors"
import {
    IEC_EITHER,
    IEC_SUM,
    IEC_UNCHECKED,
    IEC_XOR,
    type IecMessage,
    IecReceiver,
    IecValues,
    iecSevenBits,
    readIec,
} from "../../firmware/core/iec62056"
import { iecReadings } from "../../firmware/core/iec62056-obis"
import { readP1 } from "../../firmware/core/p1"
import { openBlob } from "./dlms.ts"
import { type Problem, problemOf } from "./problem.ts"
import { type DecodedReading, decodedReading } from "./readings.ts"

export interface DecodedIec {
    identification?: { manufacturer: string; baudRateCharacter: string; baud?: number; escape?: string; id: string }
    /** Mode A to E, as far as the message tells. */
    mode?: string
    command?: string
    framed?: boolean
    moreBlocks?: boolean
    blockCheck?: { received: string; kind: string }
    crc?: { received: string; ok: boolean }
    dataSets?: { address: string; values: { value: string; unit?: string }[] }[]
    readings?: DecodedReading[]
    error?: Problem
    hex?: string
}

const kinds: Record<number, string> = { [IEC_XOR]: "xor", [IEC_SUM]: "sum of 7 bits", [IEC_UNCHECKED]: "does not hold" }

const two = (octet: number) => octet.toString(16).padStart(2, "0")

function fieldsOf(message: IecMessage): DecodedIec {
    const { octets } = message
    const text = (at: number, length: number) => octets.toString("latin1", at, at + length)
    const decoded: DecodedIec = {}
    if (message.manufacturerAt >= 0) {
        const baud = message.baud()
        decoded.identification = {
            manufacturer: text(message.manufacturerAt, 3),
            baudRateCharacter: String.fromCharCode(message.baudCharacter),
            ...(baud > 0 ? { baud } : {}),
            ...(message.escape >= 0 ? { escape: `\\${String.fromCharCode(message.escape)}` } : {}),
            id: text(message.idAt, message.idEnd - message.idAt),
        }
        decoded.mode = message.mode()
    }
    if (message.commandAt >= 0) decoded.command = text(message.commandAt, 2)
    decoded.framed = message.framed
    if (message.more) decoded.moreBlocks = true
    if (message.check >= 0) decoded.blockCheck = { received: two(message.check), kind: kinds[message.kind] }
    const sets: NonNullable<DecodedIec["dataSets"]> = []
    const values = new IecValues(octets, message.at, message.end)
    while (values.next()) {
        if (values.index === 0) sets.push({ address: text(values.addressAt, values.addressLength), values: [] })
        const unit = text(values.unitAt, values.unitLength)
        sets.at(-1)!.values.push({ value: text(values.valueAt, values.valueLength), ...(unit ? { unit } : {}) })
    }
    decoded.dataSets = sets
    decoded.readings = iecReadings(message).map(decodedReading)
    return decoded
}

function attempt(octets: Buffer, decode: () => DecodedIec): DecodedIec {
    try {
        return decode()
    } catch (error) {
        return { error: problemOf(error), hex: octets.toString("hex") }
    }
}

/** The messages of IEC 62056-21 in `octets`, in seven bits or with even parity; `asIs`: block checks need not hold. */
export function decodeIec(octets: Buffer, asIs: boolean): DecodedIec[] {
    const check = asIs ? IEC_UNCHECKED : IEC_EITHER
    const decode = (each: Buffer) => attempt(each, () => fieldsOf(readIec(each, check)))
    let plain = octets
    const whole = attempt(octets, () => {
        plain = iecSevenBits(octets)
        return decode(plain)
    })
    if (whole.error?.code !== Code.IecForm) return [whole]
    const messages: Buffer[] = []
    const receiver = new IecReceiver(false, 8192, message => messages.push(message))
    receiver.feed(plain)
    return messages.length > 1 ? messages.map(decode) : [whole]
}

/** The P1 telegrams in `octets`; encrypted ones (general ciphering, as in Luxembourg and Austria) with their keys. `asIs`: CRCs need not hold. */
export function decodeP1(octets: Buffer, asIs: boolean, keys?: Parameters<typeof openBlob>[1]): DecodedIec[] {
    if (octets[0] === 0xdb) return [attempt(octets, () => ({ ...telegramOf(openBlob(octets, keys), asIs) }))]
    const telegrams: Buffer[] = []
    const receiver = new IecReceiver(true, 65536, telegram => telegrams.push(telegram))
    receiver.feed(Buffer.concat([octets, Buffer.from("\r\n")]))
    if (telegrams.length === 0) telegrams.push(octets)
    return telegrams.map(each => attempt(each, () => telegramOf(each, asIs)))
}

function telegramOf(octets: Buffer, asIs: boolean): DecodedIec {
    const { message, crc } = readP1(octets, !asIs)
    const decoded = fieldsOf(message)
    if (crc >= 0) decoded.crc = { received: crc.toString(16).padStart(4, "0"), ok: !asIs }
    return decoded
}
