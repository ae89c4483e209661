import { ecdhP256, generateKeyP256 } from "../firmware/core/ecdsa"
import { Code, fail } from "../firmware/core/errors"
import type { KeyAgreement } from "./ports"

/** ECDHE in bytecode; the private key lies in memory from `begin` to `agree` and is then overwritten. */
export class SoftwareAgreement implements KeyAgreement {
    private key: Buffer | undefined

    begin(): Buffer {
        this.forget()
        const pair = generateKeyP256()
        this.key = pair.privateKey
        return pair.publicKey
    }

    agree(peer: Buffer): Buffer {
        const key = this.key
        if (!key) return fail(Code.KeyAbsent, -1, "a key pair begun", "none, or one that was used")
        try {
            return ecdhP256(key, peer)
        } finally {
            this.forget()
        }
    }

    private forget(): void {
        const key = this.key
        if (key) key.fillAt(0, key.length, 0)
        this.key = undefined
    }
}
