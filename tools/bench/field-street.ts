import { meterContent, meterIdentification } from "../chips/mbus-content.ts"
import { MbusLine } from "../chips/mbus-line.ts"
import type { Rs485Wire } from "../chips/rs485-wire.ts"
import { plainFormat } from "../chips/uart-frame.ts"
import { meterOf } from "../emulate/meter.ts"
import { smlFile } from "../emulate/sml.ts"
import type { World } from "../vm/world.ts"

/** What disturbs the lines. */
export interface Disturbance {
    /** Share of answers that are damaged, and of questions that a meter does not understand. */
    damaged: number
    /** Share of meters that say nothing. */
    dead: number
    /** Pairs of meters at one primary address. */
    pairs: number
}

/** Rates of the M-Bus lines and meters on each; behind them a line with a meter that pushes SML. */
export const mbusRates = [300, 2400, 9600]
export const mbusMeters = [16, 133, 100]
/** Meters of the street. */
export const streetMeters = mbusMeters.reduce((sum, count) => sum + count) + 1
const pushMs = 15_000

/** A meter of the street, and what it has said: octets as hex. */
export interface StreetMeter {
    line: number
    /** Its address as it stands in evidence, hex. */
    address: string
    dead: boolean
    /** It shares its primary address. */
    shared: boolean
    said: Set<string>
}

/** Numbers from 0 to 1, the same from the same seed. */
function seeded(seed: number): () => number {
    let state = seed >>> 0
    return () => {
        state = (state + 0x6d2b79f5) >>> 0
        let mixed = Math.imul(state ^ (state >>> 15), state | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    }
}

/** As on the air, of an identification as in a wired header. */
function addressOf(secondary: Uint8Array): string {
    const octets = Buffer.from(secondary)
    return Buffer.concat([octets.subarray(4, 6), octets.subarray(0, 4), octets.subarray(6)]).toString("hex")
}

/** 249 wired M-Bus meters on three lines and one that pushes SML on a fourth. */
export class Street {
    readonly meters: StreetMeter[] = []
    readonly lines: MbusLine[] = []
    /** The world's time when the street was undisturbed last: damage begins with `disturb`. */
    private readonly chance: () => number

    constructor(
        private readonly world: World,
        wires: Rs485Wire[],
        private readonly disturbance: Disturbance,
        seed: number,
    ) {
        this.chance = seeded(seed)
        for (const [line, baud] of mbusRates.entries()) this.lines.push(this.mbusLine(wires[line], line, baud))
        this.push(wires[mbusRates.length], mbusRates.length)
    }

    /** From now on meters are dead and frames are damaged; before, the street is commissioned. */
    disturb(): void {
        const { damaged, dead } = this.disturbance
        const wired = this.meters.filter(({ line }) => line < this.lines.length)
        for (let left = Math.round(dead * streetMeters); left > 0; ) {
            const meter = wired[Math.floor(this.chance() * wired.length)]
            if (meter.dead || meter.shared) continue
            meter.dead = true
            const slave = this.lines[meter.line].slaves.find(
                each => addressOf(each.options.secondary) === meter.address,
            )
            if (slave) slave.dead = true
            --left
        }
        if (damaged > 0)
            for (const line of this.lines)
                line.damage = { answers: damaged, requests: damaged / 5, chance: this.chance }
    }

    /** Line time at least needed so far, in ms, of each M-Bus line. */
    leastMs(): number[] {
        return this.lines.map(line => line.leastMs())
    }

    private mbusLine(wire: Rs485Wire, line: number, baud: number): MbusLine {
        const shares = line === 1 ? this.disturbance.pairs : 0
        const slaves = Array.from({ length: mbusMeters[line] }, (_, i) => {
            const secondary = meterIdentification(20_000_000 + 1000 * line + i)
            const shared = i < 2 * shares
            const meter = { line, address: addressOf(secondary), dead: false, shared, said: new Set<string>() }
            this.meters.push(meter)
            return {
                primary: shared ? (i & ~1) + 1 : i + 1,
                secondary,
                delayBits: 11 + Math.floor(this.chance() * 60),
                telegrams: () => {
                    const content = meterContent(secondary, (Math.floor(this.world.nowMs() / 1000) + i) >>> 0)
                    meter.said.add(Buffer.from(content).toString("hex"))
                    return [content]
                },
            }
        })
        return new MbusLine(wire, baud, slaves)
    }

    private push(wire: Rs485Wire, line: number): void {
        const profile = meterOf()
        const tap = wire.tap({ format: plainFormat(9600) })
        const said = new Set<string>()
        let count = 0
        const address = Buffer.concat([Buffer.from("0a01504c4200", "hex"), Buffer.alloc(4)])
        address.writeUInt32BE(Number(profile.id), 6)
        this.meters.push({ line, address: address.toString("hex"), dead: false, shared: false, said })
        const send = () => {
            const file = smlFile(profile, this.world.elapsedMs(), ++count)
            said.add(file.toString("hex"))
            tap.send(file)
            this.world.after(pushMs, send)
        }
        this.world.after(pushMs, send)
    }
}
