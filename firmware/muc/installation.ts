import type { KeyCustody } from "../../hal/ports"
import { verifyChain } from "../core/chain"
import { writeCsr } from "../core/csr"
import { Code, fail } from "../core/errors"
import type { Floor } from "../core/floor"
import { Held } from "../core/inventory"
import { cut, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { type Certificate, parseCertificate } from "../core/x509"
import { nameText } from "../core/x509-name"
import { Role } from "../core/x509-role"
import type { MucClock } from "./clock"
import { longestCrl } from "./crl-store"
import type { Holdings } from "./holdings"
import { type Identity, mostHardware, Step } from "./identity"
import type { KeyRing } from "./keys"
import { TrustSlot } from "./layout"
import { mustBe, takeListOfHeld } from "./proof"

/** In the place of a slot: a revocation list, whose issuer says where it belongs. */
const listSlot = 16
/** A signed command, which is taken at every step: it proves itself. */
const orderSlot = 17

/**
 * Production and installation of a MUC, on its side (paper 4.1 and 4.3; services/installation.md). Each method does
 * one step whole or throws with nothing changed; a step already done is done again harmlessly, so that a tool that lost
 * its link starts where it stopped. `Installed` closes it: opening it again is an authority's order.
 */
export class Installation {
    /** Parts of a revocation list that came; gone with the power. */
    private area: Buffer | undefined

    constructor(
        readonly identity: Identity,
        readonly keys: KeyRing,
        private readonly holdings: Holdings,
        private readonly custody: KeyCustody,
        private readonly clock: MucClock,
        private readonly floor: Floor,
    ) {}

    /** Production: which hardware this is. Needs the anchors and the manufacturer's certificate in their slots. */
    produce(hardware: Buffer): void {
        this.allow(Step.Bare, Step.Produced)
        if (hardware.length > mostHardware)
            fail(Code.BadArgument, -1, "at most " + mostHardware + " octets of hardware model", "" + hardware.length)
        this.certificate(TrustSlot.InstituteRoot)
        this.certificate(TrustSlot.CaRoot)
        mustBe(Role.manufacturer, this.certificate(TrustSlot.Manufacturer))
        this.identity.produce(hardware)
    }

    /**
     * A part of a certificate, or of a revocation list in "slot" 16. The anchors' slots are open before production, the
     * provider's and lists after delivery.
     */
    put(slot: number, offset: number, part: Buffer): void {
        if (slot !== orderSlot) this.allowSlot(slot)
        if (slot < listSlot) {
            this.holdings.trust.writePart(slot, offset, part)
            return
        }
        if (offset === 0) this.area = Buffer.alloc(longestCrl)
        const area = this.area
        if (!area) fail(Code.StepOutOfOrder, -1, "the first part", "part at " + offset)
        if (!(offset + part.length <= longestCrl)) fail(Code.OutOfRange, offset, "" + longestCrl, "more octets")
        area.blitAt(offset, part, 0, part.length)
    }

    /**
     * The certificate in `slot` is whole; it must parse, and the provider's must be one of this CA. A list must be current and
     * of an issuer held; the one that is held already is no error.
     */
    close(slot: number, length: number): void {
        this.allowSlot(slot)
        if (slot === listSlot) {
            this.takeList(this.takeArea(length))
            return
        }
        const trust = this.holdings.trust
        try {
            parseCertificate(trust.close(slot, length))
            if (slot === TrustSlot.SecurityManagement) this.checkProvider()
        } catch (e: any) {
            // What the slot held went with the first part: it is empty, not wrong.
            trust.writePart(slot, 0, Buffer.alloc(0))
            throw e
        }
    }

    /**
     * Configures the key's holder (final), makes the key inside, answers a PKCS#10 request for it. A key whose
     * making was not recorded before the power went is made anew: no request for it has left the MUC.
     */
    makeKey(): Buffer {
        this.allow(Step.Produced, Step.KeyMade)
        if (!this.custody.state().configured) this.custody.configure()
        if (this.identity.step() < Step.KeyMade) {
            this.custody.generateKey()
            // The key's holder may have counted for a floor that was erased with the rest.
            this.floor.begin()
            this.identity.reach(Step.KeyMade)
        }
        const id = this.identity.serverId.toString("hex")
        return writeCsr(id, id, this.custody)
    }

    /** Checks the chain against key, server id, role and time; then sets the clock and installs it. */
    certify(utcSeconds: number): void {
        this.allow(Step.KeyMade, Step.Certified)
        const leaf = this.certificate(TrustSlot.Muc)
        if (!sameOctets(leaf.publicKey, this.custody.publicKey()))
            fail(Code.CertificateForOtherKey, -1, "a certificate for this MUC's key", "another key")
        const id = this.identity.serverId.toString("hex")
        const name = nameText(leaf.der, leaf.subjectAt, 3)
        if (name !== id) fail(Code.CertificateForOtherName, -1, id, name)
        mustBe(Role.muc, leaf)
        this.check([leaf, this.certificate(TrustSlot.Manufacturer)], utcSeconds)
        this.clock.set(utcSeconds)
        this.identity.reach(Step.Certified)
    }

    /** Locks the key's holder (final): what the manufacturer does is done. */
    deliver(): void {
        this.allow(Step.Certified, Step.Delivered)
        if (!this.custody.state().sealed) this.custody.seal()
        this.identity.reach(Step.Delivered)
    }

    /** Keeps, replaces or (empty `value`) removes a symmetric key or the verifier of the password: see `KeyRing.put`. */
    putKey(kind: number, address: Buffer, value: Buffer): void {
        this.allow(Step.Delivered, Step.Delivered)
        this.keys.put(kind, address, value)
    }

    /** Sets the clock, looks whether all is there that was to be brought, and closes installation. */
    install(utcSeconds: number): void {
        this.allow(Step.Delivered, Step.Delivered)
        const keys = this.keys
        for (let kind: number = Held.DisplayKey; kind <= Held.UserPassword; ++kind)
            if (!keys.holds(kind)) fail(Code.InstallationIncomplete, -1, "a key of kind " + kind, "none")
        this.check([this.certificate(TrustSlot.Muc), this.certificate(TrustSlot.Manufacturer)], utcSeconds)
        keys.settle()
        this.clock.set(utcSeconds)
        if (this.holdings.trust.read(TrustSlot.SecurityManagement)) this.checkProvider()
        this.identity.reach(Step.Installed)
    }

    /** What came in parts into slot 16 or 17; once. */
    takeArea(length: number): Buffer {
        const area = this.area
        if (!area) fail(Code.StepOutOfOrder, -1, "its parts", "none")
        this.area = undefined
        return cut(area, 0, length)
    }

    private takeList(der: Buffer): void {
        takeListOfHeld(this.holdings, der, this.clock.nowSeconds())
    }

    private checkProvider(): void {
        const provider = this.certificate(TrustSlot.SecurityManagement)
        mustBe(Role.securityManagement, provider)
        this.check([provider], this.clock.nowSeconds())
    }

    private check(chain: Certificate[], atSeconds: number): void {
        verifyChain({ chain, anchors: [this.certificate(TrustSlot.CaRoot)], atSeconds })
    }

    private certificate(slot: number): Certificate {
        // Reading one takes thousands of steps, and a step of installation reads several.
        platform().yieldNow()
        const certificate = this.holdings.certificate(slot)
        if (!certificate) fail(Code.CertificateMissing, -1, "a certificate in slot " + slot, "none")
        return certificate
    }

    private allowSlot(slot: number): void {
        if (slot === TrustSlot.Muc) this.allow(Step.Bare, Step.KeyMade)
        else if (slot === TrustSlot.SecurityManagement || slot === listSlot) this.allow(Step.Delivered, Step.Delivered)
        else if (slot >= TrustSlot.Manufacturer && slot <= TrustSlot.InstituteRoot) this.allow(Step.Bare, Step.Bare)
        else fail(Code.BadArgument, -1, "a slot of the installation", "" + slot)
    }

    private allow(from: Step, to: Step): void {
        const step = this.identity.step()
        if (step >= Step.Installed) fail(Code.AlreadyInstalled, -1, "a MUC that is not installed", "an installed one")
        if (step < from || step > to)
            fail(Code.StepOutOfOrder, -1, "installation step " + from + " to " + to, "" + step)
    }
}
