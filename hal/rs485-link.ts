import { Code, fail } from "../firmware/core/errors"
import { cut } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { SmlReceiver } from "../firmware/core/sml-receive"
import { codeOf } from "./bus-register"
import type { UartPort } from "./ports"

const none = hex``
/** Octets handed to the UART at a time; between two such pieces the receiver is polled. */
const piece = 32
/** Files kept until somebody takes them; the oldest gives way. */
const mostFiles = 3
/**
 * Pause between two looks at the UART, in ms. Its FIFO fills in 66 ms at 9600 Bd; the longest work that lets no other fiber
 * run is a bus transaction or two, 30 ms at 100 kHz.
 */
const pumpMs = 25
/** Silence in the midst of a file after which it is given up, in ms. */
const longestGap = 300
/** Longest wait for a silent line before sending, in ms. */
const longestWait = 2000
/** On top of three times what a full FIFO takes to drain, in ms. */
const mostDrain = 100

/**
 * SML files over a half duplex line, for master and slave.
 *
 * At 9600 Bd the UART holds what comes in 66 ms, less than a signature takes on the bus both share. So one fiber
 * runs `pump()`, whoever else has work to do; `poll()` then hands out what it took in.
 *
 * A line that returns what was sent (transceiver or converter with echo) is found out by itself: octets that
 * repeat the file just sent to its end are dropped. What differs somewhere is no echo, so it is all received; on a
 * line known for its echo that counts as a collision.
 *
 * @devsWhenUsed
 */
export class SmlLine {
    readonly receiver: SmlReceiver
    /** Whole echoes dropped, and echoes that came back different. */
    echoes: number
    collisions: number
    /** Losses in the UART, times it had lost its settings, polls that failed for any other cause. */
    overruns: number
    resets: number
    faults: number
    /** Files nobody took in time. */
    unread: number

    private files: Buffer[]
    private failing: boolean
    /** The UART has lost its settings. */
    private lost: boolean
    private problem: any
    /** The file whose echo may be coming, and how much of it came. */
    private echo: Buffer
    private echoed: number
    private heardAt: number
    private listening: boolean
    /** A fiber runs `pump`. */
    private pumped: boolean

    /** `capacity` is the longest file received; a `tolerant` receiver takes what real meters send. */
    constructor(
        readonly port: UartPort,
        readonly baud: number = 9600,
        capacity: number = 4096,
        tolerant: boolean = false,
    ) {
        this.echoes = 0
        this.collisions = 0
        this.overruns = 0
        this.resets = 0
        this.faults = 0
        this.unread = 0
        this.files = []
        this.failing = false
        this.lost = false
        this.echo = none
        this.echoed = 0
        this.heardAt = 0
        this.listening = false
        this.pumped = false
        const self = this
        this.receiver = new SmlReceiver(
            capacity,
            tolerant,
            raw => {
                self.keep(raw)
            },
            () => {},
        )
    }

    /** Opens the port with 8N1. */
    open(): void {
        this.port.open(this.baud, 0)
        this.heardAt = platform().millis()
    }

    /** Takes in octets for ever: the whole life of one fiber. */
    pump(): void {
        this.pumped = true
        while (true) {
            this.listen()
            platform().sleepMs(pumpMs)
        }
    }

    /**
     * The oldest file received and not yet taken. Throws what went wrong since the last call: each overrun and each
     * reset of the UART (which is then opened again), and of a series of other faults the first.
     */
    poll(): Buffer | undefined {
        if (!this.pumped) this.listen()
        if (this.problem) {
            const problem = this.problem
            this.problem = undefined
            throw problem
        }
        return this.files.shift()
    }

    /** A file has begun to arrive. */
    receiving(): boolean {
        return this.receiver.inside
    }

    /**
     * Sends a file once the line is silent; returns when its last stop bit has left. What was received and not yet
     * taken belongs to an earlier exchange and is dropped. Throws `LineBusy`, `UartBlocked`, `UartReset`.
     */
    send(file: Buffer): void {
        this.waitForSilence()
        this.giveUp()
        this.files = []
        this.echo = file
        this.echoed = 0
        let done = 0
        while (done < file.length) {
            const count = Math.min(piece, file.length - done)
            this.port.send(cut(file, done, count))
            done += count
            // The gap counts from our own octets too.
            this.heardAt = platform().millis()
            this.listen()
        }
        for (let waited = 0; !this.port.sent(); waited += 2) {
            if (waited > mostDrain + (64 * 33000) / this.baud)
                fail(Code.UartBlocked, done, "an empty FIFO", "none in " + waited + " ms")
            platform().sleepMs(2)
            this.listen()
        }
        this.heardAt = platform().millis()
    }

    private listen(): void {
        // On a bus that waits, another fiber may come by in the middle.
        if (this.listening) return
        this.listening = true
        try {
            if (this.lost) this.open()
            this.lost = false
            const octets = this.port.receive()
            this.failing = false
            if (octets.length > 0) this.hear(octets)
            else if (platform().millis() - this.heardAt > longestGap) this.giveUp()
        } catch (error) {
            const code = codeOf(error)
            if (code === 0) throw error
            if (code === Code.UartOverrun) {
                ++this.overruns
                // A line that overruns is not silent.
                this.heardAt = platform().millis()
            } else if (code === Code.UartReset) ++this.resets
            else ++this.faults
            if (code === Code.UartOverrun || !this.failing) this.problem = error
            this.failing = code !== Code.UartOverrun
            this.lost = code === Code.UartReset || this.lost
        } finally {
            this.listening = false
        }
    }

    /** Two octets of silence, and 3 ms for the transceiver of the last talker to let go. */
    private waitForSilence(): void {
        const silence = 3 + Math.ceil(22000 / this.baud)
        const from = platform().millis()
        for (;;) {
            this.listen()
            const now = platform().millis()
            if (now - this.heardAt >= silence) return
            if (now - from > longestWait) fail(Code.LineBusy, -1, "a silent line", "octets for " + (now - from) + " ms")
            platform().sleepMs(2)
        }
    }

    private hear(octets: Buffer): void {
        this.heardAt = platform().millis()
        let same = 0
        while (same < octets.length && this.echoed < this.echo.length && octets[same] === this.echo[this.echoed]) {
            ++same
            ++this.echoed
        }
        if (this.echo.length > 0 && this.echoed === this.echo.length) {
            ++this.echoes
            this.echo = none
            this.echoed = 0
        } else if (same < octets.length && this.echo.length > 0) {
            if (this.echoes > 0) ++this.collisions
            const held = cut(this.echo, 0, this.echoed - same)
            this.echo = none
            this.echoed = 0
            this.receiver.feed(held)
            same = 0
        }
        if (same < octets.length) this.receiver.feed(cut(octets, same, octets.length - same))
    }

    /** Nothing belongs any more to what came last: neither to a file nor to an echo. */
    private giveUp(): void {
        if (this.echoed > 0) {
            this.receiver.feed(cut(this.echo, 0, this.echoed))
            if (this.echoes > 0) ++this.collisions
        }
        this.echo = none
        this.echoed = 0
        this.receiver.timeout()
    }

    private keep(file: Buffer): void {
        // Nobody may be waiting: together they are no longer than one and a half files.
        const most = 4 * file.length > this.receiver.capacity ? 1 : mostFiles
        this.files.push(file)
        while (this.files.length > most) {
            this.files.shift()
            ++this.unread
        }
    }
}
