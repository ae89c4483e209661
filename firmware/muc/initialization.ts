import type { Uplink } from "../../hal/ports"
import { verifyChain, verifyCrl } from "../core/chain"
import { type Crl, parseCrl } from "../core/crl"
import { Code, fail, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { type Certificate, cRLSign, digitalSignature, keyCertSign, parseCertificate } from "../core/x509"
import { Role, readRole } from "../core/x509-role"
import type { MucClock } from "./clock"
import { longestCrl } from "./crl-store"
import type { Endpoint } from "./endpoint"
import type { Holdings } from "./holdings"
import { TrustSlot, trustSlotSize } from "./layout"
import { LdapReader } from "./ldap"

const connectMs = 10000
/** A list, or a few certificates, and what is around them. */
const longestMessage = longestCrl + 512
/** Longest certificate kept, octets. */
const longestCertificate = trustSlotSize - 6

/** After a failure the next try comes in a minute, then in twice the time, up to a quarter of an hour. */
const shortestPauseMs = 60000
const longestPauseMs = 900000
/** After a success: at half of the lists' life, but within a day and not within the hour. */
const mostSeconds = 86400
const leastSeconds = 3600

const certificateAttribute = "userCertificate;binary"
const listAttribute = "certificateRevocationList;binary"

/** What is fetched, in this order: a list must be there before it is asked whether it revokes. */
enum Item {
    CaList = 0,
    Provider = 1,
    ProviderList = 2,
    ManufacturerList = 3,
    InstituteList = 4,
    CalibrationList = 5,
}

/** Names of the entries, by `Item`; the provider's is a setting. */
const names = ["ca-root", "", "", "manufacturer", "institute-root", "calibration-authority"]

/**
 * Fetches from the directory what the MUC lacks and what grows old (paper 4.3): the provider's certificate where none is in force, and
 * the revocation lists. Nothing is believed because the directory says it: each object is proved by certificates the MUC
 * holds since production. Rules and times: README.md.
 */
export class Initialization {
    private nextAt = 0
    /** UTC at the last look at the clock, which may fail while this is made use of. */
    private now = 0
    private pauseMs = shortestPauseMs

    /** `provider` is the common name of the provider's entry. */
    constructor(
        private readonly holdings: Holdings,
        private readonly clock: MucClock,
        private readonly link: Uplink,
        private readonly where: Endpoint | undefined,
        private readonly provider: string,
    ) {}

    /** Is it time to ask the directory? Never without one. */
    due(): boolean {
        return this.where !== undefined && platform().millis() >= this.nextAt
    }

    /** Asks the directory for everything; what went wrong stands in the log, and sets the time of the next try. */
    run(): void {
        const where = this.where
        if (!where) return
        let sound = true
        let reader: LdapReader | undefined
        for (let item = Item.CaList; item <= Item.CalibrationList; ++item) {
            try {
                if (!reader) reader = this.open(where)
                this.fetch(item, reader)
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                sound = false
                console.log(
                    "directory: " + (reader ? this.nameOf(item) : where.host + ":" + where.port) + " " + e.message,
                )
                if (!reader) break
                // After a refusal of its content the connection is sound; after a fault of the link or the protocol it is not.
                if (isLinkFault(e.code)) {
                    this.link.close()
                    reader = undefined
                }
            }
        }
        if (reader) goodbye(reader)
        this.link.close()
        let seconds = this.pauseMs / 1000
        if (sound) {
            this.pauseMs = shortestPauseMs
            seconds = Math.max(leastSeconds, this.secondsToHalf())
        } else this.pauseMs = Math.min(longestPauseMs, this.pauseMs * 2)
        this.nextAt = platform().millis() + seconds * 1000
        console.log("directory: again in " + Math.round(seconds) + " s")
    }

    private open(where: Endpoint): LdapReader {
        this.link.connect(where.host, where.port, connectMs)
        const reader = new LdapReader(this.link, longestMessage)
        reader.bind()
        return reader
    }

    /** Seconds until the first of the lists held has lived half of its life, at most a day; negative if one has. */
    private secondsToHalf(): number {
        const now = this.now
        const lists = this.holdings.lists.all()
        let seconds = mostSeconds
        for (let i = 0; i < lists.length; ++i)
            seconds = Math.min(seconds, (lists[i].thisUpdate + lists[i].nextUpdate) / 2 - now)
        return seconds
    }

    private nameOf(item: Item): string {
        return item === Item.Provider || item === Item.ProviderList ? this.provider : names[item]
    }

    private fetch(item: Item, reader: LdapReader): void {
        this.now = this.clock.nowSeconds()
        const holdings = this.holdings
        const dn = "cn=" + this.nameOf(item) + ",ou=authorities,o=plomb"
        const provider = holdings.inForce(TrustSlot.SecurityManagement)
        let issuer: Certificate | undefined
        if (item === Item.Provider) {
            if (!provider) this.takeProvider(reader.read(dn, certificateAttribute))
            return
        }
        if (item === Item.CaList) issuer = holdings.certificate(TrustSlot.CaRoot)
        else if (item === Item.ProviderList) issuer = provider
        else if (item === Item.ManufacturerList) issuer = holdings.certificate(TrustSlot.Manufacturer)
        else if (item === Item.InstituteList) issuer = holdings.certificate(TrustSlot.InstituteRoot)
        else
            issuer = this.proved(
                reader.read(dn, certificateAttribute),
                TrustSlot.InstituteRoot,
                Role.calibrationAuthority,
            )
        if (!issuer) fail(Code.CertificateMissing, -1, "the issuer's certificate", "none")
        this.takeList(reader.read(dn, listAttribute), issuer, this.nameOf(item))
    }

    private takeProvider(values: Buffer[]): void {
        const certificate = this.proved(values, TrustSlot.CaRoot, Role.securityManagement)
        this.holdings.takeProvider(certificate.der)
        console.log("directory: CERT_SM of " + this.provider + " kept")
    }

    /** The first of several certificates, as a renewed one stands beside its predecessor, that is proved; else why the last is not. */
    private proved(values: Buffer[], slot: TrustSlot, wanted: Role): Certificate {
        for (let i = 0; ; ++i) {
            try {
                return this.provedOne(values[i], slot, wanted)
            } catch (e: any) {
                if (!(e instanceof PlombError) || i + 1 === values.length) throw e
            }
        }
    }

    /** A certificate of this role that the root in `slot` issued, valid now and not on that root's list, which must be current. */
    private provedOne(der: Buffer, slot: TrustSlot, wanted: Role): Certificate {
        if (der.length > longestCertificate)
            fail(Code.CertificateTooLong, -1, longestCertificate + " octets", "" + der.length)
        const root = this.holdings.certificate(slot)
        if (!root) fail(Code.CertificateMissing, -1, "a root in slot " + slot, "none")
        const crl = this.holdings.crlOf(root.subjectKeyId)
        const certificate = verifyChain({
            chain: [parseCertificate(der)],
            anchors: [root],
            atSeconds: this.now,
            crls: crl ? [crl] : [],
            crlRequired: true,
            keyUsage: digitalSignature | keyCertSign | cRLSign,
        })
        const role = readRole(certificate)
        if (!role || role.role !== wanted) fail(Code.RoleMismatch, -1, "role " + wanted, role ? "" + role.role : "none")
        return certificate
    }

    /** An issuer that has changed its key publishes a list of each, the present one first: its key decides which is meant. */
    private takeList(values: Buffer[], issuer: Certificate, name: string): void {
        for (let i = values.length - 1; ; --i) {
            try {
                this.takeOne(values[i], issuer, name)
                return
            } catch (e: any) {
                if (!(e instanceof PlombError) || i === 0) throw e
            }
        }
    }

    private takeOne(der: Buffer, issuer: Certificate, name: string): void {
        const held = this.holdings.lists.of(issuer.subjectKeyId)
        if (held && held.length === der.length && sameOctets(this.holdings.lists.der(held), der)) return
        const crl = this.judged(der, issuer)
        this.holdings.takeList(crl)
        console.log("directory: list " + crl.number.toString("hex") + " of " + name + " kept")
    }

    private judged(der: Buffer, issuer: Certificate): Crl {
        if (der.length > longestCrl) fail(Code.CrlTooLong, -1, longestCrl + " octets", "" + der.length)
        const crl = parseCrl(der)
        const now = this.now
        // RFC 5280 6.3.3 (a): the list is current
        if (now < crl.thisUpdate) fail(Code.CrlNotYetValid, -1, "a list of the past", "from " + crl.thisUpdate)
        if (now > crl.nextUpdate) fail(Code.CrlStale, -1, "a list until " + now, "" + crl.nextUpdate)
        verifyCrl(crl, issuer)
        return crl
    }
}

/** Codes of the room of links, but for an object that is not there. */
function isLinkFault(code: number): boolean {
    return Math.floor(code / 100) % 10 === 9 && code !== Code.LdapMissing
}

/** The directory may have gone already. */
function goodbye(reader: LdapReader): void {
    try {
        reader.unbind()
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
    }
}
