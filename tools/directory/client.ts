import { checkServerIdentity, type PeerCertificate } from "node:tls"
import { Attribute, Change, Client, NoSuchObjectError, ResultCodeError } from "ldapts"
import { parseCrl } from "../../firmware/core/crl.ts"
import { PlombError } from "../../firmware/core/errors.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { readPem } from "../pki/pem.ts"
import { tlsProfile } from "../tls/server.ts"
import { judge } from "./access.ts"

/** Who we are to a directory, and whom we believe; PEM texts. `TlsSettings` of tools/tls fits. */
export interface DirectoryTls {
    /** Our private key and our chain, leaf first; both or none. */
    key?: string
    chain?: string
    /** Root of the directory's chain. */
    ca: string
    /** Revocation lists: a directory that one of them names is refused. Those that are past do not count. */
    crls?(): string[]
}

export interface OpenOptions {
    /** Simple bind. */
    bindDn?: string
    password?: string
    /** Bind as the holder of `tls.key` (SASL EXTERNAL). */
    external?: boolean
    tls?: DirectoryTls
    timeoutMs?: number
}

/** An entry as it is published and found: text, or octets for `;binary` attributes. */
export interface DirectoryEntry {
    dn: string
    attributes: Record<string, (string | Buffer)[]>
}

/** What `publish` did. */
export type Published = "added" | "changed" | "unchanged"

/** The directory refused, or can not be reached; `code` is the LDAP result code where it answered. */
export class DirectoryError extends Error {
    constructor(
        message: string,
        readonly code?: number,
    ) {
        super(message)
    }
}

/** A session with an LDAP directory. All methods throw `DirectoryError`. */
export interface DirectoryClient {
    /** Makes the entry so that it has these attributes with these values; others of it stay. */
    publish(entry: DirectoryEntry): Promise<Published>
    /** True where the entry was there. */
    remove(dn: string): Promise<boolean>
    /** Entries found; none where there is no base. `filter` as in RFC 4515, all objects unless told. */
    search(
        base: string,
        scope?: "base" | "one" | "sub",
        filter?: string,
        attributes?: string[],
    ): Promise<DirectoryEntry[]>
    close(): Promise<void>
}

/** Connects to `ldap://` or `ldaps://` and binds where there is something to bind with. */
export async function openDirectory(url: string, options: OpenOptions = {}): Promise<DirectoryClient> {
    const { bindDn, password, external, tls, timeoutMs = 30_000 } = options
    if (!/^ldaps?:\/\/[^/]+\/?$/i.test(url))
        throw new DirectoryError(`${url}: expected ldap://HOST:PORT or ldaps://HOST:PORT`)
    if (/^ldaps/i.test(url) && !tls) throw new DirectoryError(`${url}: the root of its certificate is not known`)
    const client = new Client({
        url,
        timeout: timeoutMs,
        connectTimeout: timeoutMs,
        tlsOptions: tls && tlsOptions(tls),
    })
    const session = new LdapSession(url, client)
    try {
        if (external) await session.run(() => client.bind("EXTERNAL"))
        else if (bindDn !== undefined) await session.run(() => client.bind(bindDn, password ?? ""))
        // The first operation connects: without it an address that is wrong would show later
        else await session.run(() => client.bind("", ""))
    } catch (error) {
        await session.close()
        throw error
    }
    return session
}

class LdapSession implements DirectoryClient {
    constructor(
        private readonly url: string,
        private readonly client: Client,
    ) {}

    async publish({ dn, attributes }: DirectoryEntry): Promise<Published> {
        const names = Object.keys(attributes)
        const [present] = await this.search(dn, "base", "(objectClass=*)", names)
        if (!present) {
            const list = names.map(type => attributeOf(type, attributes[type]))
            await this.run(() => this.client.add(dn, list))
            return "added"
        }
        const stale = names.filter(name => !sameValues(name, present.attributes[name] ?? [], attributes[name]))
        if (stale.length === 0) return "unchanged"
        const changes = stale.map(
            type => new Change({ operation: "replace", modification: attributeOf(type, attributes[type]) }),
        )
        await this.run(() => this.client.modify(dn, changes))
        return "changed"
    }

    async remove(dn: string): Promise<boolean> {
        try {
            await this.run(() => this.client.del(dn))
            return true
        } catch (error) {
            if (error instanceof DirectoryError && error.code === 32) return false
            throw error
        }
    }

    async search(
        base: string,
        scope: "base" | "one" | "sub" = "base",
        filter = "(objectClass=*)",
        attributes: string[] = [],
    ): Promise<DirectoryEntry[]> {
        const found = await this.run(async () => {
            try {
                return (await this.client.search(base, { scope, filter, attributes })).searchEntries
            } catch (error) {
                if (error instanceof NoSuchObjectError) return []
                throw error
            }
        })
        return found.map(({ dn, ...rest }) => {
            const lists = Object.entries(rest).map(([name, value]) => [name, Array.isArray(value) ? value : [value]])
            return { dn, attributes: Object.fromEntries(lists.filter(([, values]) => values.length > 0)) }
        })
    }

    async close(): Promise<void> {
        await this.client.unbind().catch(() => {})
    }

    /** One operation; what it throws becomes a `DirectoryError`. */
    async run<T>(operation: () => Promise<T>): Promise<T> {
        try {
            return await operation()
        } catch (error) {
            const { message, code } = error as NodeJS.ErrnoException
            const words = `${this.url}: ${message.trim() || code}`
            throw new DirectoryError(words, error instanceof ResultCodeError ? error.code : undefined)
        }
    }
}

function attributeOf(type: string, values: (string | Buffer)[]): Attribute {
    return new Attribute({ type, values: values.map(each => Buffer.from(each as string)) })
}

/** The same values in any order; names of classes compare without case. */
function sameValues(name: string, a: (string | Buffer)[], b: (string | Buffer)[]): boolean {
    const sorted = (values: (string | Buffer)[]) => {
        const texts = values.map(each => (typeof each === "string" ? each : each.toString("latin1")))
        return (name === "objectClass" ? texts.map(each => each.toLowerCase()) : texts).sort()
    }
    return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

/** TLS 1.3 to a server whose name, chain, role and revocation are judged. */
function tlsOptions({ key, chain, ca, crls }: DirectoryTls) {
    return {
        ...tlsProfile,
        key,
        cert: chain,
        ca,
        checkServerIdentity: (host: string, certificate: PeerCertificate): Error | undefined =>
            (certificate.subjectaltname ? undefined : new Error("no subjectAltName in the directory's certificate")) ??
            checkServerIdentity(host, certificate) ??
            roleError(certificate, ca, crls?.() ?? []),
    }
}

function roleError(certificate: PeerCertificate, ca: string, lists: string[]): Error | undefined {
    try {
        const own = parseCertificate(certificate.raw)
        if (readRole(own)?.role !== Role.directory) return new Error("the server's certificate is not a directory's")
        const anchors = readPem(ca).map(({ der }) => parseCertificate(der))
        const crls = lists.flatMap(text => readPem(text)).map(({ der }) => parseCrl(der))
        judge([own], anchors, crls, false)
        return undefined
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        return error
    }
}
