import { Code, fail } from "../firmware/core/errors"
import type { Atecc608 } from "./atecc608"
import { codeOf } from "./bus-register"
import type { KeyAgreement } from "./ports"

/**
 * ECDHE in slot `slot` of an ATECC608 that has ECDH allowed and its result given out in clear. It takes the element of
 * the custody, whose sessions exclude each other, so signing in between does no harm.
 *
 * The part has no way to empty a slot: the key used is destroyed by making the one for the next `begin` over it, in `prepare`
 * (or, without that, in `begin`).
 */
export class ElementAgreement implements KeyAgreement {
    /** Public key of a pair that waits for its `begin`. */
    private ready: Buffer | undefined
    private begun: boolean

    constructor(
        readonly part: Atecc608,
        readonly slot: number,
    ) {
        this.begun = false
    }

    prepare(): void {
        if (!this.ready) this.ready = this.part.genKey(this.slot, true)
        this.begun = false
    }

    begin(): Buffer {
        this.prepare()
        const own = this.ready as Buffer
        this.ready = undefined
        this.begun = true
        return own
    }

    agree(peer: Buffer): Buffer {
        if (!this.begun) fail(Code.KeyAbsent, -1, "a key pair begun", "none, or one that was used")
        this.begun = false
        if (peer.length !== 64) fail(Code.BadPublicKey, -1, "64 octets", "" + peer.length)
        try {
            return this.part.ecdh(this.slot, peer)
        } catch (error) {
            // As for Verify: what the part cannot compute with is no point of the curve.
            const code = codeOf(error)
            if (code !== Code.ElementEccFault && code !== Code.ElementParse) throw error
            return fail(Code.BadPublicKey, -1, "a point of P-256", "one that the element refuses")
        }
    }
}
