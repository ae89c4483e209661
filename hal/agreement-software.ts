import { ecdhP256, generateKeyP256 } from "../firmware/core/ecdsa"
import { Code, fail } from "../firmware/core/errors"
import type { KeyAgreement } from "./ports"

/** ECDHE in bytecode; the private key lies in memory from `prepare` or `begin` to `agree` and is then overwritten. */
export class SoftwareAgreement implements KeyAgreement {
    private key: Buffer | undefined
    /** Public key of a pair that waits for its `begin`. */
    private ready: Buffer | undefined

    prepare(): void {
        if (this.ready) return
        this.forget()
        const pair = generateKeyP256()
        this.key = pair.privateKey
        this.ready = pair.publicKey
    }

    begin(): Buffer {
        this.prepare()
        const own = this.ready as Buffer
        this.ready = undefined
        return own
    }

    agree(peer: Buffer): Buffer {
        const key = this.key
        if (!key || this.ready) return fail(Code.KeyAbsent, -1, "a key pair begun", "none, or one that was used")
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
