import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { readCertificates, replaceCertificates, serialOf, writeCertificates } from "./certificates.ts"
import { createFile, createFolder, PkiError } from "./files.ts"
import type { x509 } from "./x509.ts"

/**
 * A party that was renewed keeps what it had in `earlier/<serial>/`: cert.pem and chain.pem, and with a new key also
 * the old key.pem, as an issuer's former key goes on signing the list of what it certified.
 */

/** Folders of the certificates that a party had before, in the order of their names. */
export function earlierFolders(folder: string): string[] {
    const own = join(folder, "earlier")
    if (!existsSync(own)) return []
    const names = readdirSync(own).filter(name => !name.startsWith("."))
    return names.sort().map(name => join(own, name))
}

/** Keeps the certificate in force and, where it is to be replaced too, its key. Twice is as good as once. */
export async function keepEarlier(folder: string, chain: x509.X509Certificate[], withKey: boolean): Promise<void> {
    const path = join(folder, "earlier", serialOf(chain[0]))
    if (existsSync(path)) rmSync(path, { recursive: true })
    mkdirSync(join(folder, "earlier"), { recursive: true, mode: 0o700 })
    await createFolder(path, async partial => {
        writeCertificates(partial, chain)
        const key = join(folder, "key.pem")
        if (withKey && existsSync(key)) createFile(join(partial, "key.pem"), readFileSync(key), true)
    })
}

/** Where a new key waits until the certificate with this serial number is in its place. */
export function waitingKey(folder: string, serial: string): string {
    return join(folder, `key.${serial}.pem`)
}

/**
 * Ends a renewal that stopped between its steps: chain.pem says which certificate counts, and with it which key.
 * True where there was something to end.
 */
export function settle(folder: string): boolean {
    if (!existsSync(join(folder, "chain.pem"))) throw new PkiError(`there is no ${join(folder, "chain.pem")}`)
    const chain = readCertificates(join(folder, "chain.pem"))
    const serial = serialOf(chain[0])
    const waiting = readdirSync(folder).filter(name => /^key\.[0-9a-f]+\.pem$/.test(name))
    let settled = false
    for (const name of waiting)
        if (join(folder, name) === waitingKey(folder, serial)) {
            renameSync(join(folder, name), join(folder, "key.pem"))
            settled = true
        } else rmSync(join(folder, name))
    if (serialOf(readCertificates(join(folder, "cert.pem"))[0]) === serial) return settled
    replaceCertificates(folder, chain)
    return true
}
