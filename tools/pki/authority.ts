import { type KeyObject, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { Role } from "../../firmware/core/x509-role.ts"
import { dateOf, keyIdOf, readCertificates, serialOf } from "./certificates.ts"
import { earlierFolders, settle } from "./earlier.ts"
import { PkiError, readText, replaceFile } from "./files.ts"
import { openKey } from "./keys.ts"
import { certifies, type Party } from "./parties.ts"
import { pem } from "./pem.ts"
import { rightsText, roleName } from "./rights.ts"
import { derNatural, firstVersion, hostExtensions, hssExtensions, roleExtensionOf, roleOf } from "./role.ts"
import { algorithm, publicKeyOf, signingKey, x509 } from "./x509.ts"

/** Days until a revocation list must have been replaced. */
export const crlDays = 90
const day = 86_400_000

/** One certificate in an issuer's register. */
export interface Issued {
    /** Hex, two digits an octet. */
    serial: string
    subject: string
    notAfter: string
    /** The issuer's key that signed it: its subject key identifier in hex. */
    keyId?: string
    /** Serial of the certificate that this one takes the place of. */
    renews?: string
    revoked?: { at: string; reason: string }
}

/** `index.json` of an issuer. */
interface Register {
    format: "plomb-pki-index/1"
    crlNumber: number
    issued: Issued[]
}

/** Reasons of RFC 5280 5.3.1 that make sense for whole certificates here. */
export const reasons: Record<string, x509.X509CrlReason> = {
    unspecified: x509.X509CrlReason.unspecified,
    keyCompromise: x509.X509CrlReason.keyCompromise,
    cACompromise: x509.X509CrlReason.cACompromise,
    affiliationChanged: x509.X509CrlReason.affiliationChanged,
    superseded: x509.X509CrlReason.superseded,
    cessationOfOperation: x509.X509CrlReason.cessationOfOperation,
    privilegeWithdrawn: x509.X509CrlReason.privilegeWithdrawn,
}

/** What `Authority.certify` is to state. */
export interface Subject {
    party: Party
    commonName: string
    /** The attribute serialNumber (a device's own number, not the certificate's). */
    serialNumber?: string
    publicKey: x509.PublicKey
    /** Names and addresses under which it is reached; the party's own by default. */
    hosts?: readonly string[]
    /** Validity in days from `now` instead of the party's years. */
    days?: number
    /** Serial of the certificate that it takes the place of. */
    renews?: string
    /** Version of its role, 1 by default. */
    roleVersion?: number
    /** Bits of the functions that it may have; -1, no narrower than the access table gives, by default. */
    rights?: number
    /** Its HSS public key, which the certificate then names. */
    hssKey?: Uint8Array
    now: Date
}

/** An issuer at work: its key is open, its register in memory. */
export class Authority {
    constructor(
        /** Its folder. */
        readonly folder: string,
        private readonly key: KeyObject,
        /** Absent while a root certifies itself. */
        readonly chain: x509.X509Certificate[],
        readonly register: Register = { format: "plomb-pki-index/1", crlNumber: 0, issued: [] },
        /** Its former keys, which still sign the lists of what they certified. */
        private readonly earlier: Authority[] = [],
    ) {}

    /** Opens the issuer in `folder`; throws a `PkiError` with one clear line. */
    static open(folder: string, passphrase?: string): Authority {
        settle(folder)
        const register = readRegister(folder)
        const former = earlierFolders(folder).filter(each => existsSync(join(each, "key.pem")))
        return openOne(
            folder,
            register,
            passphrase,
            former.map(each => openOne(each, register, passphrase)),
        )
    }

    /** Signs a certificate and notes it in the register in memory; `save` makes it last. */
    async certify(subject: Subject): Promise<x509.X509Certificate> {
        const { party, publicKey } = subject
        const self = this.chain.length === 0
        const [notBefore, notAfter] = validity(subject)
        const issuer = this.chain[0]
        if (!self) {
            this.checkRight(subject)
            this.checkLife(subject.commonName, notBefore, notAfter)
        }
        const { roleVersion = firstVersion, rights = -1 } = subject
        const ca = party.pathLength !== undefined
        const { keyCertSign, cRLSign, digitalSignature, nonRepudiation } = x509.KeyUsageFlags
        const usage =
            (ca ? keyCertSign | cRLSign : 0) |
            (party.signs ? digitalSignature : 0) |
            (party.nonRepudiation ? nonRepudiation : 0)
        const name: x509.JsonName = [{ CN: [subject.commonName] }]
        if (subject.serialNumber) name.push({ "2.5.4.5": [subject.serialNumber] })
        const own = new x509.Name(name)
        const certificate = await x509.X509CertificateGenerator.create({
            serialNumber: newSerial(),
            subject: own,
            issuer: self ? own : issuer.subjectName,
            notBefore,
            notAfter,
            publicKey,
            signingKey: await signingKey(this.key),
            signingAlgorithm: algorithm,
            extensions: [
                new x509.BasicConstraintsExtension(ca, party.pathLength, true),
                new x509.KeyUsagesExtension(usage, true),
                await x509.SubjectKeyIdentifierExtension.create(publicKey),
                await x509.AuthorityKeyIdentifierExtension.create(publicKeyOf(this.key)),
                roleExtensionOf({ role: party.role, version: roleVersion, rights }),
                ...hostExtensions(subject.hosts ?? party.hosts ?? []),
                ...hssExtensions(subject.hssKey),
            ],
        })
        this.register.issued.push({
            serial: serialOf(certificate),
            subject: certificate.subject,
            notAfter: certificate.notAfter.toISOString(),
            keyId: await keyIdOf(publicKeyOf(this.key)),
            ...(subject.renews && { renews: subject.renews }),
        })
        return certificate
    }

    /** Refuses what this issuer's role does not certify, and rights that it has not itself: devices would refuse them. */
    private checkRight({ commonName, party, rights = -1 }: Subject): void {
        const own = this.chain[0]
        const name = own.subjectName.getField("CN")[0]
        const mine = roleOf(own)
        // An issuer from before there were roles is narrowed by nothing but its place.
        if (!mine) return
        const kinds = certifies[mine.role as keyof typeof certifies] ?? []
        if (!kinds.includes(party.role))
            throw new PkiError(
                `${name} is ${roleName(mine.role)} and may not certify ${roleName(party.role)}, only ` +
                    `${kinds.map(roleName).join(", ") || "nobody"}`,
            )
        // A device has no function of the access table to be given.
        if (mine.rights < 0 || party.role >= Role.meter) return
        const has = rightsText(mine.rights)
        if (rights < 0)
            throw new PkiError(`${name} has only the rights ${has}: say with --rights which ${commonName} gets`)
        const lacking = rights & ~mine.rights
        if (lacking !== 0)
            throw new PkiError(`${name} lacks ${rightsText(lacking)} and can not pass it on; it has ${has}`)
    }

    /** Refuses what would outlive this issuer, and says what helps. */
    private checkLife(name: string, notBefore: Date, notAfter: Date): void {
        const own = this.chain[0]
        if (notAfter <= own.notAfter) return
        const left = Math.floor((own.notAfter.getTime() + 1000 - notBefore.getTime()) / day)
        const advice = left > 0 ? `give --days ${left} or fewer, or renew the issuer` : "renew the issuer"
        throw new PkiError(
            `${name} would be valid to ${dateOf(notAfter)}, its issuer only to ${dateOf(own.notAfter)}: ${advice} ` +
                `(plomb pki renew ${basename(this.folder)} --in ${dirname(this.folder)})`,
        )
    }

    /**
     * Signs the revocation list anew, with the next number, valid from `now` for `crlDays`, and one more under each
     * former key whose certificate has not ended; saves register and lists. Answers the lists, the present key's first.
     */
    async renewLists(now: Date): Promise<x509.X509Crl[]> {
        this.register.crlNumber++
        const signers = [this, ...this.earlier.filter(each => each.chain[0].notAfter >= now)]
        const lists = await Promise.all(signers.map(each => each.signCrl(now)))
        this.save(lists)
        return lists
    }

    private async signCrl(now: Date): Promise<x509.X509Crl> {
        const number = this.register.crlNumber
        const keyId = await keyIdOf(publicKeyOf(this.key))
        const extensions = [
            await x509.AuthorityKeyIdentifierExtension.create(publicKeyOf(this.key)),
            new x509.Extension("2.5.29.20", false, derNatural(number)),
        ]
        return await x509.X509CrlGenerator.create({
            issuer: this.chain[0].subjectName,
            thisUpdate: wholeSecond(now),
            nextUpdate: new Date(wholeSecond(now).getTime() + crlDays * day),
            signingKey: await signingKey(this.key),
            signingAlgorithm: algorithm,
            extensions,
            entries: this.register.issued
                .filter(each => each.revoked && (each.keyId ?? keyId) === keyId)
                .map(each => ({
                    serialNumber: each.serial,
                    revocationDate: new Date(each.revoked!.at),
                    // RFC 5280 5.3.1: "unspecified" is said by leaving the reason out. The date of invalidity stands in
                    // for it, because the library writes an empty list where an entry has no extension at all.
                    ...(each.revoked!.reason === "unspecified"
                        ? { invalidity: new Date(each.revoked!.at) }
                        : { reason: reasons[each.revoked!.reason] }),
                })),
        })
    }

    /** Puts the register, and the lists if there are new ones, in the place of the old ones. */
    save(crls: x509.X509Crl[] = []): void {
        replaceFile(join(this.folder, "index.json"), `${JSON.stringify(this.register, undefined, 2)}\n`)
        const texts = crls.map(each => pem("X509 CRL", new Uint8Array(each.rawData)))
        if (crls.length > 0) replaceFile(join(this.folder, "crl.pem"), texts.join(""))
    }
}

function openOne(folder: string, register: Register, passphrase?: string, earlier: Authority[] = []): Authority {
    const chain = readCertificates(join(folder, "chain.pem"))
    const key = openKey(join(folder, "key.pem"), passphrase)
    if (!isKeyOf(key, chain[0])) throw new PkiError(`${folder}: key.pem is not the key of chain.pem`)
    return new Authority(folder, key, chain, register, earlier)
}

function isKeyOf(key: KeyObject, certificate: x509.X509Certificate): boolean {
    return Buffer.from(certificate.publicKey.rawData).equals(Buffer.from(publicKeyOf(key).rawData))
}

/** `index.json` of an issuer. */
export function readRegister(folder: string): Register {
    const path = join(folder, "index.json")
    if (!existsSync(path)) throw new PkiError(`${folder} is not an issuer: no index.json`)
    try {
        const register = JSON.parse(readText(path)) as Register
        if (register.format === "plomb-pki-index/1" && Array.isArray(register.issued)) return register
    } catch {}
    throw new PkiError(`${path} is damaged`)
}

/** 128 random bits, positive and of full length. */
function newSerial(): string {
    const octets = randomBytes(16)
    octets[0] = (octets[0] & 0x3f) | 0x40
    return octets.toString("hex")
}

function validity({ party, days, now }: Subject): [Date, Date] {
    const notBefore = wholeSecond(now)
    const notAfter = new Date(notBefore)
    if (days === undefined) notAfter.setUTCFullYear(notAfter.getUTCFullYear() + party.years)
    else notAfter.setTime(notAfter.getTime() + days * day)
    // The last second belongs to the period
    return [notBefore, new Date(notAfter.getTime() - 1000)]
}

function wholeSecond(date: Date): Date {
    return new Date(Math.floor(date.getTime() / 1000) * 1000)
}
