import type { Settings, Uplink } from "../../hal/ports"
import { Code, fail, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import { Role } from "../core/x509-role"
import type { MucClock } from "./clock"
import { longestCrl } from "./crl-store"
import { type Endpoint, endpointOf } from "./endpoint"
import type { Holdings } from "./holdings"
import { TrustSlot } from "./layout"
import { LdapReader } from "./ldap"
import { prove, proveList } from "./proof"

const connectMs = 10000
/** A list, or a few certificates, and what is around them. */
const longestMessage = longestCrl + 512

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

    /** `addresses` say where the directory is, and under which name ("provider") the provider stands there. */
    constructor(
        private readonly holdings: Holdings,
        private readonly clock: MucClock,
        private readonly link: Uplink,
        private readonly addresses: Settings,
    ) {}

    /** There is something new to fetch: now is the time. */
    soon(): void {
        this.nextAt = 0
    }

    /** Is it time to ask the directory? Never without one. */
    due(): boolean {
        return platform().millis() >= this.nextAt && this.where() !== undefined
    }

    /** Asks the directory for everything; what went wrong stands in the log, and sets the time of the next try. */
    run(): void {
        const where = this.where()
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

    private where(): Endpoint | undefined {
        return endpointOf(this.addresses.get("directory"))
    }

    private provider(): string {
        return this.addresses.get("provider") || "security-management"
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
        return item === Item.Provider || item === Item.ProviderList ? this.provider() : names[item]
    }

    private fetch(item: Item, reader: LdapReader): void {
        this.now = this.clock.nowSeconds()
        const holdings = this.holdings
        const dn = "cn=" + this.nameOf(item) + ",ou=authorities,o=plomb"
        const provider = holdings.inForce(TrustSlot.SecurityManagement)
        let issuer: Certificate | undefined
        if (item === Item.Provider) {
            if (!provider) {
                const values = reader.read(dn, certificateAttribute)
                holdings.setProvider(this.proved(values, TrustSlot.CaRoot, Role.securityManagement))
                console.log("directory: CERT_SM of " + this.provider() + " kept")
            }
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

    /** The first of several certificates, as a renewed one stands beside its predecessor, that is proved; else why the last is not. */
    private proved(values: Buffer[], slot: TrustSlot, wanted: Role): Certificate {
        for (let i = 0; ; ++i) {
            try {
                return prove(this.holdings, values[i], slot, wanted, this.now)
            } catch (e: any) {
                if (!(e instanceof PlombError) || i + 1 === values.length) throw e
            }
        }
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
        const crl = proveList(der, issuer, this.now)
        this.holdings.takeList(crl)
        console.log("directory: list " + crl.number.toString("hex") + " of " + name + " kept")
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
