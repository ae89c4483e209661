import type { StripPanel } from "../../hal/ports"
import { PlombError } from "../core/errors"
import { drawStrip } from "../core/font"
import { cut } from "../core/octets"
import { platform } from "../core/platform"
import { clockOf, dateOf } from "../core/time"
import type { Face, Meter } from "./meter"
import { fedIn } from "./registers"
import { Status } from "./status"

/** Seconds that a page stays, and until a panel that is absent or has failed is looked for again. */
const pageSeconds = 8
const awaySeconds = 60

/** Lines of the panel, places for letters in a line, and in the large line, which is the third. */
const lines = 7
const letters = 21
const largeLetters = 9
const large = 2 * letters
const last = (lines - 1) * letters
const places = lines * letters
/** First column behind the large line. */
const margin = 108

/** Pages: registers 1-0:1.8.0 to 1.8.4 and 2.8.0, then these. */
const timePage = 6
const statusPage = 7
const fixedPartPage = 8
const pages = 10

/** Bits of the status word and what they are called, ten letters each; with one of the first five the meter is not as it should be. */
const bits = hex`01 07 06 02 00 05 0b 03`
const words = "seal open no module memory badpart faultno time   power lostfeeding inno load   "
const wordLetters = 10
const alarms = 5

/**
 * The meter's own panel: its pages in turn, and in a second one line of what has changed, so that the bus is taken for 21 ms of it at most. A page is dark until it is whole, so
 * that no value is ever seen under another's name; a line that changes later changes as a whole. A panel that is absent or fails is looked for
 * again, and disturbs nobody. From one second to the next nothing is held but the letters it shows.
 */
export class Panel implements Face {
    /** What the panel shows, line behind line; 0 where that is not known. */
    private readonly shown: Buffer
    private page = pages
    /** Seconds that the page stays; where the line begins that was written last. */
    private left = 0
    private at = 0
    private dark = true
    private rest = 0

    constructor(
        private readonly panel: StripPanel,
        private readonly meter: Meter,
    ) {
        this.shown = Buffer.alloc(places)
    }

    show(still: boolean): void {
        if (this.rest > 0) {
            this.rest -= 1
            return
        }
        try {
            // The line is served before the bus is taken: what it has brought waits in 64 octets.
            platform().yieldNow()
            if (still || this.left === 0) this.turn()
            else this.change()
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.left = 0
            this.page = pages
            this.rest = awaySeconds
        }
    }

    /** The next page. */
    private turn(): void {
        // A panel can not be asked what it shows, nor does it tell that a disturbance has reset it.
        this.panel.start()
        platform().yieldNow()
        this.dark = true
        this.at = large
        this.left = pageSeconds
        this.page += 1
        if (this.page >= pages) {
            this.page = 0
            this.shown.fillAt(0, places, 0)
            // What is right of the large line; no line reaches as far as the edge.
            this.panel.put(margin, 0, 8, Buffer.alloc(8 * (128 - margin)), false)
        }
    }

    /** Writes one line that differs; of a new page the large one last, so that it is of the second in which it is lit. */
    private change(): void {
        const wanted = this.text()
        let line = -1
        let more = false
        for (let i = 1; i <= lines && !more; ++i) {
            const at = (this.at + i * letters) % places
            for (let k = at; k < at + letters; ++k)
                if (wanted[k] !== this.shown[k]) {
                    more = line >= 0
                    if (!more) line = at
                    break
                }
        }
        if (line >= 0) {
            const scale = line === large ? 2 : 1
            const page = Math.floor(line / letters) + (line > large ? 1 : 0)
            const signs = cut(wanted, line, scale > 1 ? largeLetters : letters)
            const strip = drawStrip(signs, scale)
            platform().yieldNow()
            this.panel.put(0, page, scale, strip, this.dark && !more)
            this.shown.blitAt(line, wanted, line, letters)
            this.at = line
        }
        if (!more) this.dark = false
        if (!this.dark) this.left -= 1
    }

    /** What the panel is to show, as `shown`. */
    private text(): Buffer {
        const meter = this.meter
        const page = this.page
        const text = Buffer.alloc(places)
        text.fillAt(0, places, 32)
        const status = meter.status()
        let bad = ""
        let cell = 0
        for (let i = 0; i < bits.length; ++i) {
            if (((status >> bits[i]) & 1) === 0) continue
            const word = words.slice(i * wordLetters, (i + 1) * wordLetters)
            if (i < alarms) bad = word
            if (page !== statusPage) continue
            // Two a line, from the fourth on.
            write(text, (3 + (cell >> 1)) * letters + (cell & 1) * (wordLetters + 1), word)
            cell += 1
        }
        let calibrated = "calibrated"
        if ((status & Status.Uncalibrated) !== 0) {
            calibrated = "not calibrated"
            bad = calibrated
        }

        let head: string
        let small = ""
        let big = ""
        if (page < timePage) {
            head = "1-0:" + (page < 5 ? "1.8." + page : "2.8.0") + " kWh"
            big = kilowattHours(meter.registers.register(page < 5 ? page : fedIn))
        } else if (page === timePage) {
            const seconds = meter.time.utcSeconds()
            head = "UTC"
            small = "time not set"
            if (meter.time.trusted()) {
                small = dateOf(seconds)
                big = clockOf(seconds)
            }
        } else if (page === statusPage) {
            head = meter.identity.serverId().toString("hex")
            small = calibrated
            big = bad === "" ? "OK" : "CHECK"
        } else {
            const machine = meter.machine
            const rule = meter.rule
            let checksum = machine.softwareChecksum
            head = "Fixed part SHA-256"
            small = machine.softwareIdentification
            if (page !== fixedPartPage) {
                head = "Module SHA-256"
                small = rule ? rule.identification.toString("utf8") : "none"
                checksum = rule ? rule.checksum : hex``
            }
            big = checksum.toString("hex").slice(0, 8)
        }
        write(text, 0, head)
        write(text, letters, small)
        write(text, large, big)
        if (bad !== "" && page !== statusPage) write(text, last, "! " + bad)
        return text
    }
}

/** Writes into a line, from the place `at` on. What is longer than a line is cut off. */
function write(text: Buffer, at: number, said: string): void {
    for (let i = 0; i < said.length && i < letters; ++i) text[at + i] = said.charCodeAt(i)
}

/** A register of 0.1 Wh, cut off and not rounded: it never shows what has not been drawn yet. From 100,000 kWh on decimals make room. */
function kilowattHours(register: number): string {
    const thousandths = Math.floor(register / 10)
    const whole = Math.floor(thousandths / 1000)
    return (whole + "." + ("" + (1000 + thousandths - whole * 1000)).slice(1)).slice(0, largeLetters)
}
