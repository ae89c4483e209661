import { Code, PlombError } from "./errors"
import { cut } from "./octets"

/** Octets of an answer in one Jacdac packet (services/*.md). */
const partSize = 192

/** The code a service answers for what was thrown; a defect of the program is printed. */
export function codeOf(e: any): number {
    if (e instanceof PlombError) return e.code
    e.print()
    return Code.Unexpected
}

/** 0, or the code of what `step` threw. */
export function attempt(step: () => void): number {
    try {
        step()
        return 0
    } catch (e: any) {
        return codeOf(e)
    }
}

/** An answer too long for a packet: made once, then fetched in parts. */
export class LongAnswer {
    private octets: Buffer = Buffer.alloc(0)

    /** Code, and octets of the answer that `make` gives. */
    prepare(make: () => Buffer): [number, number] {
        try {
            this.octets = make()
            return [0, this.octets.length]
        } catch (e: any) {
            return [codeOf(e), 0]
        }
    }

    /** Code, and the part from `offset` on. */
    fetch(offset: number): [number, Buffer] {
        const left = this.octets.length - offset
        // Also where a packet came without its offset.
        if (!(left >= 0)) return [Code.OutOfRange, Buffer.alloc(0)]
        return [0, cut(this.octets, offset, Math.min(left, partSize))]
    }
}
