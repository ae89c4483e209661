import { Fn } from "../../../firmware/core/access.ts"

/**
 * Who may call what at delivery: written down from design.md section 7, and not from the firmware's table. Letters: Institute,
 * Calibration authority, Manufacturer, Security management, Operator, Data collection, Energy provider, Local operator, cUstomer, iNdicator.
 */
const atDelivery: Record<keyof typeof Fn, string> = {
    readCurrent: "SODEUN",
    readProfile: "SODEU",
    setTime: "IC",
    setMeteringParameters: "IC",
    calibrate: "IC",
    readMetrologicalLogbook: "IC",
    resetMetrologicalLogbook: "I",
    installMetrologicalSoftware: "O",
    readSoftware: "ICMSO",
    setParameters: "MSOL",
    readLogbook: "MSOL",
    resetLogbook: "MS",
    installSoftware: "MSO",
    setAccess: "IS",
    setKeys: "S",
    setAddresses: "SO",
    changeProvider: "S",
    deleteProvider: "M",
    erase: "L",
    rolloverKey: "C",
    relay: "ICMSOL",
}

/** A role of the matrix: its letter, its name over the column, and how its holder is certified. */
export interface RoleColumn {
    letter: string
    head: string
    /** A standing party of the PKI, or what `plomb pki issue` makes one more of. */
    path?: string
    issue?: string
}

/** The roles in the order of their numbers. */
export const roleColumns: RoleColumn[] = [
    { letter: "I", head: "inst", issue: "inspector" },
    { letter: "C", head: "calib", path: "calibration-authority" },
    { letter: "M", head: "manuf", path: "manufacturer" },
    { letter: "S", head: "secman", path: "security-management" },
    { letter: "O", head: "oper", issue: "operator" },
    { letter: "D", head: "datacol", issue: "data-collection" },
    { letter: "E", head: "energy", issue: "energy-provider" },
    { letter: "L", head: "local", issue: "local-operator" },
    { letter: "U", head: "custom", issue: "customer" },
    { letter: "N", head: "indic", issue: "indicator" },
]

/** May the role of this letter call the function at delivery? */
export function mayAtDelivery(letter: string, fn: Fn): boolean {
    return atDelivery[Fn[fn] as keyof typeof Fn].includes(letter)
}
