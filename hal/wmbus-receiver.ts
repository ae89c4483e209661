import { crc16 } from "../firmware/core/crc16"
import { Code, fail } from "../firmware/core/errors"
import { platform } from "../firmware/core/platform"
import { codeOf } from "./bus-register"
import type { UartPort } from "./ports"

/** Modules: IMST iM871A (57 600 Bd), Amber or Wuerth AMB8465 (9600 Bd). */
export const RADIO_IM871A = 0
export const RADIO_AMB8465 = 1
/** Modes of EN 13757-4 to receive in; the last: C and T at once. */
export const RADIO_T1 = 0
export const RADIO_C1 = 1
export const RADIO_S1 = 2
export const RADIO_C1_T1 = 3

const bauds = [57600, 9600]
/** The modules' numbers of the modes, a row each. */
const modes = hex`03 06 00 0a  08 0e 03 09`
/** Time an answer may take, silence after which a frame is not whole, in ms. */
const answerMs = 300
const gapMs = 50
const tries = 3

/**
 * Receiver for wireless M-Bus on a UART. Telegrams come from the L field on, without CRCs, which the module has checked; still encrypted. Both modules are told to frame
 * what they send, so octets lost in between spoil one telegram only: an iM871A fills the FIFO of an SC16IS752 in 11 ms, an AMB8465 in 66 ms; who receives polls more often.
 *
 * @devsWhenUsed
 */
export class WmbusReceiver {
    /** Octets that were part of no frame; losses in the UART. */
    junk = 0
    overruns = 0
    private readonly held = Buffer.alloc(272)
    private length = 0
    private heardAt = 0
    /** What an answer begins with that is waited for; -1 = none. */
    private awaited = -1

    /** `take(telegram, dBm)`: the signal's strength is for display only. */
    constructor(
        readonly port: UartPort,
        readonly module: number,
        readonly take: (telegram: Buffer, dBm: number) => void,
    ) {}

    /** Resets the module and has it receive in this mode, with frames and signal strength. `PartAbsent` where it does not answer. */
    start(mode: number): void {
        this.port.open(bauds[this.module], 0)
        const number = modes[4 * this.module + mode]
        if (this.module === RADIO_IM871A) {
            this.command(1, 7, hex``)
            // The module starts again behind its answer.
            platform().sleepMs(200)
            // In RAM; link mode; strength of the signal on, time stamp off.
            this.command(1, 3, Buffer.from([0, 2, number, 0x30, 1, 0]))
        } else {
            // Frames on the UART, strength of the signal; both hold from the reset on.
            this.command(0, 9, hex`05 01 01`)
            this.command(0, 9, hex`45 01 01`)
            this.command(0, 5, hex``)
            platform().sleepMs(200)
            this.command(0, 4, Buffer.from([number]))
        }
    }

    /** Takes in what has come. `UartReset`: the module is to be started again. Errors of the bus pass. */
    poll(): void {
        try {
            const octets = this.port.receive()
            const now = platform().millis()
            if (octets.length > 0) this.heardAt = now
            else if (this.length > 0 && now - this.heardAt > gapMs) this.search(true)
            for (let i = 0; i < octets.length; ++i) {
                this.held[this.length++] = octets[i]
                this.search(false)
            }
        } catch (error) {
            if (codeOf(error) !== Code.UartOverrun) throw error
            ++this.overruns
        }
    }

    private command(endpoint: number, number: number, payload: Buffer): void {
        const imst = this.module === RADIO_IM871A
        const head = imst ? 4 : 3
        const length = payload.length
        const octets = Buffer.alloc(head + length + (imst ? 2 : 1))
        octets[0] = imst ? 0xa5 : 0xff
        octets[1] = imst ? 0x80 | endpoint : number
        if (imst) octets[2] = number
        octets[head - 1] = length
        octets.blitAt(head, payload, 0, length)
        const end = head + length
        if (imst) octets.setAt(end, "u16", crc16(octets, 1, end, 0xffff) ^ 0xffff)
        else octets[end] = xorOf(octets, 0, end)
        for (let i = 0; i < tries; ++i) {
            this.awaited = imst ? number + 1 : number + 0x80
            this.port.send(octets)
            for (let waited = 0; waited < answerMs; waited += 5) {
                platform().sleepMs(5)
                this.poll()
                if (this.awaited < 0) return
            }
        }
        fail(Code.PartAbsent, number, "an answer of the radio module", "none")
    }

    private search(final: boolean): void {
        const held = this.held
        const imst = this.module === RADIO_IM871A
        while (this.length > 0) {
            let used = 1
            if (held[0] === (imst ? 0xa5 : 0xff)) {
                const control = held[1]
                const head = imst ? 4 : 3
                // As many octets as are known to belong to it.
                let whole = head + 1
                if (this.length >= head) {
                    whole = head + held[head - 1] + 1
                    if (imst) whole += ((control >> 5) & 1) * 4 + ((control >> 6) & 1) + (control >> 7) * 2 - 1
                }
                if (whole > held.length) whole = 0
                if (this.length < whole && !final) return
                if (this.length >= whole && whole > 0 && this.holds(whole)) {
                    used = whole
                    this.frame(head, held[head - 1], whole)
                }
            }
            if (used === 1) ++this.junk
            // To a lower place: right also where the two overlap.
            this.length -= used
            held.blitAt(0, held, used, this.length)
            platform().yieldNow()
        }
    }

    private holds(whole: number): boolean {
        const held = this.held
        if (this.module !== RADIO_IM871A) return xorOf(held, 0, whole) === 0
        return held[1] < 0x80 || (crc16(held, 1, whole - 2, 0xffff) ^ 0xffff) === held.getAt(whole - 2, "u16")
    }

    /** One frame of the module: a telegram, or the answer to a command. */
    private frame(head: number, length: number, whole: number): void {
        const held = this.held
        const imst = this.module === RADIO_IM871A
        const number = imst ? held[2] : held[1]
        if (number !== 3 || (imst && (held[1] & 15) !== 2)) {
            if (number === this.awaited) this.awaited = -1
            return
        }
        // The AMB8465 counts the octet of the strength.
        if (!imst) --length
        if (length < 9) return
        const telegram = Buffer.alloc(length + 1)
        telegram[0] = length
        telegram.blitAt(1, held, head, length)
        const raw = imst ? ((held[1] & 0x40) !== 0 ? held[whole - (held[1] >> 7) * 2 - 1] : 0) : held[head + length]
        this.take(telegram, imst ? (raw - 245) >> 1 : ((raw << 24) >> 25) - 74)
    }
}

/** Exclusive or of the octets `from` up to `to`. */
function xorOf(octets: Buffer, from: number, to: number): number {
    let xor = 0
    for (let i = from; i < to; ++i) xor ^= octets[i]
    return xor
}
