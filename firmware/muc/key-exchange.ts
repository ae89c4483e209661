import type { KeyAgreement } from "../../hal/ports"
import { ChaCha20Poly1305 } from "../core/chacha20poly1305"
import { hkdfExpand, hkdfExtract } from "../core/hkdf"
import { cut, join, uintBE } from "../core/octets"
import { platform } from "../core/platform"

const keyInfo = hex`706c6f6d62207365616c6564206b6579` // "plomb sealed key"
/** An exchange that was begun is the agreement's only one for so long, ms. */
const exchangeMs = 60000

/** What a sealed key is. `value` is empty where one is removed. */
export interface SealedKey {
    kind: number
    address: Buffer
    value: Buffer
}

/**
 * Symmetric keys that are brought to the MUC sealed (path `49`), over the agreement that TLS uses too. It holds one key pair: what TLS would make
 * in advance waits until an exchange that has begun is over, and a handshake ends that.
 */
export class KeyExchange implements KeyAgreement {
    /** Our part of an exchange that has begun. */
    private offered: Buffer = hex``
    private untilMs = 0

    constructor(
        private readonly inner: KeyAgreement,
        private readonly serverId: Buffer,
    ) {}

    prepare(): void {
        if (this.offered.length === 0 || platform().millis() >= this.untilMs) this.inner.prepare()
    }

    begin(): Buffer {
        this.offered = hex``
        return this.inner.begin()
    }

    agree(peer: Buffer): Buffer {
        return this.inner.agree(peer)
    }

    /** Begins an exchange: our public key, 64 octets. */
    offer(): Buffer {
        this.offered = this.begin()
        this.untilMs = platform().millis() + exchangeMs
        return this.offered
    }

    /**
     * What was sealed to the key offered last, which serves once: sender's public key 64, then kind U8, length of the address U8, address, key, under
     * ChaCha20-Poly1305. Throws `KeyAbsent` without an offer, `TagMismatch` for what was sealed to another, `OutOfRange`.
     */
    open(value: Buffer): SealedKey {
        const peer = cut(value, 0, 64)
        const offered = this.offered
        this.offered = hex``
        const secret = this.inner.agree(peer)
        const made = hkdfExpand(hkdfExtract(join([offered, peer]), secret), keyInfo, 44)
        const sealed = cut(value, 64, value.length - 64)
        const plain = new ChaCha20Poly1305(cut(made, 0, 32)).open(cut(made, 32, 12), this.serverId, sealed)
        const keyAt = 2 + uintBE(plain, 1, 1)
        return {
            kind: plain[0],
            address: cut(plain, 2, keyAt - 2),
            value: cut(plain, keyAt, plain.length - keyAt),
        }
    }
}
