import { energyBetween, type LoadPoint, type LoadSource, pointOf } from "../chips/load-source.ts"

const pieceSeconds = 0.2

/** A load that jumps five times a second, 2 to 22 kW, mostly drawn, and that can be switched; it is off at first. */
export class GatedLoad implements LoadSource {
    private onSince = Number.POSITIVE_INFINITY
    private sign = 1

    constructor(private readonly seed: number) {}

    /** Switches on at this world time, drawing (1) or feeding in (-1). */
    on(nowMs: number, sign: 1 | -1): void {
        this.onSince = nowMs / 1000
        this.sign = sign
    }

    off(): void {
        this.onSince = Number.POSITIVE_INFINITY
    }

    at(second: number): LoadPoint {
        return second < this.onSince ? pointOf(0, 0, 230, 50) : this.flowing(second)
    }

    nextChange(second: number): number {
        return second < this.onSince ? this.onSince : nextPiece(second)
    }

    /** Watt-seconds between two world times in which it is switched on, drawn or fed in. */
    energy(fromMs: number, toMs: number): number {
        const flowing = { at: (second: number) => this.flowing(second), nextChange: nextPiece }
        const { drawnWs, fedWs } = energyBetween(flowing, fromMs / 1000, toMs / 1000)
        return drawnWs + fedWs
    }

    private flowing(second: number): LoadPoint {
        // The instant of a change belongs to what follows it, whichever way its seconds were rounded.
        let x = Math.imul(Math.floor(second / pieceSeconds + 1e-6) | 0, 0x9e3779b1) ^ this.seed
        x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
        return pointOf(this.sign * (2000 + 20_000 * (((x ^ (x >>> 15)) >>> 0) / 2 ** 32)), 200, 230, 50)
    }
}

function nextPiece(second: number): number {
    return (Math.floor(second / pieceSeconds + 1e-6) + 1) * pieceSeconds
}
