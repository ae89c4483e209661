/** What one order on `certificatesPath` says lies in a device's area (firmware/meter/README.md). */
export enum Brought {
    /** The first CERT_SM, its CA's certificate behind it. */
    provider = 1,
    /** A revocation list, the certificate of its issuer behind it where the device does not hold that. */
    list = 2,
}

/** Octets of a certificate that go into one file: meters take files of 1,024. */
const partOctets = 700

/** Values of the Sets on `certificatesPath` that bring `octets` into a device's area, in order; they prove nothing and need no signature. */
export function partValues(octets: Uint8Array): Buffer[] {
    const parts: Buffer[] = []
    for (let at = 0; at < octets.length; at += partOctets)
        parts.push(Buffer.concat([Buffer.of(0), half(at), octets.subarray(at, at + partOctets)]))
    return parts
}

/** The same, and behind them the order that says what lies there. */
export function bringValues(what: Brought, object: Uint8Array, issuer: Uint8Array = Buffer.alloc(0)): Buffer[] {
    const order = Buffer.concat([Buffer.of(what), half(object.length), half(issuer.length)])
    return [...partValues(Buffer.concat([object, issuer])), order]
}

function half(value: number): Buffer {
    const octets = Buffer.alloc(2)
    octets.writeUInt16BE(value)
    return octets
}
