import { Code, fail } from "./errors"
import { cut, join, numberBE, sameOctets, uintBE } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

/** What the floor needs of the holder of the device's key. */
export interface FloorKey {
    publicKey(): Buffer
    sign(digest: Buffer): Buffer
}

/** What the floor needs of the part that counts and never goes back. */
export interface MonotonicCounter {
    counter(): number
    incrementCounter(): number
}

const said = 8
const copySize = said + 64
/** Octets of the store that the floor takes. */
export const floorSize = 2 * copySize

/**
 * The version below which no software runs. It stands in the store with the count of the monotonic counter, both signed by the device's
 * key: a copy of older contents has another count, and whoever writes contents of his own can not sign them.
 *
 * Two copies; in force is the one with the present count. A raise writes the other with the count to come, then counts: where power goes
 * between the two, the next look counts. A raise takes two counts, and a record holds at its own count and the one behind it: the secure
 * element may count twice when its answer was lost on the bus.
 */
export class Floor {
    constructor(
        private readonly store: Store,
        private readonly at: number,
        private readonly counter: MonotonicCounter,
        private readonly key: () => FloorKey,
    ) {}

    /** Version as in a manifest; 0 where it was never raised. Throws `FloorDamaged`. */
    value(): number {
        const count = this.count()
        let copy = this.copy(count + 2)
        if (copy >= 0) while (this.counter.counter() < count + 2) this.counter.incrementCounter()
        else copy = this.copy(count)
        if (copy >= 0) return uintBE(this.store.read(this.at + copy * copySize, 4), 0, 4)
        if (count > 0) fail(Code.FloorDamaged, this.at, "a floor of count " + count, "none")
        return 0
    }

    /** Raises the floor; one that is not higher changes nothing. */
    raise(version: number): void {
        if (version <= this.value()) return
        this.write(version, this.count() + 2, this.key())
        this.value()
    }

    /** A device made anew has no floor, whatever was counted before. Only what makes a device may call this. */
    begin(): void {
        if (this.count() > 0) this.write(0, this.count(), this.key())
    }

    /** Has the floor signed by the key that is about to be in force, beside what the present key signed. */
    renew(next: FloorKey): void {
        const version = this.value()
        if (version > 0) this.write(version, this.count(), next)
    }

    /** Writes the copy that is not in force. */
    private write(version: number, count: number, key: FloorKey): void {
        const head = join([numberBE(4, version), numberBE(4, count)])
        const place = this.copy(this.count()) === 0 ? copySize : 0
        const octets = join([head, key.sign(digestOf(head))])
        this.store.write(this.at + place, octets)
        if (!sameOctets(this.store.read(this.at + place, copySize), octets))
            fail(Code.ReadBackMismatch, this.at + place, "the floor just written", "another")
    }

    /** The copy (0 or 1) of this count that the present key signed, -1 where there is none. */
    private copy(count: number): number {
        for (let i = 0; i < 2; ++i) {
            const octets = this.store.read(this.at + i * copySize, copySize)
            const head = cut(octets, 0, said)
            if (uintBE(head, 4, 4) !== count || count === 0) continue
            if (platform().verifyP256(this.key().publicKey(), digestOf(head), cut(octets, said, 64))) return i
        }
        return -1
    }

    /** The present count, or the one below where that is odd. */
    private count(): number {
        const count = this.counter.counter()
        return count - (count & 1)
    }
}

function digestOf(head: Buffer): Buffer {
    return platform().sha256([Buffer.from("plomb floor"), head])
}
