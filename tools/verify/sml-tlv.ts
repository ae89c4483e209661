/**
 * SML type-length-value reader of the verifier. Written from the format's description and not from
 * `firmware/core`, so that a mistake in one of the two shows as a disagreement.
 */

/** Octets that are no SML: where, what was expected, what came. */
export class SmlDamage extends Error {
    constructor(
        readonly at: number,
        readonly expected: string,
        readonly came: string,
    ) {
        super(`at octet ${at}: expected ${expected}, came ${came}`)
        this.name = "SmlDamage"
    }
}

/** One element with its span in the octets it was read from; `start` is its first type-length octet. */
export interface SmlNode {
    type: "octets" | "boolean" | "int" | "uint" | "list" | "absent"
    start: number
    /** First octet of the value (of the first child for a list). */
    valueStart: number
    end: number
    items: SmlNode[]
}

const maxDepth = 16
const maxLengthOctets = 4

function byteText(octets: Uint8Array, at: number): string {
    return at < octets.length ? `octet ${octets[at].toString(16).padStart(2, "0")}` : "the end"
}

/** Reads the element at `at`, which must end at or before `limit`; throws `SmlDamage`. */
export function readNode(octets: Uint8Array, at: number, limit: number, depth = 0): SmlNode {
    if (depth > maxDepth) throw new SmlDamage(at, `at most ${maxDepth} lists inside each other`, "one more")
    if (at >= limit) throw new SmlDamage(at, "an element", "the end")
    const start = at
    const kind = (octets[at] >> 4) & 7
    let length = octets[at] & 15
    let more = octets[at] >= 0x80
    ++at
    while (more) {
        if (at - start >= maxLengthOctets) throw new SmlDamage(at, `at most ${maxLengthOctets} length octets`, "more")
        if (at >= limit) throw new SmlDamage(at, "a length octet", "the end")
        if (octets[at] & 0x70) throw new SmlDamage(at, "a length octet x0 to xF or 8x", byteText(octets, at))
        length = length * 16 + (octets[at] & 15)
        more = octets[at] >= 0x80
        ++at
    }
    const long = at - start > 1
    if (kind === 7) {
        if (length > limit - at) throw new SmlDamage(start, `a list of at most ${limit - at} elements`, `${length}`)
        if (length === 0) throw new SmlDamage(start, "a list with elements", "an empty one")
        const items: SmlNode[] = []
        const valueStart = at
        for (let i = 0; i < length; ++i) {
            const item = readNode(octets, at, limit, depth + 1)
            items.push(item)
            at = item.end
        }
        return { type: "list", start, valueStart, end: at, items }
    }
    const width = length - (at - start)
    if (width < 0) throw new SmlDamage(start, "a length that counts its own octets", `${length}`)
    if (at + width > limit) throw new SmlDamage(start, `a value of at most ${limit - at} octets`, `${width}`)
    const node: SmlNode = { type: "octets", start, valueStart: at, end: at + width, items: [] }
    if (kind === 0) {
        if (width === 0) node.type = "absent"
        return node
    }
    if (long) throw new SmlDamage(start, "one length octet for a number", `${at - start}`)
    if (kind === 4) {
        if (width !== 1) throw new SmlDamage(start, "a boolean of one octet", `${width}`)
        node.type = "boolean"
        return node
    }
    if (kind !== 5 && kind !== 6) throw new SmlDamage(start, "a known type", `type ${kind}`)
    if (width < 1 || width > 8) throw new SmlDamage(start, "a number of 1 to 8 octets", `${width}`)
    node.type = kind === 5 ? "int" : "uint"
    return node
}

/** Demands a list of exactly `count` elements; throws `SmlDamage` otherwise. */
export function listOf(node: SmlNode, count: number, what: string): SmlNode[] {
    if (node.type !== "list" || node.items.length !== count)
        throw new SmlDamage(node.start, `${what}: a list of ${count}`, describe(node))
    return node.items
}

/** Demands any list; throws `SmlDamage` otherwise. */
export function anyList(node: SmlNode, what: string): SmlNode[] {
    if (node.type !== "list") throw new SmlDamage(node.start, `${what}: a list`, describe(node))
    return node.items
}

/** The octets of an octet string; an absent one is empty. Throws `SmlDamage` for any other type. */
export function octetsOf(octets: Buffer, node: SmlNode, what: string): Buffer {
    if (node.type !== "octets" && node.type !== "absent")
        throw new SmlDamage(node.start, `${what}: an octet string`, describe(node))
    return octets.subarray(node.valueStart, node.end)
}

/** An unsigned number of at most `widest` octets; throws `SmlDamage` otherwise. */
export function uintOf(octets: Buffer, node: SmlNode, what: string, widest = 8): bigint {
    if (node.type !== "uint" || node.end - node.valueStart > widest)
        throw new SmlDamage(node.start, `${what}: an unsigned number of at most ${widest} octets`, describe(node))
    return BigInt(`0x${octets.toString("hex", node.valueStart, node.end)}`)
}

/** A signed number (two's complement) of at most `widest` octets; throws `SmlDamage` otherwise. */
export function intOf(octets: Buffer, node: SmlNode, what: string, widest = 8): bigint {
    if (node.type !== "int" || node.end - node.valueStart > widest)
        throw new SmlDamage(node.start, `${what}: a signed number of at most ${widest} octets`, describe(node))
    const width = node.end - node.valueStart
    return BigInt.asIntN(8 * width, BigInt(`0x${octets.toString("hex", node.valueStart, node.end)}`))
}

/** Type and size of an element in words. */
export function describe(node: SmlNode): string {
    if (node.type === "absent") return "nothing"
    if (node.type === "list") return `a list of ${node.items.length}`
    return `${node.type} of ${node.end - node.valueStart} octets`
}
