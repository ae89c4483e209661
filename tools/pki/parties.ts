import { Role } from "../../firmware/core/x509-role.ts"

/** Every party that `plomb pki` can certify: who issues it, what it may do, how long (design.md sections 6 and 7). */
export interface Party {
    /** Folder under the PKI's folder, or the folder of many (`many`). */
    folder: string
    /** Common name; where there are many it is the id or name of the one. */
    commonName: string
    role: Role
    /** Folder of the issuer; the party's own for a root. */
    issuer: string
    /** Most certification authorities below it; absent for end entities. */
    pathLength?: number
    /** Signs commands, orders, packages or readings, not only certificates. */
    signs: boolean
    /** Signs software, so it can have an HSS key besides; the institute's is named by its root. */
    hss?: boolean
    /** Signatures that bind later: readings, software approvals. */
    nonRepudiation?: boolean
    years: number
    /** May be certified for host names and addresses: it is reached by TLS. */
    server?: boolean
    /** Names and addresses it has unless told others. */
    hosts?: readonly string[]
    /** Many of a kind, each in a folder of its own inside `folder`. */
    many?: boolean
}

/** Where the parties of one desk reach each other. */
const desk = ["localhost", "127.0.0.1"]

/** Parties that `init` makes, each issuer before those it certifies. */
export const standing: Party[] = [
    {
        folder: "institute-root",
        role: Role.institute,
        commonName: "Plomb Institute Root",
        issuer: "institute-root",
        pathLength: 1,
        signs: false,
        hss: true,
        years: 30,
    },
    {
        folder: "calibration-authority",
        role: Role.calibrationAuthority,
        commonName: "Plomb Calibration Authority",
        issuer: "institute-root",
        pathLength: 0,
        signs: true,
        years: 20,
    },
    {
        folder: "institute-approval",
        role: Role.institute,
        commonName: "Plomb Institute Software Approval",
        issuer: "institute-root",
        signs: true,
        nonRepudiation: true,
        years: 20,
    },
    {
        folder: "ca-root",
        role: Role.certificationAuthority,
        commonName: "Plomb CA Root",
        issuer: "ca-root",
        pathLength: 1,
        signs: false,
        years: 30,
    },
    {
        folder: "manufacturer",
        role: Role.manufacturer,
        commonName: "Plomb Manufacturer",
        issuer: "ca-root",
        pathLength: 0,
        signs: true,
        hss: true,
        years: 20,
    },
    {
        folder: "security-management",
        role: Role.securityManagement,
        commonName: "Plomb Security Management",
        issuer: "ca-root",
        pathLength: 0,
        signs: true,
        years: 20,
    },
    {
        folder: "operator",
        role: Role.operator,
        commonName: "Plomb Operator",
        issuer: "security-management",
        signs: true,
        years: 1,
        server: true,
        hosts: desk,
    },
    {
        folder: "data-collection",
        role: Role.dataCollection,
        commonName: "Plomb Data Collection",
        issuer: "security-management",
        signs: true,
        years: 1,
        server: true,
    },
    {
        folder: "directory",
        commonName: "Plomb Directory",
        role: Role.directory,
        issuer: "ca-root",
        signs: true,
        years: 5,
        server: true,
        hosts: desk,
    },
]

/** What `issue ROLE` makes one more of. Meters outlive the approval period of their type. */
export const roles: Record<string, Party> = {
    meter: {
        folder: "meters",
        role: Role.meter,
        commonName: "",
        issuer: "calibration-authority",
        signs: true,
        nonRepudiation: true,
        years: 16,
        many: true,
    },
    muc: { folder: "mucs", role: Role.muc, commonName: "", issuer: "manufacturer", signs: true, years: 5, many: true },
    concentrator: {
        folder: "concentrators",
        role: Role.concentrator,
        commonName: "",
        issuer: "manufacturer",
        signs: true,
        years: 5,
        server: true,
        many: true,
    },
    operator: {
        folder: "operators",
        role: Role.operator,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 1,
        server: true,
        many: true,
    },
    "data-collection": {
        folder: "data-collections",
        role: Role.dataCollection,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 1,
        server: true,
        many: true,
    },
    "energy-provider": {
        folder: "energy-providers",
        role: Role.energyProvider,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 1,
        many: true,
    },
    "local-operator": {
        folder: "local-operators",
        role: Role.localOperator,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 1,
        many: true,
    },
    customer: {
        folder: "customers",
        role: Role.customer,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 5,
        many: true,
    },
    indicator: {
        folder: "indicators",
        role: Role.indicator,
        commonName: "",
        issuer: "security-management",
        signs: true,
        years: 5,
        many: true,
    },
    inspector: {
        folder: "inspectors",
        role: Role.institute,
        commonName: "",
        issuer: "institute-root",
        signs: true,
        years: 1,
        many: true,
    },
    "security-management": {
        folder: "security-managements",
        role: Role.securityManagement,
        commonName: "",
        issuer: "ca-root",
        pathLength: 0,
        signs: true,
        years: 20,
        many: true,
    },
    directory: {
        folder: "directories",
        commonName: "",
        role: Role.directory,
        issuer: "ca-root",
        signs: true,
        years: 5,
        server: true,
        many: true,
    },
}

/** Who may certify whom; devices hold their senders' chains to the same. */
export const certifies: Partial<Record<Role, readonly Role[]>> = {
    [Role.institute]: [Role.institute, Role.calibrationAuthority],
    [Role.calibrationAuthority]: [Role.meter, Role.localOperator],
    [Role.certificationAuthority]: [Role.manufacturer, Role.securityManagement, Role.directory],
    [Role.manufacturer]: [Role.muc, Role.concentrator],
    [Role.securityManagement]: [
        Role.operator,
        Role.dataCollection,
        Role.energyProvider,
        Role.localOperator,
        Role.customer,
        Role.indicator,
    ],
}

/** Folders of the parties that certify others and that every PKI has. */
export const issuers = standing.filter(party => party.pathLength !== undefined).map(party => party.folder)

/**
 * The party of a folder of the PKI; undefined where no party has that name. `manufacturer`; `operators/alice`, certified by
 * the issuer that is usual for its kind; `security-managements/stadtwerk/operators/alice`, by the one whose folder it is in.
 */
export function partyAt(path: string): { party: Party; commonName: string } | undefined {
    const own = standing.find(party => party.folder === path)
    if (own) return { party: own, commonName: own.commonName }
    const parts = path.split("/")
    const commonName = parts.pop()
    const party = Object.values(roles).find(each => each.folder === parts[parts.length - 1])
    if (!party || !commonName || commonName.startsWith(".")) return undefined
    if (parts.length === 1) return { party, commonName }
    const by = parts.slice(0, -1).join("/")
    return by !== party.issuer && mayCertify(by, party.role) ? { party: certifiedBy(party, by), commonName } : undefined
}

/** May the party in the folder `by` certify this role? */
export function mayCertify(by: string, role: Role): boolean {
    const issuer = partyAt(by)?.party
    return issuer?.pathLength !== undefined && (certifies[issuer.role]?.includes(role) ?? false)
}

/** The same kind of party, certified by the issuer in the folder `by` and kept in that. */
export function certifiedBy(party: Party, by = party.issuer): Party {
    return by === party.issuer ? party : { ...party, issuer: by, folder: `${by}/${party.folder}` }
}
