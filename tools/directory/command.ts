import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { readArgs, UsageError } from "../cli/usage.ts"
import { readPem } from "../pki/pem.ts"
import { type DirectoryTls, type OpenOptions, openDirectory } from "./client.ts"
import { Directory } from "./directory.ts"
import { publishPki, root } from "./publish.ts"
import type { Access } from "./session.ts"
import { entryJson, entryLines } from "./show.ts"

export const help = `plomb directory [--listen [HOST:]PORT] [--listen-tls [HOST:]PORT --key PEM --chain PEM [--ca PEM]]
                [--store DIR] [--writer-password-file FILE] [--crl PEM]... [--json]
plomb directory show    --url URL [NAME] [client options]
plomb directory search  --url URL [--base DN] [--scope base|one|sub] [FILTER] [ATTRIBUTE]... [client options]
plomb directory publish --url URL PKI [client options]

Without a word: an LDAPv3 directory of certificates and revocation lists, tree o=plomb. Anybody may read.
  --listen              LDAP without protection (127.0.0.1:3890 unless --listen-tls is given)
  --listen-tls          LDAP over TLS 1.3, with --key and --chain; --ca demands certificates of clients
  --store DIR           keep the tree there; an acknowledged change survives a power cut
  --writer-password-file  password of cn=writer,o=plomb, first line of the file
  --crl PEM             revocation list besides those in the tree, to judge clients
  --json                one JSON line an operation

show      the whole tree, or the entry whose common name is NAME: certificates with subject, role, validity
search    entries below DN (o=plomb) that FILTER (RFC 4515) takes, with these attributes
publish   certificates and lists of a PKI folder; what is there and the same is not touched
  --url ldap://HOST:PORT or ldaps://HOST:PORT: this directory, OpenLDAP or another
  --bind DN --password-file FILE    who we are (publish: cn=writer,o=plomb unless --external)
  --external                        we are the holder of --key (SASL EXTERNAL)
  --key PEM --chain PEM --ca PEM --crl PEM   for ldaps
  --json                            one JSON line an entry`

const options = {
    listen: { type: "string" },
    "listen-tls": { type: "string" },
    store: { type: "string" },
    "writer-password-file": { type: "string" },
    url: { type: "string" },
    bind: { type: "string" },
    "password-file": { type: "string" },
    external: { type: "boolean" },
    base: { type: "string" },
    scope: { type: "string" },
    key: { type: "string" },
    chain: { type: "string" },
    ca: { type: "string" },
    crl: { type: "string", multiple: true },
    json: { type: "boolean" },
} as const

type Values = ReturnType<typeof readArgs<{ options: typeof options; allowPositionals: true }>>["values"]

const serverWords = ["listen", "listen-tls", "store", "writer-password-file"] as const
const clientWords = ["url", "bind", "password-file", "external", "base", "scope"] as const

/** `plomb directory`; the answer is the exit code. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, allowPositionals: true, options })
    const [verb, ...rest] = positionals
    const foreign = (verb === undefined ? clientWords : serverWords).find(word => values[word] !== undefined)
    if (foreign) throw new UsageError(`--${foreign} does not go with ${verb ?? "a directory that is started"}`)
    if (verb === undefined) return serve(values)
    if (verb !== "search" && (values.base !== undefined || values.scope !== undefined))
        throw new UsageError("--base and --scope go with search")
    if (verb === "show" && rest.length <= 1) return show(values, rest[0])
    if (verb === "search") return search(values, rest)
    if (verb === "publish" && rest.length === 1) return publish(values, rest[0])
    throw new UsageError(`directory ${positionals.join(" ")}: see plomb directory --help`)
}

async function serve(values: Values): Promise<number> {
    const overTls = values["listen-tls"]
    const tls = overTls === undefined ? undefined : { ...addressOf(overTls, "--listen-tls"), ...serverTls(values) }
    const plain = values.listen !== undefined || !tls ? addressOf(values.listen ?? "3890", "--listen") : undefined
    const passwordFile = values["writer-password-file"]
    const directory = new Directory({
        plain,
        tls,
        store: values.store,
        writerPassword: passwordFile === undefined ? undefined : passwordOf(passwordFile, "--writer-password-file"),
        onAccess: access => console.log(values.json ? JSON.stringify(access) : accessLine(access)),
        log: line => console.error(line),
    })
    const stopped = new Promise<void>(resolve => {
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve())
    })
    try {
        await directory.listen()
        for (const url of [directory.url, directory.tlsUrl])
            if (url) console.error(`directory of ${root} at ${url}${values.store ? `, kept in ${values.store}` : ""}`)
        await stopped
    } finally {
        await directory.close()
    }
    return 0
}

function serverTls(values: Values): { key: string; chain: string; ca?: string; crls(): string[] } {
    const { key, chain, ca, crl = [] } = values
    if (!key || !chain) throw new UsageError("--listen-tls needs --key and --chain")
    const pair = keyPair(key, chain)
    const crls = () => crl.map(path => pemOf(path, "--crl", "X509 CRL"))
    crls()
    return { ...pair, ca: ca === undefined ? undefined : pemOf(ca, "--ca", "CERTIFICATE"), crls }
}

function accessLine({ peer, tls, who, operation, dn, result, entries }: Access): string {
    const count = entries === undefined ? "" : `, ${entries} ${entries === 1 ? "entry" : "entries"}`
    return `${new Date().toISOString()} ${peer}${tls ? " tls" : ""} ${who} ${operation} "${dn}": ${result}${count}`
}

async function show(values: Values, name: string | undefined): Promise<number> {
    const filter = name === undefined ? "(objectClass=*)" : `(cn=${escapeFilter(name)})`
    return print(values, root, "sub", filter, [])
}

async function search(values: Values, [filter = "(objectClass=*)", ...attributes]: string[]): Promise<number> {
    const { base = root, scope = "sub" } = values
    if (scope !== "base" && scope !== "one" && scope !== "sub")
        throw new UsageError(`--scope ${scope}: base, one or sub`)
    return print(values, base, scope, filter, attributes)
}

async function print(
    values: Values,
    base: string,
    scope: "base" | "one" | "sub",
    filter: string,
    attributes: string[],
): Promise<number> {
    const directory = await openDirectory(urlOf(values), clientOptions(values))
    try {
        const entries = await directory.search(base, scope, filter, attributes)
        for (const entry of entries)
            console.log(values.json ? entryJson(entry) : `${entryLines(entry, new Date()).join("\n")}\n`)
        if (entries.length === 0) console.error(`plomb directory: nothing found below ${base}`)
        return entries.length === 0 ? 1 : 0
    } finally {
        await directory.close()
    }
}

async function publish(values: Values, folder: string): Promise<number> {
    const given = clientOptions(values)
    if (!given.external && given.password === undefined)
        throw new UsageError("publish needs --password-file FILE or --external")
    const bindDn = given.external ? undefined : (given.bindDn ?? "cn=writer,o=plomb")
    const directory = await openDirectory(urlOf(values), { ...given, bindDn })
    try {
        const done = await publishPki(directory, folder)
        for (const each of done) {
            if (values.json) console.log(JSON.stringify(each))
            else if (each.did !== "unchanged") console.log(`${each.did} ${each.dn}`)
        }
        const unchanged = done.filter(({ did }) => did === "unchanged").length
        if (!values.json) console.log(`${done.length - unchanged} written, ${unchanged} unchanged`)
        return 0
    } finally {
        await directory.close()
    }
}

function clientOptions(values: Values): OpenOptions {
    const passwordFile = values["password-file"]
    if (values.bind !== undefined && passwordFile === undefined) throw new UsageError("--bind needs --password-file")
    if (values.external && (values.bind !== undefined || passwordFile !== undefined))
        throw new UsageError("--external needs no --bind and no --password-file")
    return {
        bindDn: values.bind ?? (passwordFile === undefined ? undefined : "cn=writer,o=plomb"),
        password: passwordFile === undefined ? undefined : passwordOf(passwordFile, "--password-file"),
        external: values.external,
        tls: values.ca === undefined ? undefined : clientTls(values, values.ca),
    }
}

function clientTls({ key, chain, crl = [] }: Values, ca: string): DirectoryTls {
    if (!key !== !chain) throw new UsageError("--key and --chain belong together")
    const lists = crl.map(path => pemOf(path, "--crl", "X509 CRL"))
    return { ...(key && chain && keyPair(key, chain)), ca: pemOf(ca, "--ca", "CERTIFICATE"), crls: () => lists }
}

function urlOf({ url, ca }: Values): string {
    if (url === undefined) throw new UsageError("--url ldap://HOST:PORT is needed")
    if (!/^ldaps?:\/\/[^/]+\/?$/i.test(url))
        throw new UsageError(`--url ${url}: expected ldap://HOST:PORT or ldaps://…`)
    if (/^ldaps/i.test(url) && ca === undefined) throw new UsageError("ldaps needs --ca PEM, the root of the directory")
    return url
}

function keyPair(keyPath: string, chainPath: string): { key: string; chain: string } {
    const key = textOf(keyPath, "--key")
    const chain = pemOf(chainPath, "--chain", "CERTIFICATE")
    try {
        createSecureContext({ key, cert: chain })
    } catch (error) {
        throw new UsageError(`--key and --chain do not belong together: ${(error as Error).message}`)
    }
    return { key, chain }
}

function pemOf(path: string, option: string, label: string): string {
    const text = textOf(path, option)
    if (!readPem(text).some(each => each.label === label))
        throw new UsageError(`${option} ${path}: no PEM text of "${label}" in it`)
    return text
}

function passwordOf(path: string, option: string): string {
    const password = textOf(path, option, "utf8").split(/\r?\n/)[0]
    if (password === "") throw new UsageError(`${option} ${path}: an empty password`)
    return password
}

function textOf(path: string, option: string, encoding: "latin1" | "utf8" = "latin1"): string {
    try {
        return readFileSync(path, encoding)
    } catch (error) {
        throw new UsageError(`${option} ${path}: ${(error as NodeJS.ErrnoException).code}`)
    }
}

function addressOf(text: string, option: string): { host?: string; port: number } {
    const match = /^(?:(.+):)?(\d{1,5})$/.exec(text)
    const port = Number(match?.[2])
    if (!match || port > 65535) throw new UsageError(`${option} ${text}: expected [HOST:]PORT`)
    return { host: match[1]?.replace(/^\[|\]$/g, ""), port }
}

/** Text as a value of a filter (RFC 4515 3). */
function escapeFilter(text: string): string {
    return text.replace(/[\\*()\0]/g, each => `\\${each.charCodeAt(0).toString(16).padStart(2, "0")}`)
}
