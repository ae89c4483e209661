import { deriveSecret, hkdfExpand, hkdfExpandLabel, hkdfExtract } from "../../../firmware/core/hkdf"
import { cut, join } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"

/**
 * The first octet says what is asked; the request is fields, each after its length U16 LE.
 * 0 HMAC-SHA-256: key, message: 32 octets
 * 1 HKDF-SHA-256: input key material, salt, info, length U16 LE: as many octets
 * 2 Key schedule of TLS 1.3 (RFC 8446 clause 7.1): pre-shared key, shared secret, transcript hash up to ClientHello, ServerHello,
 *   server Finished, client Finished: 11 secrets of 32 octets, in the order of the clause
 * 3 Keys of a traffic secret (clause 7.3): secret: key 16, nonce 12
 */
export function answer(request: Buffer): Buffer {
    const fields: Buffer[] = []
    for (let at = 1; at < request.length; ) {
        const length = request.getAt(at, "u16")
        fields.push(cut(request, at + 2, length))
        at += 2 + length
    }
    if (request[0] === 0) return platform().hmacSha256(fields[0], [fields[1]])
    if (request[0] === 1) return hkdfExpand(hkdfExtract(fields[1], fields[0]), fields[2], fields[3].getAt(0, "u16"))
    const none = Buffer.alloc(0)
    if (request[0] === 3)
        return join([hkdfExpandLabel(fields[0], "key", none, 16), hkdfExpandLabel(fields[0], "iv", none, 12)])
    const nothing = platform().sha256([])
    const early = hkdfExtract(Buffer.alloc(32), fields[0])
    const handshake = hkdfExtract(deriveSecret(early, "derived", nothing), fields[1])
    const master = hkdfExtract(deriveSecret(handshake, "derived", nothing), Buffer.alloc(32))
    return join([
        early,
        deriveSecret(early, "c e traffic", fields[2]),
        deriveSecret(early, "e exp master", fields[2]),
        handshake,
        deriveSecret(handshake, "c hs traffic", fields[3]),
        deriveSecret(handshake, "s hs traffic", fields[3]),
        master,
        deriveSecret(master, "c ap traffic", fields[4]),
        deriveSecret(master, "s ap traffic", fields[4]),
        deriveSecret(master, "exp master", fields[4]),
        deriveSecret(master, "res master", fields[5]),
    ])
}
