import type { Aead } from "../core/aead"
import { ChaCha20Poly1305 } from "../core/chacha20poly1305"
import { AesGcm } from "../core/gcm"
import type { Suite } from "./config"

function chacha(key: Buffer): Aead {
    return new ChaCha20Poly1305(key)
}

function gcm(key: Buffer): Aead {
    return new AesGcm(key)
}

/** TLS_CHACHA20_POLY1305_SHA256. */
export const chachaSuite: Suite = { id: 0x1303, keyLength: 32, cipher: chacha }

/** TLS_AES_128_GCM_SHA256. */
export const gcmSuite: Suite = { id: 0x1301, keyLength: 16, cipher: gcm }
