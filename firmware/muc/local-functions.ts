import { Fn } from "../core/access"
import { CRC_BAD } from "../core/crc16"
import { Code, fail } from "../core/errors"
import { join, sameOctets, uintBE } from "../core/octets"
import { readRequest } from "../core/sml-messages"
import { erasePath } from "../core/sml-parameter"
import { readFile } from "../core/sml-read"
import { Role } from "../core/x509-role"
import { TextRecord } from "./addresses"
import { Functions, mustBeZero } from "./functions"
import { Step } from "./identity"
import { KeyExchange } from "./key-exchange"
import { broughtAt, labelAt, TrustSlot } from "./layout"
import { proveProvider, takeListOfHeld } from "./proof"

/** Longest label of the place, octets. */
const mostLabel = 32

/**
 * The functions of a MUC with the image for installation: also those for which somebody has to stand before it. With a clock that stopped it
 * calls nobody, so the signed order that sets it comes by hand; and symmetric keys are installed locally (paper 4.3).
 */
export class LocalFunctions extends Functions {
    private exchange: KeyExchange | undefined

    protected override setHere(which: number, value: Buffer, enter: (detail: Buffer) => void): void {
        if (which === 0x10) {
            enter(value)
            this.clock.set(uintBE(value, value.length - 4, 4))
            return
        }
        if (which === 0x21) {
            this.take(value)
            return
        }
        if (which === 0x42) {
            if (value.length > mostLabel)
                fail(Code.OutOfRange, -1, "at most " + mostLabel + " octets", "" + value.length)
            enter(value)
            this.label().set(value)
            return
        }
        if (which === 0x49) {
            this.takeKey(value, enter)
            return
        }
        this.checkOrder(value)
        enter(hex``)
        this.identity.reach(Step.Erasing)
    }

    /** Is this an order of the calibration authority to erase this very MUC? */
    private checkOrder(value: Buffer): void {
        const file = readFile(value, false, CRC_BAD)
        const caller = this.gate.open(file, this.identity.serverId, true)
        if (!caller) fail(Code.NotSigned, -1, "a signed order", "none")
        if (caller.role !== Role.calibrationAuthority || !((caller.rights >> Fn.erase) & 1) || !caller.timely)
            fail(Code.RoleMismatch, -1, "the calibration authority", "role " + caller.role)
        const order = readRequest(file.messages[2])
        if (file.messages.length !== 4 || order.path.length !== 1 || !sameOctets(order.path[0], erasePath))
            fail(Code.CommandForm, 0, "an order to erase", "another")
        mustBeZero(order.value)
    }

    protected override readHere(which: number): Buffer {
        if (which === 0x42) return this.label().get()
        return this.keyExchange().offer()
    }

    /** What proves itself: 1 the first CERT_SM, where none is in force, 2 a list of an issuer held. */
    private take(order: Buffer): void {
        const der = this.store.read(broughtAt, uintBE(order, 1, 2))
        const now = this.clock.nowSeconds()
        const holdings = this.holdings
        if (order[0] === 2) takeListOfHeld(holdings, der, now)
        else {
            if (order[0] !== 1 || holdings.inForce(TrustSlot.SecurityManagement))
                fail(Code.ProviderHeld, -1, "no provider", "one in force")
            holdings.setProvider(proveProvider(holdings, der, now))
        }
    }

    private label(): TextRecord {
        return new TextRecord(this.store, labelAt, mostLabel)
    }

    private takeKey(value: Buffer, enter: (detail: Buffer) => void): void {
        const sealed = this.keyExchange().open(value)
        this.keys.mustFit(sealed.kind, sealed.address, sealed.value)
        enter(join([Buffer.from([sealed.kind, sealed.address.length]), sealed.address]))
        this.keys.put(sealed.kind, sealed.address, sealed.value)
    }

    private keyExchange(): KeyExchange {
        const agreement = this.machine.agreement
        if (!agreement) fail(Code.KeyAbsent, -1, "key agreement", "none in this image")
        const exchange = this.exchange || new KeyExchange(agreement, this.identity.serverId)
        this.exchange = exchange
        return exchange
    }
}
