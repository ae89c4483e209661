import { existsSync, mkdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { Authority, readRegister } from "./authority.ts"
import { hostsOf, readCertificates, serialOf, writeCertificates } from "./certificates.ts"
import { createFile, createFolder, locked, PkiError } from "./files.ts"
import { issuerPaths } from "./folders.ts"
import type { PkiOptions } from "./init.ts"
import { newKey } from "./keys.ts"
import { certifiedBy, mayCertify, type Party, partyAt, roles, standing } from "./parties.ts"
import { roleName } from "./rights.ts"
import { checkHost, roleOf } from "./role.ts"
import { publicKeyOf, x509 } from "./x509.ts"

/** A certificate just issued, or the same one again. */
export interface IssuedCertificate {
    /** Folder that holds cert.pem, chain.pem and, where the tool made the key, key.pem. */
    folder: string
    /** DER. */
    certificate: Buffer
    /** DER, leaf first, root last. */
    chain: Buffer[]
    /** Hex. */
    serial: string
}

/**
 * Certifies the key of a meter's PKCS#10 request (DER). The request must be signed with its own key and
 * name the server id (hex) as common name. Asked again for the same key it answers the same
 * certificate, so a calibration whose link broke goes on; another key is refused until the old
 * certificate is revoked.
 */
export function issueMeterCertificate(
    folder: string,
    csr: Uint8Array,
    serverId: string,
    options: PkiOptions = {},
): Promise<IssuedCertificate> {
    return issueDevice(folder, "meter", csr, serverId, options)
}

/** The same for any device role: "meter" (server id of 10 octets), "muc" or "concentrator" (7 octets). */
export async function issueDevice(
    folder: string,
    role: string,
    csr: Uint8Array,
    serverId: string,
    options: PkiOptions = {},
): Promise<IssuedCertificate> {
    const id = checkServerId(role, serverId)
    const { publicKey, serialNumber } = await readRequest(csr, id)
    // DIN 43863-5: the last four octets of a meter's id are its number
    const number = role === "meter" ? `${Number.parseInt(id.slice(-8), 16)}` : serialNumber
    if (serialNumber !== undefined && serialNumber !== number)
        throw new PkiError(`the request names the serial number ${serialNumber}, its server id says ${number}`)
    return issue(folder, roles[role], { commonName: id, serialNumber: number, publicKey }, options)
}

/**
 * Certifies one more operator, data collection, directory or device whose key is made here and kept in key.pem.
 * `name` is the folder and the common name; for a device its server id in hex.
 */
export async function issueWithKey(
    folder: string,
    role: string,
    name: string,
    options: PkiOptions = {},
): Promise<IssuedCertificate> {
    return issue(folder, roles[role], { commonName: checkName(folder, role, name) }, options)
}

/** Certifies the key of a party's request; the name is the caller's, whatever the request says. */
export async function issueForRequest(
    folder: string,
    role: string,
    name: string,
    csr: Uint8Array,
    options: PkiOptions = {},
): Promise<IssuedCertificate> {
    if (roles[role].pathLength !== undefined)
        throw new PkiError(`${role} certifies others and keeps their register: its key is made here, not by a request`)
    const { publicKey } = await readRequest(csr)
    return issue(folder, roles[role], { commonName: checkName(folder, role, name), publicKey }, options)
}

/** Checks the proof of possession and, for a device, the name; answers the key that is asked for. */
export async function readRequest(
    csr: Uint8Array,
    id?: string,
): Promise<{ publicKey: x509.PublicKey; serialNumber?: string }> {
    let request: x509.Pkcs10CertificateRequest
    try {
        request = new x509.Pkcs10CertificateRequest(new Uint8Array(csr))
    } catch {
        throw new PkiError("the request is not PKCS#10 in DER or PEM")
    }
    const { publicKey } = request
    const { name, namedCurve } = publicKey.algorithm as EcKeyAlgorithm
    if (name !== "ECDSA" || namedCurve !== "P-256") throw new PkiError("the request's key is not on P-256")
    if (!(await request.verify().catch(() => false)))
        throw new PkiError("the request is not signed with the key it asks for (proof of possession)")
    const commonName = request.subjectName.getField("CN")[0] ?? ""
    if (id !== undefined && commonName.toLowerCase() !== id)
        throw new PkiError(`the request is for "${commonName}", not for ${id}`)
    return { publicKey, serialNumber: request.subjectName.getField("2.5.4.5")[0] }
}

function checkServerId(role: string, serverId: string): string {
    const length = role === "meter" ? 20 : 14
    const id = serverId.toLowerCase()
    if (!/^[0-9a-f]+$/.test(id) || id.length !== length)
        throw new PkiError(`the server id of a ${role} is ${length / 2} octets in hex, not "${serverId}"`)
    return id
}

function checkName(folder: string, role: string, name: string): string {
    if (role === "meter" || role === "muc" || role === "concentrator") return checkServerId(role, name)
    if (!/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/.test(name))
        throw new PkiError(`"${name}" is not a name of letters, digits, blanks and . _ - (at most 64)`)
    // An issuer is known by its name: nobody else may bear it
    const issuers = issuerPaths(folder).filter(path => path !== `${roles[role].folder}/${name}`)
    const names = [...standing.map(party => party.commonName), ...issuers.map(path => partyAt(path)!.commonName)]
    if (names.some(each => each.toLowerCase() === name.trim().toLowerCase()))
        throw new PkiError(`"${name}" is the name of another party`)
    return name
}

/** The kind of party, certified by whom the options say. */
function partyBy(folder: string, usual: Party, by: string | undefined): Party {
    const party = certifiedBy(usual, by)
    if (!existsSync(join(folder, party.issuer, "chain.pem")))
        throw new PkiError(`${folder} has no party ${party.issuer}`)
    if (mayCertify(party.issuer, party.role)) return party
    const who = partyAt(party.issuer)?.party
    const may = standing.filter(each => mayCertify(each.folder, party.role)).map(each => each.folder)
    throw new PkiError(
        `${party.issuer} (${who ? roleName(who.role) : "no party"}) may not certify ${roleName(party.role)}; ${may.join(" or ")} may`,
    )
}

function issue(
    folder: string,
    usual: Party,
    subject: { commonName: string; serialNumber?: string; publicKey?: x509.PublicKey },
    { passphrase, days, hosts, by, rights, roleVersion, now = new Date() }: PkiOptions,
): Promise<IssuedCertificate> {
    const { commonName, serialNumber } = subject
    if (hosts?.length && !usual.server) throw new PkiError(`${commonName} is not reached by a name: no --host`)
    const names = hosts?.map(checkHost)
    if (!existsSync(join(folder, standing[0].folder)))
        throw new PkiError(`${folder} is not a PKI; plomb pki init makes one`)
    const party = partyBy(folder, usual, by)
    return locked(folder, async () => {
        const own = join(folder, party.folder, commonName)
        const issuerFolder = join(folder, party.issuer)
        if (existsSync(own)) {
            const [before, ...rest] = readCertificates(join(own, "chain.pem"))
            const inForce = !isRevoked(issuerFolder, before)
            const sameKey = subject.publicKey && same(subject.publicKey.rawData, before.publicKey.rawData)
            if (inForce && sameKey && names && `${names}` !== `${hostsOf(before)}`)
                throw new PkiError(`${own} is certified for other names: plomb pki renew with --host changes them`)
            const role = roleOf(before)
            if (inForce && sameKey && role && (rights ?? role.rights) !== role.rights)
                throw new PkiError(`${own} is certified with other rights: plomb pki renew with --rights changes them`)
            if (inForce && sameKey) return answer(own, [before, ...rest])
            if (inForce)
                throw new PkiError(
                    `${own} holds a certificate in force; renew it, or revoke it before another is issued`,
                )
            renameSync(own, `${own}.${serialOf(before)}`)
        }
        const authority = Authority.open(issuerFolder, passphrase)
        mkdirSync(join(folder, party.folder), { recursive: true, mode: 0o700 })
        const chain = await createFolder(own, async partial => {
            const made = subject.publicKey ? undefined : newKey(passphrase)
            const publicKey = subject.publicKey ?? publicKeyOf(made!.key)
            const leaf = await authority.certify({
                party,
                commonName,
                serialNumber,
                publicKey,
                hosts: names,
                days,
                rights,
                roleVersion,
                now,
            })
            if (made) createFile(join(partial, "key.pem"), made.file, true)
            writeCertificates(partial, [leaf, ...authority.chain])
            if (party.pathLength !== undefined)
                await new Authority(partial, made!.key, [leaf, ...authority.chain]).renewLists(now)
            // In the register before it is in the world: what exists can be revoked
            authority.save()
            return [leaf, ...authority.chain]
        })
        return answer(own, chain)
    })
}

/** Is it on its issuer's register as revoked? */
export function isRevoked(issuerFolder: string, certificate: x509.X509Certificate): boolean {
    const serial = serialOf(certificate)
    return readRegister(issuerFolder).issued.some(each => each.serial === serial && each.revoked)
}

function same(a: ArrayBuffer, b: ArrayBuffer): boolean {
    return Buffer.from(a).equals(Buffer.from(b))
}

/** What there is to hand on of a chain in its folder. */
export function answer(folder: string, chain: x509.X509Certificate[]): IssuedCertificate {
    const ders = chain.map(each => Buffer.from(each.rawData))
    return { folder, certificate: ders[0], chain: ders, serial: serialOf(chain[0]) }
}
