import { createCipheriv, createDecipheriv } from "node:crypto"
import type { CcmCipher } from "../../firmware/core/plc-link"

const algorithm = "aes-256-ccm"
const tagSize = 8

/** The cipher of PLC links on node:crypto; `hal/cipher-board.ts` is the board's. */
export const nodeCcm: CcmCipher = {
    seal(key, nonce, plain) {
        const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagSize })
        return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open(key, nonce, sealed) {
        if (sealed.length < tagSize) return undefined
        const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagSize })
        const end = sealed.length - tagSize
        decipher.setAuthTag(sealed.subarray(end))
        try {
            const plain = decipher.update(sealed.subarray(0, end))
            decipher.final()
            return plain
        } catch {
            return undefined
        }
    },
}
