/** A small strict DER reader (X.690 clauses 8 and 10) for certificates and revocation lists. */

/** Octets that are no DER: where, and what is wrong. */
export class DerDamage extends Error {
    constructor(
        readonly at: number,
        readonly what: string,
    ) {
        super(`DER octet ${at}: ${what}`)
        this.name = "DerDamage"
    }
}

/** One element: its tag octet and its span in `octets`. */
export interface DerNode {
    octets: Buffer
    tag: number
    start: number
    valueStart: number
    end: number
}

/** Reads the element at `at`, which must end at or before `limit`; throws `DerDamage`. */
export function readDer(octets: Buffer, at = 0, limit = octets.length): DerNode {
    if (at + 2 > limit) throw new DerDamage(at, "an element was expected, came the end")
    const tag = octets[at]
    if ((tag & 31) === 31) throw new DerDamage(at, "a tag of more than one octet")
    let length = octets[at + 1]
    let valueStart = at + 2
    if (length >= 0x80) {
        const count = length & 0x7f
        if (count === 0 || count > 4) throw new DerDamage(at + 1, `a length of ${count} octets`)
        if (valueStart + count > limit) throw new DerDamage(at + 1, "the length is cut off")
        length = octets.readUIntBE(valueStart, count)
        if (length < 128 || octets[valueStart] === 0) throw new DerDamage(at + 1, "a length that is not the shortest")
        valueStart += count
    }
    if (length > limit - valueStart) throw new DerDamage(at, `${length} octets where ${limit - valueStart} are left`)
    return { octets, tag, start: at, valueStart, end: valueStart + length }
}

/** The elements inside a constructed element. */
export function inside(node: DerNode): DerNode[] {
    const nodes: DerNode[] = []
    for (let at = node.valueStart; at < node.end; ) {
        const next = readDer(node.octets, at, node.end)
        nodes.push(next)
        at = next.end
    }
    return nodes
}

/** Demands a tag; throws `DerDamage`. */
export function demand(node: DerNode | undefined, tag: number, what: string): DerNode {
    if (!node) throw new DerDamage(-1, `${what} is absent`)
    if (node.tag !== tag)
        throw new DerDamage(node.start, `${what}: tag ${tag.toString(16)} was expected, came ${node.tag.toString(16)}`)
    return node
}

/** The element with its tag and length. */
export function whole(node: DerNode): Buffer {
    return node.octets.subarray(node.start, node.end)
}

/** The element's value octets. */
export function contentOf(node: DerNode): Buffer {
    return node.octets.subarray(node.valueStart, node.end)
}

/** UTCTime or GeneralizedTime in the only forms RFC 5280 clause 4.1.2.5 allows; UTC seconds. */
export function timeOf(node: DerNode): number {
    const text = contentOf(node).toString("latin1")
    const match =
        node.tag === 0x17
            ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
            : node.tag === 0x18
              ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
              : null
    if (!match) throw new DerDamage(node.start, "a time as YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ was expected")
    const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
    const fullYear = node.tag === 0x18 ? year : year < 50 ? 2000 + year : 1900 + year
    const moment = new Date(Date.UTC(fullYear, month - 1, day, hour, minute, second))
    if (moment.getUTCMonth() !== month - 1 || moment.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59)
        throw new DerDamage(node.start, "a date that exists was expected")
    return moment.getTime() / 1000
}

/** OBJECT IDENTIFIER in dots. */
export function oidOf(node: DerNode): string {
    const arcs: number[] = []
    let arc = 0
    for (const octet of contentOf(demand(node, 6, "an object identifier"))) {
        arc = arc * 128 + (octet & 127)
        if (arc > Number.MAX_SAFE_INTEGER) throw new DerDamage(node.start, "an object identifier too large")
        if (octet < 128) {
            arcs.push(arc)
            arc = 0
        }
    }
    if (arcs.length === 0) throw new DerDamage(node.start, "an empty object identifier")
    const first = Math.min(2, Math.trunc(arcs[0] / 40))
    return [first, arcs[0] - 40 * first, ...arcs.slice(1)].join(".")
}
