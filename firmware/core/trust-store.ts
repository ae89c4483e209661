import { Code, fail } from "./errors"
import { cut, join, sameOctets } from "./octets"
import { platform } from "./platform"
import type { Store } from "./store"

const headerSize = 6
const checkSize = 4

/**
 * Certificates or revocation lists in a store, one slot each: length and check (SHA-256 cut to 32 bits), then DER. A slot cut
 * short by a power loss reads as empty. Nothing here decides what to trust: that is checked before a slot is closed.
 */
export class TrustStore {
    /** `slots` slots of `slotSize` octets from `at` on; a slot holds `slotSize` - 6 octets of DER. */
    constructor(
        private readonly store: Store,
        private readonly at: number,
        private readonly slotSize: number,
        private readonly slots: number,
    ) {}

    /** What stands in `slot`, or undefined where there is nothing whole. */
    read(slot: number): Buffer | undefined {
        const at = this.addressOf(slot)
        const header = this.store.read(at, headerSize)
        const length = header.getAt(0, "u16")
        if (length === 0 || length > this.slotSize - headerSize) return undefined
        const der = this.store.read(at + headerSize, length)
        return sameOctets(check(der), cut(header, 2, checkSize)) ? der : undefined
    }

    /** Writes a part of what the slot is to hold; it counts only after `close`. What the slot held is gone with the part at 0. */
    writePart(slot: number, offset: number, part: Buffer): void {
        const room = this.slotSize - headerSize
        if (!(offset >= 0 && offset + part.length <= room))
            fail(Code.OutOfRange, offset, "a part inside " + room + " octets", "" + part.length)
        const at = this.addressOf(slot)
        if (offset === 0) this.store.write(at, Buffer.alloc(headerSize))
        this.store.write(at + headerSize + offset, part)
    }

    /** Makes the `length` octets written so far what this slot holds. */
    close(slot: number, length: number): Buffer {
        const room = this.slotSize - headerSize
        if (!(length > 0 && length <= room)) fail(Code.OutOfRange, 0, "1 to " + room + " octets", "" + length)
        const at = this.addressOf(slot)
        const der = this.store.read(at + headerSize, length)
        this.store.write(at, join([Buffer.from([length & 0xff, length >> 8]), check(der)]))
        return der
    }

    private addressOf(slot: number): number {
        if (!(slot >= 0 && slot < this.slots)) fail(Code.BadArgument, -1, "a slot below " + this.slots, "" + slot)
        return this.at + slot * this.slotSize
    }
}

function check(der: Buffer): Buffer {
    return cut(platform().sha256([der]), 0, checkSize)
}
