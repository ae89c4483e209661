import { spawnSync } from "node:child_process"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { writeCsr } from "../../firmware/core/csr"
import { generateKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { parseCertificate } from "../../firmware/core/x509"
import { readRegister } from "../../tools/pki/authority.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueMeterCertificate, issueWithKey } from "../../tools/pki/issue.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { renew } from "../../tools/pki/renew.ts"
import { renewCrls, revoke } from "../../tools/pki/revoke.ts"
import { readTree, treeLines } from "../../tools/pki/show.ts"
import { x509 } from "../../tools/pki/x509.ts"
import { hasProgram, requireExtra } from "../extras.ts"
import { codeThrown } from "../helpers/errors"

const folder = mkdtempSync(join(tmpdir(), "plomb-pki-renew-"))
const fresh = join(folder, "fresh")
const pki = join(folder, "pki")
const openssl = requireExtra("openssl", hasProgram("openssl", "version"), "Debian package openssl")
const year = 365.25 * 86_400_000

beforeAll(() => initPki(fresh))
beforeEach(() => {
    rmSync(pki, { recursive: true, force: true })
    cpSync(fresh, pki, { recursive: true })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function ders(path: string): Buffer[] {
    return readPem(readFileSync(join(pki, path), "utf8")).map(object => object.der)
}

function serialIn(path: string): string {
    return new X509Certificate(ders(path)[0]).serialNumber.toLowerCase()
}

/** What the core says of a chain with the lists of these issuers, at a moment. */
function judged(chain: Buffer[], issuers: string[], at = new Date(), root = "ca-root/cert.pem"): string {
    const crls = issuers.flatMap(issuer => ders(`${issuer}/crl.pem`)).map(parseCrl)
    const anchors = ders(root).map(parseCertificate)
    const atSeconds = Math.floor(at.getTime() / 1000)
    const certificates = chain.map(parseCertificate)
    return codeThrown(() => verifyChain({ chain: certificates, anchors, atSeconds, crls, crlRequired: true }))
}

const lists = ["manufacturer", "security-management", "ca-root"]

describe("An issuer renewed with the same key", () => {
    it("has a new certificate, and what it certified is valid under either", async () => {
        const before = ders("manufacturer/chain.pem")
        const old = await issueWithKey(pki, "concentrator", "05010203040501")
        const later = new Date(Date.now() + 60_000)
        const renewed = await renew(pki, "manufacturer", { now: later })
        const after = ders("manufacturer/chain.pem")
        expect(after).toEqual(renewed.chain)
        expect(parseCertificate(after[0]).publicKey).toEqual(parseCertificate(before[0]).publicKey)
        expect(parseCertificate(after[0]).notAfter).toBeGreaterThan(parseCertificate(before[0]).notAfter)
        expect(judged(old.chain, lists)).toBe("none")
        expect(judged([old.certificate, ...after], lists, later)).toBe("none")
        const young = await issueWithKey(pki, "concentrator", "05010203040502", { now: later })
        expect(young.chain[1]).toEqual(after[0])
        expect(judged(young.chain, lists, later)).toBe("none")
        expect(ders("concentrators/05010203040501/chain.pem")).toEqual(old.chain)
    })

    it("keeps the old certificate as it stood, and the register says which took whose place", async () => {
        const before = readFileSync(join(pki, "manufacturer/chain.pem"), "utf8")
        const serial = serialIn("manufacturer/cert.pem")
        const renewed = await renew(pki, "manufacturer")
        expect(readFileSync(join(pki, "manufacturer/earlier", serial, "chain.pem"), "utf8")).toBe(before)
        expect(existsSync(join(pki, "manufacturer/earlier", serial, "key.pem"))).toBe(false)
        const noted = readRegister(join(pki, "ca-root")).issued.find(each => each.serial === renewed.serial)
        expect(noted?.renews).toBe(serial)
        const manufacturer = readTree(pki)[1].certified[0]
        expect(manufacturer.earlier.map(each => each.serial)).toEqual([serial])
        expect(treeLines(readTree(pki), new Date()).join("\n")).toContain("before: valid, to 20")
        await revoke(pki, serial, "superseded")
        expect(readTree(pki)[1].certified[0].earlier[0].revoked?.reason).toBe("superseded")
        expect(readTree(pki)[1].certified[0].revoked).toBeUndefined()
    })

    it("goes for a root too, whose old and new certificate are both anchors for all below", async () => {
        const old = ders("operator/chain.pem")
        const later = new Date(Date.now() + 60_000)
        await renew(pki, "ca-root", { now: later })
        expect(judged(old.slice(0, 2), lists, later)).toBe("none")
        const serial = readdirSync(join(pki, "ca-root/earlier"))[0]
        expect(judged(old.slice(0, 2), lists, later, `ca-root/earlier/${serial}/cert.pem`)).toBe("none")
        await expect(revoke(pki, serial, "superseded")).rejects.toThrow("root can not revoke itself")
        await expect(renew(pki, "ca-root", { newKey: true })).rejects.toThrow("another anchor")
    })
})

describe("An issuer renewed with a new key", () => {
    it("leaves the chains under its old key valid, each key signing the list of its own", async () => {
        const old = await issueWithKey(pki, "operator", "alice")
        await renew(pki, "security-management", { newKey: true })
        const young = await issueWithKey(pki, "operator", "bob")
        expect(parseCertificate(young.chain[1]).publicKey).not.toEqual(parseCertificate(old.chain[1]).publicKey)
        expect(ders("security-management/crl.pem").length).toBe(2)
        expect([judged(old.chain, lists), judged(young.chain, lists)]).toEqual(["none", "none"])
        expect(judged([old.certificate, ...young.chain.slice(1)], lists)).toBe("ChainKeyId")

        await revoke(pki, old.serial, "keyCompromise")
        expect([judged(old.chain, lists), judged(young.chain, lists)]).toEqual(["ChainRevoked", "none"])
        await revoke(pki, young.serial, "keyCompromise")
        expect(judged(young.chain, lists)).toBe("ChainRevoked")
        const entries = ders("security-management/crl.pem").map(der => new x509.X509Crl(new Uint8Array(der)).entries)
        expect(entries.map(each => each.length)).toEqual([1, 1])
    })

    it("signs the old key's list as long as the old certificate lasts", async () => {
        await renew(pki, "manufacturer", { newKey: true, now: new Date(Date.now() + 60_000) })
        await renewCrls(pki, ["manufacturer"], { now: new Date(Date.now() + 19 * year) })
        expect(ders("manufacturer/crl.pem").length).toBe(2)
        await renewCrls(pki, ["manufacturer"], { now: new Date(Date.now() + 20.5 * year) })
        expect(ders("manufacturer/crl.pem").length).toBe(1)
    })

    it("keeps key files to their owner, and under the passphrase", async () => {
        const locked = join(folder, "locked")
        const passphrase = "correct horse"
        await initPki(locked, { passphrase })
        await expect(renew(locked, "manufacturer", { newKey: true })).rejects.toThrow("is encrypted")
        await renew(locked, "manufacturer", { newKey: true, passphrase })
        const own = join(locked, "manufacturer")
        const [serial] = readdirSync(join(own, "earlier"))
        for (const path of [join(own, "key.pem"), join(own, "earlier", serial, "key.pem")])
            expect(readFileSync(path, "utf8")).toContain("ENCRYPTED PRIVATE KEY")
        expect(readdirSync(own).sort()).toEqual(
            ["cert.pem", "chain.pem", "crl.pem", "earlier", "index.json", "key.pem"].sort(),
        )
        await revoke(locked, serial, "superseded", { passphrase })
    })
})

describe("An issuer whose life is too short", () => {
    it("refuses with what helps, and what it says helps", async () => {
        const now = new Date(Date.now() + 16 * year)
        const issue = (days?: number) => issueWithKey(pki, "concentrator", "05010203040503", { now, days })
        const refusal = await issue().then(
            () => "",
            (error: Error) => error.message,
        )
        expect(refusal).toMatch(/valid to \d{4}-.*its issuer only to .*: give --days \d+ or fewer, or renew the issuer/)
        expect(refusal).toContain(`(plomb pki renew manufacturer --in ${pki})`)
        const days = Number(/--days (\d+)/.exec(refusal)![1])
        await expect(issue(days + 1)).rejects.toThrow("only to")
        await issue(days)
        await renew(pki, "manufacturer", { now: new Date(Date.now() + 5 * year) })
        await issueWithKey(pki, "concentrator", "05010203040504", { now })
    })

    it("is itself not renewed beyond its own issuer", async () => {
        const late = new Date(Date.now() + 15 * year)
        await expect(renew(pki, "manufacturer", { now: late })).rejects.toThrow("plomb pki renew ca-root --in")
        expect(existsSync(join(pki, "manufacturer/earlier"))).toBe(false)
        await renew(pki, "ca-root", { now: late })
        await renew(pki, "manufacturer", { now: late })
    })

    it("that has ended can only be renewed", async () => {
        const now = new Date(Date.now() + 20.5 * year)
        await expect(issueWithKey(pki, "operator", "carl", { now })).rejects.toThrow(/only to [-\d]+: renew the issuer/)
    })
})

describe("A party that certifies nobody", () => {
    it("is renewed before its end with its key and its names, or others", async () => {
        const before = new X509Certificate(ders("operator/cert.pem")[0])
        await renew(pki, "operator", { now: new Date(Date.now() + 0.9 * year) })
        const after = new X509Certificate(ders("operator/cert.pem")[0])
        expect([after.subject, after.subjectAltName]).toEqual([before.subject, before.subjectAltName])
        expect(after.checkPrivateKey(createPrivateKey(readFileSync(join(pki, "operator/key.pem"))))).toBe(true)
        expect(judged(ders("operator/chain.pem"), [], new Date(Date.now() + 1.5 * year))).toBe("CrlMissing")
        await renew(pki, "operator", { hosts: ["head.example.org"] })
        expect(new X509Certificate(ders("operator/cert.pem")[0]).subjectAltName).toBe("DNS:head.example.org")
        expect(readdirSync(join(pki, "operator/earlier")).length).toBe(2)
        await renew(pki, "security-management", { newKey: true })
        await renew(pki, "operator")
        expect(judged(ders("operator/chain.pem"), lists)).toBe("none")
    })

    it("gets a new key where its key is kept, and needs its request where it is not", async () => {
        await renew(pki, "operator", { newKey: true })
        const key = createPrivateKey(readFileSync(join(pki, "operator/key.pem")))
        expect(new X509Certificate(ders("operator/cert.pem")[0]).checkPrivateKey(key)).toBe(true)

        const id = "0a01504c420100000007"
        const request = () => {
            const pair = generateKeyP256()
            const key = { publicKey: () => pair.publicKey, sign: (digest: Buffer) => signP256(pair.privateKey, digest) }
            return writeCsr(id, "7", key)
        }
        await issueMeterCertificate(pki, request(), id)
        await expect(renew(pki, `meters/${id}`, { newKey: true })).rejects.toThrow("give its new request with --csr")
        const first = ders(`meters/${id}/chain.pem`)
        await renew(pki, `meters/${id}`, { csr: request() })
        const second = ders(`meters/${id}/chain.pem`)
        const institute = ["calibration-authority", "institute-root"]
        for (const chain of [first, second])
            expect(judged(chain, institute, new Date(), "institute-root/cert.pem")).toBe("none")
        expect(new X509Certificate(second[0]).subject).toBe(new X509Certificate(first[0]).subject)
        expect(parseCertificate(second[0]).publicKey).not.toEqual(parseCertificate(first[0]).publicKey)
        await expect(renew(pki, "operator", { csr: request() })).rejects.toThrow("the key of operator is here")
    })

    it("that is revoked, or nobody, is refused", async () => {
        await revoke(pki, serialIn("operator/cert.pem"), "keyCompromise")
        await expect(renew(pki, "operator")).rejects.toThrow("is revoked")
        for (const path of ["king", "operators/nobody", "../pki", "operators/..", "meters"])
            await expect(renew(pki, path)).rejects.toThrow("has no party")
        await expect(renew(pki, "manufacturer", { hosts: ["localhost"] })).rejects.toThrow("no --host")
    })
})

describe("A renewal that was broken off", () => {
    it("is ended by the next command where the certificate stands, and forgotten where it does not", async () => {
        const own = join(pki, "manufacturer")
        const before = readFileSync(join(own, "key.pem"))
        writeFileSync(join(own, "key.0123.pem"), "never used")
        await issueWithKey(pki, "concentrator", "05010203040505")
        expect(existsSync(join(own, "key.0123.pem"))).toBe(false)
        expect(readFileSync(join(own, "key.pem"))).toEqual(before)

        const cert = readFileSync(join(own, "cert.pem"))
        const { serial } = await renew(pki, "manufacturer", { newKey: true })
        renameSync(join(own, "key.pem"), join(own, `key.${serial}.pem`))
        writeFileSync(join(own, "key.pem"), before)
        writeFileSync(join(own, "cert.pem"), cert)
        const young = await issueWithKey(pki, "concentrator", "05010203040506")
        expect(judged(young.chain, lists)).toBe("none")
        expect(serialIn("manufacturer/cert.pem")).toBe(serial)
    })
})

describe.skipIf(!openssl)("OpenSSL", () => {
    it("agrees about old and new chains after both kinds of renewal", async () => {
        await issueWithKey(pki, "operator", "alice")
        await renew(pki, "security-management", { newKey: true })
        await renew(pki, "ca-root", { now: new Date(Date.now() - 1000) })
        await issueWithKey(pki, "operator", "bob")
        const check = (path: string) => {
            const trusted = join(folder, "trusted.pem")
            const files = ["ca-root/cert.pem", "ca-root/crl.pem", "security-management/crl.pem"]
            writeFileSync(trusted, files.map(file => readFileSync(join(pki, file), "utf8")).join(""))
            const options = ["verify", "-crl_check_all", "-x509_strict", "-CAfile", trusted, "-untrusted"]
            const { stdout, stderr } = spawnSync("openssl", [
                ...options,
                `${pki}/${path}/chain.pem`,
                `${pki}/${path}/cert.pem`,
            ])
            return `${stdout}${stderr}`
        }
        expect(check("operators/alice")).toContain(": OK")
        expect(check("operators/bob")).toContain(": OK")
        await revoke(pki, serialIn("operators/alice/cert.pem"), "keyCompromise")
        expect(check("operators/alice")).toContain("certificate revoked")
        expect(check("operators/bob")).toContain(": OK")
    })
})
