/**
 * A meter of IEC 62056-21 at a line: sign-on at 300 Bd, modes A, B and C, programming mode with password, block check, from clause 6 of the standard. 7E1.
 *
 * Chosen where the standard leaves it open: a message with a parity or framing error is not understood (no answer at sign-on, NAK in the programming mode); whoever
 * says nothing for 3 s in the programming mode (the standard: 60 to 120 s) finds the meter at its first rate again.
 */
import type { Rs485Wire, WireTap } from "./rs485-wire"
import type { Received } from "./uart-frame"

/** One meter. */
export interface IecMeterOptions {
    address: string
    /** Manufacturer, rate character, identification, as in `/ABC5meter`; in mode A any other character stands for the rate. */
    identification: string
    /** Data sets of the readout, lines and all. */
    data: () => string
    /** Registers of the programming mode, by the data set of R1, and the password of P1; without one no programming mode. */
    registers?: Record<string, string>
    password?: string
    /** Reaction time in ms, 20 (or 200) to 1500; default 250. */
    reactionMs?: number
    /** Spoils what is sent: message in, octets out. */
    damage?: (octets: Uint8Array) => Uint8Array
}

const rates = [300, 600, 1200, 2400, 4800, 9600, 19200]
const fallBackMs = 3000

/** Sends octets and hears them. */
export class IecMeter {
    /** Sign-ons answered; messages sent again. */
    signOns = 0
    again = 0
    /** Rate at present. */
    baud = 300
    private readonly tap: WireTap
    private state: "idle" | "identified" | "programming" = "idle"
    private held: number[] = []
    private broken = false
    private lastMs = 0
    private untilMs = 0
    private last: number[] = []
    private readonly senders = new Map<number, WireTap>()

    constructor(
        private readonly wire: Rs485Wire,
        readonly options: IecMeterOptions,
    ) {
        this.tap = wire.tap({ format: this.formatOf(300), onReceived: (received, atMs) => this.hear(received, atMs) })
    }

    private formatOf(baud: number) {
        return { baud, dataBits: 7, parity: "even" as const, stopBits: 1 }
    }

    private rate(baud: number): void {
        this.baud = baud
        this.tap.format = this.formatOf(baud)
    }

    private hear(received: Received, atMs: number): void {
        if (atMs < this.untilMs + 1) return
        if (atMs - this.lastMs > fallBackMs && this.state !== "idle") {
            this.state = "idle"
            this.rate(300)
            this.held = []
            this.broken = true
        }
        if (atMs - this.lastMs > 1500) {
            this.held = []
            this.broken = false
        }
        this.lastMs = atMs
        if (received.parityError || received.framingError) this.broken = true
        this.held.push(received.octet)
        const text = String.fromCharCode(...this.held)
        const signOn = text.lastIndexOf("/?")
        if (signOn >= 0 && text.endsWith("!\r\n")) this.take(() => this.signOn(text.slice(signOn + 2, -3), atMs))
        else if (this.state === "identified" && text.endsWith("\r\n")) this.take(() => this.acknowledged(text, atMs))
        else if (this.state === "programming" && text === "\x15") this.take(() => this.say(this.last, atMs, true))
        else if (this.state === "programming" && text[0] === "\x01" && text.length > 2 && text.at(-2) === "\x03") {
            const octets = [...this.held]
            this.take(() => this.command(octets, atMs))
        }
    }

    private take(action: () => void): void {
        const broken = this.broken
        if (!broken) action()
        this.held = []
        this.broken = false
    }

    private signOn(address: string, atMs: number): void {
        if (address !== "" && address !== this.options.address) return
        this.signOns++
        this.state = "identified"
        this.rate(300)
        const identification = `/${this.options.identification}\r\n`
        const character = this.options.identification[3]
        const until = this.say(octetsOf(identification), atMs)
        if (character >= "0" && character <= "9") return
        const baud = rates["@ABCDEF".indexOf(character)] ?? 300
        // Modes A and B go on by themselves; the rate changes after the identification.
        this.state = "idle"
        const data = framed(`\x02${this.options.data()}!\r\n\x03`)
        this.put(data, until + 300, baud)
    }

    private acknowledged(text: string, atMs: number): void {
        const match = text[0] === "\x06" ? /^.([0-9])([0-9])([0-9])\r\n$/.exec(text) : null
        const offered = this.options.identification[3]
        const wanted = match ? match[2] : "0"
        // What is not understood leads to a readout at 300 Bd.
        const baud = match && (wanted === offered || wanted < offered) ? (rates[Number(wanted)] ?? 300) : 300
        if (match?.[3] === "1" && this.options.password !== undefined) {
            this.state = "programming"
            this.rate(baud)
            this.say(framed("\x01P0\x02()\x03"), atMs)
            return
        }
        this.state = "idle"
        this.put(framed(`\x02${this.options.data()}!\r\n\x03`), atMs + (this.options.reactionMs ?? 250), baud)
    }

    private command(octets: number[], atMs: number): void {
        const check = octets.slice(1, -1).reduce((sum, octet) => sum ^ octet, 0)
        if (check !== octets.at(-1)) {
            this.say([0x15], atMs)
            return
        }
        const text = String.fromCharCode(...octets.slice(1, -2))
        if (text === "B0") {
            this.state = "idle"
            this.rate(300)
        } else if (text === `P1\x02(${this.options.password})`) this.say([6], atMs)
        else if (text.startsWith("R1\x02")) {
            const value = this.options.registers?.[text.slice(3)]
            this.say(value === undefined ? framed("\x02(ERR01)\x03") : framed(`\x02${value}\x03`), atMs)
        } else this.say(framed("\x02(ERR02)\x03"), atMs)
    }

    /** Sends after the reaction time; answers when the last bit will have left. */
    private say(octets: number[], atMs: number, again = false): number {
        if (again) this.again++
        return this.put(octets, atMs + (this.options.reactionMs ?? 250), this.baud)
    }

    /** Sends from `fromMs` on; a sender for each rate, so that what is under way keeps its own. */
    private put(octets: number[], fromMs: number, baud: number): number {
        this.last = octets
        const spoilt = this.options.damage ? this.options.damage(Uint8Array.from(octets)) : Uint8Array.from(octets)
        this.untilMs = fromMs + (spoilt.length * 10_000) / baud
        let sender = this.senders.get(baud)
        if (!sender) {
            sender = this.wire.tap({ format: this.formatOf(baud) })
            this.senders.set(baud, sender)
        }
        sender.send(spoilt, fromMs)
        return this.untilMs
    }
}

function octetsOf(text: string): number[] {
    return [...text].map(character => character.charCodeAt(0))
}

/** Text from SOH or STX to ETX, with the exclusive or of all behind the first character. */
function framed(text: string): number[] {
    const octets = octetsOf(text)
    return [...octets, octets.slice(1).reduce((sum, octet) => sum ^ octet, 0)]
}
