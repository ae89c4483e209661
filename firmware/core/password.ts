import { cut, sameOctets, uintBE } from "./octets"
import { platform } from "./platform"

/** Octets of a verifier: iterations U32 big endian, salt 16, PBKDF2-HMAC-SHA-256 32 (services/installation.md). */
export const verifierSize = 52
/** What a verifier may ask of a board: more is taken for a damaged one. */
export const mostIterations = 20000

/** So many iterations are done before other fibers get their turn: some 5,000 steps. */
const slice = 32

/**
 * Is it the password of this verifier? PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256 and one block of 32 octets, then a comparison that does
 * not stop at the first difference. Lets other fibers run; it takes about a second on a Pico for 1,024 iterations.
 */
export function passwordHolds(verifier: Buffer, password: Buffer): boolean {
    const iterations = verifier.length === verifierSize ? uintBE(verifier, 0, 4) : 0
    if (iterations < 1 || iterations > mostIterations) return false
    const machine = platform()
    let u = machine.hmacSha256(password, [cut(verifier, 4, 16), hex`00000001`])
    const key = cut(u, 0, 32)
    for (let i = 1; i < iterations; ++i) {
        u = machine.hmacSha256(password, [u])
        for (let at = 0; at < 32; at += 4) key.setAt(at, "i32", key.getAt(at, "i32") ^ u.getAt(at, "i32"))
        if ((i & (slice - 1)) === 0) machine.yieldNow()
    }
    return sameOctets(key, cut(verifier, 20, 32))
}
