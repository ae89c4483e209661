import { Code, fail } from "./errors"
import { cut, sameOctets } from "./octets"

/**
 * Authenticated encryption with one key. A nonce must never be used twice with a key for `seal`. Both let other fibers
 * run, at the start and at least every 60,000 steps. What they are given must stay unchanged until they return.
 */
export interface Aead {
    /** The ciphertext, as long as `octets`, and the tag, which covers `aad` too. */
    seal(nonce: Buffer, aad: Buffer, octets: Buffer): Buffer
    /** The plaintext of what `seal` made. Nothing is decrypted unless the tag holds: `TagMismatch`, also if there is no room for a tag. */
    open(nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer
}

/** Throws `TagMismatch` unless `tag` is what `sealed` has from `at` to its end; looks at all octets in any case. */
export function checkTag(tag: Buffer, sealed: Buffer, at: number): void {
    if (at < 0 || !sameOctets(tag, cut(sealed, at, tag.length)))
        fail(Code.TagMismatch, at, "a tag that holds", "another")
}
