import { createPublicKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Code } from "../../firmware/core/errors"
import { crlsOf, type Issuance, issuanceOf } from "../calibrate/issuance.ts"
import { RefusedError } from "../calibrate/link.ts"
import { JobError } from "../calibrate/station.ts"
import { readPem } from "../pki/pem.ts"
import type { HeldKey, MucIdentification, MucUnderInstallation } from "./muc.ts"
import { step } from "./muc.ts"
import type { Secret } from "./secrets.ts"

/** Slots of a MUC's trust store (services/installation.md). */
const slot = { muc: 0, manufacturer: 1, caRoot: 2, instituteRoot: 3, securityManagement: 4, list: 16 }

/** The certification side; `tools/pki` is the one implementation. */
export interface MucCertifier extends Issuance {
    /** Certificates of design.md section 6, PEM. */
    manufacturer: string
    caRoot: string
    instituteRoot: string
}

/** The manufacturer of a PKI folder (`plomb pki init`); `passphrase` opens its key where it has one. */
export function mucCertifierOf(pki: string, passphrase?: string): MucCertifier {
    const certificate = (folder: string) => readFileSync(join(pki, folder, "cert.pem"), "utf8")
    return {
        manufacturer: certificate("manufacturer"),
        caRoot: certificate("ca-root"),
        instituteRoot: certificate("institute-root"),
        ...issuanceOf(pki, "muc", "ca-root", passphrase),
    }
}

/** What a directory would bring the MUC, from the PKI folder: CERT_SM and the lists of all issuers it holds. */
export function broughtByHand(pki: string): Pick<Installation, "securityManagement" | "lists"> {
    return {
        securityManagement: readFileSync(join(pki, "security-management", "cert.pem"), "utf8"),
        lists: crlsOf(pki, ["ca-root", "manufacturer", "security-management", "institute-root"]),
    }
}

/** The record of one commissioning. It names what was installed and holds no secret. */
export interface CommissioningRecord {
    format: "plomb-commissioning/1"
    serverId: string
    hardware: string
    state: "delivered" | "installed"
    startedAt: string
    finishedAt: string
    keyProtection: "secure element" | "none"
    /** SubjectPublicKeyInfo in hex. */
    publicKey: string
    /** PEM, leaf first. */
    chain: string[]
    certificateSerial: string
    certificateNotAfter: string
    /** What the MUC says it holds. */
    held: HeldKey[]
    steps: { name: string; at: string; final: boolean }[]
}

/** What is to be installed after delivery; without it the MUC is left as the manufacturer delivers it. */
export interface Installation {
    secrets: Secret[]
    /** Where the MUC is not to fetch them from the directory: CERT_SM, PEM, and revocation lists, PEM. */
    securityManagement?: string
    lists?: string[]
}

export interface CommissioningJob {
    muc: MucUnderInstallation
    hardware: string
    certifier: MucCertifier
    /** Called with the server id: names of files depend on it. */
    installation?: (serverId: string) => Installation
    now(): Date
    /** A step begins; `final` says in words what can not be undone after it, or is empty. */
    onStep(name: string, final: string): void
    earlier?: Partial<CommissioningRecord>
    remember(partial: Partial<CommissioningRecord>): void
}

function derOf(pem: string): Buffer {
    return new X509Certificate(pem).raw
}

/**
 * Produces and installs one MUC from wherever it stands to the end, or throws with the MUC in a state from which the
 * next run goes on. The MUC itself counts the steps; the station only asks.
 */
export async function commissionMuc(job: CommissioningJob): Promise<CommissioningRecord> {
    const { muc, certifier } = job
    const found = await muc.identify()
    const { serverId } = found
    refuseWrongMuc(found, job)
    const partial: Partial<CommissioningRecord> = {
        steps: [],
        startedAt: job.now().toISOString(),
        // Of a bare board nothing was done earlier, whatever the station remembers.
        ...(found.step < step.produced ? {} : job.earlier),
    }
    if (found.step < step.certified) await rehearse(job, found)
    const installation = job.installation?.(serverId)
    const begin = (name: string, final = "") => {
        job.onStep(name, final)
        partial.steps!.push({ name, at: job.now().toISOString(), final: final !== "" })
        job.remember(partial)
    }

    if (found.step < step.produced) {
        begin("production: anchors, manufacturer's certificate, hardware model")
        await muc.putCertificate(slot.manufacturer, derOf(certifier.manufacturer))
        await muc.putCertificate(slot.caRoot, derOf(certifier.caRoot))
        await muc.putCertificate(slot.instituteRoot, derOf(certifier.instituteRoot))
        await muc.produce(job.hardware)
    }
    if (found.step < step.certified) {
        begin(
            "key made inside the MUC, certificate request",
            found.keyProtection === 1
                ? "the secure element's configuration zone is locked for ever"
                : "the MUC's key is made; it can only be erased, never read",
        )
        const request = await muc.makeKey()
        begin("certificate issued by the manufacturer")
        const leaf = await certifier.certify(request, serverId)
        begin("certificate installed, clock set")
        await muc.putCertificate(slot.muc, derOf(leaf))
        await muc.certify(job.now())
    }
    if (found.step < step.delivered) {
        begin(
            "sealing for delivery",
            found.keyProtection === 1 ? "the secure element's data zone is locked for ever" : "",
        )
        await muc.deliver()
    }
    const leaf = certifier.issued(serverId)
    if (!leaf) throw new JobError("the MUC is certified, but not by this PKI, or no longer: give its --pki")
    if (installation && found.step < step.installed) await install(job, installation, begin)

    const now = await muc.identify()
    const certificate = new X509Certificate(leaf)
    return {
        format: "plomb-commissioning/1",
        serverId,
        hardware: now.hardware,
        state: now.step === step.installed ? "installed" : "delivered",
        startedAt: partial.startedAt!,
        finishedAt: job.now().toISOString(),
        keyProtection: now.keyProtection === 1 ? "secure element" : "none",
        publicKey: createPublicKey(leaf).export({ type: "spki", format: "der" }).toString("hex"),
        chain: [leaf, certifier.manufacturer, certifier.caRoot],
        certificateSerial: certificate.serialNumber,
        certificateNotAfter: new Date(certificate.validTo).toISOString(),
        held: await muc.held(),
        steps: partial.steps!,
    }
}

async function install(
    { muc, now }: CommissioningJob,
    { secrets, securityManagement, lists }: Installation,
    begin: (name: string, final?: string) => void,
): Promise<void> {
    const same = (a: HeldKey) => (b: HeldKey) => a.kind === b.kind && a.address === b.address
    for (const key of await muc.held())
        if (!secrets.some(secret => same(secret.key)(key))) {
            begin(`removed: a key of kind ${key.kind} ${key.address}, which this installation does not name`)
            await muc.putKey(key, Buffer.alloc(0))
        }
    for (const secret of secrets) {
        begin(`installed: ${secret.name}`)
        await muc.putKey(secret.key, secret.value())
    }
    if (securityManagement) {
        begin("installed: certificate of the provider's security management")
        await muc.putCertificate(slot.securityManagement, derOf(securityManagement))
    }
    if (lists) begin("installed: revocation lists")
    for (const { der } of (lists ?? []).flatMap(text => readPem(text)))
        await muc.putCertificate(slot.list, der).catch(error => {
            // A list under a former key of its issuer.
            if (!(error instanceof RefusedError) || error.code !== Code.CertificateMissing) throw error
        })
    const held = await muc.held()
    const missing = secrets.find(({ key }) => !held.some(same(key)))
    if (missing) throw new JobError(`the MUC does not hold what was put: ${missing.name}`)
    begin("closing installation", "from here on keys and provider change by signed orders only")
    await muc.install(now())
}

function refuseWrongMuc(found: MucIdentification, job: CommissioningJob): void {
    // With a record that was not finished it was closed by this very run, and the answer was lost.
    if (found.step >= step.installed && !job.earlier?.steps)
        throw new JobError(
            `MUC ${found.serverId} is installed already; opening it again needs an order of an authority`,
        )
    if (found.step === step.delivered && !job.installation && !job.earlier?.steps)
        throw new JobError(`MUC ${found.serverId} is produced already; to install it give its keys (see --help)`)
    if (found.step >= step.produced && found.step < step.delivered && found.hardware !== job.hardware)
        throw new JobError(`this is hardware model "${found.hardware}", expected "${job.hardware}"`)
}

/** What is needed after the first final step is looked at before it. */
async function rehearse({ certifier, now }: CommissioningJob, found: MucIdentification): Promise<void> {
    const { serverId } = found
    if (found.step < step.keyMade && certifier.issued(serverId))
        throw new JobError(
            `a certificate for MUC ${serverId} is in force, but not for this board, which has no key yet: revoke it (plomb pki revoke)`,
        )
    await certifier.rehearse(serverId, now())
}
