import type { Aead } from "../../../firmware/core/aead"
import { decryptCbc } from "../../../firmware/core/aes-decrypt"
import { ChaCha20Poly1305 } from "../../../firmware/core/chacha20poly1305"
import { AesGcm } from "../../../firmware/core/gcm"
import { cut } from "../../../firmware/core/octets"

/**
 * Seals (first octet 0) or opens (1) with ChaCha20-Poly1305 (second octet 0) or AES-GCM (1), or decrypts AES-CBC (2, nonce = vector). Then: length of tag U8, of key U8, of
 * nonce and of additional data U16 LE, and these three; the rest is what to seal or to open.
 */
export function answer(request: Buffer): Buffer {
    const keyEnd = 8 + request[3]
    const nonceEnd = keyEnd + request.getAt(4, "u16")
    const aadEnd = nonceEnd + request.getAt(6, "u16")
    const key = cut(request, 8, keyEnd - 8)
    const nonce = cut(request, keyEnd, nonceEnd - keyEnd)
    const aad = cut(request, nonceEnd, aadEnd - nonceEnd)
    const octets = cut(request, aadEnd, request.length - aadEnd)
    if (request[0] === 2) return decryptCbc(key, nonce, octets)
    const aead: Aead = request[1] === 0 ? new ChaCha20Poly1305(key) : new AesGcm(key, request[2])
    return request[0] === 0 ? aead.seal(nonce, aad, octets) : aead.open(nonce, aad, octets)
}
