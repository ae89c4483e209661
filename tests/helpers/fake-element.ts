import type { I2cBus } from "../../hal/ports"
import { busError } from "./fake-bus"

/** CRC of the part, bit by bit as its data sheet words it. */
export function bitwiseCrc(octets: Uint8Array): Buffer {
    let register = 0
    for (const octet of octets)
        for (let bit = 0; bit < 8; ++bit) {
            const carry = (register >> 15) ^ ((octet >> bit) & 1)
            register = (register << 1) & 0xffff
            if (carry) register ^= 0x8005
        }
    return Buffer.from([register & 0xff, register >> 8])
}

export interface FakeCommand {
    op: number
    p1: number
    p2: number
    data: Buffer
}

/**
 * A secure element made of bus manners only: wake, sleep, framing, busy, output buffer. What commands answer is the
 * test's: octets of data, or a status.
 */
export class FakeElement implements I2cBus {
    awake = false
    /** Bus cannot be pulsed, or the part is not there. */
    dead = false
    output: Buffer = Buffer.alloc(0)
    at = 0
    /** Polls without acknowledgement before each answer. */
    busyPolls = 1
    private left = 0
    readonly commands: FakeCommand[] = []
    /** Words of the session: W wake, S sleep, I idle, R reset of the address, and opcodes. */
    readonly log: string[] = []
    answer: (command: FakeCommand) => Buffer | number = () => 0
    /** Changes octets on their way out. */
    garble: (octets: Buffer) => Buffer = octets => octets
    wakeAnswer: Buffer = Buffer.from("04113343", "hex")

    transfer(address: number, write: Buffer, readLength: number): Buffer {
        if (this.dead) throw busError(-1)
        if (address === 0) {
            if (!this.awake) this.load(this.wakeAnswer)
            if (!this.awake) this.left = 0
            this.awake = true
            this.log.push("W")
            throw busError(-1)
        }
        if (address !== 0x60 || !this.awake) throw busError(-1)
        if (write.length > 0) this.take(write)
        if (readLength === 0) return Buffer.alloc(0)
        if (this.left > 0) {
            --this.left
            throw busError(-1)
        }
        const out = Buffer.alloc(readLength, 0xff)
        this.output.copy(out, 0, this.at)
        this.at += readLength
        return this.garble(out)
    }

    private load(octets: Buffer) {
        this.output = octets
        this.at = 0
    }

    private take(write: Buffer) {
        if (write[0] === 0) {
            this.at = 0
            this.log.push("R")
        } else if (write[0] === 1 || write[0] === 2) {
            this.awake = false
            this.log.push(write[0] === 1 ? "S" : "I")
        } else {
            const packet = write.subarray(1)
            if (packet[0] !== packet.length) throw new Error("count does not fit")
            if (!bitwiseCrc(packet.subarray(0, -2)).equals(packet.subarray(-2))) throw new Error("CRC of the command")
            const command = { op: packet[1], p1: packet[2], p2: packet.readUInt16LE(3), data: packet.subarray(5, -2) }
            this.commands.push(command)
            this.log.push(command.op.toString(16))
            const answer = this.answer(command)
            const data = typeof answer === "number" ? Buffer.from([answer]) : answer
            const body = Buffer.concat([Buffer.from([data.length + 3]), data])
            this.load(Buffer.concat([body, bitwiseCrc(body)]))
            this.left = this.busyPolls
        }
    }
}
