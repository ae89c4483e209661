import { Code, fail } from "../firmware/core/errors"
import {
    IEC_NAK,
    IEC_UNCHECKED,
    type IecMessage,
    iecAcknowledge,
    iecCommand,
    iecParity,
    iecRequest,
    iecSevenBits,
    readIec,
} from "../firmware/core/iec62056"
import { cut } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { codeOf } from "./bus-register"
import { OctetLine } from "./octet-line"
import type { UartPort } from "./ports"

/** Reaction time of a meter and longest pause in a message (clause 6.3.14), with room for clocks and other fibers, in ms. */
const reaction = 1600
const pause = 1550
/** We answer a meter not before 200 ms (meters that are slow to turn their head round), in ms. */
const ownReaction = 220

/**
 * Reads meters of IEC 62056-21 over an optical head, RS-485 or a current loop: sign-on at 300 Bd, change of the rate, modes A, B and C; programming mode of mode C. Mode D pushes:
 * `push-listener.ts`. 7E1 by the UART, or as 8N1 with the parity reckoned here where it can only 8 bits; an echo is dropped.
 *
 * @devsWhenUsed
 */
export class IecLink {
    readonly line: OctetLine
    /** Block check a message must have: `IEC_EITHER` where the family is not known. */
    check = 0
    /** Tries of a sign-on or command. */
    tries = 3
    /** Messages asked for again. */
    repeats = 0
    private baud = 0

    /** `capacity`: octets of the longest data message. */
    constructor(
        readonly port: UartPort,
        readonly parityInUart: boolean,
        capacity: number,
        readonly firstBaud: number = 300,
    ) {
        this.line = new OctetLine(port, capacity)
    }

    /**
     * Signs on to the meter of this address ("" = whoever is there) and reads its data message at `mostBaud` or less; `take` gets identification and data message, checked.
     * `MeterSilent`; `MeterGarbled` where it came damaged each time; `MeterRefused` where what answers is no identification.
     */
    read(address: string, mostBaud: number, take: (identification: IecMessage, data: IecMessage) => void): void {
        const self = this
        this.repeat(() => {
            const identification = self.signOn(address)
            self.goOn(identification, 0, mostBaud)
            const data = self.message(IEC_UNCHECKED)
            take(identification, data)
            return data
        })
    }

    /** Signs on and goes to the programming mode of mode C; answers what the meter says first (P0 and an operand). Errors as of `read`. */
    program(address: string, mostBaud: number): IecMessage {
        const self = this
        return this.repeat(() => {
            self.goOn(self.signOn(address), 1, mostBaud)
            return self.message(self.check)
        })
    }

    /** In the programming mode: a command ("R1") with its data set, and the answer; a damaged one is asked for again. `MeterRefused`: the meter says that it did not understand. */
    command(command: string, data: Buffer): IecMessage {
        const octets = iecCommand(command, data, this.check)
        let error: number = Code.MeterSilent
        for (let i = 0; i < this.tries; ++i) {
            if (i > 0) ++this.repeats
            // Heard but damaged: only the answer is sent again.
            this.send(error === Code.MeterGarbled ? Buffer.from([IEC_NAK]) : octets)
            try {
                return this.message(this.check)
            } catch (caught) {
                error = codeOf(caught)
                if (error === 0) throw caught
                if (error !== Code.MeterSilent && error !== Code.MeterRefused) error = Code.MeterGarbled
            }
        }
        return fail(error, -1, "an answer to " + command, "none in " + this.tries)
    }

    /** Ends the programming mode (B0), so that the meter listens at its first rate again at once. */
    breakOff(): void {
        this.send(iecCommand("B0", hex``, this.check))
        platform().sleepMs(ownReaction)
    }

    private repeat(action: () => IecMessage): IecMessage {
        let error = 0
        for (let i = 0; i < this.tries; ++i) {
            if (i > 0) ++this.repeats
            try {
                return action()
            } catch (caught) {
                const code = codeOf(caught)
                const garbled = code === Code.MeterGarbled || (code >= Code.IecParity && code <= Code.IecCheck)
                if (code !== Code.MeterSilent && !garbled) throw caught
                if (error === 0 || garbled) error = garbled ? Code.MeterGarbled : code
                // Whatever rate it is at: it breaks off, or falls back by itself.
                if (this.baud !== this.firstBaud) this.breakOff()
            }
        }
        return fail(error, -1, "a message", "none in " + this.tries)
    }

    private signOn(address: string): IecMessage {
        this.rate(this.firstBaud)
        this.send(iecRequest(address))
        const identification = this.message(IEC_UNCHECKED)
        if (identification.octets[0] !== 0x2f) fail(Code.MeterRefused, -1, "an identification", "something else")
        return identification
    }

    /** What the mode asks for between identification and data: nothing in A, another rate in B, an acknowledgement and then the rate in C. */
    private goOn(identification: IecMessage, mode: number, mostBaud: number): void {
        // A character that names no rate is mode A.
        const letter = identification.manufacturerAt < 0 ? "A" : identification.mode()
        let baud = identification.baud()
        if (letter === "A" || letter === "B") {
            this.line.next()
            if (letter === "B") this.rate(baud)
            return
        }
        let character = identification.baudCharacter
        while (baud > mostBaud && character > 0x30) {
            --character
            baud /= 2
        }
        platform().sleepMs(ownReaction)
        this.line.send(this.coded(iecAcknowledge(character, mode, 0)))
        if (baud !== this.baud) this.rate(baud)
    }

    private rate(baud: number): void {
        this.baud = baud
        this.line.open(baud, this.parityInUart ? 2 : 0)
    }

    private send(octets: Buffer): void {
        this.line.quiet(2 * this.line.octetMs)
        this.line.send(this.coded(octets))
    }

    private coded(octets: Buffer): Buffer {
        return this.parityInUart ? octets : iecParity(octets)
    }

    /** The next message of the meter, read. */
    private message(check: number): IecMessage {
        const line = this.line
        const whole = line.receive(reaction, pause, missing)
        if (!whole && line.length === 0 && !line.damaged) fail(Code.MeterSilent, -1, "a message", "none")
        if (!whole || line.damaged) fail(Code.MeterGarbled, line.length, "a whole message", "damage")
        let octets = cut(line.held, 0, line.length)
        if (!this.parityInUart) octets = iecSevenBits(octets)
        if (octets[0] === IEC_NAK) fail(Code.MeterRefused, 0, "an answer", "a refusal")
        const first = octets[0]
        return readIec(octets, first === 1 || first === 2 ? this.check : check)
    }
}

/** Has the message ended? An identification with its line, a frame with its check, what has no frame with `!` and the end of the line. */
function missing(held: Buffer, length: number): number {
    const first = held[0] & 0x7f
    if (first === 6 || first === IEC_NAK) return 0
    if (length < 3) return 1
    const before = held[length - 2] & 0x7f
    if (first < 3) return before === 3 || before === 4 ? 0 : 1
    if ((held[length - 1] & 0x7f) !== 10) return 1
    if (first === 0x2f) return 0
    // A readout without frame ends with the line of its mark.
    return (held[length - 3] & 0x7f) === 0x21 ? 0 : 1
}
