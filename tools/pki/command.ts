import { readFileSync, statSync } from "node:fs"
import { relative } from "node:path"
import { readArgs, UsageError } from "../cli/usage.ts"
import { PkiError } from "./files.ts"
import { initPki, type PkiOptions } from "./init.ts"
import { issueDevice, issueForRequest, issueWithKey } from "./issue.ts"
import { roles } from "./parties.ts"
import { readPassphrase } from "./passphrase.ts"
import { readPem } from "./pem.ts"
import { type PublishTo, publishing, publishTo } from "./publish-words.ts"
import { renew } from "./renew.ts"
import { renewCrls, revoke } from "./revoke.ts"
import { rightsOf } from "./rights.ts"
import { fieldLines, readObjects, readTree, treeLines } from "./show.ts"

export const help = `plomb pki init DIR [--passphrase-file FILE | --passphrase-env VAR] [--days N] [--hss H10/W4]
    makes both trust trees: institute root with calibration authority and software approval; CA root with
    manufacturer, security management, an operator, a data collection and a directory
    --hss gives manufacturer and institute an HSS/LMS key each, without which they sign no software (plomb package)
plomb pki issue meter|muc|concentrator --in DIR --server-id HEX [--csr FILE]
plomb pki issue operator|data-collection|energy-provider|local-operator|customer|indicator|inspector|directory
        --in DIR --name NAME [--csr FILE] [--by ISSUER] [--rights FUNCTION,...] [--role-version N]
    one more certificate; a meter's key is always its own (--csr), others get a key where there is no request
    --host NAME_OR_IP, again for each more: what an operator, concentrator, data collection or directory is reached by
    --by ISSUER  another issuer's folder, where this one may certify it: calibration-authority (a local operator),
                 security-managements/stadtwerk
    --rights F,. only these functions of the access table, or "none"; an issuer passes on nothing that it lacks
    --role-version N  1 unless told; a component's table that asks for a higher one turns the holders of this one out
    --days N shortens the validity, --passphrase-file or --passphrase-env opens encrypted keys
plomb pki issue security-management --in DIR --name NAME
    one more provider, with a folder, register and list of its own: security-managements/NAME
plomb pki renew PARTY --in DIR [--new-key | --csr FILE] [--host NAME_OR_IP ...] [--hss H10/W4] [--rights F,..] [--role-version N]
    a new certificate for manufacturer, operators/alice, meters/ID ..., with the same key unless told otherwise; the one
    it had, and the chains of what it certified, stay in force to their end
plomb pki show FILE|DIR [--json]
    who certified whom, validity, fingerprints, revoked; or the fields of one file
plomb pki revoke SERIAL|FILE --in DIR [--reason keyCompromise]
    revokes and signs the issuer's list anew
plomb pki crl DIR [ISSUER...]
    signs the revocation lists anew; each is good for 90 days
plomb pki publish DIR [PARTY...] --to URL
    puts the certificates and lists of all parties, or of these, into an LDAP directory; the same ones are not touched
--publish URL with issue, renew, revoke and crl
    does it for what is new; where that fails it is said (exit 1), and what was issued or revoked stands
    --writer-password-file FILE [--bind DN] (cn=writer,o=plomb) for everything; without it, over ldaps, each authority
    is known by its certificate and changes its own

Keys are PKCS#8, files of mode 600; with a passphrase they are encrypted (PBES2).`

const common = {
    "passphrase-file": { type: "string" },
    "passphrase-env": { type: "string" },
    days: { type: "string" },
} as const

const roleWords = { rights: { type: "string" }, "role-version": { type: "string" } } as const

/** Runs `plomb pki`. */
export async function run(args: string[]): Promise<number> {
    const [action, ...rest] = args
    switch (action) {
        case "init":
            return await runInit(rest)
        case "issue":
            return await runIssue(rest)
        case "renew":
            return await runRenew(rest)
        case "show":
            return runShow(rest)
        case "revoke":
            return await runRevoke(rest)
        case "crl":
            return await runCrl(rest)
        case "publish":
            return await runPublish(rest)
        default:
            throw new UsageError(`init, issue, renew, show, revoke, crl or publish, not "${action ?? ""}"`)
    }
}

async function runInit(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: { ...common, hss: { type: "string" } },
        allowPositionals: true,
    })
    const folder = only(positionals, "the folder to make")
    await initPki(folder, { ...optionsOf(values), hss: values.hss })
    console.log(treeLines(readTree(folder), new Date()).join("\n"))
    return 0
}

async function runIssue(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: {
            ...common,
            ...publishing,
            in: { type: "string" },
            csr: { type: "string" },
            "server-id": { type: "string" },
            name: { type: "string" },
            host: { type: "string", multiple: true },
            by: { type: "string" },
            ...roleWords,
        },
        allowPositionals: true,
    })
    const role = only(positionals, "a role")
    if (!(role in roles)) throw new UsageError(`"${role}" is no role; one of ${Object.keys(roles).join(", ")}`)
    const folder = need(values.in, "--in DIR")
    const device = role === "meter" || role === "muc" || role === "concentrator"
    const name = device ? need(values["server-id"], "--server-id HEX") : need(values.name, "--name NAME")
    if (role === "meter" && values.csr === undefined) throw new UsageError("a meter makes its own key: give --csr FILE")
    const options = { ...optionsOf(values), ...roleOptions(values), hosts: values.host, by: values.by }
    const to = publishTo(values.publish, values)
    const csr = values.csr === undefined ? undefined : readRequestFile(values.csr)
    const issued = !csr
        ? await issueWithKey(folder, role, name, options)
        : device
          ? await issueDevice(folder, role, csr, name, options)
          : await issueForRequest(folder, role, name, csr, options)
    console.log(`${issued.folder}: certificate ${issued.serial}`)
    return publish(folder, [relative(folder, issued.folder)], to)
}

async function runRenew(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: {
            ...common,
            ...publishing,
            in: { type: "string" },
            csr: { type: "string" },
            "new-key": { type: "boolean" },
            host: { type: "string", multiple: true },
            hss: { type: "string" },
            ...roleWords,
        },
        allowPositionals: true,
    })
    const party = only(positionals, "the party's folder")
    const folder = need(values.in, "--in DIR")
    if (values["new-key"] && values.csr !== undefined) throw new UsageError("--new-key or --csr, not both")
    const csr = values.csr === undefined ? undefined : readRequestFile(values.csr)
    const { host: hosts, "new-key": newKey, hss } = values
    const options = { ...optionsOf(values), ...roleOptions(values), hosts, newKey, csr, hss }
    const to = publishTo(values.publish, values)
    const renewed = await renew(folder, party, options)
    console.log(`${renewed.folder}: certificate ${renewed.serial}`)
    return publish(folder, [party], to)
}

function runShow(args: string[]): number {
    const { values, positionals } = readArgs({ args, options: { json: { type: "boolean" } }, allowPositionals: true })
    const path = only(positionals, "a file or a folder")
    if (isFolder(path)) {
        const tree = readTree(path)
        console.log(values.json ? JSON.stringify(tree, undefined, 2) : treeLines(tree, new Date()).join("\n"))
    } else {
        const objects = readObjects(path)
        console.log(
            values.json
                ? JSON.stringify(objects, undefined, 2)
                : objects.map(each => fieldLines(each).join("\n")).join("\n\n"),
        )
    }
    return 0
}

async function runRevoke(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: {
            ...common,
            ...publishing,
            in: { type: "string" },
            reason: { type: "string", default: "unspecified" },
        },
        allowPositionals: true,
    })
    const which = only(positionals, "a serial number or a certificate's file")
    const folder = need(values.in, "--in DIR")
    const to = publishTo(values.publish, values)
    const done = await revoke(folder, which, values.reason, optionsOf(values))
    console.log(`revoked ${done.subject} (${done.serial}); list ${done.crlNumber} of ${done.issuer} is signed`)
    return publish(folder, [done.issuer], to)
}

async function runCrl(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, options: { ...common, ...publishing }, allowPositionals: true })
    const [folder, ...names] = positionals
    const to = publishTo(values.publish, values)
    const renewed = await renewCrls(need(folder, "the PKI's folder"), names, optionsOf(values))
    console.log(`signed the lists of ${renewed.join(", ")}`)
    return publish(folder, renewed, to)
}

async function runPublish(args: string[]): Promise<number> {
    const options = { ...common, ...publishing, to: { type: "string" } } as const
    const { values, positionals } = readArgs({ args, options, allowPositionals: true })
    const [folder, ...parties] = positionals
    need(folder, "the PKI's folder")
    if (values.publish !== undefined) throw new UsageError("publish takes --to URL")
    const to = publishTo(need(values.to, "--to URL"), values)!
    const { publishAll, publishParties } = await import("./publish.ts")
    const done = parties.length > 0 ? await publishParties(folder, parties, to) : await publishAll(folder, to)
    for (const { dn, did } of done) if (did !== "unchanged") console.log(`${did} ${dn}`)
    const written = done.filter(({ did }) => did !== "unchanged").length
    console.log(`${written} written, ${done.length - written} unchanged`)
    return 0
}

/** What is issued is issued: a directory that can not be reached is told, and makes the exit code 1. */
async function publish(folder: string, parties: string[], to: PublishTo | undefined): Promise<number> {
    if (!to) return 0
    const { publishNew } = await import("./publish.ts")
    return (await publishNew(folder, parties, to, "pki", line => console.log(line))) ? 0 : 1
}

function only(positionals: string[], what: string): string {
    if (positionals.length !== 1) throw new UsageError(`give ${what}, and one`)
    return positionals[0]
}

function need(value: string | undefined, what: string): string {
    if (value === undefined || value === "") throw new UsageError(`${what} is missing`)
    return value
}

function optionsOf(values: { "passphrase-file"?: string; "passphrase-env"?: string; days?: string }): PkiOptions {
    const passphrase = readPassphrase(values)
    const days = values.days === undefined ? undefined : Number(values.days)
    if (days !== undefined && !(Number.isInteger(days) && days > 0 && days <= 36_500))
        throw new UsageError(`--days is a whole number from 1 to 36500, not "${values.days}"`)
    return { passphrase, days }
}

/** Rights and role version; those of the kind, or those it had, where nothing is said. */
function roleOptions(values: { rights?: string; "role-version"?: string }): PkiOptions {
    const text = values["role-version"]
    const roleVersion = text === undefined ? undefined : Number(text)
    if (roleVersion !== undefined && !(Number.isInteger(roleVersion) && roleVersion > 0 && roleVersion < 2 ** 31))
        throw new UsageError(`--role-version is a whole number from 1 to 2147483647, not "${text}"`)
    return { roleVersion, rights: values.rights === undefined ? undefined : rightsOf(values.rights) }
}

/** A request as DER, from PEM or DER. */
function readRequestFile(path: string): Buffer {
    const content = readInput(path)
    const found = readPem(content.toString("latin1")).find(object => object.label.endsWith("CERTIFICATE REQUEST"))
    return found ? found.der : content
}

function readInput(path: string): Buffer {
    try {
        return readFileSync(path)
    } catch (error) {
        throw new PkiError(`${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
}

function isFolder(path: string): boolean {
    try {
        return statSync(path).isDirectory()
    } catch {
        throw new PkiError(`there is no ${path}`)
    }
}
