import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import { parseCertificate } from "../../firmware/core/x509"
import { type PlombRole, Role, readRole } from "../../firmware/core/x509-role"
import { roleValue } from "../../tools/pki/role.ts"
import { x509 } from "../../tools/pki/x509.ts"
import { party, read, type TestParty } from "../helpers/certificates.ts"
import { codeThrown } from "../helpers/errors"

const oid = "1.3.6.1.3.20556.1"
let root: TestParty

beforeAll(async () => {
    root = await party({ name: "Root" })
})

/** A certificate whose role extension holds these octets. */
async function withRole(hex: string, critical = false) {
    const { der } = await party({ issuer: root, more: [new x509.Extension(oid, critical, Buffer.from(hex, "hex"))] })
    return parseCertificate(der)
}

describe("The role extension", () => {
    it("says role, version and rights, bit n for function n", async () => {
        expect(readRole(await withRole("3006020104020101"))).toEqual({ role: Role.operator, version: 1, rights: -1 })
        const last = await withRole("300d02011f02047fffffff03020780", true)
        expect(readRole(last)).toEqual({ role: 31, version: 0x7fffffff, rights: 1 })
        expect(readRole(await withRole("300b020112020101030305a420"))?.rights).toBe(1 | 4 | 32 | 1024)
        expect(readRole(await withRole("300d020112020101030501fffffffe"))?.rights).toBe(0x7fffffff)
        expect(readRole(await withRole("3009020112020101030100"))?.rights).toBe(0)
    })

    it("that is absent is told apart from every role", () => {
        expect(readRole(read(root))).toBeUndefined()
    })

    it("outside its ranges or not in DER is refused with the code that says so", async () => {
        const wrong: [string, string][] = [
            ["3006020120020101", "X509Extension"],
            ["3006020104020100", "X509Extension"],
            ["300a02010402050080000000", "X509Extension"],
            ["300d02010402010103050000000001", "X509Extension"],
            ["3006020184020101", "DerValue"],
            ["300702020004020101", "DerValue"],
            ["300a02010402010103020680", "DerValue"],
            ["300b020104020101030300a400", "DerValue"],
            ["3003020104", "DerTruncated"],
            ["30080201040201010500", "DerTag"],
            ["300c020104020101030207800500", "DerTrailing"],
            ["0c026f70", "DerTag"],
        ]
        for (const [hex, code] of wrong) {
            const certificate = await withRole(hex)
            expect([hex, codeThrown(() => readRole(certificate))]).toEqual([hex, code])
        }
    })

    it("is written by plomb pki as the core reads it, whatever the values", async () => {
        const values = fc.record({
            role: fc.integer({ min: 0, max: 31 }),
            version: fc.integer({ min: 1, max: 0x7fffffff }),
            rights: fc.integer({ min: -1, max: 0x7fffffff }),
        })
        const { der } = root
        await fc.assert(
            fc.property(values, (value: PlombRole) => {
                const written = Buffer.from(roleValue(value))
                const certificate = parseCertificate(der)
                const at = der.length
                Object.assign(certificate, { der: Buffer.concat([der, written]), roleAt: at })
                expect(readRole(certificate)).toEqual(value)
            }),
        )
    })

    it("of any octets is a value or a PlombError", () => {
        const { der } = root
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 24 }), octets => {
                const certificate = parseCertificate(der)
                Object.assign(certificate, { der: Buffer.concat([der, octets]), roleAt: der.length })
                try {
                    const value = readRole(certificate)
                    expect(value!.role).toBeLessThan(32)
                } catch (error) {
                    expect(error).toBeInstanceOf(PlombError)
                }
            }),
            { numRuns: 500 },
        )
    })
})
