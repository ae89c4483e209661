import type { Aead } from "../core/aead"
import { deriveSecret, hkdfExpandLabel, hkdfExtract } from "../core/hkdf"
import { platform } from "../core/platform"
import type { Suite } from "./config"

const none = Buffer.alloc(0)

/** Where the schedule has no input: as many octets as the hash has, all 0. */
export const zeros = hex`0000000000000000000000000000000000000000000000000000000000000000`

/** SHA-256 of nothing. */
const emptyHash = hex`e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

/** Key schedule of RFC 8446 7.1: early, handshake and master secret, one after the other. */
export class KeySchedule {
    private secret: Buffer

    /** `psk`: 32 octets, `zeros` without one. */
    constructor(psk: Buffer) {
        this.secret = hkdfExtract(none, psk)
    }

    /** Steps on to the next secret; `input` is the shared secret, then `zeros`. */
    advance(input: Buffer): void {
        this.secret = hkdfExtract(this.derive("derived", emptyHash), input)
    }

    derive(label: string, hash: Buffer): Buffer {
        return deriveSecret(this.secret, label, hash)
    }

    /** Binder of a resumption PSK (4.2.11.2): `hash` is that of the transcript up to the binders. */
    binder(hash: Buffer): Buffer {
        return finishedMac(this.derive("res binder", emptyHash), hash)
    }
}

/** verify_data of Finished (4.4.4) under a traffic secret. */
export function finishedMac(secret: Buffer, hash: Buffer): Buffer {
    return platform().hmacSha256(hkdfExpandLabel(secret, "finished", none, 32), [hash])
}

/** Protects the records of one direction (RFC 8446 5.2, 7.3). */
export class Traffic {
    /** Records so far under this key. */
    sequence = 0
    private readonly aead: Aead
    private readonly iv: Buffer

    constructor(
        private readonly suite: Suite,
        readonly secret: Buffer,
    ) {
        this.aead = suite.cipher(hkdfExpandLabel(secret, "key", none, suite.keyLength))
        this.iv = hkdfExpandLabel(secret, "iv", none, 12)
    }

    /** Protection under the next secret (7.2). */
    next(): Traffic {
        return new Traffic(this.suite, hkdfExpandLabel(this.secret, "traffic upd", none, 32))
    }

    seal(header: Buffer, octets: Buffer): Buffer {
        return this.aead.seal(this.nonce(), header, octets)
    }

    open(header: Buffer, octets: Buffer): Buffer {
        return this.aead.open(this.nonce(), header, octets)
    }

    /** RFC 8446 5.3: the sequence number, added to the IV. */
    private nonce(): Buffer {
        const nonce = Buffer.from(this.iv)
        let left = this.sequence++
        for (let i = 11; left > 0; --i) {
            nonce[i] = nonce[i] ^ (left & 0xff)
            left = Math.floor(left / 256)
        }
        return nonce
    }
}
