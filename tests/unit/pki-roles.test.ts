import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { Fn } from "../../firmware/core/access"
import { verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { parseCertificate } from "../../firmware/core/x509"
import { Role, readRole } from "../../firmware/core/x509-role"
import { run } from "../../tools/pki/command.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueForRequest, issueWithKey } from "../../tools/pki/issue.ts"
import { certifies, roles } from "../../tools/pki/parties.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { renew } from "../../tools/pki/renew.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { readTree } from "../../tools/pki/show.ts"
import { codeThrown } from "../helpers/errors"

const folder = mkdtempSync(join(tmpdir(), "plomb-pki-roles-"))
const pki = join(folder, "pki")
const reading = (1 << Fn.readCurrent) | (1 << Fn.readProfile)
const stadtwerk = "security-managements/stadtwerk"

beforeAll(async () => {
    await initPki(pki)
    await issueWithKey(pki, "security-management", "stadtwerk")
})
afterAll(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
})

function ders(path: string): Buffer[] {
    return readPem(readFileSync(join(pki, path), "utf8")).map(object => object.der)
}

const roleIn = (path: string) => readRole(parseCertificate(ders(`${path}/cert.pem`)[0]))

/** What the core says of a chain with these issuers' lists. */
function judged(path: string, root: string, issuers: string[]): string {
    const chain = ders(`${path}/chain.pem`).map(parseCertificate)
    const anchors = ders(`${root}/cert.pem`).map(parseCertificate)
    const crls = issuers.map(issuer => parseCrl(ders(`${issuer}/crl.pem`)[0]))
    const atSeconds = Math.floor(Date.now() / 1000)
    return codeThrown(() => verifyChain({ chain, anchors, atSeconds, crls, crlRequired: true, keyUsage: 1 }))
}

describe("Parties of the market", () => {
    const kinds: [string, string, Role, string, string[]][] = [
        ["energy-provider", "energy-providers", Role.energyProvider, "ca-root", ["security-management", "ca-root"]],
        ["local-operator", "local-operators", Role.localOperator, "ca-root", ["security-management", "ca-root"]],
        ["customer", "customers", Role.customer, "ca-root", ["security-management", "ca-root"]],
        ["indicator", "indicators", Role.indicator, "ca-root", ["security-management", "ca-root"]],
        ["inspector", "inspectors", Role.institute, "institute-root", ["institute-root"]],
    ]
    it.each(kinds)("%s gets its role and a chain that the core accepts", async (kind, many, role, root, issuers) => {
        await issueWithKey(pki, kind, "one")
        expect(roleIn(`${many}/one`)).toEqual({ role, version: 1, rights: -1 })
        expect(judged(`${many}/one`, root, issuers)).toBe("none")
    })

    it("have the rights and the version that they are given, and keep both when they are renewed", async () => {
        await issueWithKey(pki, "operator", "rita", { rights: reading, roleVersion: 3 })
        expect(roleIn("operators/rita")).toEqual({ role: Role.operator, version: 3, rights: reading })
        await renew(pki, "operators/rita", { newKey: true })
        expect(roleIn("operators/rita")).toEqual({ role: Role.operator, version: 3, rights: reading })
        await renew(pki, "operators/rita", { rights: 0, roleVersion: 4 })
        expect(roleIn("operators/rita")).toEqual({ role: Role.operator, version: 4, rights: 0 })
    })

    it("are certified by another issuer in its own folder, where that one may certify them", async () => {
        await issueWithKey(pki, "local-operator", "luis", { by: "calibration-authority" })
        const path = "calibration-authority/local-operators/luis"
        expect(roleIn(path)?.role).toBe(Role.localOperator)
        expect(judged(path, "institute-root", ["calibration-authority", "institute-root"])).toBe("none")
        await revoke(pki, join(pki, path, "cert.pem"), "privilegeWithdrawn")
        expect(judged(path, "institute-root", ["calibration-authority", "institute-root"])).toBe("ChainRevoked")
    })
})

describe("A second provider", () => {
    it("is certified by the CA, with a register and a list of its own, and certifies operators of its own", async () => {
        expect(roleIn(stadtwerk)?.role).toBe(Role.securityManagement)
        expect(judged(stadtwerk, "ca-root", ["ca-root"])).toBe("none")
        await issueWithKey(pki, "operator", "alice", { by: stadtwerk, hosts: ["localhost"] })
        await issueWithKey(pki, "operator", "alice")
        const mine = [stadtwerk, "ca-root"]
        expect(judged(`${stadtwerk}/operators/alice`, "ca-root", mine)).toBe("none")
        expect(judged("operators/alice", "ca-root", mine)).not.toBe("none")
        expect(readTree(pki)[1].certified.map(each => each.party)).toContain(stadtwerk)
        const tree = readTree(pki)[1].certified.find(each => each.party === stadtwerk)
        expect(tree?.certified.map(each => each.party)).toEqual([`${stadtwerk}/operators/alice`])
        await revoke(pki, join(pki, stadtwerk, "operators/alice/cert.pem"), "cessationOfOperation")
        expect(judged(`${stadtwerk}/operators/alice`, "ca-root", mine)).toBe("ChainRevoked")
        expect(judged("operators/alice", "ca-root", ["security-management", "ca-root"])).toBe("none")
    })

    it("bears no other issuer's name, and nobody bears its name", async () => {
        await expect(issueWithKey(pki, "security-management", "Plomb Manufacturer")).rejects.toThrow("another party")
        await expect(issueWithKey(pki, "operator", "Stadtwerk")).rejects.toThrow("another party")
    })

    it("makes its key here", async () => {
        const refused = issueForRequest(pki, "security-management", "elsewhere", Buffer.alloc(4))
        await expect(refused).rejects.toThrow("its key is made here")
        expect(existsSync(join(pki, "security-managements/elsewhere"))).toBe(false)
    })
})

describe("An issuer", () => {
    it("certifies no role but those that it may: every pair of issuer and kind", async () => {
        const standing: Record<string, Role> = {
            "institute-root": Role.institute,
            "calibration-authority": Role.calibrationAuthority,
            "ca-root": Role.certificationAuthority,
            manufacturer: Role.manufacturer,
            "security-management": Role.securityManagement,
            [stadtwerk]: Role.securityManagement,
        }
        const leaves = Object.entries(roles).filter(([kind]) => !["meter", "muc", "concentrator"].includes(kind))
        let refusals = 0
        for (const [by, role] of Object.entries(standing))
            for (const [kind, party] of leaves) {
                if (certifies[role]?.includes(party.role)) continue
                const refused = issueWithKey(pki, kind, "nobody", { by })
                await expect(refused, `${by} ${kind}`).rejects.toThrow(`may not certify ${Role[party.role]}`)
                ++refusals
            }
        expect(refusals).toBeGreaterThan(30)
        await expect(issueWithKey(pki, "operator", "x", { by: "operator" })).rejects.toThrow("may not certify")
        await expect(issueWithKey(pki, "operator", "x", { by: "king" })).rejects.toThrow("has no party king")
        expect(readdirSync(join(pki, "operators"))).not.toContain("nobody")
    })

    it("passes on no right that it lacks, nor all rights where it has some, and says which", async () => {
        await issueWithKey(pki, "security-management", "narrow", { rights: reading })
        const by = "security-managements/narrow"
        await issueWithKey(pki, "data-collection", "dcs", { by, rights: 1 << Fn.readCurrent })
        expect(roleIn(`${by}/data-collections/dcs`)?.rights).toBe(1)
        const wider = issueWithKey(pki, "operator", "max", { by, rights: reading | (1 << Fn.setAccess) })
        await expect(wider).rejects.toThrow(
            "narrow lacks setAccess and can not pass it on; it has readCurrent, readProfile",
        )
        await expect(issueWithKey(pki, "operator", "max", { by })).rejects.toThrow("say with --rights which max gets")
        await expect(renew(pki, `${by}/data-collections/dcs`, { rights: 1 << Fn.erase })).rejects.toThrow("lacks erase")
        expect(existsSync(join(pki, by, "operators", "max"))).toBe(false)
    })
})

describe("plomb pki", () => {
    const printed: string[] = []
    const plomb = async (...args: string[]) => {
        printed.length = 0
        expect(await run(args)).toBe(0)
        return printed.join("\n")
    }

    it("takes rights by name and shows them by name", async () => {
        vi.spyOn(console, "log").mockImplementation(line => void printed.push(`${line}`))
        const words = ["issue", "data-collection", "--in", pki, "--name", "dora", "--by", stadtwerk]
        const path = `${stadtwerk}/data-collections/dora`
        await plomb(...words, "--rights", "readCurrent,readProfile", "--role-version", "2")
        expect(await plomb("show", pki)).toContain("role dataCollection, version 2, rights readCurrent, readProfile")
        const [shown] = JSON.parse(await plomb("show", join(pki, path, "cert.pem"), "--json"))
        expect(shown.role).toBe("dataCollection, version 2, rights readCurrent, readProfile")
        await plomb("renew", path, "--in", pki, "--rights", "none")
        expect(await plomb("show", pki)).toContain("role dataCollection, version 2, rights none")
    })

    it("refuses unknown functions and versions in one line", async () => {
        const words = ["issue", "operator", "--in", pki, "--name", "x"]
        await expect(run([...words, "--rights", "fly"])).rejects.toThrow('"fly" is no function; they are readCurrent,')
        await expect(run([...words, "--role-version", "0"])).rejects.toThrow("--role-version is a whole number")
        expect(existsSync(join(pki, "operators/x"))).toBe(false)
    })
})
