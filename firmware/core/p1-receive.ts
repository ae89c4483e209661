import { cut } from "./octets"
import { platform } from "./platform"

/** First octet of an encrypted telegram (general ciphering), and the length of a system title behind it. */
const ciphered = 0xdb
const titleLength = 8
/** Up to the two octets of its length: DB 08 title 82 length. */
const headLength = 13
const slash = 0x2f
const mark = 0x21
const newLine = 10

/**
 * Puts P1 telegrams together that come in any cut: plain ones from `/` to the end of the line that begins with `!`, encrypted ones as long as they say. With a length of one octet
 * there are none: they would hold 127 octets.
 */
export class P1Receiver {
    private readonly held: Buffer
    private length = 0
    /** The line that begins with `!` has begun. */
    private marked = false

    /** `capacity`: octets of the longest telegram; what is longer is passed over. */
    constructor(
        capacity: number,
        private readonly onTelegram: (telegram: Buffer) => void,
    ) {
        this.held = Buffer.alloc(capacity)
    }

    feed(octets: Buffer): void {
        for (let i = 0; i < octets.length; ++i) {
            this.take(octets[i])
            if ((i & 127) === 127) platform().yieldNow()
        }
    }

    /** Nothing came for longer than a telegram may pause. */
    timeout(): void {
        this.length = 0
        this.marked = false
    }

    private take(octet: number): void {
        const held = this.held
        const length = this.length
        if (length > 0 && held[0] === slash) {
            const fresh = held[length - 1] === newLine
            // No text has such an octet; and a new beginning of a line ends what was cut off.
            if (octet === ciphered || (fresh && octet === slash)) this.timeout()
            else if (fresh && octet === mark) this.marked = true
        }
        if (this.length === 0 && octet !== slash && octet !== ciphered) return
        if (this.length === held.length) {
            this.timeout()
            return
        }
        held[this.length] = octet
        this.length = this.length + 1
        const missing = held[0] === slash ? (this.marked && octet === newLine ? 0 : 1) : this.missing()
        if (missing < 0) this.timeout()
        else if (missing === 0) {
            const telegram = cut(held, 0, this.length)
            this.timeout()
            this.onTelegram(telegram)
        }
    }

    /** Octets until the head of an encrypted telegram, or all of it, is whole; -1: this is none. */
    private missing(): number {
        const held = this.held
        const length = this.length
        if (length > 1 && held[1] !== titleLength) return -1
        if (length < headLength) return headLength - length
        const whole = headLength + held[headLength - 2] * 256 + held[headLength - 1]
        return held[headLength - 3] === 0x82 && whole <= held.length ? whole - length : -1
    }
}
