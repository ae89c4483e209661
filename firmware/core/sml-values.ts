import { Code, fail } from "./errors"
import { cut } from "./octets"

/**
 * Values out of a message that `readFile` accepted. `at` is always the offset of an element's first type-length octet;
 * these functions trust the structure and check nothing again.
 */

/** Offset of the first value octet of the element at `at`. */
export function valueAt(octets: Buffer, at: number): number {
    let value = at
    while (octets[value] & 0x80) ++value
    return value + 1
}

/** Offset behind the element at `at`, with all it holds. */
export function behindAt(octets: Buffer, at: number): number {
    let next = at
    let left = 1
    while (left > 0) {
        const first = next
        let length = octets[next] & 15
        while (octets[next] & 0x80) length = length * 16 + (octets[++next] & 15)
        ++next
        --left
        if ((octets[first] & 0x70) === 0x70) left += length
        else next = first + length
    }
    return next
}

/** Is the optional element at `at` left out? An empty octet string looks the same. */
export function isAbsent(octets: Buffer, at: number): boolean {
    return octets[at] === 1
}

/** A copy of the octet string's octets (of an integer: its octets as sent); empty if absent. */
export function octetsAt(octets: Buffer, at: number): Buffer {
    const value = valueAt(octets, at)
    return cut(octets, value, behindAt(octets, at) - value)
}

/** The integer (type 5 signed, else unsigned) at `at`; absent counts as 0. Throws `OutOfRange` beyond 2^53: take its octets. */
export function integerAt(octets: Buffer, at: number): number {
    const head = octets[at]
    const end = at + (head & 15)
    let value = (head & 0x70) === 0x50 && octets[at + 1] > 127 ? -1 : 0
    for (let i = at + 1; i < end; ++i) value = value * 256 + octets[i]
    if (value > 9007199254740991 || value < -9007199254740991) fail(Code.OutOfRange, at, "53 bits", "" + value)
    return value
}

/** Offsets of the elements of the list at `at`; none if it is absent. */
export function childrenAt(octets: Buffer, at: number): number[] {
    const children: number[] = []
    if (octets[at] === 1) return children
    let count = octets[at] & 15
    let next = at
    while (octets[next] & 0x80) count = count * 16 + (octets[++next] & 15)
    ++next
    for (let i = 0; i < count; ++i) {
        children.push(next)
        next = behindAt(octets, next)
    }
    return children
}

/** The octet strings of the list at `at` (a TreePath); none if it is absent. */
export function pathAt(octets: Buffer, at: number): Buffer[] {
    const path: Buffer[] = []
    const children = childrenAt(octets, at)
    for (let i = 0; i < children.length; ++i) path.push(octetsAt(octets, children[i]))
    return path
}

/** The octet string that is the own value of the Tree at `at`; empty where it has none, or one of another type. */
export function treeOctets(octets: Buffer, at: number): Buffer {
    const value = childrenAt(octets, at)[1]
    // ProcParValue: a choice whose tag 1 is a Value.
    if (octets[value] !== 0x72 || octets[value + 2] !== 1 || (octets[value + 3] & 0x70) !== 0) return hex``
    return octetsAt(octets, value + 3)
}

/** No time given. */
export const TIME_ABSENT = 0
/** Running seconds of the device, no calendar. */
export const TIME_SEC_INDEX = 1
/** Seconds since 1970-01-01 UTC (some meters: local time). */
export const TIME_STAMP = 2
/** Seconds since 1970-01-01 UTC with two offsets in minutes. */
export const TIME_LOCAL = 3

/** Which of the `TIME_` kinds stands at `at`; a bare unsigned counts as secIndex. */
export function timeKindAt(octets: Buffer, at: number): number {
    if (octets[at] === 1) return TIME_ABSENT
    return octets[at] === 0x72 ? octets[at + 2] : TIME_SEC_INDEX
}

/** The seconds of the Time at `at`, of whatever kind; 0 if absent. */
export function secondsAt(octets: Buffer, at: number): number {
    if (octets[at] !== 0x72) return integerAt(octets, at)
    return integerAt(octets, octets[at + 2] === TIME_LOCAL ? at + 4 : at + 3)
}
