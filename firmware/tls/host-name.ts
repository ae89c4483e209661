import { DerReader } from "../core/der"
import { cut, sameOctets } from "../core/octets"
import type { Certificate } from "../core/x509"

/** The four octets of an IPv4 address in dotted decimals; undefined for anything else. */
export function addressOf(host: string): Buffer | undefined {
    const address = Buffer.alloc(4)
    let rest = host
    for (let i = 0; i < 4; ++i) {
        const end = i < 3 ? rest.indexOf(".") : rest.length
        const digits = rest.slice(0, Math.max(0, end))
        const value = parseInt(digits)
        if (!(value >= 0 && value <= 255) || value + "" !== digits) return undefined
        address[i] = value
        rest = rest.slice(end + 1)
    }
    return address
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
        // RFC 5280 4.2.1.6: iPAddress [7], dNSName [2]
        const due = der.sees(address ? 0x87 : 0x82)
        der.read(-1)
        if (!due || der.stop - der.start !== wanted.length) continue
        const name = cut(der.data, der.start, wanted.length)
        for (let i = 0; i < name.length && !address; ++i) if (name[i] >= 65 && name[i] <= 90) name[i] = name[i] + 32
        if (sameOctets(name, wanted)) return true
    }
    return false
}
