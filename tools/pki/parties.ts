/** Every party that `plomb pki` can certify: who issues it, what it may do, how long (design.md sections 6 and 7). */
export interface Party {
    /** Folder under the PKI's folder, or the folder of many (`many`). */
    folder: string
    /** Common name; where there are many it is the id or name of the one. */
    commonName: string
    /** Folder of the issuer; the party's own for a root. */
    issuer: string
    /** Most certification authorities below it; absent for end entities. */
    pathLength?: number
    /** Signs commands, orders, packages or readings, not only certificates. */
    signs: boolean
    /** Signatures that bind later: readings, software approvals. */
    nonRepudiation?: boolean
    years: number
    /** Many of a kind, each in a folder of its own inside `folder`. */
    many?: boolean
}

/** Parties that `init` makes, each issuer before those it certifies. */
export const standing: Party[] = [
    {
        folder: "institute-root",
        commonName: "Plomb Institute Root",
        issuer: "institute-root",
        pathLength: 1,
        signs: false,
        years: 30,
    },
    {
        folder: "calibration-authority",
        commonName: "Plomb Calibration Authority",
        issuer: "institute-root",
        pathLength: 0,
        signs: true,
        years: 20,
    },
    {
        folder: "institute-approval",
        commonName: "Plomb Institute Software Approval",
        issuer: "institute-root",
        signs: true,
        nonRepudiation: true,
        years: 20,
    },
    { folder: "ca-root", commonName: "Plomb CA Root", issuer: "ca-root", pathLength: 1, signs: false, years: 30 },
    {
        folder: "manufacturer",
        commonName: "Plomb Manufacturer",
        issuer: "ca-root",
        pathLength: 0,
        signs: true,
        years: 20,
    },
    {
        folder: "security-management",
        commonName: "Plomb Security Management",
        issuer: "ca-root",
        pathLength: 0,
        signs: true,
        years: 20,
    },
    { folder: "operator", commonName: "Plomb Operator", issuer: "security-management", signs: true, years: 1 },
    {
        folder: "data-collection",
        commonName: "Plomb Data Collection",
        issuer: "security-management",
        signs: true,
        years: 1,
    },
]

/** What `issue ROLE` makes one more of. Meters outlive the approval period of their type. */
export const roles: Record<string, Party> = {
    meter: {
        folder: "meters",
        commonName: "",
        issuer: "calibration-authority",
        signs: true,
        nonRepudiation: true,
        years: 16,
        many: true,
    },
    muc: { folder: "mucs", commonName: "", issuer: "manufacturer", signs: true, years: 5, many: true },
    concentrator: {
        folder: "concentrators",
        commonName: "",
        issuer: "manufacturer",
        signs: true,
        years: 5,
        many: true,
    },
    operator: { folder: "operators", commonName: "", issuer: "security-management", signs: true, years: 1, many: true },
    "data-collection": {
        folder: "data-collections",
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 1,
        many: true,
    },
}

/** Folders of the parties that certify others. */
export const issuers = standing.filter(party => party.pathLength !== undefined).map(party => party.folder)
