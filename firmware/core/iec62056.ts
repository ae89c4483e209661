import { Code, fail } from "./errors"
import { cut, join } from "./octets"
import { platform } from "./platform"

/** Which block check a message must have: exclusive or (the standard's, ISO 1155), sum of 7 bits (some families, as Energomera), either of them, or any. */
export const IEC_XOR = 0
export const IEC_SUM = 1
export const IEC_EITHER = 2
export const IEC_UNCHECKED = 3

/** Octets that begin, end and answer messages (clause 6.3). */
const SOH = 1
const STX = 2
const ETX = 3
const EOT = 4
export const IEC_ACK = 6
export const IEC_NAK = 21

/** Bauds for the characters 0 to 6 (mode C, E) and A to F (mode B: the same from 600 on). */
const bauds = [300, 600, 1200, 2400, 4800, 9600, 19200]

/** Seven bits of octets that carry even parity; octets with no top bit anywhere are taken as they are. `IecParity`. */
export function iecSevenBits(octets: Buffer): Buffer {
    let some = 0
    for (let i = 0; i < octets.length; ++i) some |= octets[i]
    if (some < 0x80) return octets
    const plain = Buffer.alloc(octets.length)
    for (let i = 0; i < octets.length; ++i) {
        const octet = octets[i]
        if (((0x6996 >> ((octet ^ (octet >> 4)) & 15)) & 1) !== 0) fail(Code.IecParity, i, "even parity", octet + "")
        plain[i] = octet & 0x7f
        if ((i & 1023) === 0) platform().yieldNow()
    }
    return plain
}

/** The octets with even parity in their top bits. */
export function iecParity(octets: Buffer): Buffer {
    const sent = Buffer.alloc(octets.length)
    for (let i = 0; i < octets.length; ++i) {
        const octet = octets[i] & 0x7f
        sent[i] = octet | (((0x6996 >> ((octet ^ (octet >> 4)) & 15)) & 1) << 7)
    }
    return sent
}

/** A message of a meter, of seven-bit octets; places in them. */
export class IecMessage {
    /** Identification message: where the three letters of the manufacturer begin, -1 = there is none; baud rate character; character behind `\`, or -1; the rest of it. */
    manufacturerAt = -1
    baudCharacter = 0
    escape = -1
    idAt = 0
    idEnd = 0
    /** Two octets behind SOH (P0, R1, ...), or none. */
    commandAt = -1
    /** Data sets; empty where there is an identification only. */
    at = 0
    end = 0
    /** It stood between STX and ETX, or EOT (`more` blocks follow); else it is a readout without a frame. */
    framed = false
    more = false
    /** Octet of the block check, -1 = none came; which of both it is (`IEC_UNCHECKED` = neither). */
    check = -1
    kind = IEC_UNCHECKED
    /** Where `!` stands, -1 = there is none. */
    markAt = -1

    constructor(readonly octets: Buffer) {}

    /** Bauds that the identification offers; 0 = none: mode A, or none of the standard. */
    baud(): number {
        const which = this.baudCharacter - (this.baudCharacter > 0x40 ? 0x40 : 0x30)
        return which >= 0 && which < bauds.length ? bauds[which] : 0
    }

    /** "A" to "E" as far as it can be told from the identification: a P1 telegram is of mode D. */
    mode(): string {
        if (this.manufacturerAt < 0) return this.framed ? "C" : "D"
        if (this.baudCharacter >= 0x41 && this.baudCharacter < 0x50) return "B"
        if (this.baud() === 0) return "A"
        if (!this.framed && this.end > this.at) return "D"
        return this.escape === 0x32 ? "E" : "C"
    }
}

/** `\n` behind `at`, or the end. */
function lineEnd(octets: Buffer, at: number): number {
    while (at < octets.length && octets[at] !== 10) ++at
    return at < octets.length ? at + 1 : at
}

/** The identification message (clause 6.3.2) that begins at `at`, into `message`; nothing where the line is none. */
function readIdentification(message: IecMessage, at: number, end: number): void {
    const octets = message.octets
    while (end > at && octets[end - 1] <= 32) --end
    if (end - at < 5) return
    for (let i = at + 1; i < at + 4; ++i) if ((octets[i] & 0xdf) < 0x41 || (octets[i] & 0xdf) > 0x5a) return
    const baud = octets[at + 4]
    if (!(baud >= 0x30 && baud < 0x3a) && !(baud >= 0x41 && baud < 0x4a)) return
    message.manufacturerAt = at + 1
    message.baudCharacter = baud
    message.idAt = at + 5
    message.idEnd = end
    if (octets[at + 5] === 0x5c && at + 6 < end) {
        message.escape = octets[at + 6]
        message.idAt = at + 7
    }
}

/**
 * Reads what a meter sends: identification, data message (clause 6.3), both in one, or a message of the programming mode. What stands in front, as an echo of the
 * request, is passed over. `octets` of seven bits (`iecSevenBits`); `check` = `IEC_XOR`, ...: with the first two a frame without check is refused. `IecForm`, `IecCheck`.
 */
export function readIec(octets: Buffer, check: number): IecMessage {
    const message = new IecMessage(octets)
    let at = 0
    while (at < octets.length && octets[at] !== 0x2f && octets[at] !== SOH && octets[at] !== STX) ++at
    if (at === octets.length) at = 0
    while (octets[at] === 0x2f) {
        const end = lineEnd(octets, at)
        if (octets[at + 1] !== 0x3f) readIdentification(message, at, end)
        at = end
        platform().yieldNow()
    }
    // An echo of what acknowledges the identification.
    if (octets[at] === IEC_ACK) at = lineEnd(octets, at)
    while (at < octets.length && (octets[at] === 13 || octets[at] === 10)) ++at
    message.at = at
    message.end = octets.length
    if (octets[at] === SOH) {
        message.commandAt = at + 1
        message.at = at + 3
    }
    if (octets[message.at] === STX || octets[at] === SOH)
        readFrame(message, octets[at] === SOH ? at : message.at, check)
    for (let i = message.at; i < message.end; ++i)
        if (octets[i] === 0x21) {
            message.markAt = i
            message.end = i
        }
    // Without a frame, only its mark shows that a readout is whole.
    const whole = message.framed ? message.check >= 0 || message.markAt >= 0 : message.markAt >= 0
    if (!whole && message.at < octets.length) fail(Code.IecForm, octets.length, "the end of a message", "none")
    if (octets.length === 0) fail(Code.IecForm, 0, "a message", "nothing")
    return message
}

/** The frame that begins with SOH or STX at `start`. */
function readFrame(message: IecMessage, start: number, check: number): void {
    const octets = message.octets
    message.framed = true
    if (octets[message.at] === STX) message.at = message.at + 1
    let at = message.at
    let xor = 0
    let sum = 0
    for (let i = start + 1; i < at && i < octets.length; ++i) {
        xor ^= octets[i]
        sum += octets[i]
    }
    while (at < octets.length && octets[at] !== ETX && octets[at] !== EOT) {
        xor ^= octets[at]
        sum += octets[at]
        ++at
        if ((at & 1023) === 0) platform().yieldNow()
    }
    message.end = at
    if (at + 1 >= octets.length) {
        if (check < IEC_EITHER || at < octets.length)
            fail(Code.IecForm, octets.length, "ETX and a block check", "the end")
        return
    }
    if (at + 2 < octets.length) fail(Code.IecForm, at + 2, "the end", octets.length - at - 2 + " octets")
    message.more = octets[at] === EOT
    message.check = octets[at + 1]
    xor ^= octets[at]
    sum = (sum + octets[at]) & 0x7f
    if (check !== IEC_SUM && message.check === xor) message.kind = IEC_XOR
    else if (check !== IEC_XOR && message.check === sum) message.kind = IEC_SUM
    else if (check !== IEC_UNCHECKED)
        fail(Code.IecCheck, at + 1, (check === IEC_SUM ? sum : xor) + "", message.check + "")
}

/** Reads the values of data sets one after the other (clause 6.6): `address(value*unit)(value*unit)...`; after `next()` the fields describe one bracket. */
export class IecValues {
    addressAt = 0
    addressLength = 0
    /** Which of the values of this address, from 0 on. */
    index = -1
    valueAt = 0
    valueLength = 0
    /** What stands behind the last `*`. */
    unitAt = 0
    unitLength = 0
    private at: number

    /** The data sets from `at` up to `end`. */
    constructor(
        readonly octets: Buffer,
        at: number,
        private readonly end: number,
    ) {
        this.at = at
    }

    /** Goes to the next value; false at the end. `IecForm`. */
    next(): boolean {
        const octets = this.octets
        let at = this.at
        while (at < this.end && octets[at] <= 32) ++at
        if (at >= this.end) return false
        ++this.index
        if (octets[at] !== 0x28 || this.index === 0) {
            this.index = 0
            this.addressAt = at
            while (at < this.end && octets[at] > 32 && octets[at] !== 0x28 && octets[at] !== 0x29) ++at
            this.addressLength = at - this.addressAt
        }
        if (at >= this.end || octets[at] !== 0x28) fail(Code.IecForm, at, "(", "something else")
        ++at
        this.valueAt = at
        let star = -1
        while (at < this.end && octets[at] !== 0x28 && octets[at] !== 0x29) {
            if (octets[at] === 0x2a) star = at
            ++at
        }
        if (at >= this.end || octets[at] === 0x28) fail(Code.IecForm, at, ")", "something else")
        this.unitAt = star < 0 ? at : star + 1
        this.unitLength = at - this.unitAt
        this.valueLength = (star < 0 ? at : star) - this.valueAt
        this.at = at + 1
        return true
    }
}

/** The request message (clause 6.3.1) for the meter of this address, or for any. */
export function iecRequest(address: string): Buffer {
    return Buffer.from("/?" + address + "!\r\n")
}

/** Acknowledges the identification (clause 6.3.3): the character of the baud rate to go on with, and `mode` 0 readout, 1 programming, 2 binary (HDLC: then `procedure` is 2). */
export function iecAcknowledge(baudCharacter: number, mode: number, procedure: number): Buffer {
    return Buffer.from([IEC_ACK, 0x30 + procedure, baudCharacter, 0x30 + mode, 13, 10])
}

/** A message of the programming mode (clause 6.3.4): SOH, two characters of the command, STX, data, ETX, block check `IEC_XOR` or `IEC_SUM`; without data SOH, command, ETX, as B0. */
export function iecCommand(command: string, data: Buffer, check: number): Buffer {
    const head = Buffer.from("\u0001" + command)
    return iecChecked(data.length > 0 ? join([head, hex`02`, data, hex`03`]) : join([head, hex`03`]), check)
}

/** The octets, from SOH or STX to ETX or EOT, with their block check behind. */
export function iecChecked(octets: Buffer, check: number): Buffer {
    let xor = 0
    let sum = 0
    for (let i = 1; i < octets.length; ++i) {
        xor ^= octets[i]
        sum += octets[i]
    }
    return join([octets, Buffer.from([check === IEC_SUM ? sum & 0x7f : xor])])
}

/**
 * Puts messages together that come in any cut, in octets of seven bits. In a `push` a telegram goes from `/` to the end of the line that begins with `!`; else the
 * identification is a message of its own, and so is each frame with its check, an acknowledgement and a refusal.
 */
export class IecReceiver {
    private readonly held: Buffer
    private length = 0
    /** Octets that were part of no message. */
    junk = 0

    /** `capacity`: octets of the longest message; what is longer is junk. */
    constructor(
        private readonly push: boolean,
        capacity: number,
        private readonly onMessage: (octets: Buffer) => void,
    ) {
        this.held = Buffer.alloc(capacity)
    }

    feed(octets: Buffer): void {
        for (let i = 0; i < octets.length; ++i) {
            const octet = octets[i]
            const starts = octet === 0x2f || (!this.push && (octet === SOH || octet === STX))
            const single = !this.push && this.length === 0 && (octet === IEC_ACK || octet === IEC_NAK)
            if (this.length === this.held.length) this.timeout()
            // A new beginning of a line ends what was cut off.
            if (this.push && octet === 0x2f && this.length > 0 && this.held[this.length - 1] === 10) this.timeout()
            if (this.length === 0 && !starts && !single) ++this.junk
            else {
                this.held[this.length] = octet
                ++this.length
                if (single || this.ends(octet)) this.flush()
            }
            if ((i & 255) === 255) platform().yieldNow()
        }
    }

    /** Nothing came for longer than a message may pause. */
    timeout(): void {
        this.junk += this.length
        this.length = 0
    }

    private ends(octet: number): boolean {
        const held = this.held
        const length = this.length
        if (!this.push && held[0] !== 0x2f) return length > 2 && (held[length - 2] === ETX || held[length - 2] === EOT)
        if (octet !== 10) return false
        if (!this.push) return true
        let at = length - 2
        while (at > 0 && held[at] !== 10 && held[at] !== 0x21) --at
        return held[at] === 0x21
    }

    private flush(): void {
        const message = cut(this.held, 0, this.length)
        this.length = 0
        this.onMessage(message)
    }
}
