import { OctetLine } from "../../hal/octet-line"
import type { UartPort } from "../../hal/ports"
import { MECHANISM_GMAC, MECHANISM_LOW, MECHANISM_NONE } from "../core/dlms-association"
import { DlmsClient } from "../core/dlms-client"
import { Code, fail } from "../core/errors"
import {
    HDLC_DISC,
    HDLC_SNRM,
    HdlcLink,
    hdlcAddress,
    LINK_MESSAGE,
    LINK_NOTHING,
    LINK_UP,
    readHdlc,
} from "../core/hdlc"
import { cut, join, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { TELEGRAM_DLMS } from "../core/telegram-list"
import { InvocationCounter } from "./dlms-counter"
import { dlmsKeys } from "./field-dlms-key"
import { codeOf, type FieldSide } from "./field-side"

/** Octets of information in a frame, both ways: what HDLC takes unless more is agreed upon. */
const segment = 128
const longestFrame = 160
/** Octets of an APDU, of the data of an attribute, and of a telegram. */
const longestMessage = 1200
const longestData = 1024
const longestTelegram = 1430
const usualBaud = 9600
/** Wait for the first octet of an answer, and for the next one. */
const answerMs = 2000
const gapMs = 200
/** Failures in a row after which a meter is asked once a turn, not three times. */
const deadAfter = 4
/** Frames, or APDUs, in one reading at most; of the latter each takes an invocation counter. */
const mostFrames = 100
const mostApdus = 30
/** Clients (IEC 62056-5-3): who may read without a name, and who may manage. */
const publicClient = 16
const managementClient = 1
const managementDevice = 1
/** Octets of an attribute's name: class U16, instance 6, attribute U8. */
const attributeSize = 9
/** What is read unless the setting "dlms_read" says: energy drawn and fed in, value and unit, and the time. */
const usualAttributes = hex`
    0003 0100010800ff 02 0003 0100010800ff 03 0003 0100020800ff 02 0003 0100020800ff 03 0008 0000010000ff 02`
const llc = hex`e6e600`
const llcLength = 3
const flag = 0x7e
const none = hex``

/**
 * Asks the meters of one line, each in an association of its own. A meter whose address is a system title (8 octets) is read with its keys: GMAC, everything ciphered. One without
 * address is alone on its line, and read without protection: with the password of setting "dlms_password" (mechanism low), or as the public client.
 */
export class DlmsReader {
    private readonly octets: OctetLine
    private readonly attributes: Buffer
    private tries = 1
    private link = new HdlcLink(none, none, segment, longestMessage)
    private own: Buffer = none
    private peer: Buffer = none
    /** Frames of the reading in the order they went and came. */
    private frames: Buffer[] = []
    private framed = 0
    private lastCounter = 0
    /** What the last frame came to. */
    private event = LINK_NOTHING

    constructor(
        private readonly side: FieldSide,
        private readonly line: number,
        port: UartPort,
    ) {
        this.octets = new OctetLine(port, longestFrame)
        if (!side.invocations) side.invocations = new InvocationCounter(side.meters.store, side.trust)
        const named = Buffer.from(side.settings.get("dlms_read"), "hex")
        this.attributes = named.length >= attributeSize ? named : usualAttributes
    }

    open(): void {
        this.octets.open(this.side.setting("baud" + this.line, usualBaud), 0)
    }

    /** Reads who is due; false: nobody is. */
    turn(): boolean {
        const side = this.side
        const line = this.line
        if (side.searched(line) && side.meters.count(line) === 0) side.add(line, 0, none)
        const meter = side.meters.plan.next(line, side.now())
        if (meter < 0) return false
        this.tries = side.meters.plan.failing(meter) < deadAfter ? 3 : 1
        const self = this
        side.turn(meter, () => self.read(meter))
        return true
    }

    private read(meter: number): void {
        const side = this.side
        const plan = side.meters.plan
        const title = side.meters.address(meter)
        const keys = title.length > 0 ? dlmsKeys(side, title) : undefined
        if (title.length > 0 && !keys) fail(Code.DlmsNoKey, -1, "the meter's keys", "none")
        if (keys && keys.authentication.length === 0) fail(Code.DlmsMode, -1, "an authentication key", "none")
        const password = keys ? none : Buffer.from(side.settings.get("dlms_password"))
        let mechanism = MECHANISM_NONE
        if (password.length > 0) mechanism = MECHANISM_LOW
        if (keys) mechanism = MECHANISM_GMAC
        const invocations = side.invocations
        const first = invocations ? invocations.take(mostApdus) : 0
        const client = new DlmsClient(
            mechanism,
            keys ? platform().randomOctets(16) : password,
            keys,
            side.lists.clientTitle(),
            first,
            plan.counter(meter),
            longestData,
        )
        const device = side.meters.entry(meter)[0]
        const usual = mechanism === MECHANISM_NONE ? publicClient : managementClient
        this.own = hdlcAddress(side.setting("dlms_client", usual), 0, 1)
        this.peer = hdlcAddress(managementDevice, device, device > 0 ? 2 : 1)
        this.link = new HdlcLink(this.own, this.peer, segment, longestMessage)
        this.frames = []
        this.framed = 0
        this.lastCounter = first + mostApdus
        const self = this
        const secured = keys !== undefined
        const code = codeOf(() => self.converse(client, title, secured))
        // What was accepted is not fresh any more, whatever came of the reading.
        if (client.lastHeard() > plan.counter(meter)) plan.accepted(meter, client.lastHeard())
        const telegram = join(this.frames)
        this.frames = []
        this.tries = 1
        if (this.link.up) codeOf(() => self.leave())
        if (code !== 0) fail(code, -1, "a reading", "none")
        side.take(TELEGRAM_DLMS, this.line * 16 + (secured ? 2 : 0), title, telegram)
    }

    private leave(): void {
        this.link.command(HDLC_DISC)
        this.run(false)
    }

    private converse(client: DlmsClient, title: Buffer, secured: boolean): void {
        this.link.command(HDLC_SNRM)
        if (this.run(false) !== LINK_UP) fail(Code.MeterRefused, -1, "a link", "none")
        // An association without keys may hold a password: that is nobody else's.
        let next = this.ask(client, client.start(), secured)
        if (secured && !sameOctets(client.meter, title)) fail(Code.MeterOther, -1, title.toString("hex"), "another")
        if (next.length > 0) next = this.ask(client, next, secured)
        if (!client.associated) fail(Code.MeterRefused, -1, "an association", "none")
        for (let at = 0; at + attributeSize <= this.attributes.length; at += attributeSize) {
            const which = this.attributes
            next = client.get(uintBE(which, at, 2), cut(which, at + 2, 6), which[at + 8])
            for (let i = 0; next.length > 0; ++i) {
                if (i > mostApdus) fail(Code.MeterGarbled, -1, "a last block", "more")
                next = this.ask(client, next, true)
            }
        }
    }

    /** Sends an APDU and takes the answer; gives what must follow. */
    private ask(client: DlmsClient, apdu: Buffer, kept: boolean): Buffer {
        // The answer to a challenge takes two.
        if (client.counter + 2 > this.lastCounter) fail(Code.MeterGarbled, -1, "at most " + mostApdus, "more")
        this.link.send(join([llc, apdu]))
        if (this.run(kept) !== LINK_MESSAGE) fail(Code.MeterRefused, -1, "an answer", "the end of the link")
        const message = this.link.message
        if (message.length <= llcLength) fail(Code.DlmsForm, 0, "an APDU", "none")
        return client.take(cut(message, llcLength, message.length - llcLength))
    }

    /** Sends what the link has to send until it has nothing more; what it came to last. */
    private run(kept: boolean): number {
        let event = LINK_NOTHING
        for (let i = 0; this.link.toSend.length > 0; ++i) {
            if (i > mostFrames) fail(Code.MeterGarbled, -1, "at most " + mostFrames + " frames", "more")
            const sent = this.link.toSend
            this.link.toSend = none
            event = this.exchange(sent, kept)
        }
        return event
    }

    /** One frame and the one that answers it; the frame is sent again where nothing sound comes. */
    private exchange(sent: Buffer, kept: boolean): number {
        const octets = this.octets
        let heard = false
        for (let i = 0; i < this.tries; ++i) {
            octets.send(sent)
            const whole = octets.receive(answerMs, gapMs, frameMissing)
            if (octets.length > 0) heard = true
            if (whole && !octets.damaged && this.takes()) {
                if (kept) this.keep([sent, cut(octets.held, 0, octets.length)])
                return this.event
            }
            octets.quiet(gapMs)
        }
        return fail(heard ? Code.MeterGarbled : Code.MeterSilent, -1, "an answer", heard ? "a damaged one" : "none")
    }

    /** Does the link take the frame that came? */
    private takes(): boolean {
        const self = this
        return (
            codeOf(() => {
                // A flag that was damaged is in no check.
                if (self.octets.held[0] !== flag || self.octets.held[self.octets.length - 1] !== flag)
                    fail(Code.HdlcFrame, 0, "flags", "others")
                const frame = readHdlc(cut(self.octets.held, 1, self.octets.length - 2))
                if (!sameOctets(frame.destination, self.own) || !sameOctets(frame.source, self.peer))
                    fail(Code.MeterOther, -1, "the meter that was asked", "another")
                self.event = self.link.take(frame)
            }) === 0
        )
    }

    private keep(frames: Buffer[]): void {
        for (let i = 0; i < frames.length; ++i) {
            this.framed += frames[i].length
            if (this.framed > longestTelegram)
                fail(Code.TelegramTooLong, -1, "at most " + longestTelegram + " octets", "more")
            this.frames.push(frames[i])
        }
    }
}

/** Octets missing to a whole frame with its flags. */
function frameMissing(held: Buffer, length: number): number {
    if (length < 3) return 3 - length
    return Math.max(((held[1] & 7) << 8) + held[2] + 2 - length, 0)
}
