import { Code, fail } from "./errors"
import { SwitchedRecord } from "./journal"
import { uintBE } from "./octets"
import type { Store } from "./store"
import { Role } from "./x509-role"

/** Functions of a device: rows of the access table, and bits of `rights` in a certificate. The numbers never change. */
export enum Fn {
    readCurrent = 0,
    readProfile = 1,
    setTime = 2,
    setMeteringParameters = 3,
    calibrate = 4,
    readMetrologicalLogbook = 5,
    resetMetrologicalLogbook = 6,
    installMetrologicalSoftware = 7,
    /** Version and attestation. */
    readSoftware = 8,
    setParameters = 9,
    readLogbook = 10,
    resetLogbook = 11,
    installSoftware = 12,
    setAccess = 13,
    setKeys = 14,
    setAddresses = 15,
    changeProvider = 16,
    deleteProvider = 17,
    erase = 18,
    rolloverKey = 19,
    /** Having a MUC carry commands to its meters. */
    relay = 20,
}

/** Functions, and roles that may have them. */
const functions = 21
const roles = 10
const versionsAt = 4 + 2 * functions

/** Octets of the access table: tableVersion U32, what each function allows U16 (bit = role), least version of each role U32; big endian. */
export const accessTableSize = versionsAt + 4 * roles

// Bits of the roles: 001 institute, 002 calibrationAuthority, 004 manufacturer, 008 securityManagement, 010 operator,
// 020 dataCollection, 040 energyProvider, 080 localOperator, 100 customer, 200 indicator.
const delivery = hex`
    00000001
    0378 0178 0003 0003 0003 0003 0001 0010 001F 009C 009C
    000C 001C 0009 0008 0018 0008 0004 0080 0002 009F
    00000001 00000001 00000001 00000001 00000001 00000001 00000001 00000001 00000001 00000001
`

/** Of each function: who can not lose it, who may ever have it, who may change the row. */
const limits = hex`
    0000 03FF 0008 // readCurrent
    0000 03FF 0008 // readProfile
    0003 0083 0001 // setTime
    0003 0083 0001 // setMeteringParameters
    0003 0083 0001 // calibrate
    0003 0083 0001 // readMetrologicalLogbook
    0001 0003 0001 // resetMetrologicalLogbook
    0000 0018 0001 // installMetrologicalSoftware
    001F 03FF 0001 // readSoftware
    0000 009C 0018 // setParameters
    0000 009C 0018 // readLogbook
    0000 009C 0018 // resetLogbook
    0000 009C 0018 // installSoftware
    0009 0019 0008 // setAccess: the institute for its own rows
    0000 009C 0018 // setKeys
    0000 009C 0018 // setAddresses
    0000 0008 0008 // changeProvider
    0004 0004 0008 // deleteProvider
    0080 0080 0001 // erase
    0002 0002 0001 // rolloverKey
    0007 009F 0018 // relay: no provider keeps institute and manufacturer away from a meter
`

/** Who may raise the least version of each role. That of the manufacturer stays: its one certificate is held since production. */
const versionEditors = hex`01 01 00 08 08 08 08 09 08 08`

/**
 * Who may do what, in the store: one switched record of `accessTableSize` octets. Whatever it does not allow is denied, and all
 * is denied while the record is damaged (`RecordDamaged`).
 */
export class AccessTable {
    private readonly record: SwitchedRecord
    private held: Buffer | undefined

    constructor(store: Store, at: number) {
        this.record = new SwitchedRecord(store, at, accessTableSize)
    }

    /** The table as it is read and set; not to be written to. */
    octets(): Buffer {
        const held = this.held || this.record.load() || delivery
        this.held = held
        return held
    }

    /** 1 at delivery, one more with each change. */
    version(): number {
        return uintBE(this.octets(), 0, 4)
    }

    /** May this role call the function? */
    allows(role: Role, fn: Fn): boolean {
        return role < roles && ((uintBE(this.octets(), 4 + 2 * fn, 2) >> role) & 1) === 1
    }

    /** Least version of the role's certificates that are still in force. */
    leastVersion(role: Role): number {
        return role < roles ? uintBE(this.octets(), versionsAt + 4 * role, 4) : 1
    }

    /**
     * Replaces the table by one that `by` signed; `heldVersion` is the role version of the CERT_SM held. The whole is checked
     * first, then one write switches: `AccessForm`, `AccessVersion`, `AccessCeiling`, `AccessFixed`, `AccessEditor`,
     * `AccessRoleVersion`, each with the offset of what is refused.
     */
    replace(octets: Buffer, by: Role, heldVersion: number): void {
        this.check(octets, by, heldVersion)
        this.save(octets)
    }

    /** What `replace` checks, and nothing changed. */
    check(octets: Buffer, by: Role, heldVersion: number): void {
        const was = this.octets()
        if (octets.length !== accessTableSize) fail(Code.AccessForm, 0, accessTableSize + " octets", "" + octets.length)
        const version = this.version() + 1
        if (uintBE(octets, 0, 4) !== version) fail(Code.AccessVersion, 0, "table " + version, "another")
        for (let fn = 0; fn < functions; ++fn) {
            const at = 4 + 2 * fn
            const now = uintBE(octets, at, 2)
            let wrong = 0
            if (now !== uintBE(was, at, 2) && !((uintBE(limits, 6 * fn + 4, 2) >> by) & 1)) wrong = Code.AccessEditor
            if (now & ~uintBE(limits, 6 * fn + 2, 2)) wrong = Code.AccessCeiling
            if (uintBE(limits, 6 * fn, 2) & ~now) wrong = Code.AccessFixed
            if (wrong !== 0) fail(wrong, at, "a row within its limits", "" + now)
        }
        for (let role = 0; role < roles; ++role) {
            const at = versionsAt + 4 * role
            const now = uintBE(octets, at, 4)
            const before = uintBE(was, at, 4)
            let wrong = 0
            if (now !== before && !((versionEditors[role] >> by) & 1)) wrong = Code.AccessEditor
            const most = role === Role.securityManagement ? Math.max(before, heldVersion) : 0x7fffffff
            if (now < before || now > most) wrong = Code.AccessRoleVersion
            if (wrong !== 0) fail(wrong, at, "a least version from " + before + " to " + most, "" + now)
        }
    }

    /** Back to the table of delivery. */
    reset(): void {
        this.save(delivery)
    }

    private save(octets: Buffer): void {
        this.record.save(octets)
        this.held = undefined
    }
}
