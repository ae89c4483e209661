import { Code, fail } from "./errors"

/**
 * Octet helpers that mean the same in DeviceScript and in Node. Core code uses these instead of
 * `Buffer.slice`, `concat` and `indexOf`, whose meaning differs between the two.
 */

/** A copy of `length` octets from `offset`; throws `OutOfRange` unless they all lie inside `source`. */
export function cut(source: Buffer, offset: number, length: number): Buffer {
    if (!(offset >= 0 && length >= 0 && offset + length <= source.length))
        fail(Code.OutOfRange, offset, length + " octets", source.length - offset + " left")
    const copy = Buffer.alloc(length)
    if (length > 0) copy.blitAt(0, source, offset, length)
    return copy
}

/** `length` octets from an octet on of something that may lie outside the heap; throws `OutOfRange` beyond its end. */
export type OctetSource = (from: number, length: number) => Buffer

/** What lies in a buffer from `start` on, as a source. */
export function sourceOf(octets: Buffer, start = 0): OctetSource {
    return (from, length) => cut(octets, start + from, length)
}

/** One buffer of all `parts` in order. */
export function join(parts: Buffer[]): Buffer {
    let length = 0
    for (let i = 0; i < parts.length; ++i) length += parts[i].length
    const joined = Buffer.alloc(length)
    let at = 0
    for (let i = 0; i < parts.length; ++i) {
        joined.blitAt(at, parts[i], 0, parts[i].length)
        at += parts[i].length
    }
    return joined
}

/**
 * Compares content without stopping at the first difference. Lengths are public and compared first.
 * A bytecode VM gives no constant-time promise; this only avoids the early exit.
 */
export function sameOctets(a: Buffer, b: Buffer): boolean {
    if (a.length !== b.length) return false
    let difference = 0
    for (let i = 0; i < a.length; ++i) difference |= a[i] ^ b[i]
    return difference === 0
}

/** Unsigned big-endian number of `length` octets (1 to 6) at `offset`. */
export function uintBE(source: Buffer, offset: number, length: number): number {
    if (!(offset >= 0 && length >= 1 && length <= 6 && offset + length <= source.length))
        fail(Code.OutOfRange, offset, length + " octets", source.length - offset + " left")
    let value = 0
    for (let i = 0; i < length; ++i) value = value * 256 + source[offset + i]
    return value
}

/** `value` (below 2^48) as `octets` octets, most significant first. */
export function numberBE(octets: number, value: number): Buffer {
    const written = Buffer.alloc(octets)
    while (octets-- > 0) {
        written[octets] = value & 0xff
        value = Math.floor(value / 256)
    }
    return written
}

/**
 * Has the runtime collect its garbage, which it does after each 16 KB: what is allocated next lies close to what lives, and what is
 * free stays in long pieces. Without it the parts of a long exchange that live on would be strewn over all that is free.
 */
export function tidy(): void {
    for (let i = 0; i < 64; ++i) Buffer.alloc(244)
}
