/** An element as the core saw it, in the words of the `.expected.json` files. */
export type Element = null | Element[] | { hex: string } | { boolean: boolean } | Integer

export interface Integer {
    signed: boolean
    /** Octets sent. */
    width: number
    value: bigint
}

export interface DumpedMessage {
    tag: number
    flags: number
    transactionId: string
    groupNo: number
    abortOnError: number
    body: Element[]
}

export interface DumpedFile {
    flags: number
    crc: number
    messages: DumpedMessage[]
}

/** A number the core could not give exactly as a double; see `sml-answer.ts`. */
const beyond = 1e300

export function isInteger(element: Element): element is Integer {
    return element !== null && "width" in element
}

/** Reads the reply of function 1 of `sml-answer.ts`. Throws where the core's number differs from the octets it comes from. */
export function readDump(dump: Buffer): DumpedFile {
    let at = 2
    const element = (): Element => {
        const kind = dump[at++]
        if (kind === 0xff) return null
        if (kind === 0x70) {
            at += 2
            return Array.from({ length: dump.readUInt16LE(at - 2) }, element)
        }
        if (kind === 0) {
            const length = dump.readUInt16LE(at)
            at += 2 + length
            return { hex: dump.toString("hex", at - length, at) }
        }
        if (kind === 0x40) return { boolean: dump[at++] !== 0 }
        const width = kind & 15
        const signed = (kind & 0x70) === 0x50
        const given = dump.readDoubleLE(at)
        at += 8 + width
        const octets = BigInt("0x" + dump.toString("hex", at - width, at))
        const value = signed ? BigInt.asIntN(8 * width, octets) : octets
        const magnitude = value < 0n ? -value : value
        if (magnitude < 2n ** 53n ? BigInt(given) !== value : given !== beyond)
            throw new Error(`the core read ${value} as ${given}`)
        return { signed, width, value }
    }
    const messages: DumpedMessage[] = []
    while (at < dump.length) {
        const tag = dump.readUInt16LE(at)
        const flags = dump[at + 2]
        at += 3
        const [transactionId, groupNo, abortOnError, body] = [element(), element(), element(), element()]
        messages.push({
            tag,
            flags,
            transactionId: transactionId === null ? "" : (transactionId as { hex: string }).hex,
            groupNo: Number((groupNo as Integer).value),
            abortOnError: Number((abortOnError as Integer).value),
            body: Array.isArray(body) ? body : [body],
        })
    }
    return { flags: dump[0], crc: dump[1], messages }
}
