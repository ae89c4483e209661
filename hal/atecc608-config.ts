import { Code, fail } from "../firmware/core/errors"
import { cut, sameOctets } from "../firmware/core/octets"
import { type Atecc608, elementCrc } from "./atecc608"

/**
 * Octets 16 to 127 of the configuration zone as this firmware needs them. Words marked in `ours` are compared
 * and written; the rest is the part's own (counters, user extra, lock octets, reserved).
 *
 * Slots 0 and 2 sign (external and internal, no ECDH), slot 1 also does ECDH; their private keys are made
 * inside by GenKey, never written, never read. Slots 3 to 7 are closed. Slots 8 to 15 are data, read and
 * written in clear.
 */
const wanted = hex`
    c0000000                                                            // I2C address, ChipMode 0
    8320 8720 8320 8f8f 8f8f 8f8f 8f8f 8f8f                             // SlotConfig 0..7
    0000 0000 0000 0000 0000 0000 0000 0000                             // SlotConfig 8..15
    ffffffff00000000 ffffffff00000000                                   // counters
    00000000 00000000 00000000 00000000                                 // UseLock .. KdfIvStr, reserved
    00005555                                                            // UserExtra, locks
    ffff0000                                                            // SlotLocked, ChipOptions: ECDH in clear
    00000000                                                            // X509format
    3300 3300 3300 1c00 1c00 1c00 1c00 1c00                             // KeyConfig 0..7
    3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00                             // KeyConfig 8..15
`
/** Words (4 octets) that are ours to set, 4 to 31. */
const ours = hex`0405060708090a0b0c 1112131416 1718191a1b1c1d1e1f`

const firstOctet = 16
const lockValue = 86
const lockConfig = 87
const open = 0x55

/** Lock octets of the zone, as one sees them. */
export interface ElementLocks {
    configuration: boolean
    data: boolean
}

/** State of both locks: `ImpossibleValue` for an octet that is neither. */
export function readLocks(part: Atecc608): ElementLocks {
    const block = part.readBlock(0, 16)
    return { configuration: isLocked(block[lockConfig - 64]), data: isLocked(block[lockValue - 64]) }
}

function isLocked(octet: number): boolean {
    if (octet !== 0 && octet !== open) fail(Code.ImpossibleValue, -1, "00 or 55 as lock octet", "" + octet)
    return octet === 0
}

/** All 128 octets of the configuration zone. */
export function readConfiguration(part: Atecc608): Buffer {
    const zone = Buffer.alloc(128)
    for (let block = 0; block < 4; ++block) zone.blitAt(32 * block, part.readBlock(0, 8 * block), 0, 32)
    return zone
}

/** Words of `zone` that differ from what this firmware needs; empty when the part fits. */
export function configurationDifference(zone: Buffer): number[] {
    const differing: number[] = []
    for (let i = 0; i < ours.length; ++i) {
        const at = 4 * ours[i]
        if (zone.getAt(at, "u32") !== wanted.getAt(at - firstOctet, "u32")) differing.push(ours[i])
    }
    return differing
}

/**
 * Writes what differs, reads all of it back, and locks the configuration zone against the CRC of what was
 * read. Final. Power may go between any two steps: the next call goes on. A part locked with
 * the right contents is done; with others it throws `ElementConfigForeign`, and no part can mend that.
 */
export function writeConfiguration(part: Atecc608): void {
    let zone = readConfiguration(part)
    const locked = isLocked(zone[lockConfig])
    const differing = configurationDifference(zone)
    if (locked) {
        if (differing.length > 0)
            fail(Code.ElementConfigForeign, 4 * differing[0], "our configuration", differing.length + " words differ")
        return
    }
    for (let i = 0; i < differing.length; ++i)
        part.write(0, differing[i], cut(wanted, 4 * differing[i] - firstOctet, 4))
    zone = readConfiguration(part)
    const wrong = configurationDifference(zone)
    if (wrong.length > 0)
        fail(Code.ReadBackMismatch, 4 * wrong[0], "the configuration just written", wrong.length + " words differ")
    part.lock(0, elementCrc(zone, 0, zone.length))
    const after = readConfiguration(part)
    if (!isLocked(after[lockConfig])) fail(Code.ReadBackMismatch, lockConfig, "a locked zone", "an open one")
    if (!sameOctets(cut(zone, firstOctet, 68), cut(after, firstOctet, 68)))
        fail(Code.ReadBackMismatch, firstOctet, "the configuration that was locked", "another")
}

/** Locks data and OTP zone: from here on slots follow their configuration. Final; `ElementLocked` the second time. */
export function lockData(part: Atecc608): void {
    const locks = readLocks(part)
    if (!locks.configuration) fail(Code.ElementNotLocked, lockConfig, "a locked configuration", "an open one")
    if (locks.data) fail(Code.ElementLocked, lockValue, "an open data zone", "a locked one")
    // No CRC: before the lock nothing in the zone can be read, so there is nothing to compare with.
    part.lock(0x81, 0)
    if (!readLocks(part).data) fail(Code.ReadBackMismatch, lockValue, "a locked data zone", "an open one")
}
