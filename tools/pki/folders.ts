import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { PkiError } from "./files.ts"
import { issuers, partyAt, roles, standing } from "./parties.ts"

/** Paths of all parties in a PKI folder, issuers before those they certify. Throws `PkiError`. */
export function partyPaths(folder: string): string[] {
    if (!existsSync(join(folder, standing[0].folder)))
        throw new PkiError(`${folder} is not a PKI; plomb pki init makes one`)
    const single = standing.map(party => party.folder).filter(path => existsSync(join(folder, path, "chain.pem")))
    const providers = inside(folder, roles["security-management"].folder)
    const kinds = Object.values(roles).map(party => party.folder)
    const many = kinds
        .filter(kind => kind !== roles["security-management"].folder)
        .flatMap(kind => inside(folder, kind))
    const elsewhere = [...issuers, ...providers].flatMap(by => kinds.flatMap(kind => inside(folder, `${by}/${kind}`)))
    return [...single, ...providers, ...many, ...elsewhere]
}

/** Paths of the parties that certify others. */
export function issuerPaths(folder: string): string[] {
    return [...issuers, ...inside(folder, roles["security-management"].folder)]
}

/** The parties in one folder of many; a revoked one that another took the place of has its serial number behind its name. */
function inside(folder: string, many: string): string[] {
    if (!existsSync(join(folder, many))) return []
    return readdirSync(join(folder, many))
        .sort()
        .map(name => `${many}/${name}`)
        .filter(path => partyAt(path) !== undefined && existsSync(join(folder, path, "chain.pem")))
}
