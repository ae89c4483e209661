import { spawnSync } from "node:child_process"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { writeCsr } from "../../firmware/core/csr"
import { generateKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { parseCertificate } from "../../firmware/core/x509"
import { Role, readRole } from "../../firmware/core/x509-role"
import { initPki } from "../../tools/pki/init.ts"
import { issueDevice, issueMeterCertificate, issueWithKey } from "../../tools/pki/issue.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { renewCrls, revoke } from "../../tools/pki/revoke.ts"
import { readTree } from "../../tools/pki/show.ts"
import { x509 } from "../../tools/pki/x509.ts"
import { hasProgram, requireExtra } from "../extras.ts"
import { codeThrown } from "../helpers/errors"

const folder = mkdtempSync(join(tmpdir(), "plomb-pki-test-"))
const pki = join(folder, "pki")
const serverId = "0a01504c420100000007"
const parties =
    "institute-root calibration-authority institute-approval ca-root manufacturer security-management operator data-collection directory"
const openssl = requireExtra("openssl", hasProgram("openssl", "version"), "Debian package openssl")

beforeAll(() => initPki(pki))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function request(id = serverId, number = "7"): Buffer {
    const pair = generateKeyP256()
    return writeCsr(id, number, {
        publicKey: () => pair.publicKey,
        sign: digest => signP256(pair.privateKey, digest),
    })
}

function ders(path: string): Buffer[] {
    return readPem(readFileSync(join(pki, path), "utf8")).map(object => object.der)
}

/** What the core says of the chain in this folder, with the lists of its issuers. */
function judged(path: string, root: string, issuers: string[]): string {
    const chain = ders(`${path}/chain.pem`).map(parseCertificate)
    const anchors = ders(`${root}/cert.pem`).map(parseCertificate)
    const crls = issuers.map(issuer => parseCrl(ders(`${issuer}/crl.pem`)[0]))
    const atSeconds = Math.floor(Date.now() / 1000)
    return codeThrown(() => verifyChain({ chain, anchors, atSeconds, crls, crlRequired: true, keyUsage: 1 }))
}

/** Every path below a folder, with the mode of each file and folder. */
function modes(path: string): [string, string][] {
    return readdirSync(path, { withFileTypes: true }).flatMap(entry => {
        const own: [string, string] = [entry.name, (statSync(join(path, entry.name)).mode & 0o777).toString(8)]
        return entry.isDirectory() ? [own, ...modes(join(path, entry.name))] : [own]
    })
}

describe("A new PKI", () => {
    it("holds the parties of design.md section 6, each certified by the right one", () => {
        expect(readdirSync(pki).sort()).toEqual(parties.split(" ").sort())
        const issuers = (party: string) =>
            ders(`${party}/chain.pem`).map(der => new X509Certificate(der).subject.slice(9))
        expect(issuers("calibration-authority")).toEqual(["Calibration Authority", "Institute Root"])
        expect(issuers("institute-approval")).toEqual(["Institute Software Approval", "Institute Root"])
        expect(issuers("manufacturer")).toEqual(["Manufacturer", "CA Root"])
        expect(issuers("security-management")).toEqual(["Security Management", "CA Root"])
        expect(issuers("operator")).toEqual(["Operator", "Security Management", "CA Root"])
        expect(issuers("data-collection")).toEqual(["Data Collection", "Security Management", "CA Root"])
        expect(issuers("directory")).toEqual(["Directory", "CA Root"])
    })

    it("keeps private files to its owner", () => {
        for (const [name, mode] of [["pki", (statSync(pki).mode & 0o777).toString(8)], ...modes(pki)]) {
            if (name.endsWith("key.pem")) expect([name, mode]).toEqual([name, "600"])
            else if (!name.includes(".")) expect([name, mode]).toEqual([name, "700"])
        }
    })

    it("is not made over anything that is there", async () => {
        const before = readTree(pki)
        await expect(initPki(pki)).rejects.toThrow("is there already; nothing was changed")
        expect(readTree(pki)).toEqual(before)
        await expect(initPki(join(folder, "no", "pki"))).rejects.toThrow("there is no folder")
        expect(readdirSync(folder)).toEqual(["pki"])
    })

    it("has positive serial numbers of 128 bits and validity by kind", () => {
        const years = (party: string) => {
            const certificate = new X509Certificate(ders(`${party}/cert.pem`)[0])
            expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
            const span = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)
            return Math.round(span / 86_400_000 / 365.25)
        }
        expect(parties.split(" ").map(years)).toEqual([30, 20, 20, 30, 20, 20, 1, 1, 5])
    })

    it("satisfies the core with its lists required", () => {
        expect(judged("operator", "ca-root", ["security-management", "ca-root"])).toBe("none")
        expect(judged("institute-approval", "institute-root", ["institute-root"])).toBe("none")
        expect(judged("directory", "ca-root", ["ca-root"])).toBe("none")
        expect(judged("operator", "institute-root", [])).toBe("ChainIssuer")
    })

    it("says every party's role, version 1 and no narrower rights, not critical", () => {
        const said = parties.split(" ").map(party => readRole(parseCertificate(ders(`${party}/cert.pem`)[0])))
        const { institute, calibrationAuthority, manufacturer, securityManagement, operator } = Role
        const roles = [institute, calibrationAuthority, institute, Role.certificationAuthority, manufacturer]
        roles.push(securityManagement, operator, Role.dataCollection, Role.directory)
        expect(said).toEqual(roles.map(role => ({ role, version: 1, rights: -1 })))
        const extension = new x509.X509Certificate(new Uint8Array(ders("operator/cert.pem")[0])).getExtension(
            "1.3.6.1.3.20556.1",
        )
        expect(extension?.critical).toBe(false)
    })

    it("names the desk in the certificates of directory and operator, for both ends of TLS", () => {
        const named = parties.split(" ").filter(party => {
            const { subjectAltName, keyUsage } = new X509Certificate(ders(`${party}/cert.pem`)[0])
            if (subjectAltName === undefined) return keyUsage !== undefined
            expect(subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1")
            expect(keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"])
            return true
        })
        expect(named).toEqual(["operator", "directory"])
    })
})

describe("A meter's certificate", () => {
    it("is for the key and the server id of its request, and outlives the approval period", async () => {
        const csr = request()
        const issued = await issueMeterCertificate(pki, csr, serverId)
        expect(issued.folder).toBe(join(pki, "meters", serverId))
        expect(issued.chain.length).toBe(3)
        const certificate = new X509Certificate(issued.certificate)
        expect(certificate.subject).toBe(`CN=${serverId}\nserialNumber=7`)
        expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(15.9 * 365.25 * 86_400_000)
        expect(judged(`meters/${serverId}`, "institute-root", ["calibration-authority", "institute-root"])).toBe("none")
        expect(existsSync(join(issued.folder, "key.pem"))).toBe(false)
    })

    it("is the same one when the same request comes again, and another key is refused until it is revoked", async () => {
        const id = "0a01504c420100000008"
        const csr = request(id, "8")
        const first = await issueMeterCertificate(pki, csr, id)
        expect((await issueMeterCertificate(pki, csr, id)).certificate).toEqual(first.certificate)
        await expect(issueMeterCertificate(pki, request(id, "8"), id)).rejects.toThrow("revoke it before")
        await revoke(pki, first.serial, "superseded")
        const second = await issueMeterCertificate(pki, request(id, "8"), id)
        expect(second.serial).not.toBe(first.serial)
        expect(readdirSync(join(pki, "meters"))).toContain(`${id}.${first.serial}`)
    })

    it("is refused for a request that is not the meter's own, and nothing is left behind", async () => {
        const id = "0a01504c420100000009"
        const before = readFileSync(join(pki, "calibration-authority/index.json"))
        const issue = (csr: Buffer, forId = id) => issueMeterCertificate(pki, csr, forId)
        await expect(issue(request())).rejects.toThrow(`is for "${serverId}"`)
        await expect(issue(request(id, "10"))).rejects.toThrow("its server id says 9")
        const forged = request(id, "9")
        forged[forged.length - 1] ^= 1
        await expect(issue(forged)).rejects.toThrow("proof of possession")
        await expect(issue(Buffer.from("no request"))).rejects.toThrow("not PKCS#10")
        await expect(issue(request(id, "9"), "0a01")).rejects.toThrow("10 octets in hex")
        await expect(issueMeterCertificate(pki, request(id, "9"), id, { days: 30_000 })).rejects.toThrow(
            "its issuer only to",
        )
        expect(existsSync(join(pki, "meters", id))).toBe(false)
        expect(readdirSync(join(pki, "meters")).filter(name => name.startsWith("."))).toEqual([])
        expect(readFileSync(join(pki, "calibration-authority/index.json"))).toEqual(before)
        await expect(issueMeterCertificate(folder, request(id, "9"), id)).rejects.toThrow("is not a PKI")
    })
})

describe("A party that is reached by TLS", () => {
    it("is certified for its names and addresses, which the core carries", async () => {
        const hosts = ["Head.Example.org", "192.0.2.7", "2001:db8::7"]
        await issueWithKey(pki, "concentrator", "05010203040508", { hosts })
        const [der] = ders("concentrators/05010203040508/cert.pem")
        const peer = new X509Certificate(der)
        expect(peer.checkHost("head.example.org")).toBe("head.example.org")
        expect(peer.checkIP("192.0.2.7")).toBe("192.0.2.7")
        expect(peer.checkIP("2001:db8::7")).toBe("2001:db8::7")
        const certificate = parseCertificate(der)
        expect(certificate.alternativeNamesAt).toBeGreaterThan(0)
        expect(readRole(certificate)?.role).toBe(Role.concentrator)
        expect(judged("concentrators/05010203040508", "ca-root", ["manufacturer", "ca-root"])).toBe("none")
        await issueWithKey(pki, "directory", "second", { hosts: ["ldap.example.org"] })
        expect(judged("directories/second", "ca-root", ["ca-root"])).toBe("none")
    })

    it("has none where none was told, and a word that is no name is refused", async () => {
        await issueWithKey(pki, "operator", "anna")
        expect(new X509Certificate(ders("operators/anna/cert.pem")[0]).subjectAltName).toBeUndefined()
        for (const host of ["", "a b", "-a.org", "a..org", "300.1.1.1", `${"a".repeat(64)}.org`, "a_b"])
            await expect(issueWithKey(pki, "operator", "otto", { hosts: [host] })).rejects.toThrow(
                "neither a host name",
            )
        await expect(issueWithKey(pki, "muc", "05010203040509", { hosts: ["localhost"] })).rejects.toThrow("no --host")
        expect(existsSync(join(pki, "operators", "otto"))).toBe(false)
    })
})

describe("Revocation", () => {
    it("signs the right issuer's list anew with a higher number, and the core sees it", async () => {
        const { folder: own, serial } = await issueWithKey(pki, "operator", "alice")
        const lists = ["security-management", "ca-root"]
        expect(judged("operators/alice", "ca-root", lists)).toBe("none")
        const done = await revoke(pki, join(own, "cert.pem"), "keyCompromise")
        expect([done.serial, done.issuer, done.crlNumber]).toEqual([serial, "security-management", 2])
        expect(judged("operators/alice", "ca-root", lists)).toBe("ChainRevoked")
        expect(judged("operator", "ca-root", lists)).toBe("none")
        await expect(revoke(pki, serial, "keyCompromise")).rejects.toThrow("was revoked on")
    })

    it("without a reason is a list that strict parsers take", async () => {
        const { serial } = await issueWithKey(pki, "data-collection", "bob")
        await revoke(pki, serial.toUpperCase(), "unspecified")
        expect(judged("data-collections/bob", "ca-root", ["security-management", "ca-root"])).toBe("ChainRevoked")
    })

    it("of an intermediate is in the root's list; a root, an unknown number or reason is refused", async () => {
        const [root] = readTree(pki)
        await expect(revoke(pki, root.serial, "unspecified")).rejects.toThrow("root can not revoke itself")
        await expect(revoke(pki, "1234", "unspecified")).rejects.toThrow("no certificate with the serial number 1234")
        await expect(revoke(pki, root.serial, "boredom")).rejects.toThrow("is no reason")
        const other = join(folder, "other")
        await initPki(other)
        const manufacturer = readTree(other)[1].certified[0]
        expect((await revoke(other, manufacturer.serial, "cACompromise")).issuer).toBe("ca-root")
        expect(readTree(other)[1].certified[0].revoked?.reason).toBe("cACompromise")
    })

    it("lists are renewed before they run out", async () => {
        const before = parseCrl(ders("ca-root/crl.pem")[0])
        const later = new Date(Date.now() + 80 * 86_400_000)
        expect(await renewCrls(pki, ["ca-root"], { now: later })).toEqual(["ca-root"])
        const after = parseCrl(ders("ca-root/crl.pem")[0])
        expect(after.thisUpdate).toBe(Math.floor(later.getTime() / 1000))
        expect(after.nextUpdate).toBeGreaterThan(before.nextUpdate)
        await renewCrls(pki, ["ca-root"])
        await expect(renewCrls(pki, ["operator"])).rejects.toThrow("is no issuer")
    })
})

describe("Keys under a passphrase", () => {
    const locked = join(folder, "locked")
    const passphrase = "correct horse"

    it("are PKCS#8 encrypted, open with it and not without", async () => {
        await initPki(locked, { passphrase })
        const path = join(locked, "ca-root/key.pem")
        const pem = readFileSync(path, "utf8")
        expect(pem).toContain("ENCRYPTED PRIVATE KEY")
        expect(createPrivateKey({ key: pem, passphrase }).asymmetricKeyDetails?.namedCurve).toBe("prime256v1")
        await expect(issueWithKey(locked, "operator", "carol")).rejects.toThrow("is encrypted: give")
        await expect(issueWithKey(locked, "operator", "carol", { passphrase: "x" })).rejects.toThrow("wrong passphrase")
        expect(existsSync(join(locked, "operators", "carol"))).toBe(false)
        await issueWithKey(locked, "operator", "carol", { passphrase })
        expect(readFileSync(join(locked, "operators/carol/key.pem"), "utf8")).toContain("ENCRYPTED PRIVATE KEY")
        if (openssl) {
            const env = { ...process.env, PASS: passphrase }
            const { status } = spawnSync("openssl", ["pkcs8", "-in", path, "-passin", "env:PASS"], { env })
            expect(status).toBe(0)
        }
    })
})

describe("A PKI in use by another process", () => {
    it("is left alone, and one whose user died is not", async () => {
        writeFileSync(join(pki, ".lock"), `${process.pid}`)
        await expect(issueWithKey(pki, "operator", "dora")).rejects.toThrow(`process ${process.pid} works on`)
        writeFileSync(join(pki, ".lock"), "999999999")
        await issueWithKey(pki, "operator", "dora")
        expect(existsSync(join(pki, ".lock"))).toBe(false)
    })
})

describe.skipIf(!openssl)("OpenSSL", () => {
    it("accepts the chains with strict checks and revocation lists, and refuses what is revoked", async () => {
        const muc = await issueWithKey(pki, "muc", "05010203040506")
        const own = await issueDevice(pki, "concentrator", request("05010203040507", ""), "05010203040507").catch(
            error => error,
        )
        expect(own).not.toBeInstanceOf(Error)
        const check = (root: string, path: string, ...issuers: string[]) => {
            const trusted = join(folder, "trusted.pem")
            const files = [`${root}/cert.pem`, `${root}/crl.pem`, ...issuers.map(issuer => `${issuer}/crl.pem`)]
            writeFileSync(trusted, files.map(file => readFileSync(join(pki, file), "utf8")).join(""))
            const chain = join(pki, path, "chain.pem")
            const options = ["verify", "-crl_check_all", "-x509_strict", "-CAfile", trusted, "-untrusted", chain]
            const { stdout, stderr } = spawnSync("openssl", [...options, join(pki, path, "cert.pem")])
            return `${stdout}${stderr}`
        }
        expect(check("institute-root", `meters/${serverId}`, "calibration-authority")).toContain(": OK")
        expect(check("institute-root", "institute-approval")).toContain(": OK")
        expect(check("ca-root", "operator", "security-management")).toContain(": OK")
        expect(check("ca-root", "mucs/05010203040506", "manufacturer")).toContain(": OK")
        expect(check("ca-root", "directory")).toContain(": OK")
        await revoke(pki, muc.serial, "cessationOfOperation")
        expect(check("ca-root", "mucs/05010203040506", "manufacturer")).toContain("certificate revoked")
    })
})
