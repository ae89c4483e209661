import { decryptCbc } from "./aes-decrypt"
import { cmac, cryptCtr } from "./cmac"
import { Code, fail } from "./errors"
import { checkMbusFrame } from "./mbus-frame"
import { cut, join, sameOctets } from "./octets"
import { crcEn13757 } from "./wmbus-frame"

/** What a telegram says: data records, the fixed structure of two counters, an application error, anything else (kept as it is). */
export const MBUS_RECORDS = 0
export const MBUS_FIXED = 1
export const MBUS_ERROR = 2
export const MBUS_OTHER = 3
/** Records without DIF and VIF: a format from an earlier telegram is needed. */
export const MBUS_COMPACT = 4

/**
 * Answers of a device (EN 13757-7 table 2): CI field; header in the low octet's low half (0 none, 1 short, 2 long), what it says in the high half.
 */
const answers = hex`
    72 02 78 00 7a 01  73 42 79 40 7b 41  70 20 6e 21 6f 22  69 30 6a 31 6b 32  71 30 74 31 75 32  66 30 67 31 68 32
    7c 32 7d 31 7e 32 7f 31  87 32 88 31 89 30  8a 31 8b 32  c1 31 c2 32 c4 31 c5 32  9e 31 9f 32  84 32 85 32`

/** Octets of a CMAC for each authentication type of the AFL; the others are not supported. */
const macLengths = hex`00 00 00 02 04 08 0c 10`

/** How a telegram was protected: not at all; encrypted, and the key gave plain text; with a MAC, and it holds. */
export const PROOF_NONE = 0
export const PROOF_CIPHER = 1
export const PROOF_MAC = 2

/** A telegram, opened. */
export class MbusTelegram {
    /** Primary address of a wired meter, or -1. */
    primary = -1
    /** Sender as the link layer has it, and the meter itself: M field, identification number, version, device type: 8 octets in the order of the link layer; empty = not given. */
    link: Buffer = Buffer.alloc(0)
    meter: Buffer = Buffer.alloc(0)
    /** CI field of the transport layer. */
    ci = 0
    /** Octet of the transport layer, or else of the extended link layer; -1 = none. */
    access = -1
    status = 0
    /** Security mode (EN 13757-7 clause 7.6.3), 0 to 31; of the extended link layer 1 = AES-CTR. */
    mode = 0
    linkMode = 0
    /** Message or session counter, by which a telegram is known as newer; -1 = none but the access number. */
    counter = -1
    /** `PROOF_NONE`, ... */
    proof = 0
    /** `MBUS_RECORDS`, ... in `octets` from `at` up to `end`. */
    content = 0
    at = 0
    end = 0

    /** `octets` of the telegram, from its first on; what was encrypted is plain once it is opened. */
    constructor(
        public octets: Buffer,
        readonly control: number,
    ) {}
}

/**
 * Opens a wired long frame (EN 13757-2). `key` of 16 octets; absent = an encrypted telegram is refused (`MbusNoKey`); of no octets = what says that it is
 * encrypted is taken as it is, as converters send it that decrypt and leave the header alone, and proves nothing. Errors: `MbusFrame`, `MbusChecksum`, and those of `openWireless`.
 */
export function openWired(frame: Buffer, key: Buffer | undefined): MbusTelegram {
    checkMbusFrame(frame)
    if (frame.length < 9) fail(Code.MbusFrame, 0, "a long frame", frame.length + " octets")
    const telegram = new MbusTelegram(cut(frame, 0, frame.length), frame[4])
    telegram.primary = frame[5]
    telegram.end = frame.length - 2
    if (frame[6] === 0x73 && telegram.end === 23) openFixed(telegram)
    else openLayers(telegram, 6, key)
    return telegram
}

/**
 * Opens a wireless telegram without CRCs (`wmbusUnframe`): extended link layer, authentication and fragmentation layer, transport layer with security mode 0, 5 or 7. `key` as for
 * `openWired`. Errors: `MbusHeader`, `MbusControlInformation`, `MbusMode`, `MbusFragment`; `MbusNoKey`, `MbusWrongKey`, `MbusMac`. What follows an unencrypted part in plain is
 * not distinguished.
 */
export function openWireless(octets: Buffer, key: Buffer | undefined): MbusTelegram {
    if (octets.length < 11 || octets[0] !== octets.length - 1)
        fail(Code.MbusFrame, 0, "as many octets as the L field says", octets.length + "")
    const telegram = new MbusTelegram(cut(octets, 0, octets.length), octets[1])
    telegram.link = cut(octets, 2, 8)
    telegram.meter = telegram.link
    telegram.end = octets.length
    openLayers(telegram, 10, key)
    return telegram
}

/**
 * Throws `MbusReplayed` unless the telegram is newer than `last`, which is the `counter` of the last one accepted from this meter, or its `access` where it
 * has no counter (then half of the 256 numbers count as newer); -1 = there was none.
 */
export function checkFresh(telegram: MbusTelegram, last: number): void {
    if (last < 0) return
    const counter = telegram.counter
    const newer = counter >= 0 ? counter > last : telegram.access !== last && ((telegram.access - last) & 0xff) < 128
    if (!newer) fail(Code.MbusReplayed, -1, "a number after " + last, (counter >= 0 ? counter : telegram.access) + "")
}

/** Throws unless `count` octets are left of the telegram from `at` on. */
function need(telegram: MbusTelegram, at: number, count: number): void {
    const left = Math.max(telegram.end - at, 0)
    if (count > left) fail(Code.MbusHeader, Math.min(at, telegram.end), count + " octets of a header", left + "")
}

/** The fixed data structure of EN 1434-3: identification, access number, status, units and medium, two counters. */
function openFixed(telegram: MbusTelegram): void {
    const octets = telegram.octets
    telegram.ci = 0x73
    telegram.meter = Buffer.alloc(8)
    telegram.meter.blitAt(2, octets, 7, 4)
    telegram.meter[7] = (octets[13] >> 6) | ((octets[14] >> 4) & 12)
    telegram.access = octets[11]
    telegram.status = octets[12]
    telegram.content = MBUS_FIXED
    telegram.at = 12
}

function openLayers(telegram: MbusTelegram, at: number, key: Buffer | undefined): void {
    need(telegram, at, 1)
    const ci = telegram.octets[at]
    if (ci >= 0x8c && ci <= 0x8f) at = openExtendedLink(telegram, at, key)
    let aflAt = -1
    need(telegram, at, 1)
    if (telegram.octets[at] === 0x90) {
        need(telegram, at, 2)
        aflAt = at + 2
        at = aflAt + telegram.octets[at + 1]
        need(telegram, at, 1)
    }
    openTransport(telegram, at, aflAt, key)
}

/** The key, or an empty one where the octets are to be taken as they are. */
function given(key: Buffer | undefined, at: number): Buffer {
    if (key === undefined) return fail(Code.MbusNoKey, at, "a key", "none")
    if (key.length !== 16 && key.length !== 0) fail(Code.BadArgument, -1, "a key of 16 octets", key.length + "")
    return key
}

/** EN 13757-4 clause 13.2: control, access number, with 8E and 8F a receiver, with 8D and 8F session number and CRC. Gives where the next layer begins. */
function openExtendedLink(telegram: MbusTelegram, at: number, key: Buffer | undefined): number {
    const ci = telegram.octets[at]
    const sessionAt = at + (ci >= 0x8e ? 11 : 3)
    need(telegram, at, sessionAt - at)
    telegram.access = telegram.octets[at + 2]
    if ((ci & 1) === 0) return sessionAt
    need(telegram, sessionAt, 6)
    const session = telegram.octets.getAt(sessionAt, "u32")
    telegram.linkMode = session >>> 29
    if (telegram.linkMode > 1) fail(Code.MbusMode, sessionAt + 3, "no encryption or AES-CTR", telegram.linkMode + "")
    // Time and number within the minute; the encryption above them is no part of the count.
    telegram.counter = session & 0x1fffffff
    const next = sessionAt + 6
    let encrypted = telegram.linkMode === 1
    // What a converter has decrypted still says that it is encrypted; its CRC holds as it stands.
    if (encrypted && key === undefined && crcHolds(telegram, next)) encrypted = false
    const secret = encrypted ? given(key, sessionAt) : Buffer.alloc(0)
    if (secret.length > 0) {
        const first = Buffer.alloc(16)
        first.blitAt(0, telegram.link, 0, telegram.link.length)
        // A repeater changes its two bits.
        first[8] = telegram.octets[at + 1] & 0xed
        first.blitAt(9, telegram.octets, sessionAt, 4)
        telegram.octets = cryptCtr(secret, first, telegram.octets, sessionAt + 4)
    }
    if (!crcHolds(telegram, next)) {
        // Some radio modules leave the CRC of frame format B in the telegram.
        telegram.end -= 2
        if (telegram.end < next || !crcHolds(telegram, next))
            fail(
                secret.length > 0 ? Code.MbusWrongKey : Code.MbusChecksum,
                sessionAt + 4,
                "a CRC that holds",
                "another",
            )
    }
    if (secret.length > 0) telegram.proof = PROOF_CIPHER
    return next
}

/** The CRC of the payload that begins at `next` stands in front of it. */
function crcHolds(telegram: MbusTelegram, next: number): boolean {
    return crcEn13757(telegram.octets, next, telegram.end) === telegram.octets.getAt(next - 2, "u16")
}

/** Transport layer (EN 13757-7 clause 7) and what protects it. */
function openTransport(telegram: MbusTelegram, start: number, aflAt: number, key: Buffer | undefined): void {
    const octets = telegram.octets
    const ci = octets[start]
    let kind = -1
    for (let i = 0; i < answers.length; i += 2) if (answers[i] === ci) kind = answers[i + 1]
    if (ci >= 0xa0 && ci <= 0xb7) kind = MBUS_OTHER << 4
    if (kind < 0) fail(Code.MbusControlInformation, start, "the answer of a meter", ci + "")
    telegram.ci = ci
    telegram.content = kind >> 4
    let at = start + 1
    if ((kind & 15) === 2) {
        need(telegram, at, 8)
        telegram.meter = join([cut(octets, at + 4, 2), cut(octets, at, 4), cut(octets, at + 6, 2)])
        at += 8
    }
    let config = 0
    let derived = false
    if ((kind & 15) > 0) {
        need(telegram, at, 4)
        telegram.access = octets[at]
        telegram.status = octets[at + 1]
        config = octets.getAt(at + 2, "u16")
        at += 4
        // Nothing but ones is the unused signature of EN 1434-3.
        telegram.mode = config === 0xffff ? 0 : (config >> 8) & 31
        if (telegram.mode === 7) {
            need(telegram, at, 1)
            const extension = octets[at]
            ++at
            derived = (extension & 0x30) === 0x10
            if ((extension & 0x20) !== 0) fail(Code.MbusMode, at - 1, "no key derivation, or A", extension + "")
            if ((config & 0x2000) !== 0) {
                need(telegram, at, 4)
                telegram.counter = octets.getAt(at, "u32")
                at += 4
            }
            if ((extension & 0x40) !== 0) ++at
        } else if (telegram.mode !== 0 && telegram.mode !== 5)
            fail(Code.MbusMode, at - 1, "security mode 0, 5 or 7", telegram.mode + "")
    }
    const mac = aflAt >= 0 ? readAfl(telegram, aflAt, start) : undefined
    telegram.at = at
    const length = telegram.mode === 0 ? 0 : config & 0xf0
    need(telegram, at, length)
    if (length === 0 && mac === undefined) return
    // As above: two fill octets in front are what decryption must give.
    if (key === undefined && mac === undefined && octets[at] === 0x2f && octets[at + 1] === 0x2f) return
    const secret = given(key, at)
    if (secret.length === 0) return
    if (derived && telegram.counter < 0) fail(Code.MbusHeader, start, "a message counter", "none")
    let clear = true
    if (length > 0) {
        const vector = Buffer.alloc(16)
        if (telegram.mode === 5) {
            vector.fillAt(8, 8, telegram.access)
            vector.blitAt(0, telegram.meter, 0, telegram.meter.length)
        }
        const plain = decryptCbc(derived ? derivedKey(telegram, secret, 0) : secret, vector, cut(octets, at, length))
        clear = plain[0] === 0x2f && plain[1] === 0x2f
        if (clear) telegram.proof = PROOF_CIPHER
        if (mac !== undefined && !macHolds(telegram, mac, start, secret))
            fail(clear ? Code.MbusMac : Code.MbusWrongKey, aflAt, "a MAC that holds", "another")
        if (!clear) fail(Code.MbusWrongKey, at, "2F 2F in front of the plain text", "something else")
        octets.blitAt(at, plain, 0, length)
    } else if (mac !== undefined && !macHolds(telegram, mac, start, secret))
        fail(Code.MbusWrongKey, aflAt, "a MAC that holds", "another")
    if (mac !== undefined) telegram.proof = PROOF_MAC
}

/** Key derivation function A (EN 13757-7 clause 9.6): constant 0 for encryption, 1 for the MAC, of what a meter sends. */
function derivedKey(telegram: MbusTelegram, key: Buffer, constant: number): Buffer {
    const input = Buffer.alloc(16)
    input.fillAt(9, 7, 7)
    input[0] = constant
    input.setAt(1, "u32", telegram.counter)
    if (telegram.meter.length > 0) input.blitAt(5, telegram.meter, 2, 4)
    return cmac(key, input)
}

/**
 * The fields of an AFL (EN 13757-7 clause 6) from `at` up to `end`; its counter goes to the telegram. Gives the MAC, and what it covers in
 * front of the message; undefined if there is no MAC.
 */
function readAfl(telegram: MbusTelegram, at: number, end: number): Buffer[] | undefined {
    const octets = telegram.octets
    const left = (count: number): number => {
        const from = at
        at += count
        if (at > end) fail(Code.MbusHeader, from, count + " octets of an AFL", end - from + "")
        return from
    }
    const control = octets.getAt(left(2), "u16")
    if ((control & 0x40ff) !== 0) fail(Code.MbusFragment, at - 2, "a whole message", "a fragment")
    const covered: Buffer[] = []
    let type = 0
    if ((control & 0x2000) !== 0) {
        covered.push(cut(octets, left(1), 1))
        type = covered[0][0] & 15
    }
    if ((control & 0x0200) !== 0) left(2)
    if ((control & 0x0800) !== 0) {
        covered.push(cut(octets, left(4), 4))
        telegram.counter = octets.getAt(at - 4, "u32")
    }
    let mac: Buffer | undefined
    if ((control & 0x0400) !== 0) {
        const length = type < macLengths.length ? macLengths[type] : 0
        if (length === 0) fail(Code.MbusMode, at, "AES-CMAC", "authentication type " + type)
        mac = cut(octets, left(length), length)
    }
    if ((control & 0x1000) !== 0) covered.push(cut(octets, left(2), 2))
    if (at !== end) fail(Code.MbusHeader, at, "the end of the AFL", end - at + " octets")
    return mac === undefined ? undefined : [mac, join(covered)]
}

/** `mac`: the MAC, and what it covers in front of the message. */
function macHolds(telegram: MbusTelegram, mac: Buffer[], start: number, key: Buffer): boolean {
    const message = cut(telegram.octets, start, telegram.end - start)
    const secret = telegram.counter >= 0 ? derivedKey(telegram, key, 1) : key
    return sameOctets(cut(cmac(secret, join([mac[1], message])), 0, mac[0].length), mac[0])
}
