import { Code, fail } from "../firmware/core/errors"
import { checkMbusFrame, MBUS_ACK, mbusLongFrame, mbusShortFrame } from "../firmware/core/mbus-frame"
import { cut } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { OctetLine } from "./octet-line"
import type { UartPort } from "./ports"

/** Address of the meter that was selected (EN 13757-7 clause 8.5). */
export const MBUS_SELECTED = 0xfd

/** What came of a question: nothing, a whole frame, anything else. */
const SILENT = 0
const ANSWERED = 1
const GARBLED = 2

const sndNke = 0x40
/** REQ_UD2 with the frame-count bit set; without it the next one. */
const reqUd2 = 0x7b
const frameCount = 0x20
/** Telegrams of one meter at most. */
const mostTelegrams = 16
/** Octets of data by the low half of the DIF; FF = the first octet tells. */
const dataLengths = hex`00 01 02 03 04 04 06 08 00 01 02 03 04 ff 06 00`

/**
 * Wired M-Bus master (EN 13757-2) over a level converter at a UART: 8E1, 300 to 9600 Bd. One fiber a bus. A question is sent `tries` times; an
 * answer may begin 330 bit times and 50 ms after it, and `patienceMs` more.
 *
 * @devsWhenUsed
 */
export class MbusMaster {
    readonly line: OctetLine
    /** How often a question is sent: the standard's three. */
    tries = 3
    /** How much later than the standard allows an answer to the last try may begin, in ms: a dead meter costs it once, not at each try. */
    patienceMs = 0
    /** Questions sent, those that nobody answered, those whose answer was damaged. */
    asked = 0
    silent = 0
    garbled = 0
    /** What each address is asked with next; 0 = it must be initialised first. */
    private readonly next = Buffer.alloc(256)
    private failed = false

    constructor(
        port: UartPort,
        readonly baud: number,
    ) {
        this.line = new OctetLine(port, 261)
    }

    open(): void {
        this.line.open(this.baud, 1)
    }

    /**
     * Reads all telegrams of the meter at a primary address (0 to 250), or of the selected one; `take` gets each frame, checked. Answers how many they were.
     * `MeterSilent`, `MeterGarbled` (several meters, or a disturbed line), `MeterRefused` (it has none), `LineBusy`.
     */
    read(address: number, take: (frame: Buffer) => void): number {
        let control = this.next[address]
        this.next[address] = 0
        if (control === 0) {
            this.must(mbusShortFrame(sndNke, address))
            control = reqUd2
        }
        let count = 0
        let more = true
        while (more) {
            this.must(mbusShortFrame(control, address))
            const held = this.line.held
            const length = this.line.length
            if (length < 9 || (held[4] & 0x4f) !== 8)
                fail(Code.MeterRefused, address, "its data", length < 9 ? "a frame without" : "C " + held[4])
            control ^= frameCount
            more = moreFollow(held, length - 2) && ++count < mostTelegrams
            take(cut(held, 0, length))
        }
        // Who has several begins with the first one only after an initialisation.
        if (count === 0) this.next[address] = control
        return count + 1
    }

    /**
     * Selects the meter whose identification is `mask`: number (4 octets BCD, low one first), manufacturer 2, version, device type; F and FF stand for any. It is then at
     * `MBUS_SELECTED` until another is selected. `MeterSilent`, `MeterGarbled`.
     */
    select(mask: Buffer): void {
        this.outcome(this.ask(selection(mask), false))
        this.next[MBUS_SELECTED] = reqUd2
    }

    /** Tries the primary addresses `from` to `to`; `found(address, frame)` for each that answers; without a frame there are several meters, or it has no data. */
    scanPrimary(from: number, to: number, found: (address: number, frame: Buffer | undefined) => void): void {
        for (let address = from; address <= to; ++address)
            if (this.ask(mbusShortFrame(sndNke, address), true) !== SILENT) found(address, this.first(address))
    }

    /**
     * Finds all meters by their identification: who does not answer alone is looked for with one digit more, from the lowest on (numbers of one delivery differ there), then by device
     * type and version. `found(mask, frame)`; without a frame several meters have one identification.
     */
    scanSecondary(found: (mask: Buffer, frame: Buffer | undefined) => void): void {
        const mask = Buffer.alloc(8)
        mask.fillAt(0, 8, 0xff)
        const values = Buffer.alloc(11)
        let level = 0
        let outcome = this.ask(selection(mask), true)
        for (;;) {
            if (outcome !== SILENT) {
                const frame = outcome === ANSWERED ? this.first(MBUS_SELECTED) : undefined
                if (frame || level === 10) found(cut(mask, 0, 8), frame)
                else values[++level] = 0
            }
            while (level > 0 && values[level] === (level < 9 ? 10 : level === 9 ? 64 : 255)) put(mask, level--, 0xff)
            if (level === 0) break
            put(mask, level, values[level]++)
            platform().yieldNow()
            outcome = this.ask(selection(mask), true)
        }
        // Nobody stays selected.
        this.ask(mbusShortFrame(sndNke, MBUS_SELECTED), false)
    }

    /** The first telegram of a meter, while scanning. */
    private first(address: number): Buffer | undefined {
        this.next[address] = 0
        const answered = this.ask(mbusShortFrame(reqUd2, address), true) === ANSWERED
        return answered && this.line.length > 8 ? cut(this.line.held, 0, this.line.length) : undefined
    }

    private must(request: Buffer): void {
        this.outcome(this.ask(request, false))
    }

    private outcome(outcome: number): void {
        if (outcome !== ANSWERED)
            fail(outcome === SILENT ? Code.MeterSilent : Code.MeterGarbled, -1, "an answer", "none in " + this.tries)
    }

    /** Asks until there is an answer; `alone`: and nobody else answers behind it. */
    private ask(request: Buffer, alone: boolean): number {
        let outcome = SILENT
        let late = false
        for (let i = 0; i < this.tries; ++i) {
            const came = this.once(request, alone || late, i > 0, i === this.tries - 1 ? this.patienceMs : 0)
            if (came === ANSWERED) return came
            if (came === GARBLED) outcome = came
            // Behind the answer to a question repeated after a silence another may come: that to the question before, late.
            else late = true
        }
        return outcome
    }

    private once(request: Buffer, alone: boolean, again: boolean, patienceMs: number): number {
        const line = this.line
        const bitMs = 1000 / this.baud
        // 330 bit times and 50 ms; the first octet is there when it has ended, and clocks and other fibers are some ms late.
        const window = 341 * bitMs + 55 + patienceMs
        line.quiet(this.failed ? (again ? 33 * bitMs : window) : 11 * bitMs)
        ++this.asked
        line.send(request)
        const gap = 33 * bitMs + 30
        const whole = line.receive(window, gap, missing)
        let outcome = whole && line.extra === 0 && !line.damaged && holds(line) ? ANSWERED : GARBLED
        // The answer of a meter that was asked before, late.
        if (request[0] === 0x10 && request[2] < 251 && line.length > 8 && line.held[5] !== request[2]) outcome = GARBLED
        if (!whole && line.length === 0 && !line.damaged) outcome = SILENT
        if (alone && outcome === ANSWERED) {
            const length = line.length
            const answer = cut(line.held, 0, length)
            if (!line.quiet(length === 1 || again ? window : gap)) outcome = GARBLED
            line.held.blitAt(0, answer, 0, length)
            line.length = length
        }
        this.failed = outcome !== ANSWERED
        if (outcome === SILENT) ++this.silent
        if (outcome === GARBLED) ++this.garbled
        return outcome
    }
}

function selection(mask: Buffer): Buffer {
    const content = Buffer.alloc(9)
    content[0] = 0x52
    content.blitAt(1, mask, 0, 8)
    return mbusLongFrame(0x73, MBUS_SELECTED, content)
}

/** Puts what a level of the search is about into the mask: 1 to 8 a digit, from the lowest on, 9 the device type, 10 the version. */
function put(mask: Buffer, level: number, value: number): void {
    const at = level > 8 ? 16 - level : (level - 1) >> 1
    const old = mask[at]
    mask[at] = level > 8 ? value : (level & 1) === 1 ? (old & 0xf0) | (value & 15) : (old & 15) | ((value << 4) & 0xf0)
}

/** Octets of an answer that are missing; noise goes on until silence. */
function missing(held: Buffer, length: number): number {
    const start = held[0]
    if (start === MBUS_ACK) return 0
    if (start !== 0x68) return start === 0x10 && length < 6 ? 5 - length : 1
    return length < 4 ? 9 - length : held[1] < 3 || length > held[1] + 6 ? 1 : held[1] + 6 - length
}

function holds(line: OctetLine): boolean {
    try {
        checkMbusFrame(cut(line.held, 0, line.length))
    } catch {
        return false
    }
    return true
}

/** Do more telegrams follow, which a DIF 1F at the end of the records says? Nobody but the reader of an encrypted one can see it. */
function moreFollow(frame: Buffer, end: number): boolean {
    const ci = frame[6]
    if (ci !== 0x72 && ci !== 0x7a && ci !== 0x78) return false
    let at = ci === 0x72 ? 19 : ci === 0x7a ? 11 : 7
    if (ci !== 0x78 && (frame[at - 1] & 0x1f) !== 0) return false
    while (at < end) {
        const dif = frame[at++]
        if (dif === 0x1f) return true
        if (dif === 0x0f) return false
        if (dif === 0x2f) continue
        for (let extension = dif; at < end && extension > 0x7f; ) extension = frame[at++]
        let vif = frame[at++]
        if ((vif & 0x7f) === 0x7c) at += frame[at] + 1
        while (at < end && vif > 0x7f) vif = frame[at++]
        let length = dataLengths[dif & 15]
        if (length === 0xff) {
            const octet = frame[at++]
            length = octet < 0xc0 ? octet : octet < 0xf0 ? octet & 15 : 4 * (octet - 0xec)
        }
        at += length
    }
    return false
}
