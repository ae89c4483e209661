import type { KeyCustody } from "../../hal/ports"
import { verifyChain } from "../core/chain"
import { writeCsr } from "../core/csr"
import { Code, fail } from "../core/errors"
import { Floor } from "../core/floor"
import { sameOctets } from "../core/octets"
import type { TrustStore } from "../core/trust-store"
import { parseCertificate } from "../core/x509"
import { hardwareAt, type Identity, Step, serialAt } from "./identity"
import { floorAt, TrustSlot } from "./layout"
import type { Meter } from "./meter"

/**
 * The steps of calibration on the meter's side (paper 4.1: the meter makes its own key during
 * calibration). Each method does one step whole or throws with nothing changed; a step already done is
 * done again harmlessly, so a station that lost its link starts where it stopped. `Calibrated` closes it
 * for good.
 */
export class CalibrationBench {
    private readonly identity: Identity
    private readonly trust: TrustStore
    private readonly custody: KeyCustody

    constructor(private readonly meter: Meter) {
        this.identity = meter.identity
        this.trust = meter.trust
        this.custody = meter.machine.custody
    }

    /** Production: who this meter is. Needs the anchors in their slots. */
    produce(serial: number, hardware: Buffer): void {
        this.allow(Step.Bare, Step.Produced)
        if (serial < 1) fail(Code.BadArgument, -1, "a serial number from 1", "" + serial)
        if (hardware.length > 31)
            fail(Code.BadArgument, -1, "at most 31 octets of hardware model", "" + hardware.length)
        if (!this.trust.read(TrustSlot.InstituteRoot)) fail(Code.CertificateMissing, -1, "the institute's root", "none")
        if (!this.trust.read(TrustSlot.Manufacturer)) fail(Code.CertificateMissing, -1, "the manufacturer's", "none")
        produceIdentity(this.identity, serial, hardware)
    }

    /** A part of a certificate. The chain's slots open after production, the anchors' before it. */
    put(slot: number, offset: number, part: Buffer): void {
        this.allowSlot(slot)
        this.trust.writePart(slot, offset, part)
    }

    /** The certificate in `slot` is whole; it must parse. */
    close(slot: number, length: number): void {
        this.allowSlot(slot)
        parseCertificate(this.trust.close(slot, length))
    }

    /** Front end gains and phase from a reference measurement; takes effect at once. */
    adjust(voltageGain: number, currentGain: number, powerGain: number, phase: number): void {
        this.allow(Step.Produced, Step.Adjusted)
        const constants = this.identity.calibration()
        constants.voltageGain = voltageGain
        constants.currentGain = currentGain
        constants.activePowerGain = powerGain
        constants.phase = phase
        this.meter.startFrontEnd(constants)
        this.identity.put(constants)
        this.identity.reach(Step.Adjusted)
    }

    /**
     * Configures the key's holder (final), makes the key inside, answers a PKCS#10 request for it. A key whose
     * making was not recorded before the power went is made anew: no request for it has left the meter.
     */
    makeKey(): Buffer {
        this.allow(Step.Adjusted, Step.KeyMade)
        if (!this.custody.state().configured) this.custody.configure()
        if (this.identity.step() < Step.KeyMade) {
            this.custody.generateKey()
            this.identity.reach(Step.KeyMade)
        }
        return writeCsr(this.identity.serverId().toString("hex"), "" + this.identity.serial(), this.custody)
    }

    /** Checks the chain against the key, the server id and the time; then sets the clock and installs it. */
    certify(utcSeconds: number): void {
        this.allow(Step.KeyMade, Step.Certified)
        const leaf = this.certificate(TrustSlot.Meter)
        const authority = this.certificate(TrustSlot.CalibrationAuthority)
        const root = this.certificate(TrustSlot.InstituteRoot)
        if (!sameOctets(leaf.publicKey, this.custody.publicKey()))
            fail(Code.CertificateForOtherKey, -1, "a certificate for this meter's key", "another key")
        verifyChain({ chain: [leaf, authority], anchors: [root], atSeconds: utcSeconds })
        this.meter.time.set(utcSeconds)
        this.identity.reach(Step.Certified)
    }

    /** Locks the key's holder (final) and closes calibration. */
    seal(): void {
        this.allow(Step.Certified, Step.Certified)
        if (!this.custody.state().sealed) this.custody.seal()
        const custody = this.custody
        new Floor(this.meter.store, floorAt, custody, () => custody).begin()
        this.identity.reach(Step.Calibrated)
    }

    private certificate(slot: TrustSlot) {
        const der = this.trust.read(slot)
        if (!der) fail(Code.CertificateMissing, -1, "a certificate in slot " + slot, "none")
        return parseCertificate(der)
    }

    private allowSlot(slot: number): void {
        if (slot === TrustSlot.InstituteRoot || slot === TrustSlot.Manufacturer) this.allow(Step.Bare, Step.Bare)
        else if (slot === TrustSlot.Meter || slot === TrustSlot.CalibrationAuthority)
            this.allow(Step.Bare, Step.KeyMade)
        else fail(Code.BadArgument, -1, "a slot of the calibration", "" + slot)
    }

    private allow(from: Step, to: Step): void {
        const step = this.identity.step()
        if (step === Step.Calibrated) fail(Code.AlreadyCalibrated, -1, "a meter that is not calibrated", "calibrated")
        if (step < from || step > to) fail(Code.StepOutOfOrder, -1, "calibration step " + from + " to " + to, "" + step)
    }
}

/** Who this meter is from now on: a serial number from 1 and the hardware model, at most 31 octets. */
export function produceIdentity(identity: Identity, serial: number, hardware: Buffer): void {
    identity.data.setAt(serialAt, "u32", serial)
    identity.data[hardwareAt] = hardware.length
    identity.data.blitAt(hardwareAt + 1, hardware, 0, hardware.length)
    identity.reach(Step.Produced)
}
