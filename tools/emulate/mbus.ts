import { MBUS_ACK, MbusReceiver, mbusLongFrame } from "../../firmware/core/mbus-frame"
import type { Emulated, MeterLine } from "./line.ts"
import { type Meter, type Register, rawAt } from "./meter.ts"

/** DLMS unit -> VIF (with FB or FD in front), power of ten of its lowest code, number of codes. */
const vifs: Record<number, [number[], number, number]> = {
    30: [[0x00], -3, 8],
    25: [[0x08], 0, 8],
    13: [[0x10], -6, 8],
    27: [[0x28], -3, 8],
    15: [[0x38], -6, 8],
    9: [[0x58], -3, 4],
    35: [[0xfd, 0x40], -9, 16],
    33: [[0xfd, 0x50], -12, 16],
    44: [[0xfb, 0x2c], -3, 4],
}

/** Bauds by CI field B8 to BF (EN 13757-3 clause 4.2). */
const bauds = [300, 600, 1200, 2400, 4800, 9600, 19200, 38400]

/** Octets of records that go in one telegram. */
const room = 180

/** The data record of a register; nothing where EN 13757-3 has no unit for it. */
function recordOf(register: Register, elapsedMs: number): Buffer | undefined {
    const row = vifs[register.unit]
    if (!row) return undefined
    const [codes, lowest, count] = row
    let step = register.scaler - lowest
    let raw = rawAt(register, elapsedMs)
    for (; step < 0; ++step) raw = Math.trunc(raw / 10)
    for (; step >= count; --step) raw *= 10
    const [, , c, , tariff] = register.obis
    const fedIn = c === 2 || c === 22
    const wide = Math.abs(raw) > 0x7fffffff
    const data = Buffer.alloc(wide ? 8 : 4)
    if (wide) data.writeBigInt64LE(BigInt(raw))
    else data.writeInt32LE(raw)
    // Tariffs above 3 need another extension.
    const dife = [
        ...(tariff > 0 ? [((tariff & 3) << 4) | (tariff > 3 ? 0x80 : 0)] : []),
        ...(tariff > 3 ? [((tariff >> 2) & 3) << 4] : []),
    ]
    const last = (codes.at(-1)! + step) | (fedIn ? 0x80 : 0)
    return Buffer.from([
        (wide ? 7 : 4) | (dife.length > 0 ? 0x80 : 0),
        ...dife,
        ...codes.slice(0, -1),
        last,
        ...(fedIn ? [0x3c] : []),
        ...data,
    ])
}

/** One slave of a wired M-Bus (EN 13757-2 clause 5, EN 13757-3 clause 11). */
class Slave {
    selected = false
    baud = 2400
    private frameCount = -1
    private which = 0
    private access = 0
    private last: Buffer | undefined

    constructor(
        readonly meter: Meter,
        public address: number,
        private readonly line: MeterLine,
    ) {}

    /** What it says to a frame; nothing if it is not meant, or to all. */
    answerTo(frame: Buffer): Buffer | undefined {
        const long = frame[0] === 0x68
        const [control, address] = long ? [frame[4], frame[5]] : [frame[1], frame[2]]
        const own = address === this.address || address === 254 || address === 255 || (address === 253 && this.selected)
        const answer =
            long && address === 253 && frame[6] === 0x52
                ? this.select(frame)
                : own
                  ? this.serve(frame, control, address)
                  : undefined
        return address === 255 ? undefined : answer
    }

    private serve(frame: Buffer, control: number, address: number): Buffer | undefined {
        const ack = Buffer.of(MBUS_ACK)
        if (frame[0] === 0x10) {
            if (control === 0x40) {
                // SND_NKE: the next request begins anew; to 253 it ends the selection.
                this.frameCount = -1
                this.which = 0
                if (address === 253) this.selected = false
                return ack
            }
            if ((control & 0xcf) === 0x4b) return this.response(control)
            // REQ_UD1: nothing to alarm about.
            return (control & 0xcf) === 0x4a ? ack : undefined
        }
        if ((control & 0xdf) !== 0x53) return undefined
        const ci = frame[6]
        if (ci >= 0xb8 && ci <= 0xbf) this.baud = bauds[ci - 0xb8]
        else if (ci === 0x50) this.which = 0
        else if (ci === 0x51) this.write(frame.subarray(7, frame.length - 2))
        else if (ci !== 0x52) return undefined
        return ack
    }

    /** REQ_UD2: with the frame count bit turned the next telegram, else the last one again. */
    private response(control: number): Buffer {
        const counted = (control & 0x10) !== 0
        const bit = (control >> 5) & 1
        if (this.last && counted && bit === this.frameCount) return this.last
        const telegrams = this.telegrams()
        if (this.frameCount >= 0) this.which = (this.which + 1) % telegrams.length
        if (counted) this.frameCount = bit
        this.which = Math.min(this.which, telegrams.length - 1)
        this.last = mbusLongFrame(8, this.address, Buffer.concat([this.header(), telegrams[this.which]]))
        return this.last
    }

    /** Identification number in BCD, manufacturer, version and device type, as the long header and selection have them. */
    private identity(): Buffer {
        const { id, manufacturer, version, deviceType } = this.meter
        const field = [...manufacturer].reduce((sum, letter) => sum * 32 + letter.charCodeAt(0) - 64, 0)
        return Buffer.concat([
            Buffer.from(id, "hex").reverse(),
            Buffer.of(field & 255, field >> 8, version, deviceType),
        ])
    }

    private header(): Buffer {
        this.access = (this.access + 1) & 0xff
        return Buffer.concat([Buffer.of(0x72), this.identity(), Buffer.of(this.access, 0, 0, 0)])
    }

    private telegrams(): Buffer[] {
        const telegrams: Buffer[] = [Buffer.alloc(0)]
        for (const register of this.meter.registers) {
            const record = recordOf(register, this.line.elapsedMs())
            if (!record) continue
            if (telegrams.at(-1)!.length + record.length > room) {
                telegrams[telegrams.length - 1] = Buffer.concat([telegrams.at(-1)!, Buffer.of(0x1f)])
                telegrams.push(Buffer.alloc(0))
            }
            telegrams[telegrams.length - 1] = Buffer.concat([telegrams.at(-1)!, record])
        }
        return telegrams
    }

    /** Selection by secondary address: F in a digit, FFFF, FF and FF stand for any. */
    private select(frame: Buffer): Buffer | undefined {
        const asked = frame.subarray(7, 15)
        const own = this.identity()
        const digits = (octets: Buffer) => octets.subarray(0, 4).toString("hex")
        const number = [...digits(asked)].every((digit, i) => digit === "f" || digit === digits(own)[i])
        const maker = asked.readUInt16LE(4) === 0xffff || asked.readUInt16LE(4) === own.readUInt16LE(4)
        const rest = [6, 7].every(i => asked[i] === 0xff || asked[i] === own[i])
        this.selected = asked.length === 8 && number && maker && rest
        if (!this.selected) return undefined
        this.frameCount = -1
        this.which = 0
        return Buffer.of(MBUS_ACK)
    }

    /** Record 01 7A: another primary address. */
    private write(records: Buffer): void {
        if (records[0] === 0x01 && records[1] === 0x7a && records[2] <= 250) this.address = records[2]
    }
}

/** A wired M-Bus with meters on it. Who talk at once disturb each other: only the single character E5 survives that. */
export class MbusEmulator implements Emulated {
    readonly slaves: Slave[]
    private readonly receiver = new MbusReceiver(frame => this.frame(frame))
    private baud = 2400

    /** The meters get the addresses from `first` on. */
    constructor(
        meters: Meter[],
        first: number,
        private readonly line: MeterLine,
    ) {
        this.slaves = meters.map((meter, i) => new Slave(meter, first + i, line))
    }

    take(octets: Buffer): void {
        this.line.heard(octets)
        this.receiver.feed(octets)
    }

    stop(): void {}

    private frame(frame: Buffer): void {
        // An answer of a slave, or its own echo.
        if (frame.length === 1 || (frame[0] === 0x68 && (frame[4] & 0x40) === 0)) return
        const answers = this.slaves.flatMap(slave => slave.answerTo(frame) ?? [])
        if (answers.length > 0) this.line.send(together(answers))
        const baud = this.slaves[0].baud
        if (baud !== this.baud) this.line.setBaud(baud)
        this.baud = baud
    }
}

/** What a master hears of several answers at once, none of which begins quite with another: a space of any of them wins over the others' marks. */
function together(answers: Buffer[]): Buffer {
    if (answers.every(each => each.length === 1)) return answers[0]
    const length = Math.max(...answers.map((each, i) => each.length + i))
    return Buffer.from(
        Array.from({ length }, (_, at) => answers.reduce((octet, each, i) => octet & (each[at - i] ?? 0xff), 0xff)),
    )
}
