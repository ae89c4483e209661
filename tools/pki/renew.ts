import { existsSync } from "node:fs"
import { join } from "node:path"
import { Role } from "../../firmware/core/x509-role.ts"
import { Authority } from "./authority.ts"
import { hostsOf, readCertificates, replaceCertificates, serialOf } from "./certificates.ts"
import { keepEarlier, settle, waitingKey } from "./earlier.ts"
import { createFile, locked, PkiError } from "./files.ts"
import { makeHss, readPublic } from "./hss.ts"
import type { PkiOptions } from "./init.ts"
import { answer, type IssuedCertificate, isRevoked, readRequest } from "./issue.ts"
import { newKey, openKey } from "./keys.ts"
import { partyAt } from "./parties.ts"
import { checkHost, roleOf } from "./role.ts"
import { publicKeyOf } from "./x509.ts"

/** How a party is renewed. */
export interface RenewOptions extends PkiOptions {
    /** Make a new key here; for a party whose key is elsewhere give `csr`. */
    newKey?: boolean
    /** PKCS#10 of the party's new key (or of the same one), DER. */
    csr?: Uint8Array
}

/**
 * Gives the party in `path` (`manufacturer`, `operators/alice`) a new certificate from its issuer: same name, names of
 * hosts, rights and role version as before unless others are told, the whole validity of its kind from now on. The one it had stays in force
 * to its end, in `earlier/<serial>/`, and so do the chains of all that it certified; revoke it where it must not.
 * A former key of an issuer goes on signing the list of what it certified, next to the list under the present key.
 * A renewal that was broken off after its certificate was in place is ended, and its certificate answered.
 */
export async function renew(folder: string, path: string, options: RenewOptions = {}): Promise<IssuedCertificate> {
    const { passphrase, days, hosts, now = new Date() } = options
    const found = partyAt(path)
    const own = join(folder, path)
    if (!found || !existsSync(join(own, "chain.pem"))) throw new PkiError(`${folder} has no party ${path}`)
    const { party } = found
    const root = party.issuer === party.folder
    const device = [Role.meter, Role.muc, Role.concentrator].includes(party.role)
    const request = options.csr && (await readRequest(options.csr, device ? found.commonName : undefined))
    if (root && (options.newKey || request))
        throw new PkiError(`${path} with another key would be another anchor: make a new PKI`)
    if (hosts?.length && !party.server) throw new PkiError(`${path} is not reached by a name: no --host`)
    return locked(folder, async () => {
        if (settle(own)) return answer(own, readCertificates(join(own, "chain.pem")))
        const chain = readCertificates(join(own, "chain.pem"))
        const [before] = chain
        const renews = serialOf(before)
        if (!root && isRevoked(join(folder, party.issuer), before))
            throw new PkiError(`${path} is revoked; what is revoked is not renewed, but issued anew`)
        const haveKey = existsSync(join(own, "key.pem"))
        if (options.newKey && !haveKey)
            throw new PkiError(`the key of ${path} is not here: give its new request with --csr`)
        const made = options.newKey ? newKey(passphrase) : undefined
        const publicKey = request?.publicKey ?? (made ? publicKeyOf(made.key) : before.publicKey)
        const otherKey = !Buffer.from(publicKey.rawData).equals(Buffer.from(before.publicKey.rawData))
        if (request && otherKey && haveKey)
            throw new PkiError(`the key of ${path} is here: --new-key makes another, a request is for keys elsewhere`)
        const authority = root
            ? new Authority(
                  own,
                  openKey(join(own, "key.pem"), passphrase),
                  [],
                  Authority.open(own, passphrase).register,
              )
            : Authority.open(join(folder, party.issuer), passphrase)
        const role = roleOf(before)
        const hssFolder = join(own, "hss")
        if (options.hss && !party.hss) throw new PkiError(`${path} signs no software: no --hss`)
        if (options.hss && existsSync(hssFolder))
            throw new PkiError(`${path} has an HSS key; move ${hssFolder} away to give it another`)
        const hss = options.hss
            ? (await makeHss(own, options.hss, passphrase)).publicKey
            : existsSync(hssFolder)
              ? readPublic(hssFolder)
              : undefined
        const certificate = await authority.certify({
            party,
            hssKey: hss,
            commonName: before.subjectName.getField("CN")[0],
            serialNumber: before.subjectName.getField("2.5.4.5")[0],
            publicKey,
            hosts: hosts?.map(checkHost) ?? hostsOf(before),
            rights: options.rights ?? role?.rights,
            roleVersion: options.roleVersion ?? role?.version,
            days,
            renews,
            now,
        })
        await keepEarlier(own, chain, made !== undefined)
        if (made) createFile(waitingKey(own, serialOf(certificate)), made.file, true)
        // In the register before it is in the world: what exists can be revoked
        authority.save()
        replaceCertificates(own, [certificate, ...authority.chain])
        settle(own)
        if (party.pathLength !== undefined && made) await Authority.open(own, passphrase).renewLists(now)
        return answer(own, readCertificates(join(own, "chain.pem")))
    })
}
