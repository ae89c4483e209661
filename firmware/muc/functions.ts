import type { Caller } from "../core/command"
import { Code, fail } from "../core/errors"
import { cut, sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { octetsLeaf } from "../core/sml-parameter"
import { Role, readRole } from "../core/x509-role"
import { Answering } from "./answering"
import { broughtAt, TrustSlot } from "./layout"
import { proveList, proveProvider } from "./proof"

/** As of `Answering.rows`. */
const rows = hex`
    8201 FE FF 00 // identification
    8810 FF 02 01 // time: a signed answer tells it
    F010 FE FF 00 // its certificates, by which its signed answers are judged
    F020 FE FF 00 // inventory
    F021 FF FE 00 // certificates and lists
    F042 09 09 02 // label
    F043 08 0D 04 // access table
    F044 FF 10 05 // change of provider
    F045 FF 11 06 // provider deleted
    F046 FF 12 09 // erase
    F048 0F 0F 13 // addresses
    F049 0E 0E 12 // symmetric keys
    F052 0A FF 00 // logbook
    F053 FF 0B 08 // logbook reset
    F060 08 FF 00 // attestation
`
/** What the MUC does when it is told to, each thing for those who may (README.md). */
export class Functions extends Answering {
    /** Called when there is something to be fetched from the directory. */
    onProvider: () => void = () => {}

    protected override rows(): Buffer {
        return rows
    }

    protected override read(which: number, name: Buffer, _path: Buffer[]): any[] {
        let value = this.table.octets()
        if (which === 0x48) value = this.addresses.text.get()
        else if (which !== 0x43) value = this.readHere(which)
        return octetsLeaf(name, value)
    }

    protected override set(caller: Caller | undefined, which: number, fn: number, event: number, value: Buffer): void {
        const holdings = this.holdings
        const log = this.logbook
        const enter = (detail: Buffer) => log.append(event, fn, caller, 0, detail)
        if (caller && which === 0x43) {
            const provider = holdings.certificate(TrustSlot.SecurityManagement)
            const role = provider ? readRole(provider) : undefined
            const version = role ? role.version : 0
            this.table.check(value, caller.role, version)
            enter(value)
            this.table.replace(value, caller.role, version)
        } else if (which === 0x44) this.changeProvider(value, enter)
        else if (which === 0x45) {
            mustBeZero(value)
            if (holdings.deleted()) fail(Code.CertificateMissing, -1, "a provider", "none")
            enter(value)
            holdings.setProvider(undefined)
            if (this.table.version() > 1) this.table.reset()
        } else if (which === 0x48) {
            this.addresses.check(value)
            enter(platform().sha256([value]))
            this.addresses.text.set(value)
        } else if (caller && which === 0x53) log.reset(fn, caller, uintBE(value, 0, 4))
        else this.setHere(which, value, enter)
    }

    private changeProvider(value: Buffer, enter: (detail: Buffer) => void): void {
        const holdings = this.holdings
        const length = uintBE(value, 0, 2)
        const listAt = length + uintBE(value, 2, 2)
        const der = this.store.read(broughtAt, length)
        const digest = platform().sha256([der])
        if (!sameOctets(digest, cut(value, 4, 32)))
            fail(Code.BadArgument, -1, "the certificate that was brought", "another")
        const now = this.clock.nowSeconds()
        const next = proveProvider(holdings, der, now)
        const role = readRole(next)
        const least = this.table.leastVersion(Role.securityManagement)
        if (!role || role.version < least) fail(Code.RoleVersionOld, -1, "version " + least, "an older one")
        const crl =
            value.length > 36
                ? proveList(this.store.read(broughtAt + listAt, uintBE(value, 36, 2)), next, now)
                : undefined
        enter(digest)
        // First the list: of an issuer whom nobody knows yet it changes nothing.
        if (crl) {
            const held = holdings.crlOf(crl.authorityKeyId)
            if (!held || !sameOctets(held.der, crl.der)) holdings.takeList(crl)
        }
        holdings.setProvider(next)
        this.onProvider()
    }

    /** Time, label, symmetric keys and erase: only at the MUC itself, with the image for installation (`local-functions.ts`). */
    protected setHere(which: number, _value: Buffer, _enter: (detail: Buffer) => void): void {
        notHere(which)
    }

    protected readHere(which: number): Buffer {
        return notHere(which)
    }
}

/** Throws: what is asked for is done with the image for installation. */
export function notHere(which: number): never {
    return fail(Code.StepOutOfOrder, which, "the image for installation", "that of the field")
}

/** Throws `BadArgument` unless the value is the octet 00. */
export function mustBeZero(value: Buffer): void {
    if (value.length !== 1 || value[0] !== 0) fail(Code.BadArgument, -1, "00", "" + value.length)
}
