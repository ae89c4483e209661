import type { Certificate } from "./certificate.ts"
import { contentOf, DerDamage, demand, inside, readDer } from "./der.ts"
import type { Findings } from "./findings.ts"

/** What a certificate says its holder is: role, its version, and the functions it may have (undefined: not narrowed). */
export interface PartyRole {
    role: number
    version: number
    rights?: Set<number>
}

const oid = "1.3.6.1.3.20556.1"
const clause = "role extension 1.3.6.1.3.20556.1"

/** Names by number; those that are missing have none. */
const names: Record<number, string> = {
    0: "institute",
    1: "calibrationAuthority",
    2: "manufacturer",
    3: "securityManagement",
    4: "operator",
    5: "dataCollection",
    6: "energyProvider",
    7: "localOperator",
    8: "customer",
    9: "indicator",
    16: "meter",
    17: "muc",
    18: "concentrator",
    19: "directory",
    20: "certificationAuthority",
}

/** Numbers of the roles that are asked for by name here. */
export const meterRole = 16
export const mucRole = 17
/** Those who command. */
export const commandingRoles = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

/** Who may certify whom. */
const certifies: Record<number, number[]> = {
    0: [0, 1],
    1: [7, 16],
    2: [17, 18],
    3: [4, 5, 6, 7, 8, 9],
    20: [2, 3, 19],
}

/** Name of a role. */
export function roleName(role: number): string {
    return names[role] ?? `role ${role}`
}

/** The role of a certificate, undefined where it states none; throws `DerDamage`. */
export function roleOf(certificate: Certificate): PartyRole | undefined {
    const extension = certificate.extensions.get(oid)
    if (!extension) return undefined
    const [role, version, rights, more] = inside(demand(readDer(extension.value), 0x30, "PlombRole"))
    if (more) throw new DerDamage(more.start, "nothing more was expected in PlombRole")
    const number = (node: typeof role | undefined, what: string) => {
        const content = contentOf(demand(node, 2, what))
        if (content.length < 1 || content.length > 4 || content[0] > 127) throw new DerDamage(node!.start, what)
        return content.readUIntBE(0, content.length)
    }
    const party: PartyRole = { role: number(role, "role"), version: number(version, "version") }
    if (rights) {
        const bits = contentOf(demand(rights, 3, "rights"))
        party.rights = new Set()
        for (let bit = 0; bit < 8 * (bits.length - 1); ++bit)
            if (bits[1 + (bit >> 3)] & (0x80 >> (bit & 7))) party.rights.add(bit)
    }
    return party
}

/**
 * Judges what the certificates of a path, leaf first, say of themselves: is the leaf one of `wanted`, may each issuer
 * certify the one below it, does nobody pass on rights that it lacks. A path from before there were roles proves nothing by them.
 */
export function judgeRoles(findings: Findings, path: Certificate[], wanted: number[], place: string): void {
    const expected = `${wanted.length > 3 ? "a commanding role" : wanted.map(roleName).join(" or ")}, certified by who may`
    const faults: string[] = []
    const roles = path.map(certificate => {
        try {
            return roleOf(certificate)
        } catch (error) {
            if (!(error instanceof DerDamage)) throw error
            faults.push(`${certificate.subjectText}: ${error.message}`)
            return undefined
        }
    })
    if (faults.length === 0 && roles.every(each => !each)) {
        findings.unshown("roles", clause, place, expected, "no roles: certificates from before there were any")
        return
    }
    roles.forEach((each, i) => {
        const name = path[i].subjectText
        if (!each) {
            faults.push(`${name} states no role`)
            return
        }
        const below = roles[i - 1]
        if (i === 0 && !wanted.includes(each.role)) faults.push(`${name} is ${roleName(each.role)}`)
        if (!below) return
        if (!certifies[each.role]?.includes(below.role))
            faults.push(`${name}, ${roleName(each.role)}, may not certify ${roleName(below.role)}`)
        // Devices have no functions to be given.
        const own = each.rights
        if (!own || below.role >= meterRole) return
        const beyond = below.rights ? [...below.rights].filter(right => !own.has(right)) : ["all"]
        if (beyond.length > 0) faults.push(`${name} gives rights that it lacks (${beyond.join(", ")})`)
    })
    const came = roles.map((each, i) => `${path[i].subjectText}: ${each ? roleName(each.role) : "none"}`).join(", ")
    findings.check(faults.length === 0, "roles", clause, place, expected, faults.join("; ") || came)
}
