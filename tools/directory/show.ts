import { parseCrl } from "../../firmware/core/crl.ts"
import { PlombError } from "../../firmware/core/errors.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { x509 } from "../pki/x509.ts"
import type { DirectoryEntry } from "./client.ts"

/** An entry for people: certificates and lists by what is in them. */
export function entryLines({ dn, attributes }: DirectoryEntry, now: Date): string[] {
    const lines = [dn]
    for (const [name, values] of Object.entries(attributes))
        for (const value of values) {
            const [first, ...rest] = typeof value === "string" ? [value] : binaryLines(value, now)
            lines.push(`    ${name}: ${first}`, ...rest.map(line => `        ${line}`))
        }
    return lines
}

/** The same for programs: octets in base64, and what is in them beside it. */
export function entryJson({ dn, attributes }: DirectoryEntry): string {
    const lists = Object.entries(attributes).map(([name, values]) => [
        name,
        values.map(value =>
            typeof value === "string" ? value : { base64: value.toString("base64"), ...fields(value) },
        ),
    ])
    return JSON.stringify({ dn, attributes: Object.fromEntries(lists) })
}

interface Fields {
    subject?: string
    issuer: string
    role?: string
    serial?: string
    from: string
    to: string
    number?: string
    revoked?: string[]
}

function fields(der: Buffer): Fields | undefined {
    return certificateFields(der) ?? crlFields(der)
}

function certificateFields(der: Buffer): Fields | undefined {
    const core = parsed(() => parseCertificate(der))
    if (!core) return undefined
    const role = parsed(() => readRole(core))?.role
    const { subject, issuer, serialNumber } = new x509.X509Certificate(new Uint8Array(der))
    return {
        subject,
        issuer,
        role: role === undefined ? undefined : (Role[role] ?? `${role}`),
        serial: serialNumber,
        from: iso(core.notBefore),
        to: iso(core.notAfter),
    }
}

function crlFields(der: Buffer): Fields | undefined {
    const core = parsed(() => parseCrl(der))
    if (!core) return undefined
    const { issuer, entries } = new x509.X509Crl(new Uint8Array(der))
    return {
        issuer,
        from: iso(core.thisUpdate),
        to: iso(core.nextUpdate),
        number: BigInt(`0x${core.number.toString("hex")}`).toString(),
        revoked: entries.map(each => each.serialNumber),
    }
}

function binaryLines(der: Buffer, now: Date): string[] {
    const found = fields(der)
    if (!found) return [`${der.length} octets that are no certificate or list known here`]
    const { subject, issuer, role, serial, from, to, number, revoked } = found
    const period = `${from.slice(0, 10)} to ${to.slice(0, 10)}`
    const state = now < new Date(from) ? "NOT YET VALID" : now > new Date(to) ? "EXPIRED" : "valid"
    if (subject !== undefined)
        return [subject, `role ${role ?? "none"}, ${state} ${period}`, `issued by ${issuer}, serial ${serial}`]
    const count = revoked?.length ?? 0
    return [
        `list ${number} of ${issuer}`,
        `${state === "EXPIRED" ? "PAST" : state} ${period}, ${count === 0 ? "nothing revoked" : `${count} revoked`}`,
        ...(revoked ?? []).map(each => `revoked ${each}`),
    ]
}

function parsed<T>(read: () => T): T | undefined {
    try {
        return read()
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        return undefined
    }
}

function iso(seconds: number): string {
    return new Date(seconds * 1000).toISOString()
}
