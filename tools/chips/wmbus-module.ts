/**
 * Wireless M-Bus receiver modules at a UART: IMST iM871A (HCI frames, 57 600 8N1) and Amber / Wuerth AMB8465 (9600 8N1), from chips.md section 8.
 *
 * Chosen where one source or none says: answers come after 3 ms; set config, set parameter and set mode answer with one octet 00; parameters of the AMB8465 hold from
 * its reset on; its length counts the octet of the signal strength; a reset takes 100 ms, in which nothing is heard.
 */
import { Buffer } from "node:buffer"
import type { ModelClock } from "./clock"
import type { Rs485Wire, WireTap } from "./rs485-wire"
import { plainFormat } from "./uart-frame"

/** One module. */
export class WmbusModule {
    /** Link mode by the module's number; undefined until set. */
    mode?: number
    resets = 0
    /** Says nothing to the next so many commands. */
    deaf = 0
    private readonly tap: WireTap
    private held: number[] = []
    private stored = new Map<number, number>()
    private active = new Map<number, number>()
    private rssi = false
    private silentUntil = Number.NEGATIVE_INFINITY

    constructor(
        wire: Rs485Wire,
        private readonly clock: ModelClock,
        readonly kind: "im871a" | "amb8465",
    ) {
        const format = plainFormat(kind === "im871a" ? 57_600 : 9600)
        this.tap = wire.tap({ format, onOctets: (octets, atMs) => this.hear(octets[0], atMs) })
    }

    /** A telegram (from the L field on, without CRCs) was received from the air, with this raw strength. */
    air(telegram: Uint8Array, raw: number): void {
        const now = this.clock.nowMs()
        if (now < this.silentUntil || this.mode === undefined) return
        if (this.kind === "im871a")
            this.hci(0x82 | (this.rssi ? 0x40 : 0), 3, telegram.subarray(1), now, this.rssi ? [raw] : [])
        else {
            const rssi = this.active.get(0x45) === 1 ? [raw] : []
            if (this.active.get(5) === 1) this.amber(3, [...telegram.subarray(1), ...rssi], now)
            else this.tap.send(Uint8Array.from([...telegram, ...rssi]), now)
        }
    }

    private hear(octet: number, atMs: number): void {
        if (atMs < this.silentUntil) return
        this.held.push(octet)
        const [first, second, third, fourth] = this.held
        if (first !== (this.kind === "im871a" ? 0xa5 : 0xff)) {
            this.held = []
            return
        }
        const length = this.kind === "im871a" ? fourth : third
        if (length === undefined) return
        const whole = this.kind === "im871a" ? 4 + length + (second & 0x80 ? 2 : 0) : 4 + length
        if (this.held.length < whole) return
        const frame = Buffer.from(this.held)
        this.held = []
        if (this.deaf > 0) {
            --this.deaf
            return
        }
        if (this.kind === "im871a") this.imst(frame, atMs)
        else this.command(frame, atMs)
    }

    private imst(frame: Buffer, atMs: number): void {
        const [, control, message, length] = frame
        if (control & 0x80 && crcX25(frame.subarray(1, 4 + length)) !== frame.readUInt16LE(4 + length)) return
        const payload = frame.subarray(4, 4 + length)
        if ((control & 15) !== 1) return
        if (message === 7) {
            this.hci(0x81, 8, Uint8Array.of(0), atMs + 3, [])
            this.reset(atMs + 6)
        } else if (message === 3) {
            let at = 2
            const first = payload[1]
            for (let bit = 0; bit < 8; ++bit) {
                if (!(first & (1 << bit))) continue
                if (bit === 1) this.mode = payload[at]
                at += bit === 3 ? 2 : bit === 4 ? 4 : 1
            }
            const second = payload[at++] ?? 0
            for (let bit = 0; bit < 8; ++bit) {
                if (!(second & (1 << bit))) continue
                if (bit === 4) this.rssi = payload[at] === 1
                ++at
            }
            this.hci(0x81, 4, Uint8Array.of(0), atMs + 3, [])
        } else this.hci(0x81, message + 1, Uint8Array.of(0), atMs + 3, [])
    }

    private command(frame: Buffer, atMs: number): void {
        if (frame.reduce((xor, octet) => xor ^ octet, 0) !== 0) return
        const [, number, length] = frame
        const payload = frame.subarray(3, 3 + length)
        if (number === 9) for (let i = 0; i < payload[1]; ++i) this.stored.set(payload[0] + i, payload[2 + i])
        if (number === 4) this.mode = payload[0]
        this.amber(number + 0x80, [0], atMs + 3)
        if (number === 5) this.reset(atMs + 9)
    }

    private reset(atMs: number): void {
        ++this.resets
        this.active = new Map(this.stored)
        this.mode = undefined
        this.rssi = false
        this.silentUntil = atMs + 100
    }

    private hci(control: number, message: number, payload: Uint8Array, atMs: number, behind: number[]): void {
        const body = Buffer.from([control, message, payload.length, ...payload, ...behind])
        const crc = crcX25(body)
        this.tap.send(Uint8Array.from([0xa5, ...body, crc & 0xff, crc >> 8]), atMs)
    }

    private amber(number: number, payload: number[], atMs: number): void {
        const body = [0xff, number, payload.length, ...payload]
        this.tap.send(Uint8Array.from([...body, body.reduce((xor, octet) => xor ^ octet, 0)]), atMs)
    }
}

/** Bit by bit, low bit first. */
function crcX25(octets: Uint8Array): number {
    let crc = 0xffff
    for (const octet of octets) {
        crc ^= octet
        for (let bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1
    }
    return crc ^ 0xffff
}
