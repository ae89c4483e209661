import { createPublicKey, X509Certificate } from "node:crypto"
import { Code } from "../../firmware/core/errors"
import type { Request } from "../operator/requests.ts"
import { adjustMeter } from "./adjust.ts"
import { attest, type Field } from "./field.ts"
import type { Issuance } from "./issuance.ts"
import { RefusedError } from "./link.ts"
import type { Identification, MeterUnderCalibration } from "./meter.ts"
import type { CalibrationProtocol, PartialProtocol } from "./protocol.ts"
import type { ReferenceSource } from "./reference.ts"

/** Steps a meter counts (firmware/meter/identity.ts). */
const step = { produced: 1, adjusted: 2, keyMade: 3, certified: 4, calibrated: 5 }
/** Slots of its trust store (firmware/meter/layout.ts). */
const slot = { meter: 0, calibrationAuthority: 1, instituteRoot: 2, manufacturer: 3 }

/** The certification side of the station; `tools/pki` is the one implementation, tests bring others. */
export interface Certifier extends Issuance {
    /** Certificates of design.md section 6, PEM. */
    instituteRoot: string
    calibrationAuthority: string
    manufacturer: string
    /** A command of the calibration authority for the device, and the PEM chain of who signed it. */
    command(serverId: string, requests: Request[]): { file: Buffer; chain: string[] }
}

/** Verifies offline what a meter of `chain` has signed, a test reading or the answer to a command; answers findings. */
export type Judge = (
    sml: Buffer,
    chain: string[],
    command?: { request: Buffer; chain: string[] },
) => Promise<{ check: string; result: string }[]>

export interface CalibrationJob {
    /** Absent where the board runs the field image already: sealed by an earlier session. */
    meter?: MeterUnderCalibration
    field: Field
    serial: number
    hardware: string
    reference: ReferenceSource
    certifier: Certifier
    judge: Judge
    now(): Date
    /** A step begins; `final` says in words what can not be undone after it, or is empty. */
    onStep(name: string, final: string): void
    onProgress(text: string): void
    /** What an earlier, interrupted session left; `remember` is called after each thing worth keeping. */
    earlier?: PartialProtocol
    remember(partial: PartialProtocol): Promise<void>
}

/** The meter is not one this job may calibrate. */
export class JobError extends Error {}

/** Server id of the meter with this serial number: DIN 43863-5:2012, maker PLB, electricity. */
export function serverIdOf(serial: number): string {
    return `0a01504c4201${serial.toString(16).padStart(8, "0")}`
}

function derOf(pem: string): Buffer {
    return new X509Certificate(pem).raw
}

/**
 * Calibrates one meter from wherever it stands to the end, which is the sealed meter with the field image, or throws with the
 * meter in a state from which the next run goes on. The meter itself counts the steps; the station only asks.
 */
export async function calibrateMeter(job: CalibrationJob): Promise<CalibrationProtocol> {
    const { meter, field } = job
    const found = await meter?.identify()
    if (found) refuseWrongMeter(found, job)
    // Of a bare board nothing was done earlier, whatever the station remembers.
    const earlier = found && found.step < step.produced ? undefined : job.earlier
    const partial: PartialProtocol = { steps: [], startedAt: job.now().toISOString(), ...earlier }
    const begin: Begin = async (name, final = "") => {
        job.onStep(name, final)
        partial.steps!.push({ name, at: job.now().toISOString(), final: final !== "" })
        await job.remember(partial)
    }
    if (meter && found) {
        await sealMeter(job, meter, found, partial, begin)
        await begin(`field image: ${field.software.identification}`)
        await field.enter()
    }
    const { chain, testReading, testFindings, keyProtection } = partial
    if (!chain || !testReading || !testFindings || !keyProtection)
        throw new JobError("this station has no record of sealing the meter: run it where it was begun")
    await begin("attestation by the sealed meter, asked for on its line")
    const attestation = await attest(job, chain)

    const leaf = new X509Certificate(chain[0])
    return {
        format: "plomb-calibration/2",
        serverId: serverIdOf(job.serial),
        serial: job.serial,
        hardware: job.hardware,
        startedAt: partial.startedAt!,
        finishedAt: job.now().toISOString(),
        reference: job.reference.description,
        adjustment: partial.adjustment,
        publicKey: createPublicKey(chain[0]).export({ type: "spki", format: "der" }).toString("hex"),
        keyProtection,
        chain,
        certificateSerial: leaf.serialNumber,
        certificateNotAfter: new Date(leaf.validTo).toISOString(),
        testReading,
        testFindings,
        software: field.software,
        attestation,
        steps: partial.steps!,
    }
}

type Begin = (name: string, final?: string) => Promise<void>

/** All that only the image for calibration can do; `partial` gets what came of it. */
async function sealMeter(
    job: CalibrationJob,
    meter: MeterUnderCalibration,
    found: Identification,
    partial: PartialProtocol,
    begin: Begin,
): Promise<void> {
    const { certifier } = job
    const serverId = serverIdOf(job.serial)
    if (found.step < step.certified) await rehearse(job, found)

    if (found.step < step.produced) {
        await begin("production: anchors, serial number, hardware model")
        await meter.putCertificate(slot.instituteRoot, derOf(certifier.instituteRoot))
        await meter.putCertificate(slot.manufacturer, derOf(certifier.manufacturer))
        await meter.produce(job.serial, job.hardware)
    }
    if (found.step < step.keyMade && !(found.step === step.adjusted && partial.adjustment)) {
        await begin("adjustment against the reference")
        partial.adjustment = await adjustMeter(meter, job.reference, job.onProgress)
        await job.remember(partial)
    }
    if (found.step < step.certified) {
        await begin(
            "key made inside the meter, certificate request",
            found.keyProtection === 1
                ? "the secure element's configuration zone is locked for ever"
                : "the meter's key is made; it can only be erased, never read",
        )
        const request = await meter.makeKey()
        await begin("certificate issued by the calibration authority")
        const leaf = await certifier.certify(request, serverId)
        partial.chain = [leaf, certifier.calibrationAuthority, certifier.instituteRoot]
        await job.remember(partial)
        await begin("certificate installed, clock set")
        await meter.putCertificate(slot.meter, derOf(leaf))
        await meter.putCertificate(slot.calibrationAuthority, derOf(certifier.calibrationAuthority))
        await meter.certify(job.now())
    }
    if (!partial.chain) {
        const leaf = certifier.issued(serverId)
        if (!leaf) throw new JobError("the meter is certified, but this PKI did not certify it: give its --pki")
        partial.chain = [leaf, certifier.calibrationAuthority, certifier.instituteRoot]
    }
    if (found.step < step.calibrated) {
        await begin("test reading before sealing")
        const proof = await prove(job, meter, partial.chain)
        partial.testReading = proof.sml.toString("hex")
        partial.testFindings = proof.findings
        partial.keyProtection = found.keyProtection === 1 ? "secure element" : "none"
        await begin(
            "sealing",
            found.keyProtection === 1
                ? "the secure element's data zone is locked for ever and calibration is closed"
                : "calibration is closed",
        )
        await meter.seal()
    }
    const sealed = await meter.identify()
    if (sealed.step !== step.calibrated || !sealed.sealed)
        throw new JobError(`the meter does not say that it is sealed: step ${sealed.step}`)
}

function refuseWrongMeter(found: Identification, job: CalibrationJob): void {
    // With a record that was not finished it was sealed by this very calibration, and the answer was lost.
    if (found.step >= step.calibrated && !job.earlier?.chain)
        throw new JobError(
            `meter ${found.serial} is calibrated already; a new calibration needs an order of the calibration authority`,
        )
    if (found.step >= step.produced && found.serial !== job.serial)
        throw new JobError(`this is meter ${found.serial}, expected ${job.serial} or a bare board`)
    if (found.step >= step.produced && found.hardware !== job.hardware)
        throw new JobError(`this is hardware model "${found.hardware}", expected "${job.hardware}"`)
}

/** What is needed after the first final step is looked at before it. */
async function rehearse({ certifier, serial, now }: CalibrationJob, found: Identification): Promise<void> {
    const serverId = serverIdOf(serial)
    if (found.step < step.keyMade && certifier.issued(serverId))
        throw new JobError(
            `a certificate for meter ${serial} is in force, but not for this board, which has no key yet: revoke it (plomb pki revoke) or take another serial number`,
        )
    await certifier.rehearse(serverId, now())
}

/** Fetches and judges a test reading; that it is not calibrated, as a meter says that is not sealed, speaks against none. */
async function prove(job: CalibrationJob, meter: MeterUnderCalibration, chain: string[]) {
    await waitForFrontEnd(meter)
    const sml = await meter.testReading()
    const findings = (await job.judge(sml, chain)).filter(each => each.check !== "state of the meter")
    const wrong = findings.filter(each => each.result !== "proved")
    if (wrong.length > 0)
        throw new JobError(
            `the test reading is no proof: ${wrong.map(each => `${each.check} ${each.result}`).join("; ")}`,
        )
    return { sml, findings }
}

/** A meter that has just got its power starts its front end within the first seconds. */
async function waitForFrontEnd(meter: MeterUnderCalibration): Promise<void> {
    for (let attempt = 0; ; ++attempt)
        try {
            await meter.measure()
            return
        } catch (error) {
            if (attempt > 20 || !(error instanceof RefusedError) || error.code !== Code.FrontEndReset) throw error
            await new Promise(resolve => setTimeout(resolve, 200))
        }
}
