import { join, numberBE } from "../core/octets"

/** A vector (RFC 8446 3.4) whose length has `octets` octets. */
export function vector(octets: number, parts: Buffer[]): Buffer {
    const content = join(parts)
    return join([numberBE(octets, content.length), content])
}

export function extension(type: number, parts: Buffer[]): Buffer {
    return join([numberBE(2, type), vector(2, parts)])
}

/** A handshake message (RFC 8446 clause 4). */
export function handshake(type: number, parts: Buffer[]): Buffer {
    return join([numberBE(1, type), vector(3, parts)])
}
