import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { earlierFolders } from "../pki/earlier.ts"
import { PkiError } from "../pki/files.ts"
import { partyPaths } from "../pki/folders.ts"
import { readPem } from "../pki/pem.ts"
import type { DirectoryClient, DirectoryEntry, Published } from "./client.ts"
import { escapeValue } from "./dn.ts"

/** Name of the tree, and of its containers below it. */
export const root = "o=plomb"
const containers = ["authorities", "operators", "devices"] as const

type Container = (typeof containers)[number]

/** Where the parties of each folder of a PKI stand, the folders of many included. */
const places: Record<string, Container> = {
    operator: "operators",
    operators: "operators",
    "data-collection": "operators",
    "data-collections": "operators",
    "energy-providers": "operators",
    "local-operators": "operators",
    customers: "operators",
    indicators: "operators",
    inspectors: "operators",
    meters: "devices",
    mucs: "devices",
    concentrators: "devices",
    directory: "devices",
    directories: "devices",
}

/** DN of a party: of an authority by its folder's name, of an operator by its name, of a device by its server id in hex. */
export function partyDn(container: Container, name: string): string {
    return `cn=${escapeValue(name)},ou=${container},${root}`
}

/** One entry and what became of it. */
export interface PublishedEntry {
    dn: string
    did: Published
}

/**
 * Puts the certificates and revocation lists of a whole PKI folder into a directory, the containers too where they are
 * missing. What is there already and the same is not touched, what is there besides stays. No key is read.
 */
export async function publishPki(directory: DirectoryClient, folder: string): Promise<PublishedEntry[]> {
    const done: PublishedEntry[] = []
    for (const entry of [...containerEntries(), ...partyEntries(folder)])
        done.push({ dn: entry.dn, did: await directory.publish(entry) })
    return done
}

/** Entries of the tree above all parties. */
export function containerEntries(): DirectoryEntry[] {
    return [
        { dn: root, attributes: { objectClass: ["top", "organization"], o: ["plomb"] } },
        ...containers.map(ou => ({
            dn: `ou=${ou},${root}`,
            attributes: { objectClass: ["top", "organizationalUnit"], ou: [ou] },
        })),
    ]
}

/** Entries of all parties of a PKI folder, issuers first. Throws `PkiError`. */
export function partyEntries(folder: string): DirectoryEntry[] {
    return partyPaths(folder).map(path => entryAt(folder, path))
}

/**
 * Entry of one party of a PKI folder, by its path: `manufacturer`, `operators/alice`; of one that is in its issuer's folder
 * under both names, `alice@stadtwerk`. Throws `PkiError`.
 */
export function entryAt(pki: string, path: string): DirectoryEntry {
    const parts = path.split("/")
    const name = parts.pop()!
    const kind = parts.pop() ?? name
    const by = parts.pop()
    return partyEntry(join(pki, path), places[kind] ?? "authorities", by ? `${name}@${by}` : name)
}

function partyEntry(folder: string, container: Container, name: string): DirectoryEntry {
    const issuer = container === "authorities" && existsSync(join(folder, "crl.pem"))
    const own = readDer(join(folder, "cert.pem"), "CERTIFICATE")
    // What was certified with a former key goes on being verified with it; the certificate in force stands first
    const earlier = issuer ? earlierFolders(folder).flatMap(each => readDer(join(each, "cert.pem"), "CERTIFICATE")) : []
    const certificates = [...own, ...earlier]
    const structural = container === "devices" ? "device" : "organizationalRole"
    return {
        dn: partyDn(container, name),
        attributes: {
            objectClass: ["top", structural, "pkiUser", ...(issuer ? ["pkiCA"] : [])],
            cn: [name],
            "userCertificate;binary": certificates,
            ...(issuer && {
                "cACertificate;binary": certificates,
                "certificateRevocationList;binary": readDer(join(folder, "crl.pem"), "X509 CRL"),
            }),
        },
    }
}

function readDer(path: string, label: string): Buffer[] {
    const found = readPem(readFileSync(path, "latin1")).filter(each => each.label === label)
    if (found.length === 0) throw new PkiError(`${path}: no PEM text of "${label}" in it`)
    return found.map(({ der }) => der)
}
