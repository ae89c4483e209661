import { UsageError } from "../cli/usage.ts"
import { readPassphrase } from "./passphrase.ts"

/** Where certificates and lists are published, and as whom. */
export interface PublishTo {
    /** ldap:// or ldaps:// */
    url: string
    /** Password of `bindDn`; without one an authority binds by its certificate, and changes what is its own. */
    password?: string
    /** The directory's writer unless told. */
    bindDn?: string
    /** Opens the authority's key, which is who we are by TLS. */
    passphrase?: string
}

/** The words of a command line, for `readArgs`. */
export const publishing = {
    publish: { type: "string" },
    bind: { type: "string" },
    "writer-password-file": { type: "string" },
} as const

/** Where to publish, undefined for nowhere; read before anything is done, so that a wrong word changes nothing. */
export function publishTo(
    url: string | undefined,
    words: { bind?: string; "writer-password-file"?: string } & Parameters<typeof readPassphrase>[0],
): PublishTo | undefined {
    const file = words["writer-password-file"]
    if (url === undefined) {
        if (file !== undefined || words.bind !== undefined)
            throw new UsageError("--writer-password-file and --bind go with --publish URL")
        return undefined
    }
    if (!/^ldaps?:\/\/[^/]+\/?$/i.test(url))
        throw new UsageError(`"${url}" is not ldap://HOST:PORT or ldaps://HOST:PORT`)
    if (words.bind !== undefined && file === undefined) throw new UsageError("--bind needs --writer-password-file")
    const password = file === undefined ? undefined : readPassphrase({ "passphrase-file": file })
    return { url, password, bindDn: words.bind, passphrase: readPassphrase(words) }
}
