import { accessTableSize, Fn } from "../../firmware/core/access.ts"
import { accessPath } from "../../firmware/core/sml-parameter.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { UsageError } from "../cli/usage.ts"
import { functionNames } from "../pki/rights.ts"
import { sayEntry } from "./logbooks.ts"
import { get, set } from "./requests.ts"
import type { Session } from "./session.ts"

const roles = 10
const versionsAt = accessTableSize - 4 * roles

/** Number of a role that may command, by name. Throws `UsageError`. */
export function roleByName(text: string): Role {
    for (let role = 0; role < roles; ++role) if (Role[role].toLowerCase() === text.toLowerCase()) return role
    const names = Array.from({ length: roles }, (_, role) => Role[role])
    throw new UsageError(`"${text}" is no role that may call functions; they are ${names.join(", ")}`)
}

/** Number of a function by name. Throws `UsageError`. */
export function functionByName(text: string): Fn {
    const name = functionNames.find(each => each.toLowerCase() === text.toLowerCase())
    if (!name) throw new UsageError(`"${text}" is no function; they are ${functionNames.join(", ")}`)
    return Fn[name as keyof typeof Fn]
}

/** Names of the roles that the table lets call a function. */
function allowed(table: Buffer, fn: number): string[] {
    const row = table.readUInt16BE(4 + 2 * fn)
    return Array.from({ length: roles }, (_, role) => role)
        .filter(role => row & (1 << role))
        .map(role => Role[role])
}

async function read(session: Session, quiet: boolean): Promise<Buffer | undefined> {
    const told = await session.tell([get(accessPath)], { quiet })
    const table = told?.requests[0].tree?.value
    if (told && table?.length !== accessTableSize) return session.fail("  The answer holds no access table.")
    return table && Buffer.from(table)
}

/** Shows the table: who may call what, and which role versions are in force. */
export async function show(session: Session): Promise<void> {
    const table = await read(session, false)
    if (!table) return
    const version = table.readUInt32BE(0)
    session.say(`Access table ${version}${version === 1 ? ", as delivered" : ""}:`)
    const rows: Record<string, string[]> = {}
    functionNames.forEach((name, fn) => {
        rows[name] = allowed(table, fn)
        session.say(`  ${name.padEnd(28)} ${rows[name].join(", ") || "nobody"}`)
    })
    const versions: Record<string, number> = {}
    for (let role = 0; role < roles; ++role) versions[Role[role]] = table.readUInt32BE(versionsAt + 4 * role)
    const raised = Object.entries(versions).filter(([, least]) => least > 1)
    for (const [role, least] of raised) session.say(`  ${role}: certificates from version ${least} on`)
    session.result.access = { version, functions: rows, versions }
}

/** Grants or denies a role a function. */
export async function change(session: Session, role: Role, fn: Fn, grant: boolean): Promise<void> {
    const what = `${grant ? "let" : "no longer let"} ${Role[role]} call ${Fn[fn]}`
    await replace(session, what, table => {
        const row = table.readUInt16BE(4 + 2 * fn)
        const next = grant ? row | (1 << role) : row & ~(1 << role)
        table.writeUInt16BE(next & 0xffff, 4 + 2 * fn)
        return next !== row
    })
}

/** Turns out all holders of a role whose certificates have a lower version. */
export async function raise(session: Session, role: Role, version: number): Promise<void> {
    await replace(session, `believe ${Role[role]} from version ${version} on only`, table => {
        const before = table.readUInt32BE(versionsAt + 4 * role)
        table.writeUInt32BE(version, versionsAt + 4 * role)
        return before !== version
    })
}

/** Reads the table, changes it, sends it whole with the next version: what came between is refused by the device. */
async function replace(session: Session, what: string, edit: (table: Buffer) => boolean): Promise<void> {
    if (session.dry) {
        session.say(
            `${session.party.text}, would ask the device for its access table and command it to ${what}; not sent.`,
        )
        return
    }
    const table = await read(session, true)
    if (!table) return
    if (!edit(table)) {
        session.say(`Nothing to do: access table ${table.readUInt32BE(0)} says so already (${what}).`)
        return
    }
    table.writeUInt32BE(table.readUInt32BE(0) + 1, 0)
    session.say(`To ${what}:`)
    if (await session.tell([set(accessPath, table)])) await sayEntry(session)
    session.result.access = { version: table.readUInt32BE(0) }
}
