import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { earlierFolders } from "../pki/earlier.ts"
import { PkiError } from "../pki/files.ts"
import { issuers, roles, standing } from "../pki/parties.ts"
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
    if (!existsSync(join(folder, standing[0].folder)))
        throw new PkiError(`${folder} is not a PKI; plomb pki init makes one`)
    const single = standing
        .filter(party => existsSync(join(folder, party.folder, "cert.pem")))
        .map(party => partyEntry(join(folder, party.folder), places[party.folder] ?? "authorities", party.folder))
    const many = [...new Set(Object.values(roles).map(party => party.folder))]
    return single.concat(
        many
            .filter(each => existsSync(join(folder, each)))
            .flatMap(each =>
                readdirSync(join(folder, each))
                    // A revoked certificate that another took the place of keeps its serial number behind its name
                    .filter(name => !name.startsWith(".") && existsSync(join(folder, each, name, "cert.pem")))
                    .sort()
                    .map(name => partyEntry(join(folder, each, name), places[each] ?? "devices", name)),
            ),
    )
}

/** Entry of one party of a PKI folder, by its path: `manufacturer`, `operators/alice`. Throws `PkiError`. */
export function entryAt(pki: string, path: string): DirectoryEntry {
    const [folder, name = folder] = path.split("/")
    return partyEntry(join(pki, path), places[folder] ?? "authorities", name)
}

function partyEntry(folder: string, container: Container, name: string): DirectoryEntry {
    const issuer = container === "authorities" && issuers.includes(name)
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
