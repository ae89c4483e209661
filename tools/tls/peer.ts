import { X509Certificate } from "node:crypto"
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls"
import { verifyChain } from "../../firmware/core/chain.ts"
import { type Crl, parseCrl } from "../../firmware/core/crl.ts"
import { Code, PlombError } from "../../firmware/core/errors.ts"
import { type Certificate, digitalSignature, parseCertificate } from "../../firmware/core/x509.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { derOfPem, splitPem } from "../verify/certificate.ts"
import { DerDamage } from "../verify/der.ts"
import { hashOf, type TlsSettings } from "./settings.ts"

/** The other end of a connection, judged. */
export interface Peer {
    role: Role
    /** Common name of the certificate: of a device its server id in hex. */
    commonName: string
    /** DER, leaf first. */
    chain: Buffer[]
}

/** A peer is not who it must be; `code` is the core's where the core refused its certificates. */
export class PeerRefused extends Error {
    constructor(
        message: string,
        readonly code?: Code,
    ) {
        super(message)
        this.name = "PeerRefused"
    }
}

/** Who issues whom (paper, Fig. 2): a provider's security management makes no MUCs, a manufacturer no operators. */
const issuerOf = new Map<Role, Role>([
    [Role.muc, Role.manufacturer],
    [Role.concentrator, Role.manufacturer],
    [Role.operator, Role.securityManagement],
    [Role.dataCollection, Role.securityManagement],
    [Role.energyProvider, Role.securityManagement],
    [Role.securityManagement, Role.certificationAuthority],
    [Role.manufacturer, Role.certificationAuthority],
    [Role.directory, Role.certificationAuthority],
])
const mostIssuers = 64
const mostJudgements = 4096

/**
 * Judges peers: chain to the CA's root by the verification core, role, key usage, revocation lists of all issuers,
 * which must be current. A judgement is kept by the hash of chain and lists for as long as all of it is valid.
 */
export class PeerTrust {
    private readonly anchors: Certificate[]
    /** Issuers of chains that held, by subject: a resumed session brings the leaf alone. */
    private readonly issuers = new Map<string, Buffer>()
    private readonly judgements = new Map<string, { until: number; peer: Peer }>()
    private listsHash = ""
    private lists: Crl[] = []

    /** `roles`: who may be at the other end. `nowSeconds`: UTC seconds. */
    constructor(
        private readonly settings: TlsSettings,
        private readonly roles: readonly Role[],
        private readonly nowSeconds: () => number = () => Math.floor(Date.now() / 1000),
    ) {
        this.anchors = splitPem(settings.ca, "CERTIFICATE").map(pem => parseCertificate(derOfPem(pem, "CERTIFICATE")))
    }

    /** The peer of a connection whose handshake is complete. Throws `PeerRefused`. */
    judgeSocket(socket: TLSSocket): Peer {
        const chain: Buffer[] = []
        let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
        while (certificate?.raw && chain.length < 10 && !chain.some(der => der.equals(certificate!.raw))) {
            chain.push(certificate.raw)
            certificate = certificate.issuerCertificate
        }
        return this.judge(chain)
    }

    /** The same for the certificates as they came, DER, leaf first. Throws `PeerRefused`. */
    judge(came: Buffer[]): Peer {
        if (came.length === 0) throw new PeerRefused("no certificate")
        this.readLists()
        const chain = this.complete(came)
        const now = this.nowSeconds()
        const key = hashOf([this.listsHash, ...chain])
        const known = this.judgements.get(key)
        if (known && now <= known.until) return known.peer
        this.judgements.delete(key)
        try {
            const certificates = chain.map(parseCertificate)
            verifyChain({
                chain: certificates,
                anchors: this.anchors,
                atSeconds: now,
                crls: this.lists,
                crlRequired: true,
                keyUsage: digitalSignature,
            })
            const role = this.roleOf(certificates)
            const peer = { role, commonName: commonNameOf(chain[0]), chain }
            const ends = [...certificates.map(each => each.notAfter), ...this.lists.map(each => each.nextUpdate)]
            const until = Math.min(...ends.filter(end => end >= now))
            if (this.judgements.size >= mostJudgements) this.judgements.clear()
            this.judgements.set(key, { until, peer })
            for (const each of chain.slice(1)) this.keepIssuer(each)
            return peer
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            throw new PeerRefused(`${subjectOf(came[0])}: ${error.message}`, error.code)
        }
    }

    private roleOf(certificates: Certificate[]): Role {
        const role = readRole(certificates[0])?.role
        const issuer = certificates[1] ?? this.anchors.find(each => each.der.equals(certificates[0].der))
        const above = issuer && readRole(issuer)?.role
        const text = role === undefined ? "no role" : (Role[role] ?? `role ${role}`)
        const name = subjectOf(certificates[0].der)
        if (role === undefined || !this.roles.includes(role))
            throw new PeerRefused(`${name}: expected ${this.roles.map(each => Role[each]).join(" or ")}, came ${text}`)
        if (above !== issuerOf.get(role)) throw new PeerRefused(`${name}: its issuer may not make it ${text}`)
        return role
    }

    /** Adds the issuers that did not come, the anchor included. */
    private complete(came: Buffer[]): Buffer[] {
        const chain = came.slice()
        try {
            while (chain.length < 10) {
                const last = new X509Certificate(chain[chain.length - 1])
                if (last.issuer === last.subject) break
                const anchor = this.anchors.find(({ der }) => last.checkIssued(new X509Certificate(der)))
                const next = anchor?.der ?? this.issuers.get(last.issuer)
                if (!next) break
                chain.push(next)
            }
        } catch (error) {
            throw new PeerRefused(`a certificate that cannot be read: ${(error as Error).message}`, Code.DerValue)
        }
        return chain
    }

    private keepIssuer(der: Buffer): void {
        const { subject } = new X509Certificate(der)
        if (this.issuers.size >= mostIssuers) this.issuers.clear()
        this.issuers.set(subject, der)
    }

    private readLists(): void {
        const pems = this.settings.crls()
        const hash = hashOf(pems)
        if (hash === this.listsHash) return
        this.listsHash = hash
        // A list outside the core's profile proves nothing; the issuer whose list is missing then refuses its peers.
        this.lists = pems.flatMap(pem => {
            try {
                return [parseCrl(derOfPem(pem, "X509 CRL"))]
            } catch (error) {
                if (error instanceof PlombError || error instanceof DerDamage) return []
                throw error
            }
        })
    }
}

/** Does the certificate carry this name or address in subjectAltName? The error where not (RFC 9525 6: no common name). */
export function nameError(host: string, certificate: DetailedPeerCertificate): Error | undefined {
    if (!certificate.subjectaltname) return new Error("the server's certificate carries no subjectAltName")
    return checkServerIdentity(host, certificate)
}

function commonNameOf(der: Buffer): string {
    const { subject } = new X509Certificate(der)
    return /^CN=(.*)$/m.exec(subject)?.[1] ?? ""
}

function subjectOf(der: Buffer): string {
    try {
        return commonNameOf(der) || "a certificate without common name"
    } catch {
        return "a certificate that cannot be read"
    }
}
