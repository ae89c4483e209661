import { DerReader } from "../core/der"
import type { Certificate } from "../core/x509"

/** The four octets of an IPv4 address in dotted decimals; undefined for anything else. */
export function addressOf(host: string): Buffer | undefined {
    const octets: number[] = [0]
    let digits = 0
    for (let i = 0; i < host.length; ++i) {
        const c = host.charCodeAt(i)
        const last = octets.length - 1
        if (c === 46 && digits > 0) {
            octets.push(0)
            digits = 0
        } else if (c >= 48 && c <= 57 && octets[last] < 26 && ++digits <= 3) octets[last] = octets[last] * 10 + c - 48
        else return undefined
        if (octets[octets.length - 1] > 255) return undefined
    }
    return octets.length === 4 && digits > 0 ? Buffer.from(octets) : undefined
}

/**
 * Does the subjectAltName of the certificate hold this host: as dNSName, whatever the case, or as iPAddress where it is an IPv4 address?
 * The common name does not count, and there are no wildcards (RFC 9525 6.3 leaves them to the application).
 */
export function namesHost(certificate: Certificate, host: string): boolean {
    if (certificate.alternativeNamesAt === 0) return false
    const address = addressOf(host)
    const wanted = address || Buffer.from(host.toLowerCase())
    const der = new DerReader(certificate.der, certificate.alternativeNamesAt, certificate.der.length)
    der.enter(0x30)
    while (der.more()) {
        const tag = der.data[der.at]
        der.read(-1)
        // RFC 5280 4.2.1.6: iPAddress [7], dNSName [2]
        if (tag !== (address ? 0x87 : 0x82) || der.stop - der.start !== wanted.length) continue
        if (address ? der.is(wanted) : sameName(der.data, der.start, wanted)) return true
    }
    return false
}

function sameName(data: Buffer, at: number, lower: Buffer): boolean {
    for (let i = 0; i < lower.length; ++i) {
        const c = data[at + i]
        if ((c >= 65 && c <= 90 ? c + 32 : c) !== lower[i]) return false
    }
    return true
}
