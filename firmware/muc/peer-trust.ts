import { verifyChain } from "../core/chain"
import { Code, fail } from "../core/errors"
import { cut, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { type Certificate, digitalSignature } from "../core/x509"
import { Role, readRole } from "../core/x509-role"
import type { PeerTrust } from "../tls/config"
import type { MucClock } from "./clock"
import type { Holdings } from "./holdings"
import { TrustSlot } from "./layout"

/** id-kp-serverAuth (RFC 5280 4.2.1.12). */
const serverAuth = hex`2b06010505070301`

/**
 * Who may be at the other end of a connection of the MUC (rules: README.md). Throws what `verifyChain` throws, `TlsRole` for a
 * sound certificate that has no business here, `TimeNotTrusted` without a clock. The host's name is the connection's to check.
 */
export class MucTrust implements PeerTrust {
    /** For the uplink, or `toDirectory`. */
    constructor(
        private readonly holdings: Holdings,
        private readonly clock: MucClock,
        private readonly toDirectory: boolean,
    ) {}

    nowSeconds(): number {
        return this.clock.nowSeconds()
    }

    /**
     * A chain that was found good stays so, over restarts too, until the first of its certificates or lists ends or anything held changes.
     * Who could write this into the FRAM could as well write another CA root there.
     */
    check(chain: Certificate[]): number {
        const now = this.nowSeconds()
        const judgements = this.holdings.judgements
        const slot = this.toDirectory ? 1 : 0
        const hash = platform().sha256(chain.map(each => each.der))
        const kept = judgements.read(slot)
        if (kept && sameOctets(cut(kept, 0, 32), hash) && now >= kept.getAt(32, "u32") && now <= kept.getAt(36, "u32"))
            return kept.getAt(36, "u32")
        const until = this.judge(chain, now)
        const record = Buffer.alloc(40)
        record.blitAt(0, hash, 0, 32)
        record.setAt(32, "u32", now)
        record.setAt(36, "u32", until)
        judgements.writePart(slot, 0, record)
        judgements.close(slot, 40)
        return until
    }

    private judge(chain: Certificate[], now: number): number {
        const root = this.holdings.certificate(TrustSlot.CaRoot)
        if (!root) fail(Code.CertificateMissing, -1, "the CA root", "none")
        const crls = this.holdings.crlsOf(chain)
        let until = root.notAfter
        for (let i = 0; i < chain.length; ++i) until = Math.min(until, chain[i].notAfter)
        // A stale list that is let pass says nothing about the time.
        for (let i = 0; i < crls.length; ++i) if (crls[i].nextUpdate >= now) until = Math.min(until, crls[i].nextUpdate)
        const leaf = chain[0]
        verifyChain({
            chain,
            anchors: [root],
            atSeconds: now,
            crls,
            crlsProved: true,
            crlRequired: !this.toDirectory,
            crlMayBeStale: this.toDirectory,
            keyUsage: digitalSignature,
            extendedKeyUsage: leaf.extendedKeyUsageAt > 0 ? serverAuth : undefined,
            maxIntermediates: 1,
        })
        this.checkRole(leaf, chain.length > 1 ? chain[1] : root)
        return until
    }

    private checkRole(leaf: Certificate, issuer: Certificate): void {
        const role = roleOf(leaf)
        let right = false
        if (this.toDirectory) right = role === Role.directory
        else if (role === Role.concentrator) right = roleOf(issuer) === Role.manufacturer
        else if (role >= Role.securityManagement && role <= Role.energyProvider) {
            const provider = this.holdings.inForce(TrustSlot.SecurityManagement)
            // Operators, data collectors and energy providers.
            const same = role === Role.securityManagement ? leaf : issuer
            // By its key: a renewed CERT_SM is the same provider.
            right = provider !== undefined && sameOctets(provider.publicKey, same.publicKey)
        }
        if (!right)
            fail(Code.TlsRole, -1, this.toDirectory ? "a directory" : "a concentrator or our provider", "role " + role)
    }
}

/** The role's number, -1 where there is none. */
function roleOf(certificate: Certificate): number {
    const role = readRole(certificate)
    return role ? role.role : -1
}
