import { PlombError } from "../../firmware/core/errors"
import {
    IEC_ACK,
    IEC_NAK,
    IEC_XOR,
    IecReceiver,
    iecChecked,
    iecCommand,
    iecParity,
    readIec,
} from "../../firmware/core/iec62056"
import { p1Crc } from "../../firmware/core/p1"
import type { Emulated, MeterLine } from "./line.ts"
import { decimalText, type Meter, type Register, rawAt } from "./meter.ts"

/** Bauds for the characters 0 to 6. */
const bauds = [300, 600, 1200, 2400, 4800, 9600, 19200]

const units: Record<number, string> = {
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    35: "V",
    44: "Hz",
    13: "m3",
    9: "C",
}

export interface IecOptions {
    /** Mode A to D; D pushes. */
    mode: "a" | "b" | "c" | "d"
    /** Character of the bauds that are offered. */
    baudCharacter: string
    /** Octets with even parity in their top bit, for a port that is set to 8N1. */
    parity: boolean
    /** Password of the programming mode. */
    password: string
    /** Between two pushes of mode D. */
    everyMs: number
    /** A meter answers no sooner (clause 6.3.14: 200 ms, or 20); 0 = at once. */
    reactionMs: number
    /** Without an acknowledgement for so long, mode C reads out at 300 bauds. */
    patienceMs: number
}

/** "1-0:1.8.0*255" without what is 1-0 and 255. */
function address(obis: Buffer): string {
    const [a, b, c, d, e, f] = obis
    return `${a === 1 && b === 0 ? "" : `${a}-${b}:`}${c}.${d}.${e}${f === 255 ? "" : `*${f}`}`
}

function dataSet(register: Register, elapsedMs: number, name = address(register.obis)): string {
    const unit = units[register.unit] ?? ""
    const kilo = register.unit >= 27 && register.unit <= 32
    const value = decimalText(rawAt(register, elapsedMs), register.scaler, kilo, 6)
    return `${name}(${value}${unit ? `*${kilo ? "k" : ""}${unit}` : ""})`
}

/** Device with IEC 62056-21 (clause 6): sign-on, baud switch, readout, programming mode with R1, W1, P1 and B0. */
export class IecEmulator implements Emulated {
    private readonly receiver = new IecReceiver(false, 512, message => this.message(message))
    private programming = false
    private authorised = false
    private last: Buffer = Buffer.alloc(0)
    private timer: NodeJS.Timeout | undefined
    private acknowledgement = ""

    constructor(
        private readonly meter: Meter,
        private readonly line: MeterLine,
        private readonly options: IecOptions,
    ) {
        if (options.mode === "d") this.timer = setInterval(() => this.push(), options.everyMs)
    }

    take(octets: Buffer): void {
        if (this.options.mode === "d") return
        this.line.heard(octets)
        const plain = Buffer.from(octets.map(octet => octet & 0x7f))
        for (const octet of plain) {
            // The acknowledgement is the one message of a reader that begins with ACK.
            if (this.acknowledgement || (octet === IEC_ACK && !this.programming)) this.acknowledged(octet)
            else this.receiver.feed(Buffer.of(octet))
        }
    }

    stop(): void {
        clearInterval(this.timer)
    }

    private say(octets: Buffer): void {
        this.last = octets
        const sent = this.options.parity ? iecParity(octets) : octets
        const { reactionMs } = this.options
        if (reactionMs === 0) this.line.send(sent)
        else setTimeout(() => this.line.send(sent), reactionMs)
    }

    private identification(): Buffer {
        const { mode, baudCharacter } = this.options
        return Buffer.from(`/${this.meter.manufacturer}${mode === "a" ? "-" : baudCharacter}EMULATED\r\n`)
    }

    private sets(): string {
        const registers = this.meter.registers.map(each => dataSet(each, this.line.elapsedMs()))
        return ["F.F(00000000)", `C.1(${this.meter.id})`, ...registers].join("\r\n")
    }

    private push(): void {
        const names = this.meter.registers.map(each => {
            const [a, b, c, d, e] = each.obis
            return dataSet(each, this.line.elapsedMs(), `${a}-${b}:${c}.${d}.${e}`)
        })
        const now = new Date()
        const two = (part: number) => String(part).padStart(2, "0")
        const time = [
            now.getFullYear() % 100,
            now.getMonth() + 1,
            now.getDate(),
            now.getHours(),
            now.getMinutes(),
            now.getSeconds(),
        ]
        const clock = `0-0:1.0.0(${time.map(two).join("")}W)`
        const text = `/${this.meter.manufacturer}5EMULATED\r\n\r\n${[clock, ...names].join("\r\n")}\r\n!`
        const octets = Buffer.from(text)
        const crc = p1Crc(octets, 0, octets.length).toString(16).toUpperCase().padStart(4, "0")
        this.line.send(Buffer.from(`${text}${crc}\r\n`))
    }

    private readout(): void {
        this.say(iecChecked(Buffer.from(`\u0002${this.sets()}\r\n!\r\n\u0003`), IEC_XOR))
    }

    private idle(): void {
        clearTimeout(this.timer)
        this.programming = this.authorised = false
        this.acknowledgement = ""
        this.receiver.timeout()
        this.line.setBaud(bauds[0])
    }

    private message(octets: Buffer): void {
        if (octets[0] === 0x2f) this.request(octets.toString("latin1"))
        else if (octets[0] === IEC_NAK) this.say(this.last)
        else if (this.programming) {
            const answer = this.answerTo(octets)
            if (answer) this.say(answer)
            else this.idle()
        }
    }

    private request(text: string): void {
        const asked = /^\/\?([0-9A-Za-z ]*)!/.exec(text)
        if (!asked) return
        const stripped = asked[1].replace(/^0+/, "")
        if (asked[1] !== "" && stripped !== this.meter.id.replace(/^0+/, "")) return
        this.idle()
        const { mode, baudCharacter, patienceMs } = this.options
        this.say(this.identification())
        if (mode === "a") this.readout()
        else if (mode === "b") {
            this.line.setBaud(bauds[baudCharacter.charCodeAt(0) - 0x40] ?? 300)
            this.readout()
        } else
            this.timer = setTimeout(() => {
                this.readout()
            }, patienceMs)
    }

    /** ACK, procedure, baud rate, mode, CR, LF. */
    private acknowledged(octet: number): void {
        this.acknowledgement += String.fromCharCode(octet)
        if (this.acknowledgement.length < 6 && octet !== 10) return
        const [, , baudCharacter, mode] = this.acknowledgement
        const whole = /^0..\r\n$/.test(this.acknowledgement.slice(1))
        this.acknowledgement = ""
        clearTimeout(this.timer)
        // Who asks for other bauds than are offered stays at 300.
        if (!whole || this.options.mode !== "c") return
        if (baudCharacter === this.options.baudCharacter) this.line.setBaud(bauds[Number(baudCharacter)] ?? 300)
        if (mode === "1") {
            this.programming = true
            this.say(iecCommand("P0", Buffer.from(`(${this.meter.id})`), IEC_XOR))
        } else this.readout()
    }

    /** Undefined after the break. */
    private answerTo(octets: Buffer): Buffer | undefined {
        let text: string
        let command: string
        try {
            const message = readIec(octets, IEC_XOR)
            command = octets.toString("latin1", message.commandAt, message.commandAt + 2)
            text = octets.toString("latin1", message.at, message.end)
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            return Buffer.of(IEC_NAK)
        }
        if (command === "B0") return undefined
        if (command === "P1" || command === "P2") {
            this.authorised = text === `(${this.options.password})`
            return this.authorised ? Buffer.of(IEC_ACK) : this.data("(ERR1)")
        }
        const name = text.slice(0, text.indexOf("("))
        if (command[0] === "R") {
            const found = this.meter.registers.find(each => address(each.obis) === name)
            const fixed: Record<string, string> = { "C.1": `C.1(${this.meter.id})`, "F.F": "F.F(00000000)" }
            return this.data(found ? dataSet(found, this.line.elapsedMs()) : (fixed[name] ?? "(ERR2)"))
        }
        return command[0] === "W" && this.authorised ? Buffer.of(IEC_ACK) : this.data("(ERR3)")
    }

    private data(text: string): Buffer {
        return iecChecked(Buffer.from(`\u0002${text}\u0003`), IEC_XOR)
    }
}
