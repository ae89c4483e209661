import { Code, fail } from "../firmware/core/errors"
import { cut } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { codeOf } from "./bus-register"
import type { UartPort } from "./ports"

const none = hex``
/** Octets handed to the UART at a time, and the most that are let come before the UART is looked at: half its FIFO. */
const piece = 32
/** Longest wait for a silent line, in ms. */
const longestWait = 3000

/**
 * Question and answer in octets over a UART whose line may return what was sent (level converters, optical heads, RS-485
 * transceivers): the echo is found out by itself and dropped. One buffer of `capacity` octets holds the answer.
 *
 * Nothing is received between the exchanges but by `quiet`, so whoever waits for octets does it here.
 */
export class OctetLine {
    /** The answer: the first `length` octets. */
    readonly held: Buffer
    length = 0
    /** Octets that came with the answer's last ones, behind it. */
    extra = 0
    /** In the present exchange: a framing or parity error, a loss, more octets than there is room for, or an echo that differs. */
    damaged = false
    /** Echoes dropped, and those that came back different: somebody else was sending. */
    echoes = 0
    collisions = 0
    /** Times the UART had lost its settings. */
    resets = 0
    octetMs = 0
    private echo: Buffer = none
    private echoed = 0
    private heardAt = 0
    /** When the UART was looked at last: what it had came before. */
    private lookedAt = 0
    private baud = 0
    private parity = 0
    private errors = 0

    constructor(
        readonly port: UartPort,
        capacity: number,
    ) {
        this.held = Buffer.alloc(capacity)
    }

    /** As `UartPort.open`. */
    open(baud: number, parity: number): void {
        this.baud = baud
        this.parity = parity
        this.octetMs = (parity === 1 ? 11000 : 10000) / baud
        this.port.open(baud, parity)
        // What is left of an echo went with the FIFO.
        this.echo = none
        this.echoed = 0
        this.heardAt = platform().millis()
    }

    /** Waits until nothing has come for `ms`; what came is dropped. False: something did. `LineBusy` where it does not end. */
    quiet(ms: number): boolean {
        const from = platform().millis()
        this.length = 0
        let silent = true
        for (;;) {
            this.listen()
            if (this.length > 0) silent = false
            this.length = 0
            platform().yieldNow()
            const now = platform().millis()
            const left = this.heardAt + ms - now
            if (left <= 0) return silent
            if (now - from > longestWait + ms)
                fail(Code.LineBusy, -1, "a silent line", "octets for " + (now - from) + " ms")
            platform().sleepMs(Math.min(Math.ceil(left), Math.ceil(piece * this.octetMs)))
        }
    }

    /** Sends; returns when the last stop bit has left. An exchange begins with it. `UartBlocked`. */
    send(octets: Buffer): void {
        this.listen()
        this.length = 0
        this.damaged = false
        this.echo = octets
        this.echoed = 0
        let done = 0
        while (done < octets.length) {
            const count = Math.min(piece, octets.length - done)
            const part = cut(octets, done, count)
            try {
                this.port.send(part)
            } catch (error) {
                this.mend(error)
                this.port.send(part)
            }
            done += count
            if (done < octets.length) {
                platform().sleepMs(Math.ceil(count * this.octetMs))
                this.listen()
            } else platform().sleepMs(Math.max(1, Math.floor(count * this.octetMs)))
        }
        for (let waited = 0; !this.port.sent(); ++waited) {
            if (waited > 100 + 128 * this.octetMs)
                fail(Code.UartBlocked, done, "an empty FIFO", "none in " + waited + " ms")
            platform().sleepMs(1)
        }
        this.heardAt = platform().millis()
    }

    /**
     * Receives an answer whose first octet comes within `firstMs`, each other within `gapMs`. `missing(held, length)` is asked for each octet: 0 = they are whole,
     * else how many are missing at least, which is only used to wait. False: silence came first.
     */
    receive(firstMs: number, gapMs: number, missing: (held: Buffer, length: number) => number): boolean {
        let from = 0
        let need = 0
        for (;;) {
            this.listen()
            while (from < this.length) {
                ++from
                need = missing(this.held, from)
                if (need === 0) {
                    this.extra = this.length - from
                    this.length = from
                    return true
                }
                if ((from & 63) === 0) platform().yieldNow()
            }
            // The clock stands still between two yields.
            platform().yieldNow()
            const left = this.heardAt + (from > 0 ? gapMs : firstMs) - platform().millis()
            if (left < 0) break
            // Those that are missing come while what came is fetched.
            const wait = Math.ceil(
                Math.min(Math.max(need, 1), piece) * this.octetMs + this.lookedAt - platform().millis(),
            )
            platform().sleepMs(Math.min(Math.max(wait, 1), Math.floor(left) + 1))
            need = 0
        }
        // An echo that stopped in its midst.
        if (this.echoed > 0) this.damaged = true
        this.extra = 0
        return false
    }

    /** Another answer follows without a question: what came behind the one before is its beginning. */
    next(): void {
        this.held.blitAt(0, this.held, this.length, this.extra)
        this.length = this.extra
    }

    private listen(): void {
        let octets = none
        this.lookedAt = platform().millis()
        try {
            octets = this.port.receive()
        } catch (error) {
            this.mend(error)
        }
        const errors = this.port.damaged || 0
        if (errors !== this.errors) this.damaged = true
        this.errors = errors
        if (octets.length > 0) this.heardAt = this.lookedAt
        for (let i = 0; i < octets.length; ++i) {
            const octet = octets[i]
            if (this.echo.length > 0) {
                if (octet === this.echo[this.echoed]) {
                    if (++this.echoed < this.echo.length) continue
                    ++this.echoes
                    this.echo = none
                    this.echoed = 0
                    continue
                }
                // It was no echo, so it all belongs to the answer; on a line known for its echo, somebody else sent too.
                if (this.echoes > 0) {
                    ++this.collisions
                    this.damaged = true
                }
                for (let k = 0; k < this.echoed; ++k) this.keep(this.echo[k])
                this.echo = none
                this.echoed = 0
            }
            this.keep(octet)
        }
    }

    /** Octets were lost: the exchange is spoilt, the line goes on. Anything else is thrown again. */
    private mend(error: any): void {
        const code = codeOf(error)
        if (code !== Code.UartOverrun && code !== Code.UartReset) throw error
        this.damaged = true
        this.heardAt = platform().millis()
        if (code === Code.UartReset) {
            ++this.resets
            this.open(this.baud, this.parity)
        }
    }

    private keep(octet: number): void {
        if (this.length < this.held.length) this.held[this.length++] = octet
        else this.damaged = true
    }
}
