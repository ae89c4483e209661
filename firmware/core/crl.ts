import { DerReader } from "./der"
import { Code, fail } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"
import type { Certificate } from "./x509"
import { readAuthorityKeyId } from "./x509"
import { Extensions } from "./x509-extensions"
import { emptyName, readName } from "./x509-name"
import { closeSigned, openSigned, readAlgorithm, readTime, Signed } from "./x509-parts"

/** A complete, direct revocation list of one issuer (RFC 5280 5). Offsets point into `der`. */
export class Crl extends Signed {
    issuerAt = 0
    /** Seconds since 1970 UTC. */
    thisUpdate = 0
    nextUpdate = 0
    authorityKeyId: Buffer | undefined
    /** cRLNumber (RFC 5280 5.2.3): content octets of the INTEGER; compare with `laterNumber`. */
    number: Buffer
    /** Entries, 0 to 0 where there are none. */
    entriesAt = 0
    entriesEnd = 0

    constructor(der: Buffer) {
        super(der)
        this.number = der
    }
}

/** Reads one DER revocation list, which must fill the buffer. Refuses with code 21xx or 22xx. */
export function parseCrl(der: Buffer): Crl {
    const crl = new Crl(der)
    const reader = openSigned(crl)
    // RFC 5280 5.1.2.1: version 2
    if (reader.small() !== 1) fail(Code.X509Version, reader.start, "version 2", "another")
    readAlgorithm(crl, reader)
    crl.issuerAt = readName(reader)
    // RFC 5280 5.1.2.3: the issuer is named
    if (emptyName(der, crl.issuerAt)) fail(Code.X509Name, crl.issuerAt, "a named issuer", "none")
    crl.thisUpdate = readTime(reader)
    // RFC 5280 5.1.2.5: nextUpdate is present
    crl.nextUpdate = readTime(reader)
    if (reader.sees(0x30)) readEntries(crl, reader)
    // RFC 5280 5.1.2.7, 5.2.3: extensions with the list's number are present
    const explicit = reader.enter(0xa0)
    const extensions = new Extensions(reader)
    while (extensions.next()) {
        if (extensions.id === 35) crl.authorityKeyId = readAuthorityKeyId(reader)
        else if (extensions.id === 20) {
            reader.natural()
            if (reader.stop - reader.start > 20) fail(Code.X509Extension, reader.start, "20 octets", "more")
            crl.number = cut(der, reader.start, reader.stop - reader.start)
        } else if (extensions.id === 27 || extensions.id === 28)
            // RFC 5280 5.2.4, 5.2.5: deltas and lists that are partial or indirect are not part of this architecture
            fail(Code.CrlKind, reader.at, "a complete list", "a delta, partial or indirect one")
        else extensions.pass()
    }
    reader.leave(explicit)
    if (crl.number === der) fail(Code.X509Extension, explicit, "a list with a number", "none")
    closeSigned(crl, reader)
    return crl
}

function readEntries(crl: Crl, der: DerReader): void {
    const end = der.enter(0x30)
    crl.entriesAt = der.at
    crl.entriesEnd = der.end
    let count = 0
    // RFC 5280 5.1.2.6: where nothing is revoked the list is absent, so there is one entry at least
    for (;;) {
        const entry = der.enter(0x30)
        der.natural()
        readTime(der)
        if (der.more()) {
            const extensions = new Extensions(der)
            // RFC 5280 5.3: an unknown critical entry extension makes the list unusable
            while (extensions.next()) extensions.pass()
        }
        der.leave(entry)
        if (!der.more()) break
        if ((++count & 15) === 0) platform().yieldNow()
    }
    der.leave(end)
}

/** Is the cRLNumber `a` higher than `b`? Both as `Crl.number`, or empty for none, which is lower than any. */
export function laterNumber(a: Buffer, b: Buffer): boolean {
    // DER has the fewest octets, so more of them are a higher number.
    if (a.length !== b.length) return a.length > b.length
    for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return a[i] > b[i]
    return false
}

/** When the certificate was revoked, seconds since 1970 UTC, or -1 where the list does not hold it. */
export function revokedAt(crl: Crl, certificate: Certificate): number {
    const der = new DerReader(crl.der, crl.entriesAt, crl.entriesEnd)
    let count = 0
    while (der.more()) {
        const entry = der.enter(0x30)
        der.read(2)
        if (der.is(certificate.serial)) return readTime(der)
        der.at = der.end
        der.end = entry
        if ((++count & 63) === 0) platform().yieldNow()
    }
    return -1
}
