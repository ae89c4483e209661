import { crc16 } from "./crc16"
import { Code, fail } from "./errors"
import { cut, join } from "./octets"
import { platform } from "./platform"

/** Control fields without the poll bit (IEC 62056-46 clause 6.4.3); information and "receive ready" frames carry their numbers. */
export const HDLC_I = 0x00
export const HDLC_RR = 0x01
export const HDLC_RNR = 0x05
export const HDLC_SNRM = 0x83
export const HDLC_DISC = 0x43
export const HDLC_UA = 0x63
export const HDLC_DM = 0x0f
export const HDLC_FRMR = 0x87
export const HDLC_UI = 0x03

/** A frame of format type 3; places in `octets`, which begin behind the opening flag. */
export class HdlcFrame {
    /** `HDLC_I`, ...; its numbers N(S) and N(R), poll or final bit. */
    kind = 0
    sendNumber = 0
    receiveNumber = 0
    poll = false
    control = 0
    /** More segments of the same message follow. */
    segmented = false
    /** Addresses as sent, 1, 2 or 4 octets. */
    destination: Buffer = Buffer.alloc(0)
    source: Buffer = Buffer.alloc(0)
    informationAt = 0
    informationLength = 0

    constructor(readonly octets: Buffer) {}

    information(): Buffer {
        return cut(this.octets, this.informationAt, this.informationLength)
    }
}

/** Octets of an address that begins at `at`: the lowest bit marks the last one. `HdlcFrame`. */
function addressLength(octets: Buffer, at: number, end: number): number {
    let length = 1
    while (at + length <= end && length < 5 && (octets[at + length - 1] & 1) === 0) ++length
    if (length === 3 || length > 4 || at + length > end)
        fail(Code.HdlcFrame, at, "an address of 1, 2 or 4 octets", "something else")
    return length
}

/** Reads one frame without its flags (clauses 6.4.2 to 6.4.4). `HdlcFrame`, `HdlcCheck`. */
export function readHdlc(octets: Buffer): HdlcFrame {
    const frame = new HdlcFrame(octets)
    const length = octets.length < 2 ? 0 : ((octets[0] & 7) << 8) + octets[1]
    if (length < 7 || length !== octets.length || (octets[0] & 0xf0) !== 0xa0)
        fail(Code.HdlcFrame, 0, "as many octets as the length field says", octets.length + "")
    const end = length - 2
    // The check of the whole frame first: else a wrong length of an address would be told of a damaged one.
    checkAt(octets, end)
    frame.segmented = (octets[0] & 8) !== 0
    let at = 2 + addressLength(octets, 2, end)
    frame.destination = cut(octets, 2, at - 2)
    const source = addressLength(octets, at, end)
    frame.source = cut(octets, at, source)
    at += source
    if (at >= end) fail(Code.HdlcFrame, at, "a control field", "the end")
    const control = octets[at]
    ++at
    frame.control = control
    frame.poll = (control & 0x10) !== 0
    if ((control & 1) === 0) {
        frame.kind = HDLC_I
        frame.sendNumber = (control >> 1) & 7
    } else frame.kind = control & ((control & 3) === 1 ? 0x0f : 0xef)
    if ((control & 3) !== 3) frame.receiveNumber = control >> 5
    if (at < end) {
        if (end - at < 2) fail(Code.HdlcFrame, at, "a check of the header", "one octet")
        checkAt(octets, at)
        at += 2
    }
    frame.informationAt = at
    frame.informationLength = end - at
    return frame
}

/** The two octets at `at` must be the CRC-16/X.25 of all in front. */
function checkAt(octets: Buffer, at: number): void {
    const crc = crc16(octets, 0, at, 0xffff) ^ 0xffff
    if (octets.getAt(at, "u16") !== crc) fail(Code.HdlcCheck, at, crc + "", octets.getAt(at, "u16") + "")
}

/** An address of `length` 1, 2 or 4 octets: upper (logical device, or the client's) and lower (physical device) part. */
export function hdlcAddress(upper: number, lower: number, length: number): Buffer {
    if (length === 1) return Buffer.from([((upper << 1) | 1) & 0xff])
    if (length === 2) return Buffer.from([(upper << 1) & 0xfe, ((lower << 1) | 1) & 0xff])
    return Buffer.from([(upper >> 6) & 0xfe, (upper << 1) & 0xfe, (lower >> 6) & 0xfe, ((lower << 1) | 1) & 0xff])
}

/** A frame with its flags; `information` of no octets = none, then there is no check of the header. At most 2,047 octets, else `BadArgument`. */
export function hdlcFrame(
    destination: Buffer,
    source: Buffer,
    control: number,
    information: Buffer,
    segmented: boolean,
): Buffer {
    const head = 3 + destination.length + source.length
    const length = head + 2 + (information.length > 0 ? information.length + 2 : 0)
    if (length > 2047) fail(Code.BadArgument, -1, "at most 2047 octets", length + "")
    const frame = Buffer.alloc(length + 2)
    frame[1] = 0xa0 | (segmented ? 8 : 0) | (length >> 8)
    frame[2] = length & 0xff
    frame.blitAt(3, destination, 0, destination.length)
    frame.blitAt(3 + destination.length, source, 0, source.length)
    frame[head] = control
    if (information.length > 0) {
        frame.setAt(head + 1, "u16", crc16(frame, 1, head + 1, 0xffff) ^ 0xffff)
        frame.blitAt(head + 3, information, 0, information.length)
    }
    frame.setAt(length - 1, "u16", crc16(frame, 1, length - 1, 0xffff) ^ 0xffff)
    frame[0] = frame[length + 1] = 0x7e
    return frame
}

/**
 * Finds frames in octets that come in any cut, with noise between. The length field rules: 7E and 7D in a frame are data. After a frame that does not
 * hold, the search goes on behind its first octet, so that nothing whole is lost.
 */
export class HdlcReceiver {
    private readonly held: Buffer
    private length = 0
    /** Octets that were part of no frame; flags are never counted. */
    junk = 0

    /** `capacity`: octets of the longest frame, its flags counted. */
    constructor(
        capacity: number,
        private readonly onFrame: (frame: HdlcFrame) => void,
    ) {
        this.held = Buffer.alloc(capacity)
    }

    feed(octets: Buffer): void {
        let from = 0
        while (from < octets.length) {
            const count = Math.min(octets.length - from, this.held.length - this.length)
            this.held.blitAt(this.length, octets, from, count)
            this.length += count
            from += count
            this.search(false)
        }
    }

    /** Nothing came for longer than a frame may pause. */
    timeout(): void {
        this.search(true)
    }

    private search(final: boolean): void {
        const held = this.held
        let at = 0
        while (at < this.length) {
            platform().yieldNow()
            const left = this.length - at
            let used = 0
            if (held[at] === 0x7e) {
                // Flags may stand between frames, or one for both.
                if (left > 1 && held[at + 1] === 0x7e) {
                    ++at
                    continue
                }
                const known = left > 2
                const length = known ? ((held[at + 1] & 7) << 8) + held[at + 2] : 0
                const possible = left === 1 || ((held[at + 1] & 0xf0) === 0xa0 && (!known || length < held.length - 1))
                if (possible && (!known || length + 2 > left)) {
                    if (!final) break
                } else if (possible && held[at + length + 1] === 0x7e && this.holds(cut(held, at + 1, length)))
                    used = length + 1
            }
            if (used === 0 && held[at] !== 0x7e) ++this.junk
            at += Math.max(used, 1)
        }
        // To a lower place: right also where the two overlap.
        if (at > 0) held.blitAt(0, held, at, this.length - at)
        this.length -= at
    }

    private holds(octets: Buffer): boolean {
        let frame: HdlcFrame
        try {
            frame = readHdlc(octets)
        } catch {
            return false
        }
        this.onFrame(frame)
        return true
    }
}

/** What a link has to say after `take`: nothing, it is connected (`UA`), disconnected, or a whole message has come. */
export const LINK_NOTHING = 0
export const LINK_UP = 1
export const LINK_DOWN = 2
export const LINK_MESSAGE = 3

/**
 * One end of a link in normal response mode with a window of 1 (clause 6.4.4): numbers, segments, acknowledgements. It does no input or output:
 * what `toSend` holds after a call is to be sent, and sent again if nothing comes.
 */
export class HdlcLink {
    toSend: Buffer = Buffer.alloc(0)
    /** The message that came whole: LLC header and APDU. */
    message: Buffer = Buffer.alloc(0)
    up = false
    private closing = false
    private sendNumber = 0
    private receiveNumber = 0
    private parts: Buffer[] = []
    private held = 0
    private rest: Buffer = Buffer.alloc(0)

    /** `segment`: octets of information that go in a frame; `longest`: of a message that is put together. */
    constructor(
        private readonly own: Buffer,
        private readonly peer: Buffer,
        protected segment: number,
        private readonly longest: number,
    ) {}

    /** Client: asks for a link (SNRM), or with `HDLC_DISC` for its end. */
    command(kind: number): void {
        this.reset()
        this.up = false
        this.closing = kind === HDLC_DISC
        this.say(kind | 0x10, Buffer.alloc(0), false)
    }

    /** Sends a message, in segments; the rest goes as the peer acknowledges. */
    send(message: Buffer): void {
        this.rest = message
        this.next()
    }

    /** Takes a frame that is meant for this end; gives `LINK_UP`, ... `HdlcSequence` for one out of order: nothing changes. */
    take(frame: HdlcFrame): number {
        const kind = frame.kind
        const numbered = kind === HDLC_I && frame.sendNumber !== this.receiveNumber
        if (kind < HDLC_UI || kind === HDLC_RNR)
            if (!this.up || numbered || frame.receiveNumber !== this.sendNumber)
                fail(Code.HdlcSequence, frame.informationAt, "the next number", frame.control + "")
        this.toSend = Buffer.alloc(0)
        if (kind === HDLC_SNRM || (kind === HDLC_UA && !this.closing)) {
            this.reset()
            this.negotiate(frame)
            this.up = true
            if (kind === HDLC_SNRM) this.grant()
            return LINK_UP
        }
        if (kind === HDLC_DISC || kind === HDLC_DM || kind === HDLC_FRMR || kind === HDLC_UA) {
            if (kind === HDLC_DISC) this.say((this.up ? HDLC_UA : HDLC_DM) | 0x10, Buffer.alloc(0), false)
            this.up = false
            return LINK_DOWN
        }
        if (kind === HDLC_UI) {
            this.message = frame.information()
            return LINK_MESSAGE
        }
        if (kind !== HDLC_I) {
            if (kind === HDLC_RR && this.rest.length > 0) this.next()
            return LINK_NOTHING
        }
        this.receiveNumber = (this.receiveNumber + 1) & 7
        this.held += frame.informationLength
        if (this.held > this.longest)
            fail(Code.HdlcSequence, frame.informationAt, "at most " + this.longest + " octets", this.held + "")
        this.parts.push(frame.information())
        if (frame.segmented) {
            this.say(HDLC_RR | 0x10 | (this.receiveNumber << 5), Buffer.alloc(0), false)
            return LINK_NOTHING
        }
        this.message = join(this.parts)
        this.parts = []
        this.held = 0
        return LINK_MESSAGE
    }

    private reset(): void {
        this.sendNumber = this.receiveNumber = this.held = 0
        this.parts = []
        this.rest = Buffer.alloc(0)
    }

    private next(): void {
        const count = Math.min(this.segment, this.rest.length)
        const part = cut(this.rest, 0, count)
        this.rest = cut(this.rest, count, this.rest.length - count)
        const control = 0x10 | (this.receiveNumber << 5) | (this.sendNumber << 1)
        this.sendNumber = (this.sendNumber + 1) & 7
        this.say(control, part, this.rest.length > 0)
    }

    /** Answers a request for a link. */
    protected grant(): void {}

    protected say(control: number, information: Buffer, segmented: boolean): void {
        this.toSend = hdlcFrame(this.peer, this.own, control, information, segmented)
    }

    /** The peer's longest information field (parameter 06: what it receives) bounds the segments. */
    private negotiate(frame: HdlcFrame): void {
        const octets = frame.octets
        const end = frame.informationAt + frame.informationLength
        let at = frame.informationAt + 3
        while (at + 1 < end) {
            const length = octets[at + 1]
            let value = 0
            for (let i = 0; i < length && at + 2 + i < end; ++i) value = value * 256 + octets[at + 2 + i]
            if (octets[at] === 6 && length < 3 && value > 0 && value < this.segment) this.segment = value
            at += 2 + length
        }
    }
}

/** The end of a link that is asked for it: a meter's. */
export class HdlcServerLink extends HdlcLink {
    /** UA with an information field (clause 6.4.4.4.3.2): lengths this end takes and sends, windows of 1. */
    protected override grant(): void {
        const high = this.segment >> 8
        const low = this.segment & 0xff
        const lengths = Buffer.from([high, low, 6, 2, high, low])
        const parameters = join([hex`81 80 14 05 02`, lengths, hex`07 04 00000001 08 04 00000001`])
        this.say(HDLC_UA | 0x10, parameters, false)
    }
}
