import { join } from "./octets"

/** One DER element: tag, shortest length, the parts as content (up to 65,535 octets). */
export function element(tag: number, parts: Buffer[]): Buffer {
    const content = join(parts)
    const length = content.length
    let header = [tag, length]
    if (length > 255) header = [tag, 0x82, length >> 8, length & 0xff]
    else if (length > 127) header = [tag, 0x81, length]
    return join([Buffer.from(header), content])
}

/** r|s, 64 octets, to ECDSA-Sig-Value (RFC 3279 2.2.3). */
export function ecdsaToDer(signature: Buffer): Buffer {
    return element(0x30, [natural(signature, 0), natural(signature, 32)])
}

/** INTEGER of the 32 octets at `at`, most significant first, in the fewest octets. */
function natural(source: Buffer, at: number): Buffer {
    let zeros = 0
    while (zeros < 31 && source[at + zeros] === 0) zeros++
    // A high first bit would read as negative: one zero octet before it
    const pad = source[at + zeros] >> 7
    const content = Buffer.alloc(32 - zeros + pad)
    content.blitAt(pad, source, at + zeros, 32 - zeros)
    return element(0x02, [content])
}
