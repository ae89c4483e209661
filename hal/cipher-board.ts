import { decrypt, encrypt } from "@devicescript/crypto"
import type { CcmCipher } from "../firmware/core/plc-link"

/** AES-256-CCM of the stock runtime: native on each board. */
export class BoardCipher implements CcmCipher {
    seal(key: Buffer, nonce: Buffer, plain: Buffer): Buffer {
        return encrypt({ algo: "aes-256-ccm", key, iv: nonce, data: plain, tagLength: 8 })
    }

    open(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
        // The runtime throws where the tag does not hold, and for nothing else that can come from a line.
        try {
            return decrypt({ algo: "aes-256-ccm", key, iv: nonce, data: sealed, tagLength: 8 })
        } catch {
            return undefined
        }
    }
}
