import { Code, fail } from "./errors"
import { cut, join, sameOctets } from "./octets"
import type { SmlFile, SmlMessage } from "./sml-read"
import { GET_LIST_RES, GET_PROFILE_LIST_RES } from "./sml-tables"
import { childrenAt, integerAt, octetsAt, secondsAt, TIME_SEC_INDEX, TIME_STAMP, timeKindAt } from "./sml-values"
import { type SmlValue, wrapMessage, writeElements } from "./sml-write"

/**
 * The signed list profile PLOMB-SL/2 (one GetList.Res) and its load profile sister PLOMB-SP/1 (one GetProfileList.Res a row).
 * PLOMB-SL/1, without tariffs 3 and 4 and the module, is read too; PLOMB-SL/3 has the meters that this one has read behind the other entries.
 * The signature, ECDSA P-256 over SHA-256, covers the elements as sent from serverId to the list of entries.
 */

/** listName of a signed list: 1-0:98.10.255*255, current data. */
export const CURRENT_DATA = hex`01 00 62 0A FF FF`
/** Path of the 15-minute load profile. */
export const LOAD_PROFILE = hex`81 81 C7 86 11 FF`

/** Time quality: 2 set by an authorised order, 1 oscillator stopped since, 0 never set. */
export const TIME_TRUSTED = 2

/** Entries in order: OBIS code (6), type of the value as in `sml-write`, unit, scaler (two's complement); unit 0: none. */
const entryTable = hex`
    8181C7F001FF 00 00 00 // profile identifier
    8181C7F002FF 64 00 00 // pagination
    810060080001 64 00 00 // seconds index
    8181C7F003FF 61 00 00 // time quality
    0100010800FF 68 1E FF // energy drawn
    0100010801FF 68 1E FF // tariff 1
    0100010802FF 68 1E FF // tariff 2
    0100020800FF 68 1E FF // energy fed in
    0100100700FF 54 1B FF // active power
    0100600500FF 64 00 00 // status word
    010000020000 00 00 00 // software identification
    0100605A0201 00 00 00 // software checksum
    8181C7F004FF 61 00 00 // key protection
    8181C7F005FF 00 00 00 // hash of the previous list
    0100010803FF 68 1E FF // tariff 3
    0100010804FF 68 1E FF // tariff 4
    8181C7F006FF 00 00 00 // identification of the metrological module
    8181C7F007FF 00 00 00 // its checksum
`
const ENTRY = 9
const listEntries = hex`00 01 02 03 04 05 06 0E 0F 07 08 09 0A 0B 10 11 0C 0D`
const formerEntries = hex`00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D`
const rowEntries = hex`00 01 02 03 04 07 0C 0D`

const unset = hex``

/** What a signed list says. All integers exact, up to 2^53. */
export class SignedListFields {
    serverId = unset
    /** One more for every list or row this meter signs. */
    pagination = 0
    /** Running seconds of the device. */
    secondsIndex = 0
    /** 0 never set, 1 oscillator stopped since set, 2 set. */
    timeQuality = 0
    /** Seconds since 1970-01-01 UTC; only sent when `timeQuality` is 2. */
    seconds = 0
    /** Energy drawn in 0.1 Wh: total, tariffs 1 to 4. */
    drawn = 0
    drawn1 = 0
    drawn2 = 0
    drawn3 = 0
    drawn4 = 0
    /** Energy fed in, 0.1 Wh. */
    fedIn = 0
    /** Active power in 0.1 W, positive when drawing. */
    power = 0
    /** Status word; bits as in the profile. Of a profile row: its status, up to 2^53. */
    status = 0
    software = unset
    /** SHA-256 of the running image. */
    checksum = unset
    /** Name and version of the metrological module that runs, and SHA-256 of its image; empty and zeros where none does. */
    module = unset
    moduleChecksum = unset
    /** 0 software, 1 secure element. */
    keyProtection = 0
    /** Entries of the meters that this one has read (`sub-meters`); with any, the list is of PLOMB-SL/3. Not read back. */
    further: SmlValue[] = []
    /** SHA-256 of the signed octets of the list before this one; 32 times 00 before the first. */
    previous = unset
    /** Profile row: end of its period, in `seconds` when `timeQuality` is 2, else in `secondsIndex`. */
    periodEnd = 0
    /** Profile row: length of the period in seconds. */
    regPeriod = 900
}

/** A signed list or row that came in: what it says, and which octets are signed. */
export class SignedList {
    constructor(
        readonly fields: SignedListFields,
        /** Span of the signed octets in the message's octets: first, and the one behind the last. */
        readonly from: number,
        readonly to: number,
        /** r | s, 64 octets. */
        readonly signature: Buffer,
    ) {}
}

/** Elements serverId to valList of a signed GetList.Res: the octets to hash with SHA-256 and sign. */
export function writeSignedList(fields: SignedListFields): Buffer {
    const entries: SmlValue[] = []
    const further = fields.further
    const values = valuesOf(fields, further.length > 0 ? "PLOMB-SL/3" : "PLOMB-SL/2")
    for (let i = 0; i < listEntries.length; ++i) {
        const at = listEntries[i] * ENTRY
        const unit = entryTable[at + 7]
        entries.push([
            cut(entryTable, at, 6),
            i === 4 ? [0x64, fields.status] : undefined,
            undefined,
            unit > 0 ? unit : undefined,
            unit > 0 ? -1 : undefined,
            [entryTable[at + 6], values[listEntries[i]]],
            undefined,
        ])
    }
    for (let i = 0; i < further.length; ++i) entries.push(further[i])
    return writeElements(GET_LIST_RES, 1, [
        fields.serverId,
        CURRENT_DATA,
        timeOf(fields, fields.seconds, fields.secondsIndex),
        entries,
    ])
}

/** The whole GetList.Res around the octets of `writeSignedList` and their signature (64 octets); `clientId` is echoed. */
export function signedListRes(
    transactionId: Buffer,
    clientId: Buffer | undefined,
    signed: Buffer,
    signature: Buffer,
): Buffer {
    const before = writeElements(GET_LIST_RES, 0, [clientId])
    const behind = writeElements(GET_LIST_RES, 5, [signature, undefined])
    return wrapMessage(transactionId, 0, GET_LIST_RES, join([before, signed, behind]))
}

/** Elements serverId to period_List of a signed profile row (GetProfileList.Res): the octets to hash and sign. */
export function writeSignedRow(fields: SignedListFields): Buffer {
    const entries: SmlValue[] = []
    const values = valuesOf(fields, "PLOMB-SP/1")
    for (let i = 0; i < rowEntries.length; ++i) {
        const at = rowEntries[i] * ENTRY
        const unit = entryTable[at + 7]
        entries.push([
            cut(entryTable, at, 6),
            unit > 0 ? unit : 255,
            unit > 0 ? -1 : 0,
            [entryTable[at + 6], values[rowEntries[i]]],
            undefined,
        ])
    }
    return writeElements(GET_PROFILE_LIST_RES, 0, [
        fields.serverId,
        timeOf(fields, fields.seconds, fields.secondsIndex),
        fields.regPeriod,
        [LOAD_PROFILE],
        timeOf(fields, fields.periodEnd, fields.periodEnd),
        fields.status,
        entries,
    ])
}

/** The whole GetProfileList.Res around the octets of `writeSignedRow` and their signature (64 octets). */
export function signedRowRes(transactionId: Buffer, signed: Buffer, signature: Buffer): Buffer {
    const behind = writeElements(GET_PROFILE_LIST_RES, 7, [undefined, signature])
    return wrapMessage(transactionId, 0, GET_PROFILE_LIST_RES, join([signed, behind]))
}

/** A trusted clock gives a timestamp, any other the seconds index. */
function timeOf(fields: SignedListFields, seconds: number, index: number): SmlValue {
    return fields.timeQuality === TIME_TRUSTED ? [TIME_STAMP, seconds] : [TIME_SEC_INDEX, index]
}

/** The values in the order of `entryTable`. */
function valuesOf(f: SignedListFields, profile: string): SmlValue[] {
    return [
        Buffer.from(profile),
        f.pagination,
        f.secondsIndex,
        f.timeQuality,
        f.drawn,
        f.drawn1,
        f.drawn2,
        f.fedIn,
        f.power,
        f.status,
        f.software,
        f.checksum,
        f.keyProtection,
        f.previous,
        f.drawn3,
        f.drawn4,
        f.module,
        f.moduleChecksum,
    ]
}

/**
 * Reads a signed list (GetList.Res, PLOMB-SL/2 or /1) or row (GetProfileList.Res, PLOMB-SP/1) out of `message` of `file`; does not
 * judge the signature. Throws `ListProfile` if file or message are no such thing or were read with a quirk, `ListOrder` with the
 * missing OBIS code, `ListEntry` for an entry that is not as the profile says, each with the offset.
 */
export function readSignedList(file: SmlFile, message: SmlMessage): SignedList {
    const octets = message.octets
    const at = message.fields
    const row = message.tag === GET_PROFILE_LIST_RES
    if (file.flags !== 0) fail(Code.ListProfile, 0, "a file of the strict profile", "quirks " + file.flags)
    if (!row && message.tag !== GET_LIST_RES)
        fail(Code.ListProfile, message.start, "GetList.Res or GetProfileList.Res", "tag " + message.tag)
    const listAt = row ? at[6] : at[4]
    if (
        row
            ? !sameOctets(octetsAt(octets, childrenAt(octets, at[3])[0]), LOAD_PROFILE)
            : !sameOctets(octetsAt(octets, at[2]), CURRENT_DATA)
    )
        fail(Code.ListProfile, row ? at[3] : at[2], "the profile's list name or path", "another")
    const signatureAt = row ? at[8] : at[5]
    const signature = octetsAt(octets, signatureAt)
    if (signature.length !== 64) fail(Code.ListProfile, signatureAt, "a signature of 64 octets", "" + signature.length)
    const entries = childrenAt(octets, listAt)
    const former = !row && entries.length < listEntries.length - 1
    const order = row ? rowEntries : former ? formerEntries : listEntries
    // Offset of the value of each entry of the table; 0 where this profile has none.
    const values = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    for (let i = 0; i < order.length; ++i) {
        const k = order[i]
        const wanted = cut(entryTable, k * ENTRY, 6)
        const from = i < entries.length ? entries[i] : row ? at[7] : at[5]
        const came = i < entries.length ? octetsAt(octets, from + 1) : unset
        if (!sameOctets(came, wanted)) fail(Code.ListOrder, from, wanted.toString("hex"), came.toString("hex"))
        const element = childrenAt(octets, from)
        const type = entryTable[k * ENTRY + 6]
        let unit = entryTable[k * ENTRY + 7]
        const scaler = unit > 0 ? -1 : 0
        if (row && unit === 0) unit = 255
        const u = row ? 1 : 3
        const value = element[u + 2]
        // Every integer of the profile has its full width, so its head says type and width at once.
        const head = type === 0 ? octets[value] & 0x70 : octets[value]
        let good = head === (type === 0 ? 0 : type + 1) && octets[element[u + 3]] === 1
        good = good && integerAt(octets, element[u]) === unit && integerAt(octets, element[u + 1]) === scaler
        if (!row) {
            good = good && octets[element[2]] === 1 && octets[element[1]] === (k === 4 ? 0x65 : 1)
            good = good && (unit > 0 || (octets[element[3]] === 1 && octets[element[4]] === 1))
        }
        if (k === 11 || k === 13 || k === 17) good = good && octetsAt(octets, value).length === 32
        if (!good) fail(Code.ListEntry, from, "an entry of the profile", wanted.toString("hex"))
        values[k] = value
    }
    const sub = !row && entries.length > order.length
    if (sub) checkFurther(octets, entries, order.length)
    else if (entries.length !== order.length) fail(Code.ListOrder, entries[order.length], "no more entries", "one more")
    return new SignedList(
        fieldsOf(message, row, former, sub, values),
        row ? at[0] : at[1],
        row ? at[7] : at[5],
        signature,
    )
}

/** Entries of PLOMB-SL/3 from number `from` on: telegrams 81 81 C7 F2 nn FF, numbers rising, each with registers of gas, water, heat or cold behind it. */
function checkFurther(octets: Buffer, entries: number[], from: number): void {
    let number = 0
    for (let i = from; i < entries.length; ++i) {
        const at = entries[i]
        const element = childrenAt(octets, at)
        const name = octetsAt(octets, element[0])
        const telegram = name.length === 6 && sameOctets(cut(name, 0, 4), hex`8181C7F2`)
        if (!telegram && number === 0) fail(Code.ListOrder, at, "no more entries", "one more")
        let good = name.length === 6 && octets[element[6]] === 1
        if (telegram) {
            good = good && name[4] > number && name[5] === 0xff
            number = name[4]
            good = good && octets[element[1]] === 0x62 && (octets[element[5]] & 0x70) === 0
        } else {
            good = good && name[0] > 3 && name[0] < 10 && octets[element[5]] === 0x59
            good = good && octets[element[1]] === 1 && octets[element[2]] === 1 && octets[element[3]] === 0x62
        }
        if (!good) fail(Code.ListEntry, at, "a meter that was read, or its register", name.toString("hex"))
    }
}

/** The fields of a list whose entries were found at `values`. */
function fieldsOf(
    message: SmlMessage,
    row: boolean,
    former: boolean,
    sub: boolean,
    values: number[],
): SignedListFields {
    const octets = message.octets
    const at = message.fields
    const number = (k: number) => (values[k] > 0 ? integerAt(octets, values[k]) : 0)
    const text = (k: number) => (values[k] > 0 ? octetsAt(octets, values[k]) : unset)
    const profile = text(0).toString("utf8")
    const wanted = row ? "PLOMB-SP/1" : former ? "PLOMB-SL/1" : sub ? "PLOMB-SL/3" : "PLOMB-SL/2"
    if (profile !== wanted) fail(Code.ListProfile, values[0], wanted, profile)
    const fields = new SignedListFields()
    fields.serverId = octetsAt(octets, row ? at[0] : at[1])
    fields.pagination = number(1)
    fields.secondsIndex = number(2)
    fields.timeQuality = number(3)
    fields.drawn = number(4)
    fields.drawn1 = number(5)
    fields.drawn2 = number(6)
    fields.fedIn = number(7)
    fields.power = number(8)
    fields.status = row ? integerAt(octets, at[5]) : number(9)
    fields.software = text(10)
    fields.checksum = text(11)
    fields.keyProtection = number(12)
    fields.previous = text(13)
    fields.drawn3 = number(14)
    fields.drawn4 = number(15)
    fields.module = text(16)
    fields.moduleChecksum = text(17)
    const kind = fields.timeQuality === TIME_TRUSTED ? TIME_STAMP : TIME_SEC_INDEX
    const timeAt = row ? at[1] : at[3]
    if (timeKindAt(octets, timeAt) !== kind || (row && timeKindAt(octets, at[4]) !== kind))
        fail(Code.ListEntry, timeAt, "time of kind " + kind, "another kind")
    if (kind === TIME_STAMP) fields.seconds = secondsAt(octets, timeAt)
    if (row) {
        fields.regPeriod = integerAt(octets, at[2])
        fields.periodEnd = secondsAt(octets, at[4])
    }
    return fields
}
