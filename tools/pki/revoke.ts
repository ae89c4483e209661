import { existsSync } from "node:fs"
import { join } from "node:path"
import { Authority, readRegister, reasons } from "./authority.ts"
import { normalSerial, readCertificates, serialOf } from "./certificates.ts"
import { locked, PkiError } from "./files.ts"
import { issuerPaths } from "./folders.ts"
import type { PkiOptions } from "./init.ts"

/** What a revocation did. */
export interface Revoked {
    serial: string
    subject: string
    /** Folder of the issuer whose crl.pem is new. */
    issuer: string
    crlNumber: number
}

/**
 * Revokes a certificate, named by its serial number in hex or by a file that holds it, and signs its
 * issuer's list anew. `reason` is a name of RFC 5280 5.3.1.
 */
export async function revoke(
    folder: string,
    which: string,
    reason: string,
    options: PkiOptions = {},
): Promise<Revoked> {
    const { passphrase, now = new Date() } = options
    if (!(reason in reasons)) throw new PkiError(`"${reason}" is no reason; one of ${Object.keys(reasons).join(", ")}`)
    return locked(folder, async () => {
        const serial = existsSync(which) ? serialOf(readCertificates(which)[0]) : normalSerial(which)
        for (const issuer of issuerPaths(folder)) {
            const own = join(folder, issuer)
            const found = readRegister(own).issued.find(each => each.serial === serial)
            if (!found) continue
            if (found.revoked) throw new PkiError(`${found.subject} (${serial}) was revoked on ${found.revoked.at}`)
            const authority = Authority.open(own, passphrase)
            if (authority.chain.length === 1 && found.subject === authority.chain[0].subject)
                throw new PkiError("a root can not revoke itself: take it out of the devices' anchors")
            const at = new Date(Math.floor(now.getTime() / 1000) * 1000).toISOString()
            authority.register.issued.find(each => each.serial === serial)!.revoked = { at, reason }
            await authority.renewLists(now)
            return { serial, subject: found.subject, issuer, crlNumber: authority.register.crlNumber }
        }
        throw new PkiError(`no certificate with the serial number ${serial} was issued in ${folder}`)
    })
}

/** Signs the revocation lists of all issuers, or of the named ones, anew before they run out. */
export async function renewCrls(folder: string, names: string[] = [], options: PkiOptions = {}): Promise<string[]> {
    const { passphrase, now = new Date() } = options
    const issuers = issuerPaths(folder)
    const wrong = names.find(name => !issuers.includes(name))
    if (wrong !== undefined) throw new PkiError(`"${wrong}" is no issuer; one of ${issuers.join(", ")}`)
    return locked(folder, async () => {
        const chosen = names.length > 0 ? names : issuers
        const authorities = chosen.map(name => Authority.open(join(folder, name), passphrase))
        for (const authority of authorities) await authority.renewLists(now)
        return chosen
    })
}
