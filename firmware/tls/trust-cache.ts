import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import type { PeerTrust } from "./config"

/** Judgements by SHA-256 of the chain, for as long as they hold: a chain that comes again costs no signature. */
export class TrustCache implements PeerTrust {
    private hashes: string[] = []
    private ends: number[] = []
    private next = 0

    /** Keeps the last `most` judgements of `inner`. */
    constructor(
        private readonly inner: PeerTrust,
        private readonly most = 4,
    ) {}

    check(chain: Certificate[]): number {
        const hash = platform()
            .sha256(chain.map(each => each.der))
            .toString("hex")
        let at = this.hashes.indexOf(hash)
        if (at >= 0 && this.nowSeconds() <= this.ends[at]) return this.ends[at]
        const until = this.inner.check(chain)
        if (at < 0) {
            at = this.next
            this.next = (at + 1) % this.most
        }
        this.hashes[at] = hash
        this.ends[at] = until
        return until
    }

    nowSeconds(): number {
        return this.inner.nowSeconds()
    }

    /** Forgets all: due when revocation lists or anchors change, or the clock is set back. */
    drop(): void {
        this.hashes = []
        this.ends = []
        this.next = 0
    }
}
