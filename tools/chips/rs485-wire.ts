/**
 * A two-wire RS-485 line that joins UART channels of chip models and host-side taps. It works with coarse or
 * jumping clocks: whoever looks calls `advance`, and everything that happened until then is carried out in the
 * order of its time stamps.
 *
 * A station without driver enable does not reach the line; one that holds its driver while it has nothing to send
 * spoils what others send. Characters that overlap in time garble each other, except that equal ones that
 * coincide stay clean. With `timing: "ideal"` characters take no time, so nothing collides.
 */
import type { ModelClock } from "./clock"
import { type Format, plainFormat, type Received, receiveAs } from "./uart-frame"
import { UartTransmitter } from "./uart-transmitter"

/** One character as it was put on the line. */
export interface WireCharacter {
    octet: number
    format: Format
    startMs: number
    endMs: number
    /** The sender's driver was enabled. */
    driven: boolean
}

/** One participant. */
export interface Station {
    /** The next character, if it started by `untilMs`; each is given once. */
    pump(untilMs: number, ideal: boolean): WireCharacter | undefined
    /** The driver is enabled although nothing is being sent. */
    holdsLine(): boolean
    /** What the receiver is set to; undefined = not receiving. */
    receiverFormat(): Format | undefined
    /** A character has arrived completely at `atMs`. */
    receive(received: Received, atMs: number): void
}

/** Disturbance: probabilities per character, from a seed. */
export interface Noise {
    seed: number
    /** One bit of the octet is inverted. */
    flip?: number
    /** A random octet follows. */
    insert?: number
    /** The octet is lost. */
    drop?: number
}

/** One line. */
export interface WireOptions {
    clock: ModelClock
    /** "baud" (default): characters take their time. "ideal": none. */
    timing?: "baud" | "ideal"
    noise?: Noise
}

/** How a station's transceiver is wired. */
export interface StationOptions {
    /** Receives what it sends itself (RE# not tied to DE). Default false. */
    echo?: boolean
}

interface Placed extends WireCharacter {
    from: Member
    hits: Placed[]
    done: boolean
}

interface Member {
    station: Station
    echo: boolean
    /** The character it is sending. One is enough: what overlaps it can only come from other stations. */
    sending?: Placed
}

/** One line and all that hang on it. */
export class Rs485Wire {
    /** Disturbance from now on. */
    noise?: Noise
    /** Characters delivered so far, and how many of them were garbled by a collision. */
    carried = 0
    collisions = 0
    private readonly members: Member[] = []
    private running = false
    private chance?: () => number
    private seed?: number

    constructor(private readonly options: WireOptions) {
        this.noise = options.noise
    }

    /** Joins a station; returns a function that takes it off again. */
    attach(station: Station, options: StationOptions = {}): () => void {
        const member: Member = { station, echo: options.echo ?? false }
        this.members.push(member)
        return () => {
            const index = this.members.indexOf(member)
            if (index >= 0) this.members.splice(index, 1)
        }
    }

    /** Joins a host-side participant: an emulated meter, a recorder, a serial port. */
    tap(options: TapOptions = {}): WireTap {
        const tap = new WireTap(this, this.options.clock, options)
        tap.detach = this.attach(tap, options)
        return tap
    }

    /** Carries out everything up to the clock's present time. */
    advance(): void {
        if (this.running) return
        this.running = true
        try {
            const now = this.options.clock.nowMs()
            for (;;) {
                this.collect(now)
                let next: Placed | undefined
                for (const { sending } of this.members) {
                    if (sending && sending.endMs <= now && (!next || sending.endMs < next.endMs)) next = sending
                }
                if (!next) break
                next.from.sending = undefined
                this.deliver(next)
            }
        } finally {
            this.running = false
        }
    }

    private collect(now: number): void {
        for (const from of this.members) {
            while (!from.sending) {
                const character = from.station.pump(now, this.options.timing === "ideal")
                if (!character) break
                if (character.driven) this.place({ ...character, from, hits: [], done: false })
            }
        }
    }

    private place(placed: Placed): void {
        placed.from.sending = placed
        for (const { sending: other } of this.members) {
            if (!other || other === placed || other.startMs >= placed.endMs || placed.startMs >= other.endMs) continue
            other.hits.push(placed)
            placed.hits.push(other)
        }
    }

    private deliver(c: Placed): void {
        c.done = true
        const bitMs = 1000 / c.format.baud
        const twin = (other: Placed) =>
            other.octet === c.octet &&
            other.format.baud === c.format.baud &&
            Math.abs(other.startMs - c.startMs) < 0.1 * bitMs
        const clean = c.hits.every(twin)
        if (clean && c.hits.some(other => other.done)) return
        const held = this.members.some(m => m !== c.from && m.station.holdsLine())
        let octet = c.octet
        for (const other of c.hits) octet &= other.octet
        if (held) octet |= 0xa5
        const garbled = !clean || held
        this.carried++
        if (garbled) this.collisions++
        for (const disturbed of this.disturb(octet)) {
            for (const member of this.members) {
                const own = member === c.from
                const sending = own || c.hits.some(other => other.from === member)
                if (sending && !member.echo) continue
                const format = member.station.receiverFormat()
                if (!format) continue
                const received = receiveAs(disturbed, c.format, format)
                if (garbled) received.framingError = true
                member.station.receive(received, c.endMs)
            }
        }
    }

    private disturb(octet: number): number[] {
        const noise = this.noise
        if (!noise) return [octet]
        if (!this.chance || this.seed !== noise.seed) {
            this.seed = noise.seed
            this.chance = random(noise.seed)
        }
        const chance = this.chance
        const out: number[] = []
        if (chance() >= (noise.drop ?? 0)) {
            out.push(chance() < (noise.flip ?? 0) ? octet ^ (1 << Math.floor(chance() * 8)) : octet)
        }
        if (chance() < (noise.insert ?? 0)) out.push(Math.floor(chance() * 256))
        return out
    }
}

function random(seed: number): () => number {
    let state = seed | 0
    return () => {
        state = (state + 0x6d2b79f5) | 0
        let x = Math.imul(state ^ (state >>> 15), 1 | state)
        x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
        return ((x ^ (x >>> 14)) >>> 0) / 0x100000000
    }
}

/** One host-side participant. */
export interface TapOptions extends StationOptions {
    /** Default 8N1 at 9600 baud. */
    format?: Format
    /** Called for what arrives, with the time it was complete; damaged characters come as received. */
    onOctets?(octets: Uint8Array, atMs: number): void
    /** The same, with what was wrong with the character. */
    onReceived?(received: Received, atMs: number): void
}

/** A participant on the host's side; its driver is enabled exactly while it sends. */
export class WireTap implements Station {
    /** Takes the tap off the line. */
    detach: () => void = () => {}
    format: Format
    private readonly transmitter = new UartTransmitter()
    private latestMs = Number.NEGATIVE_INFINITY

    constructor(
        private readonly wire: Rs485Wire,
        private readonly clock: ModelClock,
        private readonly options: TapOptions,
    ) {
        this.format = options.format ?? plainFormat(9600)
    }

    /**
     * Sends. `atMs`: when the first start bit may begin, default now; a tap that answers from within `onOctets`
     * gives the time it was called with plus its own delay, so that coarse clocks do not blur the line's timing.
     */
    send(octets: Uint8Array, atMs = this.clock.nowMs()): void {
        this.wire.advance()
        this.transmitter.queue(octets, Math.max(atMs, this.latestMs))
        this.wire.advance()
    }

    pump(untilMs: number, ideal: boolean): WireCharacter | undefined {
        const started = this.transmitter.next(untilMs, this.format, ideal)
        return started && { ...started, driven: true }
    }

    holdsLine(): boolean {
        return false
    }

    receiverFormat(): Format {
        return this.format
    }

    receive(received: Received, atMs: number): void {
        this.latestMs = atMs
        this.options.onOctets?.(Uint8Array.of(received.octet), atMs)
        this.options.onReceived?.(received, atMs)
    }
}
