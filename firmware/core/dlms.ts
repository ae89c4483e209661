import { AxdrReader } from "./axdr"
import { Code, fail } from "./errors"
import { cut } from "./octets"

/** Tags of APDUs (IEC 62056-5-3 clause 9.5): services, and 8 above a service's response its ciphered form. */
export const DATA_NOTIFICATION = 0x0f
export const GET_REQUEST = 0xc0
export const SET_REQUEST = 0xc1
export const EVENT_NOTIFICATION = 0xc2
export const ACTION_REQUEST = 0xc3
export const GET_RESPONSE = 0xc4
export const SET_RESPONSE = 0xc5
export const ACTION_RESPONSE = 0xc7
export const EXCEPTION_RESPONSE = 0xd8
export const INITIATE_REQUEST = 0x01
export const INITIATE_RESPONSE = 0x08

/**
 * Fields of the forms of an APDU. W invoke id and priority, I class, instance and attribute, S access selection, O class, instance and method with what it may be given, D data,
 * R result, C data or a result, A result of an action and what it may return, B number of a block, E whether it is the last, K what is in it (of a GET response: or a result), N a list.
 */
const forms: string[] = [
    "c001 WIS",
    "c002 WB",
    "c003 WN",
    "c101 WISD",
    "c102 WISEBK",
    "c103 WEBK",
    "c301 WO",
    "c401 WC",
    "c402 WEBK",
    "c403 WN",
    "c501 WR",
    "c502 WB",
    "c701 WRA",
]

/** An APDU of xDLMS; places in `octets`. */
export class DlmsApdu {
    /** `GET_REQUEST`, ...; which form of it (1 normal, 2 with blocks, 3 with a list). */
    tag = 0
    choice = 0
    /** Invoke id and priority: one octet, of notifications four; -1 = none. */
    invoke = -1
    /** What is asked for; -1 = nothing. */
    classId = -1
    instance: Buffer = Buffer.alloc(0)
    attribute = 0
    /** Data access result, result of an action, or the first octet of an exception; -1 = none. */
    result = -1
    /** Block number, or -1; no more come. */
    block = -1
    last = true
    /** Date and time (12 octets), or none. */
    timeAt = 0
    timeLength = 0
    /** COSEM data, or what is kept as it is: of a block or list, or the second octet of an exception. */
    dataAt = 0
    dataEnd = 0
    /** The data is one element of COSEM data. */
    whole = false

    constructor(readonly octets: Buffer) {}
}

/** Goes through the octets of an APDU. */
class Cursor {
    constructor(
        readonly octets: Buffer,
        public at: number,
        readonly end: number,
    ) {}

    /** The place of `count` octets. */
    take(count: number): number {
        if (count > this.end - this.at) fail(Code.DlmsForm, this.at, count + " octets", this.end - this.at + "")
        this.at += count
        return this.at - count
    }

    octet(): number {
        return this.octets[this.take(1)]
    }

    number(count: number): number {
        let value = 0
        while (count-- > 0) value = value * 256 + this.octet()
        return value
    }

    /** A length: one octet, or 81 to 84 and so many octets. */
    length(): number {
        const first = this.octet()
        if (first > 0x84) fail(Code.DlmsForm, this.at - 1, "a length", first + "")
        return first < 0x80 ? first : this.number(first - 0x80)
    }
}

/** Where the element of COSEM data ends that begins at `at`; it is read to its end. */
export function axdrEnd(octets: Buffer, at: number, stop: number): number {
    const reader = new AxdrReader(octets, at, stop)
    while (reader.next());
    return reader.end
}

/**
 * Reads an unprotected APDU from `at` to `end`: GET, SET and ACTION with their responses, data and event notifications, exceptions, without and with blocks. What
 * it carries as data must be sound COSEM data, nothing may stand behind it. `DlmsTag`, `DlmsForm`, and those of `AxdrReader`.
 */
export function readApdu(octets: Buffer, at: number, end: number): DlmsApdu {
    const apdu = new DlmsApdu(octets)
    const cursor = new Cursor(octets, at, end)
    const tag = cursor.octet()
    apdu.tag = tag
    if (tag === DATA_NOTIFICATION) {
        apdu.invoke = cursor.number(4)
        readTime(apdu, cursor, cursor.octet())
        readData(apdu, cursor)
    } else if (tag === EVENT_NOTIFICATION) {
        if (cursor.octet() !== 0) readTime(apdu, cursor, cursor.octet())
        readInstance(apdu, cursor)
        readData(apdu, cursor)
    } else if (tag === EXCEPTION_RESPONSE) {
        apdu.result = cursor.octet()
        apdu.dataAt = cursor.take(1)
        // An invocation counter may follow.
        if (cursor.at < end) cursor.take(4)
        apdu.dataEnd = cursor.at
    } else {
        apdu.choice = cursor.octet()
        const form = formOf(tag, apdu.choice)
        if (form === "") fail(Code.DlmsTag, at, "a known APDU", tag + " " + apdu.choice)
        for (let i = 5; i < form.length; ++i) readField(apdu, cursor, form[i])
    }
    if (cursor.at !== end) fail(Code.DlmsForm, cursor.at, "the end", end - cursor.at + " octets")
    return apdu
}

function formOf(tag: number, choice: number): string {
    const head = Buffer.from([tag, choice]).toString("hex")
    for (let i = 0; i < forms.length; ++i) if (forms[i].slice(0, 4) === head) return forms[i]
    return ""
}

function readField(apdu: DlmsApdu, cursor: Cursor, field: string): void {
    if (field === "W") apdu.invoke = cursor.octet()
    else if (field === "I") readInstance(apdu, cursor)
    else if (field === "S") {
        // Access selection: which, and its parameters.
        if (cursor.octet() !== 0) {
            cursor.take(1)
            cursor.at = axdrEnd(cursor.octets, cursor.at, cursor.end)
        }
    } else if (field === "D") readData(apdu, cursor)
    else if (field === "R") apdu.result = cursor.octet()
    else if (field === "E") apdu.last = cursor.octet() !== 0
    else if (field === "B") apdu.block = cursor.number(4)
    else if (field === "N") {
        apdu.dataAt = cursor.take(cursor.end - cursor.at)
        apdu.dataEnd = cursor.end
    } else if (field === "O") {
        readInstance(apdu, cursor)
        if (cursor.octet() !== 0) readData(apdu, cursor)
    } else if (field === "A") {
        if (cursor.octet() !== 0) readField(apdu, cursor, "C")
    } else if (field === "C" || apdu.tag === GET_RESPONSE) {
        const choice = cursor.octet()
        if (choice > 1) fail(Code.DlmsForm, cursor.at - 1, "data or a result", choice + "")
        if (choice === 1) apdu.result = cursor.octet()
        else if (field === "C") readData(apdu, cursor)
        else readRaw(apdu, cursor)
    } else readRaw(apdu, cursor)
}

function readRaw(apdu: DlmsApdu, cursor: Cursor): void {
    const length = cursor.length()
    apdu.dataAt = cursor.take(length)
    apdu.dataEnd = cursor.at
}

function readData(apdu: DlmsApdu, cursor: Cursor): void {
    apdu.dataAt = cursor.at
    apdu.dataEnd = cursor.at = axdrEnd(cursor.octets, cursor.at, cursor.end)
    apdu.whole = true
}

function readInstance(apdu: DlmsApdu, cursor: Cursor): void {
    apdu.classId = cursor.number(2)
    apdu.instance = cut(cursor.octets, cursor.take(6), 6)
    apdu.attribute = cursor.octet()
}

/** Date and time as an octet string; some meters put its type in front. */
function readTime(apdu: DlmsApdu, cursor: Cursor, length: number): void {
    if (length === 9) length = cursor.octet()
    if (length !== 0 && length !== 12) fail(Code.DlmsForm, cursor.at - 1, "no time, or 12 octets", length + "")
    apdu.timeAt = cursor.take(length)
    apdu.timeLength = length
}

/** [year, month, day, hour, minute, second] of 12 octets of date and time (IEC 62056-6-2 clause 4.1.6.1); -1 = not given. Empty where they are no time. */
export function cosemTime(octets: Buffer, at: number): number[] {
    const year = octets[at] * 256 + octets[at + 1]
    const time = [year === 0xffff ? -1 : year]
    const most = [12, 31, 23, 59, 59]
    for (let i = 0; i < 5; ++i) {
        const part = octets[at + (i < 2 ? 2 + i : 3 + i)]
        // FD and FE: begin and end of daylight saving, last days of a month.
        const open = part > 0xfc
        if (!open && (part > most[i] || (i < 2 && part === 0))) return []
        time.push(open ? -1 : part)
    }
    return time
}
