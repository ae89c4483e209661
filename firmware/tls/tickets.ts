import { ChaCha20Poly1305 } from "../core/chacha20poly1305"
import { cut, join } from "../core/octets"
import { platform } from "../core/platform"

/**
 * Seals a server's session tickets (RFC 8446 4.6.1): nothing is kept for a session. A ticket serves as often as it is shown until it
 * expires; what a resumption may do must not depend on it being the first. The key lives in memory only.
 */
export class TicketKeys {
    private key: Buffer = platform().randomOctets(32)

    /** Makes all tickets given out worthless: due when our certificate, the anchors or the revocation lists change. */
    drop(): void {
        this.key = platform().randomOctets(32)
    }

    seal(octets: Buffer): Buffer {
        const nonce = platform().randomOctets(12)
        return join([nonce, new ChaCha20Poly1305(this.key).seal(nonce, nonce, octets)])
    }

    /** What was sealed; undefined for whatever this key did not seal. */
    open(ticket: Buffer): Buffer | undefined {
        if (ticket.length < 28) return undefined
        const nonce = cut(ticket, 0, 12)
        try {
            return new ChaCha20Poly1305(this.key).open(nonce, nonce, cut(ticket, 12, ticket.length - 12))
        } catch {
            return undefined
        }
    }
}
