import { isIP } from "node:net"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { type PlombRole, readRole } from "../../firmware/core/x509-role.ts"
import { PkiError } from "./files.ts"
import { x509 } from "./x509.ts"

/** Object identifier of the role extension (firmware/core/x509-role.ts). */
export const roleOid = "1.3.6.1.3.20556.1"

/** The version of a role unless told otherwise; a component's table that asks for a higher one turns these out. */
export const firstVersion = 1

/** The role that a certificate states, read by the core as a device reads it. Throws a `PlombError` where it does not parse. */
export function roleOf(certificate: x509.X509Certificate): PlombRole | undefined {
    return readRole(parseCertificate(Buffer.from(certificate.rawData)))
}

/** The role extension, not critical. */
export function roleExtensionOf(role: PlombRole): x509.Extension {
    return new x509.Extension(roleOid, false, roleValue(role))
}

/** DER of a PlombRole; `rights` -1 leaves them out. */
export function roleValue({ role, version, rights }: PlombRole): Uint8Array<ArrayBuffer> {
    const count = rights < 0 ? 0 : 32 - Math.clz32(rights)
    const bits = new Uint8Array(Math.ceil(count / 8))
    for (let i = 0; i < count; ++i) if (rights & (1 << i)) bits[i >> 3] |= 0x80 >> (i & 7)
    const content = [...derNatural(role), ...derNatural(version)]
    if (rights >= 0) content.push(3, bits.length + 1, bits.length * 8 - count, ...bits)
    return new Uint8Array([0x30, content.length, ...content])
}

/** DER of an INTEGER that is not negative. */
export function derNatural(value: number): Uint8Array<ArrayBuffer> {
    const digits = value.toString(16)
    const octets = Buffer.from(digits.length % 2 ? `0${digits}` : digits, "hex")
    const content = octets[0] > 127 ? Buffer.concat([Buffer.alloc(1), octets]) : octets
    return new Uint8Array([2, content.length, ...content])
}

/** The extension that names the holder's HSS public key (firmware/core/package.ts); none for none. */
export function hssExtensions(publicKey?: Uint8Array): x509.Extension[] {
    if (!publicKey) return []
    return [new x509.Extension("1.3.6.1.3.20556.2", false, new Uint8Array([4, publicKey.length, ...publicKey]))]
}

/**
 * The extensions of a party that is reached, or reaches others, at these names and addresses: subjectAltName
 * (RFC 5280 4.2.1.6) and extended key usage for both ends of TLS. None for none.
 */
export function hostExtensions(hosts: readonly string[]): x509.Extension[] {
    if (hosts.length === 0) return []
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage
    const names = hosts.map(host => ({ type: isIP(host) ? "ip" : "dns", value: host }) as x509.JsonGeneralName)
    return [
        new x509.SubjectAlternativeNameExtension(names),
        new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
    ]
}

/** A host name (RFC 1123 2.1, in lower case) or an IP address; throws a `PkiError` for anything else. */
export function checkHost(host: string): string {
    if (isIP(host)) return host
    const name = host.toLowerCase()
    const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
    if (name.length > 253 || !name.split(".").every(part => label.test(part)) || /^[0-9.]+$/.test(name))
        throw new PkiError(`"${host}" is neither a host name nor an IP address`)
    return name
}
