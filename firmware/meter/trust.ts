import { Code, fail } from "../core/errors"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { trustAt, trustSlotSize, trustSlots } from "./layout"

/** What each slot of the trust store holds; design: the meter holds these certificates and no others. */
export enum TrustSlot {
    Meter = 0,
    CalibrationAuthority = 1,
    InstituteRoot = 2,
    Manufacturer = 3,
    SecurityManagement = 4,
}

const headerSize = 6
const checkSize = 4

/**
 * Certificates in FRAM, one slot each: length and check (SHA-256 cut to 32 bits), then DER. A slot cut short by a power loss reads
 * as empty. Nothing here decides what to trust: the chain is checked when it is installed.
 */
export class TrustStore {
    constructor(private readonly store: Store) {}

    /** The certificate in `slot`, or undefined where there is none whole. */
    read(slot: number): Buffer | undefined {
        const at = this.addressOf(slot)
        const header = this.store.read(at, headerSize)
        const length = header.getAt(0, "u16")
        if (length === 0 || length > trustSlotSize - headerSize) return undefined
        const der = this.store.read(at + headerSize, length)
        return sameOctets(check(der), cut(header, 2, checkSize)) ? der : undefined
    }

    /** Writes a part of a certificate; it counts only after `close`. */
    writePart(slot: number, offset: number, part: Buffer): void {
        if (!(offset >= 0 && offset + part.length <= trustSlotSize - headerSize))
            fail(Code.OutOfRange, offset, "a part inside " + (trustSlotSize - headerSize) + " octets", "" + part.length)
        const at = this.addressOf(slot)
        if (offset === 0) this.store.write(at, Buffer.alloc(headerSize))
        this.store.write(at + headerSize + offset, part)
    }

    /** Makes the `length` octets written so far a certificate of this slot. */
    close(slot: number, length: number): Buffer {
        if (!(length > 0 && length <= trustSlotSize - headerSize))
            fail(Code.OutOfRange, 0, "1 to " + (trustSlotSize - headerSize) + " octets", "" + length)
        const at = this.addressOf(slot)
        const der = this.store.read(at + headerSize, length)
        this.store.write(at, join([Buffer.from([length & 0xff, length >> 8]), check(der)]))
        return der
    }

    private addressOf(slot: number): number {
        if (!(slot >= 0 && slot < trustSlots)) fail(Code.BadArgument, -1, "a slot below " + trustSlots, "" + slot)
        return trustAt + slot * trustSlotSize
    }
}

function check(der: Buffer): Buffer {
    return cut(platform().sha256([der]), 0, checkSize)
}
