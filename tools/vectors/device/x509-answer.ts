import { verifyChain } from "../../../firmware/core/chain"
import { type Crl, parseCrl } from "../../../firmware/core/crl"
import { parseCsr } from "../../../firmware/core/csr"
import { Code, fail } from "../../../firmware/core/errors"
import { cut, uintBE } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { type Certificate, parseCertificate } from "../../../firmware/core/x509"

/**
 * Puts one question about X.509 to the core; the reply is one octet 1, or the core's error. The request is
 * kind U8, then for kind
 * 1, 2, 3: one certificate, revocation list or PKCS#10 request, to be read;
 * 4: paths to be validated: moment F64 LE (seconds since 1970), most intermediates U8 (255: not told),
 *    length U8 and content of the extended key usage asked for (0: none), then certificates, anchors, lists
 *    (each group: count U8, then length U16 BE and DER of each), then the paths: count U8, then of each its
 *    length U8 and the numbers U8 of its certificates, leaf first.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    const kind = request[0]
    if (kind === 4) validate(request)
    else {
        const der = cut(request, 1, request.length - 1)
        if (kind === 1) parseCertificate(der)
        else if (kind === 2) parseCrl(der)
        else if (kind === 3) parseCsr(der)
        else fail(Code.BadArgument, 0, "kind 1 to 4", "" + kind)
    }
    return hex`01`
}

let at = 0

function octets(request: Buffer, length: number): Buffer {
    at += length
    return cut(request, at - length, length)
}

function group(request: Buffer): Buffer[] {
    const ders: Buffer[] = []
    const count = octets(request, 1)[0]
    for (let i = 0; i < count; ++i) ders.push(octets(request, uintBE(octets(request, 2), 0, 2)))
    return ders
}

/** Certificates that parse; those that do not are left out unless nothing is left. */
function usable(ders: Buffer[]): Certificate[] {
    const certificates: Certificate[] = []
    for (let i = 0; i < ders.length; ++i)
        try {
            certificates.push(parseCertificate(ders[i]))
        } catch (error) {
            if (i === ders.length - 1 && certificates.length === 0) throw error
        }
    return certificates
}

function validate(request: Buffer): void {
    at = 1
    const atSeconds = octets(request, 8).getAt(0, "f64")
    const most = octets(request, 1)[0]
    const usage = octets(request, octets(request, 1)[0])
    const ders = group(request)
    const anchors = usable(group(request))
    const lists = group(request)
    const crls: Crl[] = []
    for (let i = 0; i < lists.length; ++i) crls.push(parseCrl(lists[i]))
    const paths = octets(request, 1)[0]
    for (let i = 0; i < paths; ++i) {
        const path = octets(request, octets(request, 1)[0])
        try {
            const chain: Certificate[] = []
            for (let j = 0; j < path.length; ++j) {
                chain.push(parseCertificate(ders[path[j]]))
                platform().yieldNow()
            }
            verifyChain({
                chain: chain,
                anchors: anchors,
                atSeconds: atSeconds,
                crls: crls,
                extendedKeyUsage: usage.length > 0 ? usage : undefined,
                maxIntermediates: most === 255 ? undefined : most,
            })
            return
        } catch (error) {
            // Another path may hold; what is told is why the last one did not
            if (i === paths - 1) throw error
        }
    }
    fail(Code.BadArgument, at, "a path", "none")
}
