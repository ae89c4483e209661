import { DerReader, sameAt } from "./der"
import { Code, fail } from "./errors"
import { uintBE } from "./octets"
import type { Certificate } from "./x509"

/** What a party is (design.md section 7); the numbers are those of the extension and never change. */
export enum Role {
    institute = 0,
    calibrationAuthority = 1,
    manufacturer = 2,
    securityManagement = 3,
    operator = 4,
    dataCollection = 5,
    energyProvider = 6,
    localOperator = 7,
    customer = 8,
    indicator = 9,
    meter = 16,
    muc = 17,
    concentrator = 18,
    directory = 19,
    /** The root over manufacturers and providers. */
    certificationAuthority = 20,
}

/** Content of the role extension. */
export interface PlombRole {
    /** 0 to 31, also one that `Role` does not name. */
    role: number
    /** 1 to 2147483647; a table that asks for a higher one turns the holders of this one out. */
    version: number
    /** Bit n (value 2^n): function n of the access table, 0 to 30. -1, all of them, where no rights are stated. */
    rights: number
}

/**
 * The role extension of a certificate, undefined where it has none. Private, 1.3.6.1.3.20556.1, and not critical,
 * so that other software passes over it; whoever decides by roles demands it. In DER:
 *
 *     PlombRole ::= SEQUENCE {
 *         role     INTEGER (0..31),
 *         version  INTEGER (1..2147483647),
 *         rights   BIT STRING (SIZE (0..31)) OPTIONAL }  -- named bits: bit n is function n of the access table
 *
 * Without `rights` the certificate narrows nothing: the access table alone says what its role may. With them the
 * holder has the functions that both name, and an empty string leaves it none. Refuses with code 21xx (not DER,
 * trailing zero bits of X.690 11.2.2 included) or `X509Extension` (a number out of its range).
 */
export function readRole(certificate: Certificate): PlombRole | undefined {
    if (certificate.roleAt === 0) return undefined
    const der = new DerReader(certificate.der, certificate.roleAt, certificate.der.length)
    der.enter(0x30)
    const role = natural(der, 31)
    const version = natural(der, 0x7fffffff)
    if (version === 0) fail(Code.X509Extension, der.start, "a version from 1", "0")
    let rights = -1
    if (der.more()) {
        rights = 0
        const unused = der.bits()
        const count = (der.stop - der.start) * 8 - unused
        if (count > 31) fail(Code.X509Extension, der.start, "at most 31 rights", "" + count)
        for (let i = 0; i < count; ++i) if (der.data[der.start + (i >> 3)] & (0x80 >> (i & 7))) rights |= 1 << i
        // X.690 11.2.2: a list of named bits ends with a bit that is set
        if (count > 0 && !(rights & (1 << (count - 1)))) fail(Code.DerValue, der.start, "a last bit of 1", "0")
    }
    der.leave(0)
    return { role: role, version: version, rights: rights }
}

function natural(der: DerReader, most: number): number {
    der.natural()
    const length = der.stop - der.start
    const value = length > 4 ? most + 1 : uintBE(der.data, der.start, length)
    if (value > most) fail(Code.X509Extension, der.start, "0 to " + most, "more")
    return value
}

/** Has the certificate this role? Looks at the number alone, in less code than `readRole`, for an image that asks no more. */
export function hasRole(certificate: Certificate, role: Role): boolean {
    const at = certificate.roleAt
    const head = Buffer.from([0x02, 0x01, role])
    return at > 0 && certificate.der[at] === 0x30 && sameAt(certificate.der, at + 2, head, 0, 3)
}
