import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import type { PeerTrust } from "./config"

/** Judgements by SHA-256 of the chain, for as long as they hold: a chain that comes again costs no signature. */
export class TrustCache implements PeerTrust {
    private hashes: Buffer[] = []
    private ends: number[] = []

    /** Keeps the last `most` judgements of `inner`. */
    constructor(
        private readonly inner: PeerTrust,
        private readonly most = 4,
    ) {}

    check(chain: Certificate[]): number {
        const hash = platform().sha256(chain.map(each => each.der))
        const now = this.nowSeconds()
        let index = -1
        for (let i = 0; i < this.hashes.length; ++i) if (sameOctets(this.hashes[i], hash)) index = i
        if (index >= 0 && now <= this.ends[index]) return this.ends[index]
        const until = this.inner.check(chain)
        if (index < 0 && this.hashes.length >= this.most) {
            this.hashes.shift()
            this.ends.shift()
        }
        if (index < 0) {
            this.hashes.push(hash)
            this.ends.push(until)
        } else this.ends[index] = until
        return until
    }

    nowSeconds(): number {
        return this.inner.nowSeconds()
    }

    /** Forgets all: due when revocation lists or anchors change, or the clock is set back. */
    drop(): void {
        this.hashes = []
        this.ends = []
    }
}
