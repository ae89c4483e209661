import * as asn1 from "asn1js"

/** Largest LDAPMessage that is read, in octets. */
export const mostOctets = 1024 * 1024
/** Deepest nesting: a filter of some thirty levels. */
const mostDepth = 64
const mostNodes = 50_000

/** Octets are not BER as LDAP restricts it (RFC 4511 5.1). */
export class BerDamage extends Error {}

/** One BER element: the identifier octet, its content, and what is in it where it is constructed. */
export interface Ber {
    tag: number
    content: Buffer
    children: Ber[]
}

/** Reads one element that fills `octets`; depth, count and size are bounded. Throws `BerDamage`. */
export function readBer(octets: Buffer): Ber {
    let parsed: asn1.FromBerResult
    try {
        parsed = asn1.fromBER(octets, {
            maxDepth: mostDepth,
            maxNodes: mostNodes,
            maxContentLength: mostOctets,
            parseEmbedded: false,
        })
    } catch (error) {
        throw new BerDamage((error as Error).message)
    }
    if (parsed.offset !== octets.length) throw new BerDamage(parsed.result.error || "octets after the element")
    return convert(parsed.result)
}

function convert(block: asn1.AsnType): Ber {
    const { idBlock, lenBlock, valueBeforeDecodeView: whole } = block
    // RFC 4511 5.1 (1): only the definite form of length
    if (lenBlock.isIndefiniteForm) throw new BerDamage("a length of indefinite form")
    if (idBlock.tagNumber > 30) throw new BerDamage("a tag number above 30")
    const tag = ((idBlock.tagClass - 1) << 6) | (idBlock.isConstructed ? 0x20 : 0) | idBlock.tagNumber
    const content = Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength).subarray(
        idBlock.blockLength + lenBlock.blockLength,
    )
    const inner: unknown = idBlock.isConstructed ? (block.valueBlock as { value?: unknown }).value : undefined
    return { tag, content, children: Array.isArray(inner) ? inner.map(convert) : [] }
}

/** Cuts a stream into whole elements. Nothing is kept beyond one message of `mostOctets`. */
export class Framer {
    private parts: Buffer[] = []
    private held = 0
    private wanted = 0

    push(chunk: Buffer): void {
        this.parts.push(chunk)
        this.held += chunk.length
    }

    /** The next element where it is complete. Throws `BerDamage` where none of ours can follow. */
    next(): Buffer | undefined {
        if (this.wanted === 0) {
            const whole = Buffer.concat(this.parts)
            this.parts = [whole]
            this.wanted = elementLength(whole)
        }
        if (this.wanted === 0 || this.held < this.wanted) return undefined
        const whole = Buffer.concat(this.parts)
        const element = whole.subarray(0, this.wanted)
        this.parts = [whole.subarray(this.wanted)]
        this.held -= this.wanted
        this.wanted = 0
        return element
    }
}

/** Length of the LDAPMessage that begins here with all its octets; 0 while its length is not complete. */
function elementLength(octets: Buffer): number {
    if (octets.length > 0 && octets[0] !== 0x30) throw new BerDamage("an LDAPMessage begins with 30")
    if (octets.length < 2) return 0
    if (octets[1] < 0x80) return 2 + octets[1]
    const count = octets[1] & 0x7f
    if (count === 0 || count > 4) throw new BerDamage("a length of indefinite form, or of more than four octets")
    if (octets.length < 2 + count) return 0
    const length = octets.readUIntBE(2, count)
    if (length > mostOctets) throw new BerDamage(`a message of ${length} octets; at most ${mostOctets} are read`)
    return 2 + count + length
}

/** Elements to write; `toBER` of asn1js does it. */
export type Out = asn1.BaseBlock

export function sequence(...value: Out[]): Out {
    return new asn1.Sequence({ value: value as asn1.AsnType[] })
}

export function setOf(value: Out[]): Out {
    return new asn1.Set({ value: value as asn1.AsnType[] })
}

export function octetString(value: Buffer | string): Out {
    return new asn1.OctetString({ valueHex: bytesOf(value) })
}

export function integer(value: number): Out {
    return new asn1.Integer({ value })
}

export function enumerated(value: number): Out {
    return new asn1.Enumerated({ value })
}

/** [APPLICATION n], constructed. */
export function application(tagNumber: number, value: Out[]): Out {
    return new asn1.Constructed({ idBlock: { tagClass: 2, tagNumber }, value: value as asn1.AsnType[] })
}

/** [n] IMPLICIT OCTET STRING. */
export function contextOctets(tagNumber: number, value: Buffer | string): Out {
    return new asn1.Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex: bytesOf(value) })
}

export function toOctets(element: Out): Buffer {
    return Buffer.from(element.toBER(false))
}

function bytesOf(value: Buffer | string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(Buffer.from(value as string))
}
