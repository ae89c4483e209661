import { existsSync, readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Signer } from "../authority/signer.ts"
import { UsageError } from "../cli/usage.ts"
import { issuerPaths } from "../pki/folders.ts"
import { openKey } from "../pki/keys.ts"
import { personText } from "../verify/act.ts"
import { type Certificate, derOfPem, readCertificate, splitPem } from "../verify/certificate.ts"
import { type PartyRole, roleOf } from "../verify/role.ts"

/** Who signs. */
export interface Party {
    signer: Signer
    /** The same without a counter on disk, for a command that is only shown. */
    pretender: Signer
    /** PEM, its own first. */
    chain: string[]
    /** "operator alice, certified by Stadtwerk". */
    text: string
    role: PartyRole | undefined
    certificates: Certificate[]
    /** The PKI's folder, where the party is one of it. */
    pki?: string
    /** Its own folder. */
    folder?: string
}

/** The words that name who signs. */
export interface PartyWords {
    as?: string
    key?: string
    chain?: string
    counter?: string
    passphrase?: string
}

/** The PKI that a party's folder is in; undefined where it is in none. */
export function pkiAbove(folder: string): string | undefined {
    for (let at = dirname(resolve(folder)); ; at = dirname(at)) {
        if (existsSync(join(at, "ca-root", "cert.pem"))) return at
        if (at === dirname(at)) return undefined
    }
}

function textOf(path: string, option: string): string {
    try {
        return readFileSync(path, "utf8")
    } catch (error) {
        throw new UsageError(`${option} ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
}

/**
 * Reads who signs: a party's folder (`--as pki/operators/alice`; with `pki` also `--as operators/alice`), or key and chain in
 * files. Throws `UsageError`, and what is wrong with the key.
 */
export function readParty(words: PartyWords, pki?: string): Party {
    const { as, passphrase } = words
    if ((as === undefined) === (words.key === undefined))
        throw new UsageError("who signs? --as PARTYFOLDER, or --key PEM with --chain PEM")
    let folder: string | undefined
    if (as !== undefined) {
        folder = [as, ...(pki ? [join(pki, as)] : [])].find(each => existsSync(join(each, "chain.pem")))
        if (!folder) throw new UsageError(`--as ${as}: no folder of a party there (plomb pki show lists them)`)
    } else if (words.chain === undefined) throw new UsageError("--key PEM needs --chain PEM")
    const keyPath = folder ? join(folder, "key.pem") : words.key!
    const chainText = textOf(folder ? join(folder, "chain.pem") : words.chain!, "--chain")
    const counterFile = words.counter ?? (folder ? join(folder, "command-counter.json") : `${words.key}.counter.json`)
    const key = openKey(keyPath, passphrase)
    const chain = splitPem(chainText, "CERTIFICATE")
    if (chain.length === 0) throw new UsageError(`--chain: no certificate in it`)
    const certificates = chain.map(pem => readCertificate(derOfPem(pem, "CERTIFICATE")))
    return {
        signer: new Signer({ key, chain: chainText, counterFile }),
        pretender: new Signer({ key, chain: chainText }),
        chain,
        certificates,
        text: personText(certificates),
        role: roleOf(certificates[0]),
        folder,
        pki: (folder && pkiAbove(folder)) ?? pki,
    }
}

/** Anchors and revocation lists of a PKI folder, PEM: what answers are judged by. */
export function trustOf(
    pki: string | undefined,
    anchorFiles: string[],
    crlFiles: string[],
): { anchors: string[]; crls: string[] } {
    const anchors = anchorFiles.flatMap(path => splitPem(textOf(path, "--anchor"), "CERTIFICATE"))
    const crls = crlFiles.map(path => textOf(path, "--crl"))
    if (pki === undefined) return { anchors, crls }
    for (const root of ["institute-root", "ca-root"]) {
        const path = join(pki, root, "cert.pem")
        if (existsSync(path)) anchors.push(...splitPem(readFileSync(path, "utf8"), "CERTIFICATE"))
    }
    for (const issuer of issuerPaths(pki)) {
        const path = join(pki, issuer, "crl.pem")
        if (existsSync(path)) crls.push(...splitPem(readFileSync(path, "utf8"), "X509 CRL"))
    }
    return { anchors, crls }
}
