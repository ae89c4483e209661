import { type CoseKey, verifyCose } from "../../../firmware/core/cose"
import { cut, uintBE } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"

let at = 0

/** The next octets of a request behind their length U16 BE. */
function octets(request: Buffer): Buffer {
    const length = uintBE(request, at, 2)
    at += 2 + length
    return cut(request, at - length, length)
}

/**
 * Number of keys U8, of each its algorithm I8, kid and key; external data; then the message. Kid, key and data follow
 * their length U16 BE. Reply: of each signer one octet, the key's number, 254: no such key, 255: it does not hold.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    at = 1
    const keys: CoseKey[] = []
    for (let i = 0; i < request[0]; ++i) {
        at += 1
        const algorithm = (request[at - 1] << 24) >> 24
        const kid = octets(request)
        keys.push({ algorithm: algorithm, kid: kid, key: octets(request) })
    }
    const external = octets(request)
    const verdict = verifyCose(cut(request, at, request.length - at), keys, external)
    const found = Buffer.alloc(verdict.signers.length)
    for (let i = 0; i < found.length; ++i) {
        const signer = verdict.signers[i]
        found[i] = signer.key >= 0 ? signer.key : signer.known ? 255 : 254
    }
    return found
}
