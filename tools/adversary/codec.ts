/** Big-endian numbers and length-prefixed vectors, as TLS writes them (RFC 8446 clause 3). */

export type Octets = Buffer | string

const bufferOf = (part: Octets) => (typeof part === "string" ? Buffer.from(part, "hex") : part)

/** One buffer of all parts; text is hex. */
export function octets(...parts: Octets[]): Buffer {
    return Buffer.concat(parts.map(bufferOf))
}

export function uint(width: number, value: number): Buffer {
    const out = Buffer.alloc(width)
    out.writeUIntBE(value, 0, width)
    return out
}

/** All parts with their length in front, in `width` octets. */
export function vector(width: number, ...parts: Octets[]): Buffer {
    const content = octets(...parts)
    return octets(uint(width, content.length), content)
}

export function extension(type: number, ...parts: Octets[]): Buffer {
    return octets(uint(2, type), vector(2, ...parts))
}

export function handshake(type: number, ...parts: Octets[]): Buffer {
    return octets(uint(1, type), vector(3, ...parts))
}

/** Reads what a peer wrote; throws where it is cut short. */
export class Reader {
    at = 0

    constructor(readonly data: Buffer) {}

    uint(width: number): number {
        const value = this.take(width)
        return width === 0 ? 0 : value.readUIntBE(0, width)
    }

    take(length: number): Buffer {
        if (this.at + length > this.data.length) throw new Error(`cut short at ${this.at}`)
        this.at += length
        return this.data.subarray(this.at - length, this.at)
    }

    vector(width: number): Buffer {
        return this.take(this.uint(width))
    }

    more(): boolean {
        return this.at < this.data.length
    }

    end(): void {
        if (this.more()) throw new Error(`${this.data.length - this.at} octets too many`)
    }
}

/** The extensions of a list without its length, in order. Throws where one stands twice. */
export function extensionsOf(list: Buffer): Map<number, Buffer> {
    const found = new Map<number, Buffer>()
    const reader = new Reader(list)
    while (reader.more()) {
        const type = reader.uint(2)
        if (found.has(type)) throw new Error(`extension ${type} stands twice`)
        found.set(type, reader.vector(2))
    }
    return found
}

export const Type = {
    clientHello: 1,
    serverHello: 2,
    newSessionTicket: 4,
    endOfEarlyData: 5,
    encryptedExtensions: 8,
    certificate: 11,
    certificateRequest: 13,
    certificateVerify: 15,
    finished: 20,
    keyUpdate: 24,
    messageHash: 254,
} as const

export const Ext = {
    serverName: 0,
    maxFragmentLength: 1,
    groups: 10,
    signatureAlgorithms: 13,
    recordSizeLimit: 28,
    preSharedKey: 41,
    earlyData: 42,
    versions: 43,
    cookie: 44,
    pskModes: 45,
    keyShare: 51,
} as const

export const Content = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const

/** ServerHello.random that makes it a HelloRetryRequest (clause 4.1.3). */
export const retryRandom = octets("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

export const secp256r1 = 0x0017
export const ecdsaSecp256r1Sha256 = 0x0403
