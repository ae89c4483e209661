import { ecdsaToDer, element } from "./der-write"
import { Code, fail } from "./errors"
import { platform } from "./platform"
import { nameText, readName } from "./x509-name"
import { closeSigned, openSigned, readPublicKey, Signed, verifySigned } from "./x509-parts"

/** Who makes the request: the holder of the new key (`KeyCustody` of hal/ports is one). */
export interface Requester {
    /** X|Y, 64 octets. */
    publicKey(): Buffer
    /** r|s, 64 octets, over a digest of 32. */
    sign(digest: Buffer): Buffer
}

/**
 * A PKCS#10 request (RFC 2986) in DER for the subject CN=`commonName`, serialNumber=`serialNumber`
 * (RFC 5280 appendix A; ASCII of PrintableString, each at most 64), signed with the key it asks for.
 */
export function writeCsr(commonName: string, serialNumber: string, requester: Requester): Buffer {
    const body = element(0x30, [
        hex`020100`,
        element(0x30, [attribute(hex`0603550403`, 0x0c, commonName), attribute(hex`0603550405`, 0x13, serialNumber)]),
        hex`3059301306072a8648ce3d020106082a8648ce3d03010703420004`,
        requester.publicKey(),
        hex`a000`,
    ])
    const signature = ecdsaToDer(requester.sign(platform().sha256([body])))
    return element(0x30, [body, hex`300a06082a8648ce3d040302`, element(0x03, [hex`00`, signature])])
}

function attribute(oid: Buffer, tag: number, value: string): Buffer {
    return element(0x31, [element(0x30, [oid, element(tag, [Buffer.from(value, "utf8")])])])
}

/** A request that was read: who asks, and the key. */
export class Csr extends Signed {
    subjectAt = 0
    commonName = ""
    serialNumber = ""
    /** X|Y, 64 octets. */
    publicKey: Buffer

    constructor(der: Buffer) {
        super(der)
        this.publicKey = der
    }
}

/** Reads a DER request that fills the buffer and checks the proof of possession; throws 21xx, 22xx or `CsrSignature`. */
export function parseCsr(der: Buffer): Csr {
    const csr = new Csr(der)
    const reader = openSigned(csr)
    // RFC 2986 4.1: version 1 has the number 0
    if (reader.small() !== 0) fail(Code.X509Version, reader.start, "version 1", "another")
    csr.subjectAt = readName(reader)
    csr.publicKey = readPublicKey(csr, reader)
    reader.read(0xa0)
    closeSigned(csr, reader)
    csr.commonName = nameText(der, csr.subjectAt, 3)
    csr.serialNumber = nameText(der, csr.subjectAt, 5)
    // RFC 2986 4.2: signed with the subject's key
    if (!verifySigned(csr, csr.publicKey))
        fail(Code.CsrSignature, csr.bodyEnd, "a proof of possession", "another signature")
    return csr
}
