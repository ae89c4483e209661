/**
 * A power line as PLC modems meet it: one medium for a house, on which everybody hears everybody else, more or less. A modem
 * is transparent: what its UART takes goes out octet by octet, what it hears comes out the same way. Levels are those of a
 * textbook: a receiver of non-coherent FSK errs in a bit with probability 1/2 exp(-S/N / 2), where S/N is the sender's level
 * less both ends' attenuation less the noise there. Octets of two senders that overlap spoil each other. Everything drawn by
 * chance comes from one seed.
 *
 * Each modem has a line of its own (`wire`) that joins it to the UART channel of its board.
 */
import type { ModelClock } from "./clock"
import { Rs485Wire, type WireTap } from "./rs485-wire"
import { characterMs, plainFormat } from "./uart-frame"

/** What is wrong with the line from now on; all may be left out. */
export interface PlcDisturbance {
    /** Noise above the quiet line at every receiver, dB. The quiet line leaves 60 dB between a sender and its noise. */
    noiseDb?: number
    /** Octets that come out of nothing, per second and receiver. */
    sparksPerSecond?: number
    /** Probability that an octet is lost at a receiver. */
    drop?: number
    /** Probability that a whole transmission is not heard by a receiver. */
    loss?: number
    /** Probability that a transmission is heard once more, as by a repeater. */
    duplicate?: number
}

export interface PlcLineOptions {
    clock: ModelClock
    seed: number
    /** Default 2400. */
    baud?: number
    disturbance?: PlcDisturbance
}

const quietDb = 60
/** Pause after which a transmission is over, in characters. */
const gap = 6

/** The medium. */
export class PlcLine {
    disturbance: PlcDisturbance
    readonly modems: PlcModem[] = []
    /** Octets that were sent, that a receiver got wrong, and that overlapped. */
    sent = 0
    damaged = 0
    collisions = 0
    private state: number
    private advancing = false

    constructor(readonly options: PlcLineOptions) {
        this.state = options.seed | 0
        this.disturbance = options.disturbance ?? {}
    }

    /** A modem whose way to the middle of the house costs `attenuationDb`. */
    join(attenuationDb = 0): PlcModem {
        const modem = new PlcModem(this, attenuationDb)
        this.modems.push(modem)
        return modem
    }

    get baud(): number {
        return this.options.baud ?? 2400
    }

    /** Carries everything up to the clock's present time. */
    advance(): void {
        if (this.advancing) return
        this.advancing = true
        try {
            // What one modem hears may make it speak within the same time, so twice.
            for (let turn = 0; turn < 2; turn++) for (const modem of this.modems) modem.wire.advance()
            const now = this.options.clock.nowMs()
            for (const modem of this.modems) modem.elapse(now)
        } finally {
            this.advancing = false
        }
    }

    /** An octet of `from` that ended at `atMs`. */
    carry(from: PlcModem, octet: number, atMs: number): void {
        this.sent++
        const characterTime = characterMs(plainFormat(this.baud))
        const others = this.modems.filter(m => m !== from && Math.abs(atMs - m.spokeMs) < characterTime)
        from.spokeMs = atMs
        if (others.length > 0) this.collisions++
        for (const modem of this.modems) {
            if (modem === from || modem.deaf(atMs, characterTime * gap)) continue
            if (this.chance() < (this.disturbance.drop ?? 0)) this.damaged++
            else {
                const came = others.length > 0 ? Math.floor(this.chance() * 256) : this.through(octet, from, modem)
                if (came !== octet) this.damaged++
                modem.hear(came, atMs)
            }
        }
    }

    /** 0 to 1, from the seed. */
    chance(): number {
        this.state = (this.state + 0x6d2b79f5) | 0
        let x = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
        x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
        return ((x ^ (x >>> 14)) >>> 0) / 0x100000000
    }

    private through(octet: number, from: PlcModem, to: PlcModem): number {
        const db = quietDb - from.attenuationDb - to.attenuationDb - (this.disturbance.noiseDb ?? 0)
        const wrong = 0.5 * Math.exp(-(10 ** (db / 10)) / 2)
        if (wrong < 1e-12) return octet
        for (let bit = 0; bit < 8; bit++) if (this.chance() < wrong) octet ^= 1 << bit
        return octet
    }
}

/** One modem. */
export class PlcModem {
    /** Joins the modem to its board: `uart.channels[0].connect(modem.wire)`. */
    readonly wire: Rs485Wire
    /** End of the last octet it sent. */
    spokeMs = Number.NEGATIVE_INFINITY
    private readonly tap: WireTap
    private heardMs = Number.NEGATIVE_INFINITY
    private missing = false
    private transmission: number[] = []
    private sparkMs?: number

    constructor(
        private readonly line: PlcLine,
        readonly attenuationDb: number,
    ) {
        const clock = line.options.clock
        this.wire = new Rs485Wire({ clock })
        // Whoever looks at this wire gets what all the others have sent by now.
        this.wire.attach({
            pump: () => {
                line.advance()
                return undefined
            },
            holdsLine: () => false,
            receiverFormat: () => undefined,
            receive: () => {},
        })
        this.tap = this.wire.tap({
            format: plainFormat(line.baud),
            onOctets: (octets, atMs) => {
                for (const octet of octets) line.carry(this, octet, atMs)
            },
        })
    }

    /** Is this transmission one that is not heard here? Drawn at its first octet. */
    deaf(atMs: number, gapMs: number): boolean {
        if (atMs - this.heardMs > gapMs) {
            this.finish()
            this.missing = this.line.chance() < (this.line.disturbance.loss ?? 0)
        }
        this.heardMs = atMs
        return this.missing
    }

    /** An octet came off the medium at `atMs`. */
    hear(octet: number, atMs: number): void {
        this.transmission.push(octet)
        this.tap.send(Uint8Array.of(octet), atMs)
    }

    /** What happens by itself until `now`. */
    elapse(now: number): void {
        const gapMs = gap * characterMs(plainFormat(this.line.baud))
        if (this.transmission.length > 0 && now - this.heardMs > gapMs) this.finish()
        const rate = this.line.disturbance.sparksPerSecond ?? 0
        if (rate <= 0) {
            this.sparkMs = undefined
            return
        }
        const pause = () => (-Math.log(1 - this.line.chance()) * 1000) / rate
        this.sparkMs ??= now + pause()
        while (this.sparkMs <= now) {
            this.tap.send(Uint8Array.of(Math.floor(this.line.chance() * 256)), this.sparkMs)
            this.sparkMs += pause()
        }
    }

    private finish(): void {
        const repeated = Uint8Array.from(this.transmission)
        this.transmission = []
        if (repeated.length > 0 && this.line.chance() < (this.line.disturbance.duplicate ?? 0))
            this.tap.send(repeated, this.heardMs)
    }
}
