import { describe, expect, it } from "vitest"
import { AccessTable, accessTableSize, Fn } from "../../firmware/core/access"
import { Role } from "../../firmware/core/x509-role"
import { design, roles, versionEditors } from "../helpers/access-design.ts"
import { codeThrown } from "../helpers/errors.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

const versionsAt = 46

function fresh() {
    const store = new MemoryStore(2 * (accessTableSize + 4) + 1)
    return { store, table: new AccessTable(store, 0) }
}

/** The present table with the next version, changed. */
function next(table: AccessTable, change: (octets: Buffer) => void = () => {}): Buffer {
    const octets = Buffer.from(table.octets())
    octets.writeUInt32BE(table.version() + 1)
    change(octets)
    return octets
}

function toggle(fn: Fn, role: Role): (octets: Buffer) => void {
    return octets => octets.writeUInt16BE(octets.readUInt16BE(4 + 2 * fn) ^ (1 << role), 4 + 2 * fn)
}

describe("access table", () => {
    it("is at delivery what the design says, for every role and function", () => {
        const { table } = fresh()
        expect(design).toHaveLength(21)
        expect(table.version()).toBe(1)
        for (const { fn, name, delivery } of design)
            for (const role of roles)
                expect([name, Role[role], table.allows(role, fn)]).toEqual([name, Role[role], delivery.has(role)])
        for (const role of [...roles, Role.meter, Role.muc]) expect(table.leastVersion(role)).toBe(1)
        for (const role of [Role.meter, Role.muc, Role.concentrator, Role.directory, Role.certificationAuthority, 31])
            for (const { fn } of design) expect(table.allows(role, fn)).toBe(false)
    })

    it("each single change by each role is taken or refused as fixed, ceiling and editor have it", () => {
        for (const { fn, name, delivery, fixed, ceiling, editors } of design)
            for (const role of roles)
                for (const by of roles) {
                    const { table, store } = fresh()
                    let expected = "none"
                    if (!editors.has(by)) expected = "AccessEditor"
                    if (!delivery.has(role) && !ceiling.has(role)) expected = "AccessCeiling"
                    if (delivery.has(role) && fixed.has(role)) expected = "AccessFixed"
                    const came = codeThrown(() => table.replace(next(table, toggle(fn, role)), by, 1))
                    const what = [name, Role[role], Role[by]]
                    expect([...what, came]).toEqual([...what, expected])
                    expect(table.allows(role, fn)).toBe(delivery.has(role) !== (expected === "none"))
                    expect(store.written === 0).toBe(expected !== "none")
                }
    })

    it("bits of roles that do not exist are refused: AccessCeiling", () => {
        for (let bit = 10; bit < 16; ++bit) {
            const { table } = fresh()
            expect(
                codeThrown(() => table.replace(next(table, toggle(Fn.readCurrent, bit)), Role.securityManagement, 1)),
            ).toBe("AccessCeiling")
        }
    })

    it("each raised version by each role is taken or refused as its editors have it", () => {
        for (const [role, editors] of versionEditors.entries())
            for (const by of roles) {
                const { table } = fresh()
                const may = editors.has(by)
                const octets = next(table, each => each.writeUInt32BE(2, versionsAt + 4 * role))
                expect(codeThrown(() => table.replace(octets, by, 2))).toBe(may ? "none" : "AccessEditor")
                expect(table.leastVersion(role)).toBe(may ? 2 : 1)
            }
    })

    it("a version never goes down, and the provider's not above that of the certificate held: AccessRoleVersion", () => {
        const { table } = fresh()
        const at = versionsAt + 4 * Role.operator
        table.replace(
            next(table, each => each.writeUInt32BE(5, at)),
            Role.securityManagement,
            1,
        )
        const raise = (role: Role, version: number, held: number) =>
            codeThrown(() =>
                table.check(
                    next(table, each => each.writeUInt32BE(version, versionsAt + 4 * role)),
                    Role.securityManagement,
                    held,
                ),
            )
        expect(raise(Role.operator, 4, 1)).toBe("AccessRoleVersion")
        expect(raise(Role.operator, 0, 1)).toBe("AccessRoleVersion")
        expect(raise(Role.operator, 0x7fffffff, 1)).toBe("none")
        // No certificate could have it.
        expect(raise(Role.operator, 0x80000000, 1)).toBe("AccessRoleVersion")
        expect(raise(Role.securityManagement, 2, 1)).toBe("AccessRoleVersion")
        expect(raise(Role.securityManagement, 2, 0)).toBe("AccessRoleVersion")
        expect(raise(Role.securityManagement, 2, 2)).toBe("none")
    })

    it("a table of another version or length is refused: AccessVersion, AccessForm", () => {
        const { table } = fresh()
        for (const version of [0, 1, 3, 0xffffffff]) {
            const octets = next(table, each => each.writeUInt32BE(version))
            expect(codeThrown(() => table.replace(octets, Role.securityManagement, 1))).toBe("AccessVersion")
        }
        for (const length of [0, 4, accessTableSize - 1, accessTableSize + 1])
            expect(codeThrown(() => table.replace(Buffer.alloc(length), Role.securityManagement, 1))).toBe("AccessForm")
    })

    it("somebody always keeps the right to change rights: no sequence of changes takes it from institute and provider", () => {
        const { table } = fresh()
        let seed = 1
        const below = (most: number) => {
            seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
            return Math.floor((seed / 2 ** 32) * most)
        }
        let taken = 0
        for (let i = 0; i < 3000; ++i) {
            const octets = next(table, each => {
                for (let k = 0; k <= below(3); ++k) each[4 + below(accessTableSize - 4)] = below(256)
            })
            if (codeThrown(() => table.replace(octets, below(10), 1)) === "none") ++taken
            const { fixed } = design[Fn.setAccess]
            for (const role of fixed) expect(table.allows(role, Fn.setAccess)).toBe(true)
            expect(table.leastVersion(Role.securityManagement)).toBe(1)
            expect(table.leastVersion(Role.manufacturer)).toBe(1)
            for (const row of design) for (const role of row.fixed) expect(table.allows(role, row.fn)).toBe(true)
        }
        expect(taken).toBeGreaterThan(20)
    })

    it("after a power cut at any octet the table is the old one or the new one, and so after the next cut", () => {
        const change = (table: AccessTable, role: Role) =>
            table.replace(next(table, toggle(Fn.setKeys, role)), Role.securityManagement, 1)
        let cuts = 0
        for (const before of [0, 1, 2]) {
            const prepare = () => {
                const { store, table } = fresh()
                for (let i = 0; i < before; ++i) change(table, Role.localOperator)
                return { store, table }
            }
            const whole = prepare()
            const old = Buffer.from(whole.table.octets())
            const from = whole.store.written
            change(whole.table, Role.operator)
            const changed = Buffer.from(whole.table.octets())
            const writes = whole.store.written - from
            for (let cut = 0; cut <= writes; ++cut) {
                const { store, table } = prepare()
                store.cutAfter = cut
                let whatCame: unknown
                try {
                    change(table, Role.operator)
                } catch (error) {
                    whatCame = error
                }
                expect(whatCame instanceof Cut).toBe(cut < writes)
                store.cutAfter = Number.POSITIVE_INFINITY
                const again = new AccessTable(store, 0)
                expect(again.octets()).toEqual(cut < writes ? old : changed)
                change(again, Role.manufacturer)
                expect(new AccessTable(store, 0).allows(Role.manufacturer, Fn.setKeys)).toBe(true)
                ++cuts
            }
        }
        expect(cuts).toBe(3 * 92)
    })

    it("while the record is damaged nothing is allowed: RecordDamaged", () => {
        const { store, table } = fresh()
        table.replace(next(table), Role.securityManagement, 1)
        store.cells[20] ^= 1
        const again = new AccessTable(store, 0)
        expect(codeThrown(() => again.allows(Role.institute, Fn.setTime))).toBe("RecordDamaged")
        expect(codeThrown(() => again.replace(next(table), Role.securityManagement, 1))).toBe("RecordDamaged")
    })

    it("goes back to delivery by reset", () => {
        const { table } = fresh()
        const delivery = Buffer.from(table.octets())
        table.replace(next(table, toggle(Fn.setKeys, Role.operator)), Role.securityManagement, 1)
        table.reset()
        expect(table.octets()).toEqual(delivery)
    })
})
