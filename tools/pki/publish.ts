import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type DirectoryTls, openDirectory } from "../directory/client.ts"
import { entryAt, type PublishedEntry, publishPki } from "../directory/publish.ts"
import { PkiError, readText } from "./files.ts"
import { openKey } from "./keys.ts"
import { partyAt, standing } from "./parties.ts"
import type { PublishTo } from "./publish-words.ts"

/** The directory of `cn=writer`, who may write everything there. */
const writer = "cn=writer,o=plomb"

/** Publishes a whole PKI folder, as `publishPki`. Only a writer with a password may do that. */
export async function publishAll(pki: string, to: PublishTo): Promise<PublishedEntry[]> {
    if (!existsSync(join(pki, standing[0].folder))) throw new PkiError(`${pki} is not a PKI; plomb pki init makes one`)
    if (to.password === undefined)
        throw new PkiError("a whole PKI is published by the directory's writer: give --writer-password-file")
    return session(pki, "security-management", to, directory => publishPki(directory, pki))
}

/**
 * Publishes these parties (`manufacturer`, `operators/alice`), each as its issuer or, what has a list of its own, as
 * itself. Throws `PkiError` or the client's `DirectoryError`.
 */
export async function publishParties(pki: string, paths: string[], to: PublishTo): Promise<PublishedEntry[]> {
    const done: PublishedEntry[] = []
    for (const path of paths) {
        const found = partyAt(path)
        if (!found) throw new PkiError(`${pki} has no party ${path}`)
        const { party } = found
        const authority = party.pathLength === undefined ? party.issuer : path
        const root = standing.some(each => each.folder === authority && each.issuer === authority)
        if (to.password === undefined && root)
            throw new PkiError(`${authority} signs nothing but certificates: give --writer-password-file for ${path}`)
        const entry = entryAt(pki, path)
        const as = root ? "security-management" : authority
        const did = await session(pki, as, to, directory => directory.publish(entry))
        done.push({ dn: entry.dn, did })
    }
    return done
}

/**
 * Publishes what a command has just issued, and never throws: what is issued stands. Says what was done to `report`, or
 * on standard error why nothing was and what repeats it; then the answer is false.
 */
export async function publishNew(
    pki: string,
    paths: string[],
    to: PublishTo,
    command: string,
    report: (line: string) => void,
): Promise<boolean> {
    try {
        for (const { dn, did } of await publishParties(pki, paths, to)) report(`${did} ${dn} at ${to.url}`)
        return true
    } catch (error) {
        console.error(
            `plomb ${command}: done, but not published (${(error as Error).message}); ` +
                `repeat it with plomb pki publish ${pki} ${paths.join(" ")} --to ${to.url}`,
        )
        return false
    }
}

async function session<T>(
    pki: string,
    as: string,
    { url, password, bindDn = writer, passphrase }: PublishTo,
    work: (directory: Awaited<ReturnType<typeof openDirectory>>) => Promise<T>,
): Promise<T> {
    const secure = /^ldaps:/i.test(url)
    if (!secure && password === undefined)
        throw new PkiError(`${url}: without TLS nobody is known by a certificate: give --writer-password-file`)
    const directory = await openDirectory(url, {
        ...(password === undefined ? { external: true } : { bindDn, password }),
        tls: secure ? tlsOf(pki, as, passphrase) : undefined,
    })
    try {
        return await work(directory)
    } finally {
        await directory.close()
    }
}

function tlsOf(pki: string, as: string, passphrase?: string): DirectoryTls {
    return {
        key: openKey(join(pki, as, "key.pem"), passphrase).export({ type: "pkcs8", format: "pem" }) as string,
        chain: readText(join(pki, as, "chain.pem")),
        ca: readText(join(pki, "ca-root", "cert.pem")),
        crls: () => [readFileSync(join(pki, "ca-root", "crl.pem"), "utf8")],
    }
}
