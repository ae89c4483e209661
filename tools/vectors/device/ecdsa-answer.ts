import { DerReader, ecdsaFromDer } from "../../../firmware/core/der"
import { ecdhP256, publicKeyP256, signP256, verifyP256 } from "../../../firmware/core/ecdsa"
import { Code, fail } from "../../../firmware/core/errors"
import { cut } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { readPublicKey, Signed } from "../../../firmware/core/x509-parts"

/**
 * Requests about P-256; the first octet says which:
 * 0 key X|Y 64, r|s 64, message: 1 octet, 1 if the signature holds
 * 1 key X|Y 64, length of signature U16 LE, ECDSA-Sig-Value, message: the same
 * 2 private key 32, message: r|s 64, public key 64
 * 3 private key 32, public key as an octet string (SEC 1 clause 2.3.4): shared secret 32
 * 4 private key 32, public key as SubjectPublicKeyInfo (RFC 5480 clause 2): the same
 */
export function answer(request: Buffer): Buffer {
    const kind = request[0]
    if (kind <= 1) {
        const key = cut(request, 1, 64)
        const length = kind === 0 ? 64 : request.getAt(65, "u16")
        const at = 65 + 2 * kind
        const digest = digestFrom(request, at + length)
        let signature = cut(request, at, length)
        if (kind === 1) {
            const der = new DerReader(signature, 0, length)
            signature = ecdsaFromDer(der)
            if (der.more()) fail(Code.DerTrailing, der.at, "the end", "more octets")
        }
        return Buffer.from([verifyP256(key, digest, signature) ? 1 : 0])
    }
    const secret = cut(request, 1, 32)
    if (kind === 2) {
        const both = Buffer.alloc(128)
        both.blitAt(0, signP256(secret, digestFrom(request, 33)), 0, 64)
        both.blitAt(64, publicKeyP256(secret), 0, 64)
        return both
    }
    if (kind === 4) {
        const object = new Signed(request)
        const der = new DerReader(request, 33, request.length)
        const key = readPublicKey(object, der)
        if (der.more()) fail(Code.DerTrailing, der.at, "the end", "more octets")
        if (object.foreignAt > 0) fail(Code.X509Algorithm, object.foreignAt, "a key of P-256", "another")
        return ecdhP256(secret, key)
    }
    if (request.length !== 98 || request[33] !== 4)
        fail(Code.BadPublicKey, 33, "an uncompressed point, 65 octets", request.length - 33 + " octets")
    return ecdhP256(secret, cut(request, 34, 64))
}

function digestFrom(request: Buffer, at: number): Buffer {
    return platform().sha256([cut(request, at, request.length - at)])
}
