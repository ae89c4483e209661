import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { UsageError } from "../cli/usage.ts"
import { derOfPem, readCrl, splitPem } from "../verify/certificate.ts"
import { DerDamage } from "../verify/der.ts"

/** Who we are on a TLS connection and whom we believe; PEM texts. */
export interface TlsSettings {
    /** Our private key. */
    key: string
    /** Our certificate and its issuers, leaf first. */
    chain: string
    /** The CA's root certificate, or several. */
    ca: string
    /** Revocation lists, asked anew whenever a peer is judged. */
    crls(): string[]
}

/** The words of a command line, for `readArgs`. */
export const tlsWords = {
    key: { type: "string" },
    chain: { type: "string" },
    ca: { type: "string" },
    crl: { type: "string", multiple: true },
} as const

/** Help of these words. */
export const tlsHelp = `  --key PEM      our private key, of the certificate in
  --chain PEM    our certificate and its issuers, our own first
  --ca PEM       the CA's root certificate: peers' chains end there
  --crl PEM      revocation list, of each issuer in the peers' chains; read anew, also while connections last`

/**
 * Reads the files once and the revocation lists whenever they are asked for: while one is being replaced, the lists
 * before stand. Throws `UsageError` for what is missing, unreadable or does not fit together.
 */
export function readTlsSettings(
    words: { key?: string; chain?: string; ca?: string; crl?: string[] },
    log: (line: string) => void,
): TlsSettings {
    const pathOf = (name: "key" | "chain" | "ca") => {
        const path = words[name]
        if (!path) throw new UsageError(`--${name} PEM is needed: peers are known by their certificates`)
        return path
    }
    const pair = readPair(pathOf("key"), pathOf("chain"), ["--key", "--chain"])
    const ca = certificatesOf(pathOf("ca"), "--ca")
    return { ...pair, ca, crls: crlReader(words.crl ?? [], log) }
}

/** Key and certificates of these files, PEM; `options` name them. Throws `UsageError` for what is unreadable or does not fit together. */
export function readPair(
    keyPath: string,
    chainPath: string,
    options: [key: string, chain: string],
): { key: string; chain: string } {
    const key = textOf(keyPath, options[0])
    const chain = certificatesOf(chainPath, options[1])
    try {
        createSecureContext({ key, cert: chain })
    } catch (error) {
        throw new UsageError(`${options.join(" and ")} do not belong together: ${(error as Error).message}`)
    }
    return { key, chain }
}

/**
 * Revocation lists of these files, read anew at each call; while one is being replaced, the lists before stand, and
 * `log` hears of it once. Throws `UsageError` here for what is no list.
 */
export function crlReader(paths: readonly string[], log: (line: string) => void): () => string[] {
    const read = () => paths.flatMap(crlsOf)
    let lists = read()
    let complaint = ""
    return () => {
        try {
            lists = read()
            complaint = ""
        } catch (error) {
            if (!(error instanceof UsageError)) throw error
            if (complaint !== error.message) log(error.message)
            complaint = error.message
        }
        return lists
    }
}

/** A short name for a set of PEM texts, to see whether they changed. */
export function hashOf(texts: readonly (string | Uint8Array)[]): string {
    const hash = createHash("sha256")
    for (const text of texts) hash.update(text)
    return hash.digest("hex")
}

function certificatesOf(path: string, option: string): string {
    const text = textOf(path, option)
    if (splitPem(text, "CERTIFICATE").length === 0) throw new UsageError(`${option}: no certificate in it`)
    return text
}

function textOf(path: string, option: string): string {
    try {
        return readFileSync(path, "latin1")
    } catch (error) {
        throw new UsageError(`${option} ${path}: ${(error as NodeJS.ErrnoException).code}`)
    }
}

function crlsOf(path: string): string[] {
    const pems = splitPem(textOf(path, "--crl"), "X509 CRL")
    if (pems.length === 0) throw new UsageError(`--crl ${path}: no PEM text of "X509 CRL" in it`)
    try {
        for (const pem of pems) readCrl(derOfPem(pem, "X509 CRL"))
    } catch (error) {
        if (!(error instanceof DerDamage)) throw error
        throw new UsageError(`--crl ${path}: ${error.message}`)
    }
    return pems
}
