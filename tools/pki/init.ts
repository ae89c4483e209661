import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Authority } from "./authority.ts"
import { writeCertificates } from "./certificates.ts"
import { createFile, createFolder } from "./files.ts"
import { makeHss } from "./hss.ts"
import { newKey } from "./keys.ts"
import { standing } from "./parties.ts"
import { publicKeyOf } from "./x509.ts"

/** How keys are kept and what time it is. */
export interface PkiOptions {
    /** Passphrase of the private files; absent where they are not encrypted. */
    passphrase?: string
    /** Validity of what is issued, in days, instead of the years of its kind. */
    days?: number
    /** Names and addresses of what is issued, instead of those of its kind. */
    hosts?: readonly string[]
    /** Path of the issuer, where it is not the usual one: `security-managements/stadtwerk`. */
    by?: string
    /** Bits of the functions that what is issued may have; no narrower than the access table gives by default. */
    rights?: number
    /** Version of the role of what is issued, 1 by default. */
    roleVersion?: number
    /** Gives those who sign software an HSS key of this parameter set ("H10/W4"); without it they can sign none. */
    hss?: string
    /** The moment of issue; the present one by default. */
    now?: Date
}

/**
 * Makes a whole PKI in a folder that must not exist: the standing parties with key.pem, cert.pem and
 * chain.pem, and for the issuers index.json and crl.pem. `days` is for tests that need short lives.
 */
export function initPki(folder: string, options: PkiOptions = {}): Promise<void> {
    const { passphrase, days, now = new Date() } = options
    return createFolder(folder, async partial => {
        const authorities = new Map<string, Authority>()
        for (const party of standing) {
            const own = join(partial, party.folder)
            mkdirSync(own, { mode: 0o700 })
            const { key, file } = newKey(passphrase)
            createFile(join(own, "key.pem"), file, true)
            const issuer = authorities.get(party.issuer) ?? new Authority(own, key, [])
            const hss = options.hss && party.hss ? await makeHss(own, options.hss, passphrase) : undefined
            const certificate = await issuer.certify({
                party,
                hssKey: hss?.publicKey,
                commonName: party.commonName,
                publicKey: publicKeyOf(key),
                days,
                now,
            })
            const chain = [certificate, ...issuer.chain]
            writeCertificates(own, chain)
            if (party.pathLength !== undefined)
                authorities.set(
                    party.folder,
                    new Authority(own, key, chain, party.issuer === party.folder ? issuer.register : undefined),
                )
        }
        for (const authority of authorities.values()) await authority.renewLists(now)
    })
}
