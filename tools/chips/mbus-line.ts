/**
 * Wired M-Bus: slaves on a line, from EN 13757-2 (link layer, physical layer's times), EN 13757-7 clause 8.5 (selection) and the facts in chips.md section 9.
 * Slaves that answer at once collide on the line (wired AND of octets, framing errors; equal octets that coincide stay clean). They do not hear one another.
 *
 * Chosen where the sources are silent: a slave drops what it received after 33 bit times of silence; it answers a request for data that it was never asked for
 * since power up with its first telegram; behind its last telegram the first comes again; an initialisation at FD is acknowledged by the slave it deselects.
 */
import type { Rs485Wire, WireTap } from "./rs485-wire"
import type { Format, Received } from "./uart-frame"

/** One meter. */
export interface MbusSlaveOptions {
    /** 0 to 250. */
    primary: number
    /** Identification: number 4 octets BCD (low one first), manufacturer 2, version, device type. */
    secondary: Uint8Array
    /** What it answers: content from the CI field on, one for each telegram. */
    telegrams: () => Uint8Array[]
    /** Time until it answers, in bit times, default 40; what is added in ms, default 0. The standard: 11 to 330 bit times and 50 ms. */
    delayBits?: number
    delayMs?: number
    /** Says nothing. */
    dead?: boolean
}

/** How a line spoils frames. */
export interface MbusDamage {
    /** Share of answers that are spoilt, and of requests that a slave does not understand. */
    answers: number
    requests?: number
    /** 0 to 1, from the test's seed. */
    chance: () => number
}

/** A slave's state of the link layer. */
export class MbusSlave {
    selected = false
    dead: boolean
    delayMs: number
    /** Requests for data answered. */
    answered = 0
    /** Its answer is under way until then; a slave hears nothing meanwhile. */
    busyMs = Number.NEGATIVE_INFINITY
    private lastCount = -1
    private telegram = -1

    constructor(readonly options: MbusSlaveOptions) {
        this.dead = options.dead ?? false
        this.delayMs = options.delayMs ?? 0
    }

    /** Its answer to a frame of the master, or nothing. */
    answer(frame: Uint8Array): Uint8Array | undefined {
        if (this.dead) return undefined
        const long = frame[0] === 0x68
        const [control, address] = long ? [frame[4], frame[5]] : [frame[1], frame[2]]
        if (long && address === 0xfd && frame[6] === 0x52 && frame.length === 17) {
            this.selected = this.matches(frame.subarray(7, 15))
            this.lastCount = -1
            return this.selected ? Uint8Array.of(0xe5) : undefined
        }
        const mine = address === this.options.primary || address === 0xfe || (address === 0xfd && this.selected)
        if (!mine) return undefined
        if (!long && control === 0x40) {
            this.lastCount = -1
            this.telegram = -1
            if (address === 0xfd) this.selected = false
            return Uint8Array.of(0xe5)
        }
        if (!long && (control & 0x4f) === 0x4b) return this.data((control >> 5) & 1)
        return long && (control & 0x4f) === 0x43 ? Uint8Array.of(0xe5) : undefined
    }

    private data(count: number): Uint8Array {
        ++this.answered
        const telegrams = this.options.telegrams()
        // The frame-count bit stands still where the master asks for the same again.
        if (this.lastCount < 0) this.telegram = 0
        else if (count !== this.lastCount) this.telegram = (this.telegram + 1) % telegrams.length
        this.lastCount = count
        const content = telegrams[this.telegram % telegrams.length]
        const length = content.length + 2
        const frame = new Uint8Array(length + 6)
        frame.set([0x68, length, length, 0x68, 0x08, this.options.primary])
        frame.set(content, 6)
        frame[length + 4] = frame.subarray(4, length + 4).reduce((sum, octet) => sum + octet, 0) & 0xff
        frame[length + 5] = 0x16
        return frame
    }

    private matches(mask: Uint8Array): boolean {
        const own = this.options.secondary
        for (let nibble = 0; nibble < 8; nibble++) {
            const wanted = (mask[nibble >> 1] >> (4 * (nibble & 1))) & 15
            if (wanted !== 15 && wanted !== ((own[nibble >> 1] >> (4 * (nibble & 1))) & 15)) return false
        }
        const anyMaker = mask[4] === 0xff && mask[5] === 0xff
        if (!anyMaker && (mask[4] !== own[4] || mask[5] !== own[5])) return false
        return (mask[6] === 0xff || mask[6] === own[6]) && (mask[7] === 0xff || mask[7] === own[7])
    }
}

/** The slaves of one line. */
export class MbusLine {
    readonly slaves: MbusSlave[]
    damage?: MbusDamage
    /** The converter's supply is shorted: the master reads a break. */
    shorted = false
    /** Requests and answers, in octets, the time slaves took to answer, and requests that nobody answered: what the line needs at least. */
    requestOctets = 0
    answerOctets = 0
    reactionMs = 0
    unanswered = 0
    /** Answers spoilt. */
    spoilt = 0
    private held: number[] = []
    private lastMs = 0
    private readonly senders: { tap: WireTap; untilMs: number }[] = []
    private readonly format: Format
    private readonly bitMs: number

    constructor(
        private readonly wire: Rs485Wire,
        baud: number,
        slaves: MbusSlaveOptions[],
    ) {
        this.bitMs = 1000 / baud
        this.format = { baud, dataBits: 8, parity: "even", stopBits: 1 }
        this.slaves = slaves.map(options => new MbusSlave(options))
        wire.tap({ format: this.format, onReceived: (received, atMs) => this.receive(received, atMs) })
    }

    private receive(received: Received, atMs: number): void {
        // What the slaves themselves say is not heard by slaves.
        if (this.senders.some(s => atMs <= s.untilMs + this.bitMs / 2)) return
        if (atMs - this.lastMs > 44 * this.bitMs) this.held = []
        this.lastMs = atMs
        if (received.parityError || received.framingError) {
            this.held = [0]
            return
        }
        this.held.push(received.octet)
        const [start, length] = this.held
        const whole = start === 0x10 ? 5 : start === 0x68 && length !== undefined ? length + 6 : 0
        if (whole === 0 || this.held.length < whole) return
        const frame = Uint8Array.from(this.held)
        this.held = []
        this.requestOctets += frame.length
        const sum = frame.subarray(start === 0x10 ? 1 : 4, whole - 2).reduce((total, octet) => total + octet, 0) & 0xff
        const doubled = start === 0x10 || (frame[2] === length && frame[3] === 0x68)
        if (!doubled || frame[whole - 2] !== sum || frame[whole - 1] !== 0x16) return
        const lost = this.damage !== undefined && this.damage.chance() < (this.damage.requests ?? 0)
        const answered = this.slaves.filter(slave => !lost && this.reply(slave, frame, atMs)).length
        if (answered === 0) ++this.unanswered
    }

    /** Has a slave answer; does it? */
    private reply(slave: MbusSlave, request: Uint8Array, atMs: number): boolean {
        if (atMs < slave.busyMs) return false
        let answer = slave.answer(request)
        if (!answer || this.shorted) return false
        const delay = (slave.options.delayBits ?? 40) * this.bitMs + slave.delayMs
        this.reactionMs += delay
        this.answerOctets += answer.length
        const damage = this.damage
        if (damage && damage.chance() < damage.answers) {
            ++this.spoilt
            answer = spoil(answer, damage.chance)
        }
        const from = atMs + delay
        slave.busyMs = from + answer.length * 11 * this.bitMs
        let sender = this.senders.find(s => s.untilMs < from)
        if (!sender) {
            sender = this.senders[7]
            if (this.senders.length < 8) {
                sender = { tap: this.wire.tap({ format: this.format }), untilMs: 0 }
                this.senders.push(sender)
            }
        }
        sender.untilMs = Math.max(sender.untilMs, from) + answer.length * 11 * this.bitMs
        sender.tap.send(answer, from)
        return true
    }

    /**
     * Line time at least needed for what was sent, in ms: the octets, repeats counted, the slaves' own delays, and the 330 bit times and 50 ms
     * (EN 13757-2) for which an answer that does not come is waited for.
     */
    leastMs(): number {
        const octets = this.requestOctets + this.answerOctets
        return octets * 11 * this.bitMs + this.reactionMs + this.unanswered * (330 * this.bitMs + 50)
    }
}

/** Two bits of an octet inverted (parity holds, the checksum does not), an octet lost, one too many, or the end lost. */
function spoil(frame: Uint8Array, chance: () => number): Uint8Array {
    const at = Math.floor(chance() * frame.length)
    const kind = Math.floor(chance() * 4)
    const octets = [...frame]
    if (kind === 0) octets[at] ^= 3 << Math.floor(chance() * 7)
    else if (kind === 1) octets.splice(at, 1)
    else if (kind === 2) octets.splice(at, 0, Math.floor(chance() * 256))
    else octets.length = at
    return Uint8Array.from(octets)
}
