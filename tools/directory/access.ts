import type { TLSSocket } from "node:tls"
import { verifyChain } from "../../firmware/core/chain.ts"
import { type Crl, parseCrl } from "../../firmware/core/crl.ts"
import { type Certificate, digitalSignature, parseCertificate } from "../../firmware/core/x509.ts"
import { sameName } from "../../firmware/core/x509-name.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { type Dn, parentKey, readDn } from "./dn.ts"
import type { Entry } from "./entry.ts"
import { LdapError, ResultCode } from "./result.ts"

/** Who asks: anybody, the holder of the writer's password, or a party known by its certificate. */
export type Identity = { kind: "anonymous" } | { kind: "writer" } | { kind: "party"; certificate: Certificate }

/** Bind name of the writer. */
export const writerDn = readDn("cn=writer,o=plomb")

const authorities = readDn("ou=authorities,o=plomb")

/** The containers whose entries a party may also add and remove: those for what it certifies. */
const issues = new Map<Role, Dn>([
    [Role.calibrationAuthority, readDn("ou=devices,o=plomb")],
    [Role.manufacturer, readDn("ou=devices,o=plomb")],
    [Role.securityManagement, readDn("ou=operators,o=plomb")],
])

/** Roles that publish, and the role of the root that makes them. */
const publishers = new Map<Role, Role>([
    [Role.institute, Role.institute],
    [Role.calibrationAuthority, Role.institute],
    [Role.manufacturer, Role.certificationAuthority],
    [Role.securityManagement, Role.certificationAuthority],
])

/** The certificates of the other end, leaf first. */
export function peerChain(socket: TLSSocket): Certificate[] {
    const chain: Buffer[] = []
    let each = socket.getPeerCertificate(true)
    while (each?.raw && chain.length < 10 && !chain.some(der => der.equals(each.raw))) {
        chain.push(each.raw)
        each = each.issuerCertificate
    }
    return chain.map(parseCertificate)
}

/**
 * Judges a chain against the anchors and the lists at hand; throws the core's error. Whoever only reads is turned
 * away when revoked, but not for want of a current list: else nobody could fetch the next one.
 */
export function judge(chain: Certificate[], anchors: Certificate[], crls: Crl[], crlRequired: boolean): Certificate {
    const atSeconds = Math.floor(Date.now() / 1000)
    return verifyChain({ chain, anchors, crls, crlRequired, atSeconds, keyUsage: digitalSignature })
}

/** May it bind by its certificate (SASL EXTERNAL)? A role that publishes, straight below the root that makes such. */
export function isPublisher(certificate: Certificate, anchors: Certificate[]): boolean {
    const role = readRole(certificate)?.role
    const above = role === undefined ? undefined : publishers.get(role)
    return anchors.some(anchor => readRole(anchor)?.role === above && above !== undefined && named(certificate, anchor))
}

/** May `identity` put `after` in the place of `before`? Throws `LdapError`. */
export function checkWrite(identity: Identity, dn: Dn, before: Entry | undefined, after: Entry | undefined): void {
    if (identity.kind === "writer") return
    if (identity.kind === "anonymous") throw new LdapError(ResultCode.strongerAuthRequired, "changes need a bind")
    const { certificate } = identity
    const own = parentKey(dn) === authorities.key
    const container = issues.get(readRole(certificate)?.role ?? Role.indicator)
    const place = own ? before && after : container && parentKey(dn) === container.key
    const states = [before, after].filter(each => each !== undefined)
    if (!place || !states.every(each => owns(certificate, each, own)))
        throw new LdapError(ResultCode.insufficientAccessRights, `${dn.text} is not of this certificate's holder`)
}

/** Everything in the entry bears the holder's name: as subject in its own entry, else as issuer. Names are unique in a PKI. */
function owns(holder: Certificate, { attributes }: Entry, own: boolean): boolean {
    const certificates = ["userCertificate", "cACertificate"].flatMap(name => attributes.get(name) ?? [])
    const lists = ["certificateRevocationList", "authorityRevocationList"].flatMap(name => attributes.get(name) ?? [])
    const named = (der: Buffer, at: number) => sameName(der, at, holder.der, holder.subjectAt)
    return (
        certificates.length > 0 &&
        certificates.map(parseCertificate).every(each => named(each.der, own ? each.subjectAt : each.issuerAt)) &&
        lists.map(parseCrl).every(each => named(each.der, each.issuerAt))
    )
}

function named(certificate: Certificate, issuer: Certificate): boolean {
    return sameName(certificate.der, certificate.issuerAt, issuer.der, issuer.subjectAt)
}
